"""The sandbox's OpenID provider: a page with the demo people, and a sign-in as each of them by one click.

It keeps nothing: its key is made at each start, and a code is good until it is used.
"""

import secrets
import time
from base64 import b64decode, urlsafe_b64encode
from hashlib import sha256
from typing import Any
from urllib.parse import unquote_plus, urlencode, urlsplit

from flask import Flask, Response, abort, redirect, render_template, request
from flask.typing import ResponseReturnValue
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey

from dev.sandbox.pages import CLIENT, make_app

STRANGER = ("Sam Newcomer", "sam.newcomer@halvorsen.example")  # whom the directory does not know
ACCOUNT = "sandbox-account"  # the cookie of who signed in last, for a renewal without a page
GOOD_FOR = 300  # seconds


def openid_site(people: dict[str, str]) -> Flask:
    app = make_app()
    key = RSAKey.generate_key(2048, {"kid": secrets.token_hex(8), "use": "sig", "alg": "RS256"})
    known = people | {STRANGER[1]: STRANGER[0]}
    asked: dict[str, dict[str, str]] = {}  # by code: what was asked, and the email of who answered

    @app.get("/.well-known/openid-configuration")
    def describe() -> ResponseReturnValue:
        issuer = request.host_url.rstrip("/")
        places = {"authorization_endpoint": "authorize", "token_endpoint": "token", "jwks_uri": "keys"}
        return {"issuer": issuer} | {name: f"{issuer}/{path}" for name, path in places.items()}

    @app.get("/keys")
    def list_keys() -> ResponseReturnValue:
        return dict(KeySet([key]).as_dict(private=False))

    @app.get("/authorize")
    def ask() -> ResponseReturnValue:
        _refuse_others()
        email = request.cookies.get(ACCOUNT, "")
        if request.args.get("prompt") == "none":
            return _answer(email) if email in known else _return({"error": "login_required"})
        links = {name: f"/answer?{urlencode({**request.args, 'email': email})}" for email, name in known.items()}
        return render_template("openid.html", links=links, stranger=STRANGER[0])

    @app.get("/answer")
    def answer() -> ResponseReturnValue:
        _refuse_others()
        email = request.args.get("email", "")
        return _answer(email) if email in known else abort(400, "There is no such person.")

    def _answer(email: str) -> Response:
        code = secrets.token_urlsafe()
        asked[code] = {**request.args, "email": email}
        response = _return({"code": code})
        response.set_cookie(ACCOUNT, email, httponly=True, samesite="Lax")
        return response

    @app.post("/token")
    def give_token() -> ResponseReturnValue:
        given = asked.pop(request.form.get("code", ""), None)
        if _client() != CLIENT:
            return {"error": "invalid_client"}, 401
        if given is None or given["code_challenge"] != _challenge() or given["redirect_uri"] != _redirect_uri():
            return {"error": "invalid_grant"}, 400
        email, now = given["email"], int(time.time())
        claims: dict[str, Any] = {
            "iss": request.host_url.rstrip("/"),
            "aud": CLIENT[0],
            "nonce": given.get("nonce"),
            "sub": email,
        }
        claims |= {"iat": now, "exp": now + GOOD_FOR, "email": email, "email_verified": True, "name": known[email]}
        token = jwt.encode({"alg": "RS256", "kid": key.kid}, claims, key)
        return {"access_token": secrets.token_urlsafe(), "token_type": "Bearer", "id_token": token}

    return app


def _refuse_others() -> None:
    """The sandbox sends people back to programs of this machine only."""
    host = urlsplit(request.args.get("redirect_uri", "")).hostname
    if request.args.get("client_id") != CLIENT[0] or host not in ("127.0.0.1", "localhost"):
        abort(400, "Only Countersign on this machine can ask for a sign-in here.")
    if request.args.get("code_challenge_method") != "S256" or not request.args.get("code_challenge"):
        abort(400, "The sign-in lacks its PKCE challenge.")


def _return(answer: dict[str, str]) -> Response:
    state = {"state": request.args.get("state", "")}
    return redirect(f"{request.args['redirect_uri']}?{urlencode(answer | state)}")  # type: ignore[return-value]


def _client() -> tuple[str, str]:
    scheme, _, pair = request.headers.get("Authorization", "").partition(" ")
    name, _, secret = b64decode(pair).decode().partition(":") if scheme == "Basic" else ("", "", "")
    return unquote_plus(name), unquote_plus(secret)


def _challenge() -> str:
    digest = sha256(request.form.get("code_verifier", "").encode()).digest()
    return urlsafe_b64encode(digest).rstrip(b"=").decode()


def _redirect_uri() -> str:
    return request.form.get("redirect_uri", "")
