"""What the sandbox's two web addresses share: requests, replies, routes, pages and the threaded server.

What the addresses are and what stands on the pages is in `spectrum_site` and `mailbox_site`.
"""

import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from email.message import Message
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from jinja2 import Environment, FileSystemLoader

HERE = Path(__file__).parent
TEMPLATES = Environment(loader=FileSystemLoader(HERE / "templates"), autoescape=True, trim_blocks=True)
TEMPLATES.filters["local_time"] = lambda moment: f"{datetime.fromisoformat(moment).astimezone():%a %-d %b %Y, %H:%M:%S}"
PAGE_POLICY = "default-src 'none'; style-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'"


class RefusedError(Exception):
    """A request that cannot be met; `sentence` says why, `status` is the HTTP status."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status, self.sentence = status, sentence


@dataclass(frozen=True)
class Request:
    """One HTTP request, read whole; `path` is without the query and still percent-encoded."""

    method: str
    path: str
    headers: Message
    body: bytes = b""

    def json(self) -> Any:
        """The body as JSON, an empty object where there is no body. Raises RefusedError."""
        try:
            return json.loads(self.body or b"{}")
        except ValueError:
            raise RefusedError(400, "The body is not JSON.") from None

    def json_object(self) -> dict[str, Any]:
        """The body as a JSON object. Raises RefusedError."""
        given = self.json()
        if not isinstance(given, dict):
            raise RefusedError(400, "The body is not a JSON object.")
        return given

    def form(self) -> dict[str, str]:
        """The fields of a posted form, empty ones too."""
        return dict(parse_qsl(self.body.decode("utf-8", "replace"), keep_blank_values=True))


@dataclass
class Reply:
    """An HTTP answer. Subclasses send themselves in other ways, also wrong ones."""

    body: bytes = b""
    status: int = 200
    content_type: str = "text/plain; charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict)

    def send(self, handler: "Handler") -> None:
        """Write the answer to the handler's socket."""
        self.send_head(handler, len(self.body))
        handler.wfile.write(self.body)

    def send_head(self, handler: "Handler", length: int) -> None:
        """Write status line and headers, with `length` as the Content-Length."""
        handler.send_response(self.status)
        for name, value in {"Content-Type": self.content_type, "Content-Length": str(length), **self.headers}.items():
            handler.send_header(name, value)
        handler.end_headers()


def as_json(value: object, status: int = 200) -> Reply:
    """A reply with a value as JSON."""
    return Reply(json.dumps(value, indent=1).encode(), status, "application/json")


def page(template: str, status: int = 200, **values: Any) -> Reply:
    """A reply with one of the package's pages."""
    text = TEMPLATES.get_template(template).render(values)
    return Reply(text.encode(), status, "text/html; charset=utf-8", {"Content-Security-Policy": PAGE_POLICY})


def see_other(location: str) -> Reply:
    """The answer to a form: go and look there."""
    return Reply(status=303, headers={"Location": location})


Route = tuple[str, str, Callable[..., Reply]]


class Site:
    """The addresses of one server: (method, pattern, function); what the pattern catches is handed on."""

    def __init__(self, routes: Sequence[Route]) -> None:
        common = ("GET", "/static/sandbox.css", self.stylesheet)
        self.routes = [(method, re.compile(pattern), function) for method, pattern, function in (common, *routes)]

    def reply(self, request: Request) -> Reply:
        """Answer a request by the first route that fits, or say that there is none."""
        try:
            return self._answer(request)
        except RefusedError as refused:
            if request.path.startswith("/sandbox/"):
                return as_json({"error": refused.sentence}, refused.status)
            return page("refused.html", refused.status, sentence=refused.sentence)

    def _answer(self, request: Request) -> Reply:
        fitting = [(m, f, match) for m, pattern, f in self.routes if (match := pattern.fullmatch(request.path))]
        for method, function, match in fitting:
            if method == request.method:
                return function(request, *(part and unquote(part) for part in match.groups()))
        if fitting:
            raise RefusedError(405, "This address is not used that way.")
        raise RefusedError(404, "There is nothing here.")

    def stylesheet(self, _: Request) -> Reply:
        """The one style sheet of all pages."""
        return Reply((HERE / "static" / "sandbox.css").read_bytes(), content_type="text/css; charset=utf-8")


class Handler(BaseHTTPRequestHandler):
    """One connection, kept alive between requests."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body are two writes: without this each answer waits for an ACK
    server: "Server"

    def answer(self) -> None:
        """Read one request whole and send the site's reply."""
        length = self.headers.get("Content-Length") or "0"
        if "Transfer-Encoding" in self.headers or not length.isdecimal():
            self.close_connection = True
            Reply(b"Send a Content-Length.", HTTPStatus.LENGTH_REQUIRED).send(self)
            return
        body = self.rfile.read(int(length))
        self.server.site.reply(Request(self.command, urlsplit(self.path).path, self.headers, body)).send(self)

    do_GET = do_POST = do_DELETE = answer  # noqa: N815 - the names that the standard library calls

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name that the standard library gave it
        """Write a request to stderr, but only when that was asked for."""
        if self.server.verbose:
            super().log_message(format, *args)


class Server(ThreadingHTTPServer):
    """A site on a port of 127.0.0.1 (0: any free one). Raises OSError where the port is taken."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, site: Site, verbose: bool) -> None:
        self.site, self.verbose = site, verbose
        super().__init__(("127.0.0.1", port), Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """Show what went wrong, unless it is only that the other side went away."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]
