"""The client secret of a hosted accounting system: which one is in use, and replacing it before it ends.

A new secret is committed, encrypted with SECRET_KEY, before it is used. A rotation that began and left no secret behind
stays on record, and every ERP page says what to do by hand.
"""

import base64
import hmac
from datetime import date, datetime, timedelta
from hashlib import sha256
from typing import Any

from cryptography.fernet import Fernet, InvalidToken
from flask import current_app

from erp import Connection, Outcome, ReadError
from extensions import db, writing
from models import Setting, SettingName, utcnow
from services import connection_state

SHORTEST_LIFE = timedelta(days=7)  # of a secret whose end is not known
ROTATION_TAKES = timedelta(minutes=10)


def current() -> str:
    """Return the secret that a rotation kept, unless the environment has a newer one; "" for the environment's."""
    kept = Setting.read(SettingName.CLIENT_SECRET) or {}
    if not kept.get("encrypted") or kept["environment"] != connection_state.secret_digest():
        return ""
    try:
        return _cipher().decrypt(kept["encrypted"].encode()).decode()
    except InvalidToken:  # SECRET_KEY is another one
        return ""


def rotate(connection: Connection) -> str:
    """Ask for a new client secret and keep it; returns a sentence that says until when it is good. Raises ReadError."""
    _begin()
    try:
        new = connection.rotate_secret()
    except ReadError as failure:
        if failure.outcome is not Outcome.UNKNOWN:  # nothing was replaced
            _end({})
        raise
    _end({"encrypted": _cipher().encrypt(new.secret.encode()).decode(), "until": new.until, "at": _now()})
    if not new.until:
        return "Spectrum gave a new client secret, and did not say until when it is good."
    return f"Spectrum gave a new client secret. It is good until {new.until[:10]}."


def rotate_when_due(connection: Connection) -> None:
    """Rotate at half of the secret's time, where SPECTRUM_SECRET_ROTATION says so."""
    if not current_app.config["SPECTRUM_SECRET_ROTATION"] or not current_app.config["SPECTRUM_CLIENT_ID"]:
        return
    state = _state()
    began = datetime.fromisoformat(state["at"])
    ends = connection_state.secret_end()
    half = (_midnight(ends, began) - began) / 2 if ends else SHORTEST_LIFE / 2
    if utcnow() >= began + half and not state.get("asked_at"):
        rotate(connection)


def forget_interrupted() -> None:
    state = Setting.read(SettingName.CLIENT_SECRET) or {}
    if state.get("asked_at"):
        with writing():
            Setting.write(SettingName.CLIENT_SECRET, state | {"asked_at": None})


def _state() -> dict[str, Any]:
    state = Setting.read(SettingName.CLIENT_SECRET) or {}
    if state.get("environment") != connection_state.secret_digest():
        state = {"environment": connection_state.secret_digest(), "at": _now()}
        with writing():
            Setting.write(SettingName.CLIENT_SECRET, state)
    return state


def _begin() -> None:
    """Commit that a rotation is under way; ReadError where another process is at it."""
    _state()
    with writing():
        row = db.session.get(Setting, SettingName.CLIENT_SECRET, with_for_update=True, populate_existing=True)
        assert row is not None  # written a moment ago
        asked = row.value.get("asked_at")
        if asked and utcnow() - datetime.fromisoformat(asked) < ROTATION_TAKES:
            raise ReadError(Outcome.NOT_SENT, "Another process is asking for a new client secret at this moment.")
        Setting.write(SettingName.CLIENT_SECRET, row.value | {"asked_at": _now()})


def _end(new: dict[str, str]) -> None:
    with writing():
        state = Setting.read(SettingName.CLIENT_SECRET)
        Setting.write(SettingName.CLIENT_SECRET, state | new | {"asked_at": None})


def _cipher() -> Fernet:
    key = hmac.digest(current_app.config["SECRET_KEY"].encode(), b"client secret", sha256)
    return Fernet(base64.urlsafe_b64encode(key))


def _midnight(day: date, like: datetime) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=like.tzinfo)


def _now() -> str:
    return utcnow().isoformat()
