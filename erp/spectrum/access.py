"""The sign-in of a call to Spectrum's server: none, HTTP Basic, or a hosted one's token. For `erp.spectrum` only."""

import base64
import json
import re
import threading
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from erp import NewSecret, Outcome, ReadError
from erp.spectrum.http import Reply, Transport

EARLY = 30  # seconds before its end that a token is fetched anew
LONGEST = 24 * 3600  # seconds that a token is kept, whatever its answer says
ASK_CLIENT = "Ask IT to check SPECTRUM_CLIENT_ID and SPECTRUM_CLIENT_SECRET; the client secret may have expired."


class Access:
    """The HTTP sign-in in one of three styles: none, basic, token. A token is kept until shortly before its end."""

    def __init__(self, transport: Transport, user: str, password: str, client: tuple[str, ...] | None) -> None:
        self.style = "none"
        self._transport = transport
        self._basic = base64.b64encode(f"{user}:{password}".encode()).decode()
        self._client_id, *self._client_secrets = client or ("", "")  # the first secret is in use
        self.secret_let_in = ""
        self._token, self._token_ends = "", 0.0
        self._lock = threading.Lock()

    def sign(self) -> tuple[dict[str, str], bool]:
        """Return a call's headers, and whether they hold a token of an earlier call. Raises ReadError without one."""
        if self.style == "basic":
            return {"Authorization": f"Basic {self._basic}"}, False
        if self.style == "none":
            return {}, False
        with self._lock:
            kept = bool(self._token) and time.monotonic() < self._token_ends
            if not kept:
                self._fetch_token()
            return {"Authorization": f"Bearer {self._token}"}, kept

    def forget_token(self) -> None:
        self._token_ends = 0.0

    @property
    def secrets(self) -> list[str]:
        return [self._basic, self._token, *self._client_secrets]

    def sign_in(self) -> None:
        if self.style == "token":
            with self._lock:
                self._fetch_token()

    def rotate_secret(self) -> NewSecret:
        with self._lock:
            answer = _json(self._post_client("/secretRotation", "Spectrum did not renew the client secret"))
            secret = answer.get("client_secret")
            if not isinstance(secret, str) or not secret or not secret.isprintable():
                raise ReadError(Outcome.UNKNOWN, "Spectrum's answer holds no new client secret.")
            self._client_secrets, self._token_ends = [secret], 0.0
        return NewSecret(secret, _iso_date(str(answer.get("estimated_expiration", ""))))

    def _fetch_token(self) -> None:
        try:
            reply = self._post_client("/connect/token", "Spectrum gave no token for the call; nothing was sent")
        except ReadError as failure:
            outcome = Outcome.NOT_SENT if failure.outcome is Outcome.UNKNOWN else failure.outcome
            raise ReadError(outcome, failure.error) from None
        answer = _json(reply)
        token, lasts = answer.get("access_token"), answer.get("expires_in")
        if not isinstance(token, str) or not re.fullmatch(r"[!-~]+", token):
            told = "Spectrum gave no token for the call; nothing was sent. Countersign tries again by itself."
            raise ReadError(Outcome.NOT_SENT, told)
        self._token = token
        self._token_ends = time.monotonic() + (min(lasts, LONGEST) - EARLY if isinstance(lasts, int | float) else 0)

    def _post_client(self, path: str, failed: str) -> Reply:
        reply = self._post_secret(path)
        if 400 <= reply.status < 500:
            raise ReadError(Outcome.HELD, f"{failed} (HTTP {reply.status}). {ASK_CLIENT}")
        if reply.status != 200:
            raise ReadError(Outcome.UNKNOWN, f"{failed} (HTTP {reply.status}).")
        self.secret_let_in = self._client_secrets[0]
        return reply

    def _post_secret(self, path: str) -> Reply:
        """Post the client and its secret; where that is refused, the next of its secrets, which then is in use."""
        form = {"grant_type": "client_credentials", "scope": "spectrumapi", "client_id": self._client_id}
        for secret in list(self._client_secrets):
            content = urlencode({**form, "client_secret": secret}).encode()
            reply = self._transport.post(path, content, {"Content-Type": "application/x-www-form-urlencoded"})
            if not 400 <= reply.status < 500:
                break
            self._client_secrets.append(self._client_secrets.pop(0))
        return reply


def _json(reply: Reply) -> Mapping[str, Any]:
    try:
        answer = json.loads(reply.body)
    except (ValueError, RecursionError):
        return {}
    return answer if isinstance(answer, dict) else {}


def _iso_date(text: str) -> str:
    """Return a moment's day; "" where it is written in a way that nobody has shown."""
    for day, form in ((text[:10], "%Y-%m-%d"), (text.partition(" ")[0], "%m/%d/%Y")):
        try:
            return datetime.strptime(day, form).date().isoformat()
        except ValueError:
            continue
    return ""
