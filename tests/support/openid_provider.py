"""An OpenID provider as a process of its own, which signs one person in and misbehaves on demand.

`POST /control` takes {"fault": …, "claims": {…}}: claims are added to the ID token's, those that are null taken off.
"""

import base64
import hashlib
import json
import sys
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote_plus, urlencode, urlsplit

import httpx
from joserfc import jwt
from joserfc.jwk import KeySet, OctKey, RSAKey

CLIENT_ID, CLIENT_SECRET = "countersign", "a-client-secret:with/signs"
PERSON = {"sub": "subject-1", "email": "approver@example.com", "email_verified": True, "name": "Approver"}
HUGE = b'{"x": "' + b"x" * 3 * 2**20 + b'"}'


def tell(provider: str, fault: str = "", **claims: Any) -> None:
    """Have the provider at that address misbehave so, and say this of the person."""
    httpx.post(f"{provider}/control", json={"fault": fault, "claims": claims})


class Provider:
    """What the provider knows; one for the process."""

    def __init__(self) -> None:
        self.url, self.fault, self.claims = "", "", dict(PERSON)
        self.codes: dict[str, dict[str, str]] = {}
        self.asked: dict[str, str] = {}  # what the last authorization request asked
        self.foreign_key = RSAKey.generate_key(2048)  # made now: it takes longer than an answer may
        self.rotate()

    def rotate(self) -> None:
        self.key = RSAKey.generate_key(2048, {"kid": uuid.uuid4().hex, "use": "sig", "alg": "RS256"})

    def metadata(self) -> dict[str, Any]:
        found: dict[str, Any] = {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/keys",
        }
        if self.fault == "another issuer":
            found["issuer"] = "https://elsewhere.example"
        if self.fault == "endpoint over http":
            found["token_endpoint"] = "http://elsewhere.example/token"
        if self.fault == "no endpoints":
            del found["token_endpoint"]
        if self.fault == "post":
            found["token_endpoint_auth_methods_supported"] = ["client_secret_post"]
        return found

    def answer_to(self, asked: dict[str, str]) -> str:
        """The address back at the product."""
        self.asked, code = asked, uuid.uuid4().hex
        self.codes[code] = asked
        answer = {"code": code, "state": asked["state"]}
        if self.fault in ("access_denied", "login_required", "server_error"):
            answer = {"error": self.fault, "state": asked["state"]}
        if self.fault == "wrong state":
            answer["state"] = "another"
        if self.fault == "no code":
            del answer["code"]
        if self.fault == "answer of another issuer":
            answer["iss"] = "https://elsewhere.example"
        return f"{asked['redirect_uri']}?{urlencode(answer)}"

    def token(self, form: dict[str, str], authorization: str) -> tuple[int, Any]:
        given = self.codes.pop(form.get("code", ""), None)
        pair = base64.b64decode(authorization.removeprefix("Basic ")).decode() or f"{form.get('client_id')}:"
        client, _, secret = pair.partition(":")
        secret = form.get("client_secret") or unquote_plus(secret)
        if (unquote_plus(client), secret) != (CLIENT_ID, CLIENT_SECRET) or self.fault == "invalid_client":
            return 401, {"error": "invalid_client"}
        challenge = base64.urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest()).rstrip(b"=")
        fits = given and given["code_challenge"] == challenge.decode() and given["redirect_uri"] == form["redirect_uri"]
        if given is None or not fits or self.fault == "invalid_grant":
            return 400, {"error": "invalid_grant"}
        answer = {"access_token": "opaque", "token_type": "Bearer", "id_token": self.id_token(given["nonce"])}
        if self.fault == "no ID token":
            del answer["id_token"]
        return 200, answer

    def id_token(self, nonce: str) -> str:
        now = int(time.time())
        claims = {"iss": self.url, "aud": CLIENT_ID, "nonce": nonce, "iat": now, "exp": now + 300}
        claims |= self.claims
        claims |= {
            "wrong issuer": {"iss": "https://elsewhere.example"},
            "wrong audience": {"aud": "somebody else"},
            "two audiences": {"aud": [CLIENT_ID, "somebody else"], "azp": "somebody else"},
            "wrong nonce": {"nonce": "another"},
            "no nonce": {"nonce": None},
            "expired": {"exp": now - 600, "iat": now - 900},
            "not yet": {"nbf": now + 3600},
            "no end": {"exp": None},
            "no subject": {"sub": None},
            "empty subject": {"sub": ""},
            "wrong access token": {"at_hash": "x" * 22},
        }.get(self.fault, {})
        claims = {name: value for name, value in claims.items() if value is not None}
        key, header = self.key, {"alg": "RS256", "kid": self.key.kid}
        if self.fault == "unknown key":
            key, header["kid"] = self.foreign_key, "unknown"
        if self.fault == "bad signature":
            key = self.foreign_key
        if self.fault == "signed with the secret":
            return jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(CLIENT_SECRET))
        if self.fault == "unsigned":
            parts = (
                base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in ({"alg": "none"}, claims)
            )
            return b".".join([*parts, b""]).decode()
        return "no.token.at-all" if self.fault == "no token at all" else jwt.encode(header, claims, key)


class Handler(BaseHTTPRequestHandler):
    provider = Provider()

    def log_message(self, *_: object) -> None:
        pass

    def reply(self, status: int, body: Any, **headers: str) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(data)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def misbehaves(self, where: str) -> bool:
        """Whether this answer was one of the faults that any endpoint can have, such as “token: silence”."""
        place, _, fault = self.provider.fault.partition(": ")
        if place != where:
            return False
        if fault == "silence":
            threading.Event().wait(20)
        elif fault == "error":
            self.reply(500, {"error": "server_error"})
        elif fault == "page":
            self.reply(200, b"<html>Maintenance</html>")
        elif fault == "list":
            self.reply(200, [1])
        elif fault == "huge":
            self.reply(200, HUGE)
        elif fault == "elsewhere":
            self.reply(302, b"", Location="https://elsewhere.example/")
        self.close_connection = True
        return True

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        if parts.path == "/.well-known/openid-configuration" and not self.misbehaves("metadata"):
            self.reply(200, self.provider.metadata())
        elif parts.path == "/keys" and not self.misbehaves("keys"):
            self.reply(200, KeySet([self.provider.key]).as_dict(private=False))
        elif parts.path == "/authorize":
            self.reply(302, b"", Location=self.provider.answer_to(dict(parse_qsl(parts.query))))
        elif parts.path == "/asked":
            self.reply(200, self.provider.asked)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        if self.path == "/control":
            told = json.loads(body)
            self.provider.fault, self.provider.claims = told.get("fault", ""), PERSON | told.get("claims", {})
            if self.provider.fault == "rotated":
                self.provider.rotate()
            self.reply(200, {})
        elif self.path == "/token" and not self.misbehaves("token"):
            self.reply(*self.provider.token(dict(parse_qsl(body)), self.headers.get("Authorization", "")))


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    Handler.provider.url = f"http://127.0.0.1:{server.server_port}"
    sys.stdout.write(f"{Handler.provider.url}\n")
    sys.stdout.flush()
    server.serve_forever()
