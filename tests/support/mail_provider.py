"""A provider for tests: a token endpoint and Microsoft Graph's sendMail, on loopback, misbehaving on demand."""

import base64
import json
import threading
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs

from dev.sandbox.mail_provider import LIFETIME, NOT_ACCEPTED, MailTokens
from dev.sandbox.mails import Mail


class Provider:
    """`provider.fail("token", 401, {...})` has the next such request answered like that, or by `silence` or `drop`.

    Those two keep what came; `held back` is silence that keeps nothing.
    """

    def __init__(self) -> None:
        self.tokens = MailTokens()
        self.asked: list[dict[str, str]] = []  # the forms that asked for one
        self.posted: list[tuple[str, str]] = []  # path and token of each sendMail
        self.sent: list[Mail] = []
        self.lifetime: object = LIFETIME
        self._faults: dict[str, deque[tuple[Any, ...]]] = {"token": deque(), "graph": deque()}
        self._over = threading.Event()
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                provider._answer(self)

            def log_message(self, *_: object) -> None:
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def settings(self) -> dict[str, str]:
        return {
            "MAIL_OAUTH_TENANT": "example.onmicrosoft.com",
            "MAIL_OAUTH_CLIENT_ID": "the-client",
            "MAIL_OAUTH_CLIENT_SECRET": "the-secret-value",
            "MAIL_OAUTH_TOKEN_URL": f"{self.url}/token",
            "MAIL_GRAPH_URL": f"{self.url}/v1.0",
            "MAIL_USERNAME": "erp@example.com",
            "MAIL_DEFAULT_SENDER": "erp@example.com",
        }

    def fail(self, place: str, status: int | str, body: object = None, times: int = 1, **headers: str) -> None:
        self._faults[place] += [(status, body, headers)] * times

    @property
    def misbehaves(self) -> bool:
        """Whether a fault has not happened yet."""
        return any(self._faults.values())

    def revoke(self) -> None:
        """No token that was given out is good any more."""
        self.tokens.good.clear()

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers["Content-Length"]))
        place = "token" if request.path == "/token" else "graph"
        status, answer, headers = (self._token if place == "token" else self._mail)(request, body)
        if self._faults[place]:
            status, answer, headers = self._faults[place].popleft()
        if status in ("silence", "held back"):
            self._over.wait()
        if isinstance(status, str):
            request.close_connection = True
            return
        content = answer if isinstance(answer, bytes) else b"" if answer is None else json.dumps(answer).encode()
        request.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            request.send_header(name.replace("_", "-"), value)
        request.end_headers()
        request.wfile.write(content)

    def _token(self, _request: object, body: bytes) -> tuple[int, object, dict[str, str]]:
        self.asked.append({name: values[0] for name, values in parse_qs(body.decode()).items()})
        if self._faults["token"]:
            return 500, None, {}
        return 200, self.tokens.issue(self.lifetime), {}

    def _mail(self, request: BaseHTTPRequestHandler, body: bytes) -> tuple[int, object, dict[str, str]]:
        self.posted.append((request.path, request.headers["Authorization"].removeprefix("Bearer ")))
        if not self.tokens.takes_header(request.headers["Authorization"]):
            return 401, NOT_ACCEPTED, {}
        if not self._faults["graph"] or self._faults["graph"][0][0] in ("silence", "drop"):
            self.sent.append(Mail(len(self.sent), "", [], "", base64.b64decode(body, validate=True)))
        return 202, None, {}
