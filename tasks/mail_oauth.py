"""Access tokens for mail, by client credentials: one in memory for all mails, fetched before its end."""

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from flask import current_app

from models import utcnow
from tasks import mail_http
from tasks.mail_errors import TOKEN_ANSWERS, MailError, MailFailure, explain, printable

AHEAD = timedelta(minutes=5)  # so long before its end a token is fetched anew; of a short one, at half of its time
LIFETIME = 3600  # seconds, where the provider names none
_fetching = threading.Lock()


@dataclass(frozen=True)
class Token:
    text: str
    good_until: datetime
    is_new: bool = False


def access_token(report: Callable[[str], object] = lambda _: None, instead_of: Token | None = None) -> Token:
    """The token that is kept, or a new one where it ends soon or is `instead_of` a refused one. Raises MailError."""
    with _fetching:  # several mails at once need only one
        kept: Token | None = current_app.extensions.get("mail token")
        if kept and utcnow() < kept.good_until and not (instead_of and kept.text == instead_of.text):
            return kept
        fetched = _fetch()
        current_app.extensions["mail token"] = fetched
    report(f"Got a token from {_host()}.")
    return replace(fetched, is_new=True)


def _host() -> str:
    return urlsplit(str(current_app.config["MAIL_OAUTH_TOKEN_URL"])).netloc


def _fetch() -> Token:
    settings = current_app.config
    form = {
        "grant_type": "client_credentials",
        "client_id": settings["MAIL_OAUTH_CLIENT_ID"],
        "client_secret": settings["MAIL_OAUTH_CLIENT_SECRET"],
        "scope": settings["MAIL_OAUTH_SCOPE"],
    }
    try:
        reply = mail_http.post(settings["MAIL_OAUTH_TOKEN_URL"], form=form, why="See MAIL_OAUTH_TOKEN_URL.")
    except mail_http.NoReply as silence:  # no mail has gone out yet
        raise MailError(silence.failure or MailFailure.UNREACHABLE, silence.cause) from silence
    if reply.status != 200:
        raise _explain(reply)
    return _read(reply.body)


def _read(body: bytes) -> Token:
    try:
        answer = json.loads(body)
        text, lifetime = answer["access_token"], timedelta(seconds=int(answer.get("expires_in", LIFETIME)))
        good_until = utcnow() + lifetime - min(AHEAD, lifetime / 2)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
        text, good_until = "", utcnow()
    if not isinstance(text, str) or not text or not text.isascii() or not text.isprintable() or " " in text:
        cause = f"{_host()} answered without a token. Check MAIL_OAUTH_TOKEN_URL."
        raise MailError(MailFailure.MISCONFIGURED, cause)
    return Token(text, good_until)


def _explain(reply: mail_http.Reply) -> MailError:
    said = printable(f"{reply.status} {reply.error}")
    cause = f"{_host()} gave no token: {said}."
    known = explain(TOKEN_ANSWERS, said)
    if reply.status == 429 or reply.status >= 500:
        return MailError(MailFailure.UNREACHABLE, cause, reply.wait)
    advice = known.advice if known else "Check the MAIL_OAUTH_ settings."
    return MailError(MailFailure.MISCONFIGURED, f"{cause} {advice}")
