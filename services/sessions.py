"""The session in a browser's cookie: whose it is, how it began, and when it ends because nobody used it."""

import secrets
from datetime import timedelta

from flask import Flask, current_app, request, session
from flask.sessions import SecureCookieSessionInterface
from flask_login import login_user
from itsdangerous import URLSafeTimedSerializer

from models import Person, utcnow
from services import accounts

STAY = timedelta(days=7)  # how long an unused session lasts on a device on which one stays signed in
COMPANY = timedelta(hours=12)  # how long a session of a company account lasts, used or not
UNATTENDED = "Unattended"  # header of a page that refreshes itself, which is no use by a person


class CookieSessions(SecureCookieSessionInterface):
    """Flask's sessions, signed by one serializer for all requests."""

    def __init__(self, app: Flask) -> None:
        self._serializer = super().get_signing_serializer(app)

    def get_signing_serializer(self, _app: Flask) -> URLSafeTimedSerializer | None:
        return self._serializer


def begin(person: Person, stay: bool = False, company: bool = False) -> None:
    """Sign the person in, in a session of its own.

    With `stay` it outlives the end of the browser. A `company` account's is to be renewed by the provider.
    """
    session.clear()
    login_user(person)
    session["used"], session["mark"] = _now(), secrets.token_hex(4)  # the mark tells a page whose session is over
    if company:
        session["until"] = _now() + int(COMPANY.total_seconds())
    if stay:
        session["stay"] = session.permanent = True


def person_of(session_id: str) -> Person | None:
    if not _is_used() or _is_over():
        return None
    person = accounts.from_session(session_id)
    if person and UNATTENDED not in request.headers:
        _touch()
    return person


def idle_limit() -> timedelta:
    return STAY if session.get("stay") else timedelta(hours=current_app.config["SESSION_IDLE_HOURS"])


def can_be_renewed() -> bool:
    """Tell whether only the 12 hours of a company account ended the session."""
    person = accounts.from_session(session.get("_user_id", "")) if _is_over() and _is_used() else None
    return person is not None


def _is_over() -> bool:
    return bool(_now() >= session.get("until", float("inf")))


def _is_used() -> bool:
    unused: float = _now() - session.get("used", 0)
    return bool(-60 <= unused < idle_limit().total_seconds())


def _touch() -> None:
    """Note the use, now and then only: each time is a cookie more in an answer."""
    if _now() - session["used"] > idle_limit().total_seconds() / 50:
        session["used"] = _now()


def _now() -> int:
    return int(utcnow().timestamp())
