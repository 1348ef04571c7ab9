"""The sandbox as a mail provider: a token endpoint, the tokens that XOAUTH2 takes, and Microsoft Graph's sendMail.

The tests' provider, which misbehaves, gives out and takes the same tokens.
"""

import base64
import binascii
from typing import Any

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from dev.sandbox.mails import Mails, recipients_of
from dev.sandbox.pages import CLIENT

LIFETIME = 3599  # seconds, as Microsoft's
NOT_ACCEPTED = {"error": {"code": "InvalidAuthenticationToken", "message": "Lifetime validation failed"}}
WRONG_CLIENT = {"error": "invalid_client", "error_description": "The client or its secret is not known here."}


class MailTokens:
    """The access tokens that are good."""

    def __init__(self) -> None:
        self.good: set[str] = set()
        self._given = 0

    def issue(self, lifetime: object = LIFETIME) -> dict[str, Any]:
        """Return the endpoint's answer with a new token."""
        self._given += 1
        token = f"token-{self._given}"
        self.good.add(token)
        return {"token_type": "Bearer", "access_token": token, "expires_in": lifetime}

    def takes_header(self, authorization: str) -> bool:
        return authorization.removeprefix("Bearer ") in self.good

    def takes_xoauth2(self, given: str) -> bool:
        """Tell whether a sign-in such as `user=… ^A auth=Bearer … ^A ^A` has a good token."""
        return given.partition("\1auth=")[2].strip("\1").removeprefix("Bearer ") in self.good


def provider_pages(tokens: MailTokens, mails: Mails) -> Blueprint:
    pages = Blueprint("mail_provider", __name__)

    @pages.post("/oauth/token")
    def give_token() -> ResponseReturnValue:
        client = (request.form.get("client_id"), request.form.get("client_secret"))
        if client != CLIENT or request.form.get("grant_type") != "client_credentials":
            return WRONG_CLIENT, 401
        return tokens.issue()

    @pages.post("/v1.0/users/<mailbox>/sendMail")
    def send_mail(mailbox: str) -> ResponseReturnValue:
        if not tokens.takes_header(request.headers.get("Authorization", "")):
            return NOT_ACCEPTED, 401
        try:
            raw = base64.b64decode(request.get_data(), validate=True)
        except binascii.Error:
            return {"error": {"code": "ErrorMimeContentInvalidBase64String", "message": "The body is not base64."}}, 400
        mails.add(mailbox, recipients_of(raw), raw)
        return "", 202

    return pages
