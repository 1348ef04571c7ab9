"""OpenID Connect, the part of the one who asks: discovery, the code flow with PKCE, and the check of the ID token.

It knows nothing of people. Whatever a provider does wrong ends in an OpenIDError with a sentence.
"""

import asyncio
import json
import ssl
from base64 import b64encode
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from ipaddress import ip_address
from time import monotonic
from typing import Any
from urllib.parse import quote_plus, urlencode, urlsplit

import httpx

from lib.text import clean, clean_all

CONNECT, DEADLINE = 5, 15  # seconds
LARGEST_REPLY = 2**20  # bytes
KEPT_FOR = 600  # seconds that what the provider says of itself is relied on
NEEDED = ("authorization_endpoint", "token_endpoint", "jwks_uri")


class OpenIDError(Exception):
    """The sign-in did not work; the message is a sentence for the person who tried, `detail` is for the log."""

    def __init__(self, sentence: str, detail: str = "") -> None:
        super().__init__(sentence)
        self.detail = detail


@dataclass
class Provider:
    """One provider, and what it said of itself lately."""

    issuer: str
    client_id: str
    client_secret: str = field(repr=False)
    name: str
    _kept: dict[str, tuple[float, Any]] = field(default_factory=dict, repr=False)

    def authorization_url(self, redirect_uri: str, state: str, nonce: str, verifier: str, silent: bool) -> str:
        from lib import id_token

        asked = {
            "response_type": "code",
            "response_mode": "query",
            "scope": "openid email profile",
            "client_id": self.client_id,
            "redirect_uri": redirect_uri,
            "state": state,
            "nonce": nonce,
            "code_challenge": id_token.code_challenge(verifier),
            "code_challenge_method": "S256",
        }
        endpoint = self._metadata()["authorization_endpoint"]
        joint = "&" if urlsplit(endpoint).query else "?"
        return f"{endpoint}{joint}{urlencode(asked | ({'prompt': 'none'} if silent else {}))}"

    def claims(self, code: str, redirect_uri: str, nonce: str, verifier: str) -> Mapping[str, Any]:
        """Return the ID token's claims about the person for whom the code was issued."""
        answer = self._trade(code, redirect_uri, verifier)
        token = answer.get("id_token")
        if not isinstance(token, str):
            raise self._failure("did not say who you are", "no id_token")
        return self._checked(token, nonce, answer.get("access_token"))

    def _trade(self, code: str, redirect_uri: str, verifier: str) -> Mapping[str, Any]:
        metadata = self._metadata()
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri}
        form |= {"code_verifier": verifier, "client_id": self.client_id}
        headers = {}
        if "client_secret_post" in (metadata.get("token_endpoint_auth_methods_supported") or ()):
            form["client_secret"] = self.client_secret
        else:
            pair = f"{quote_plus(self.client_id)}:{quote_plus(self.client_secret)}"
            headers["Authorization"] = f"Basic {b64encode(pair.encode()).decode()}"
        status, answer = self._ask("POST", metadata["token_endpoint"], form, headers)
        error = answer.get("error") if isinstance(answer.get("error"), str) else ""
        if error == "invalid_client":
            raise self._failure("refused Countersign", "invalid_client", "Check OIDC_CLIENT_ID and OIDC_CLIENT_SECRET.")
        if error == "invalid_grant":
            raise self._failure("no longer accepts this sign-in", "invalid_grant", "Try again.")
        if status != 200 or error:
            raise self._failure("answered with an error", f"{status} {error}")
        return answer

    def _checked(self, token: str, nonce: str, access_token: Any) -> Mapping[str, Any]:
        """Return the token's claims; keys that are not known, or no longer right, are fetched anew once."""
        from lib import id_token

        try:
            try:
                decoded = id_token.decode(token, self._keys())
            except id_token.UNTRUSTED:
                self._kept.pop("keys", None)
                decoded = id_token.decode(token, self._keys())
            issuer = self._metadata()["issuer"]
            claims = id_token.check_claims(decoded, issuer, self.client_id, nonce, access_token)
        except id_token.UNTRUSTED as error:
            raise self._failure("sent an answer that cannot be trusted", str(error)) from None
        subject = claims["sub"]
        if not isinstance(subject, str) or not 0 < len(subject) <= 255 or clean(subject) != subject:
            raise self._failure("sent an answer that cannot be trusted", "no usable sub")
        return claims

    def _keys(self) -> Any:
        return self._get("keys", self._metadata()["jwks_uri"])

    def _metadata(self) -> Mapping[str, Any]:
        """Return the discovery document. A wrong one is not kept, so that IT can correct it."""
        try:
            return self._checked_metadata()
        except OpenIDError:
            self._kept.pop("metadata", None)
            raise

    def _checked_metadata(self) -> Mapping[str, Any]:
        issuer = self.issuer.rstrip("/")
        found = self._get("metadata", f"{issuer}/.well-known/openid-configuration")
        if str(found.get("issuer")).rstrip("/") != issuer:
            called = repr(found.get("issuer"))
            raise self._failure("has another issuer than OIDC_ISSUER", called, "Check OIDC_ISSUER.")
        if not all(_is_safe(found.get(name)) for name in NEEDED):
            raise self._failure("does not say where to sign in safely", "an endpoint is missing or not https")
        return found

    def _get(self, what: str, url: str) -> Mapping[str, Any]:
        at, kept = self._kept.get(what, (0.0, None))
        if kept is not None and monotonic() - at < KEPT_FOR:
            return kept  # type: ignore[no-any-return]  # what _ask gave
        status, found = self._ask("GET", url)
        if status != 200:
            raise self._failure("answered with an error", f"{status} from {url}")
        self._kept[what] = monotonic(), found
        return found

    def _ask(
        self, method: str, url: str, form: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Mapping[str, Any]]:
        try:
            # A loop of its own in a thread of its own: the caller's thread may already run one.
            with ThreadPoolExecutor(1) as thread:
                status, body = thread.submit(asyncio.run, _exchange(method, url, form, headers)).result()
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, OSError) as error:
            raise self._failure("can't be reached", repr(error), "Try again in a minute.") from None
        except OverflowError:
            raise self._failure("sent an answer that is far too large", url) from None
        try:
            answer = json.loads(body)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise self._failure("sent an answer that is not understood", f"{status} from {url}")
        return status, clean_all(answer)

    def _failure(self, what: str, detail: str, advice: str = "") -> OpenIDError:
        advice = advice or "If it happens again, tell whoever runs Countersign."
        return OpenIDError(f"You are not signed in: {self.name} {what}. {advice}", detail)


async def _exchange(
    method: str, url: str, form: Mapping[str, str] | None, headers: Mapping[str, str] | None
) -> tuple[int, bytes]:
    timeout, body = httpx.Timeout(DEADLINE, connect=CONNECT), b""
    async with (
        asyncio.timeout(DEADLINE),
        httpx.AsyncClient(verify=ssl.create_default_context(), timeout=timeout, trust_env=False) as client,
        client.stream(method, url, data=form, headers={"Accept": "application/json", **(headers or {})}) as reply,
    ):
        async for part in reply.aiter_bytes():
            body += part
            if len(body) > LARGEST_REPLY:
                raise OverflowError
        return reply.status_code, body


def _is_safe(url: Any) -> bool:
    try:
        parts = urlsplit(url if isinstance(url, str) else "")
        own = parts.scheme == "http" and is_loopback(parts.hostname)
        return own or (parts.scheme == "https" and bool(parts.hostname))
    except ValueError:
        return False


def is_loopback(host: str | None) -> bool:
    try:
        return ip_address(host or "").is_loopback
    except ValueError:
        return host == "localhost" or str(host).endswith(".localhost")
