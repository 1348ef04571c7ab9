"""The client secret of a hosted accounting system: which one is in use, and replacing it before it ends.

A new secret is committed, encrypted with SECRET_KEY, before it is used. A rotation that began and left no secret behind
stays on record, and every ERP page says what to do by hand.
"""

import base64
import hmac
import logging
from datetime import date, datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from flask import current_app

from erp import Connection, Outcome, ReadError
from extensions import db, writing
from models import Setting, SettingName, utcnow
from services import connection_state

if TYPE_CHECKING:
    from cryptography.fernet import Fernet

log = logging.getLogger(__name__)
SHORTEST_LIFE = timedelta(days=7)  # of a secret whose end is not known
ROTATION_TAKES = timedelta(minutes=10)


def in_order() -> tuple[str, ...]:
    """Return the secrets in the order in which they are tried; none where no rotation kept one.

    The kept one beats the environment's until that is another one than at the rotation; then it is the second choice.
    """
    kept, own = _kept_secret(), current_app.config["SPECTRUM_CLIENT_SECRET"]
    if not kept:
        return ()
    if _read().get("replaced") == connection_state.secret_digest():
        return (kept,)
    return (kept, own) if connection_state.uses_kept_secret() else (own, kept)


def note_use(secret: str) -> None:
    state, digest = _read(), connection_state.secret_digest()
    if not secret or len(in_order()) < 2:
        return
    refused = digest if secret != current_app.config["SPECTRUM_CLIENT_SECRET"] else None
    if state.get("refused") != refused:
        _write(refused=refused)


def rotate(connection: Connection) -> str:
    """Ask for a new client secret and keep it; returns a sentence that says until when it is good. Raises ReadError."""
    _begin(_state())
    try:
        new = connection.rotate_secret()
    except ReadError as failure:
        if failure.outcome is not Outcome.UNKNOWN:  # nothing was replaced
            _write(asked_at=None)
        raise
    encrypted, digest = _cipher().encrypt(new.secret.encode()).decode(), connection_state.secret_digest()
    _write(encrypted=encrypted, until=new.until, at=_now(), replaced=digest, refused=None, asked_at=None, error="")
    if not new.until:
        return "Spectrum gave a new client secret, and did not say until when it is good."
    return f"Spectrum gave a new client secret. It is good until {new.until[:10]}."


def rotate_when_due(connection: Connection) -> None:
    """Rotate at half of the secret's time, where SPECTRUM_SECRET_ROTATION says so; a failure is kept, for the alarm."""
    settings = current_app.config
    if not settings["SPECTRUM_CLIENT_ID"] or not _settle_interrupted(connection):
        return
    state, ends = _state(), connection_state.secret_end()
    began = datetime.fromisoformat(state["at"])
    half = (_midnight(ends, began) - began) / 2 if ends else SHORTEST_LIFE / 2
    if not settings["SPECTRUM_SECRET_ROTATION"] or utcnow() < began + half:
        return
    try:
        rotate(connection)
    except ReadError as failure:
        log.warning("the client secret was not renewed: %s", failure.error)
        if failure.outcome is Outcome.HELD:
            _write(error=failure.error)


def _settle_interrupted(connection: Connection) -> bool:
    """Sign in anew after a rotation of unknown outcome: a secret that is let in was not replaced.

    Returns whether nothing is open any more; else the alarm says what to do by hand.
    """
    asked = _state().get("asked_at")
    if not asked:
        return True
    if _is_young(asked):
        return False
    try:
        connection.sign_in()
    except ReadError:
        return False
    forget_interrupted()
    return True


def forget_interrupted() -> None:
    """End the alarm about an interrupted rotation, because a sign-in with the secret in use has just worked."""
    if _read().get("asked_at"):
        _write(asked_at=None)


def _state() -> dict[str, Any]:
    """Return the record of the secret in use; a new one in the environment begins a new record."""
    digest = connection_state.secret_digest()
    if _read().get("environment") != digest:
        _write(environment=digest, at=_now(), refused=None, asked_at=None, error="")
    return _read()


def _begin(state: dict[str, Any]) -> None:
    """Commit that a rotation is under way; ReadError where another process is at it, or has just done it."""
    with writing():
        now = _lock()
        if now["at"] != state["at"] or (now.get("asked_at") and _is_young(now["asked_at"])):
            raise ReadError(Outcome.NOT_SENT, "Another process is asking for a new client secret at this moment.")
        Setting.write(SettingName.CLIENT_SECRET, now | {"asked_at": _now()})


def _kept_secret() -> str:
    encrypted = _read().get("encrypted")
    if not encrypted:
        return ""
    from cryptography.fernet import InvalidToken

    try:
        return _cipher().decrypt(encrypted.encode()).decode()
    except InvalidToken:
        return ""


def _read() -> dict[str, Any]:
    return dict(Setting.read(SettingName.CLIENT_SECRET) or {})


def _write(**changes: Any) -> None:
    with writing():
        Setting.write(SettingName.CLIENT_SECRET, _lock() | changes)


def _lock() -> dict[str, Any]:
    row = db.session.get(Setting, SettingName.CLIENT_SECRET, with_for_update=True, populate_existing=True)
    return dict(row.value) if row else {}


def _is_young(asked_at: str) -> bool:
    return abs(utcnow() - datetime.fromisoformat(asked_at)) < ROTATION_TAKES


def _cipher() -> "Fernet":
    from cryptography.fernet import Fernet  # late: 6 MB that only a hosted system needs

    key = hmac.digest(current_app.config["SECRET_KEY"].encode(), b"client secret", sha256)
    return Fernet(base64.urlsafe_b64encode(key))


def _midnight(day: date, like: datetime) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=like.tzinfo)


def _now() -> str:
    return utcnow().isoformat()
