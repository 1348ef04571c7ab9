"""Sign-in by HTTP: Basic, and Bearer tokens with a client secret that expires and can be rotated."""

import secrets
import time
from base64 import b64encode
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from threading import Lock

from dev.sandbox.personality import Installation, Personality
from dev.sandbox.rules import AUTHORIZATION_ID
from dev.sandbox.store import COMPANY_CODE

BASIC = "Basic " + b64encode(f"{COMPANY_CODE}:{AUTHORIZATION_ID}".encode()).decode()


class Access:
    """The tokens that are good, and the door: `lets_in` compares a call's Authorization header."""

    def __init__(self, installation: Installation) -> None:
        self._lock, self._installation = Lock(), installation
        self._good_until: dict[str, float] = {}

    @property
    def _personality(self) -> Personality:
        return self._installation.personality

    def lets_in(self, header: str) -> bool:
        match self._personality.sign_in:
            case "basic":
                return header == BASIC
            case "token":
                return self.has_token(header)
        return True

    def has_token(self, header: str) -> bool:
        with self._lock:
            return self._good_until.get(header.removeprefix("Bearer "), 0) > time.monotonic()

    def issue(self, form: Mapping[str, str]) -> tuple[dict[str, object], int]:
        if error := self._refusal(form):
            return {"error": error}, 400
        token, seconds = secrets.token_urlsafe(), self._personality.token_seconds
        with self._lock:
            self._good_until[token] = time.monotonic() + seconds
        return {"access_token": token, "token_type": "Bearer", "expires_in": seconds}, 200

    def rotate(self, form: Mapping[str, str]) -> tuple[dict[str, object], int]:
        """Replace the client secret; the old one stops at once."""
        error = self._refusal(form) or ("" if self._personality.self_rotation else "unauthorized_client")
        if error:
            return {"error": error}, 400
        secret = secrets.token_urlsafe(24)
        self._installation.personality = self._personality.changed({"client_secret": secret})
        expires = datetime.now(UTC) + timedelta(days=self._personality.secret_days)
        return {"client_secret": secret, "estimated_expiration": f"{expires:%Y-%m-%dT%H:%M:%SZ}"}, 200

    def forget_tokens(self) -> None:
        with self._lock:
            self._good_until.clear()

    def _refusal(self, form: Mapping[str, str]) -> str:
        if form.get("grant_type") != "client_credentials":
            return "unsupported_grant_type" if "grant_type" in form else "invalid_request"
        if form.get("scope") != "spectrumapi":
            return "invalid_scope"
        ours = self._personality
        if ours.sign_in != "token":
            return ""  # any client is taken
        wrong = (form.get("client_id"), form.get("client_secret")) != (ours.client_id, ours.client_secret)
        return "invalid_client" if wrong or ours.secret_expired else ""
