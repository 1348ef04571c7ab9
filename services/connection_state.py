"""The kept state of the connection: the job list, what was learned of the server, and the end of the client secret.

The connection writes it, pages read it. Nothing here speaks to the accounting system.
"""

import hmac
import re
from collections.abc import Iterable
from datetime import date
from hashlib import sha256
from itertools import chain
from typing import Any
from urllib.parse import urlsplit

from flask import current_app
from sqlalchemy import select

from extensions import db
from models import Customer, Job, Setting, SettingName

HIDDEN = "•••"
SHORT = 2  # letters of a value that would hide half of a sentence
RENEW_BY_HAND = (
    "If Spectrum refuses the sign-in, ask IT to create a new client secret and to set SPECTRUM_CLIENT_SECRET to it."
)


def job_list() -> dict[str, Any]:
    return dict(Setting.read(SettingName.JOB_LIST) or {})


def is_confirmed(last: dict[str, Any], reading: str) -> bool:
    return last.get("confirmed") == reading


def learned() -> dict[str, Any]:
    kept = Setting.read(SettingName.LEARNED) or {}
    return kept if kept.get("server") == server_digest() else {}


def server_digest() -> str:
    names = ("SPECTRUM_URL", "SPECTRUM_COMPANY_CODE", "SPECTRUM_AUTHORIZATION_ID")
    return _digest("\0".join(str(current_app.config[name]) for name in names))


def style() -> list[str]:
    settings = current_app.config
    return [settings["SPECTRUM_AUTH"], settings["SPECTRUM_GUID"], settings["SPECTRUM_CLIENT_ID"]]


def secret_digest() -> str:
    return _digest(current_app.config["SPECTRUM_CLIENT_SECRET"])


def _digest(text: str) -> str:
    return hmac.new(current_app.config["SECRET_KEY"].encode(), text.encode(), sha256).hexdigest()


def uses_kept_secret() -> bool:
    """Tell whether a rotation's secret is used: until the environment has another one, or where that is refused."""
    kept = Setting.read(SettingName.CLIENT_SECRET) or {}
    return bool(kept.get("encrypted")) and secret_digest() in (kept["replaced"], kept.get("refused"))


def secret_alarm() -> str:
    state = Setting.read(SettingName.CLIENT_SECRET) or {}
    if state.get("environment") != secret_digest():
        return ""
    if state.get("asked_at"):
        return f"Countersign asked Spectrum for a new client secret and did not get it. {RENEW_BY_HAND}"
    if state.get("error"):
        again = "Countersign tries again every hour. If that does not help, ask IT to create a new client secret"
        return f"{state['error']} {again} and to set SPECTRUM_CLIENT_SECRET to it."
    if state.get("refused") == secret_digest():
        return (
            "Spectrum refuses SPECTRUM_CLIENT_SECRET, so Countersign signs in with the client secret that it was given "
            "before. Ask IT to create a new one and to set SPECTRUM_CLIENT_SECRET to it."
        )
    return ""


def secret_end() -> date | None:
    """The day on which the client secret in use ends; None where it is not known."""
    if uses_kept_secret():
        kept = Setting.read(SettingName.CLIENT_SECRET)
        return date.fromisoformat(kept["until"][:10]) if kept["until"] else None
    end: date | None = current_app.config["SPECTRUM_SECRET_EXPIRES"]
    return end


def mask(text: str) -> str:
    """Return a text without the address, codes and secrets that the settings hold."""
    settings = current_app.config
    host = urlsplit(settings["SPECTRUM_URL"]).hostname or ""
    names = ("COMPANY_CODE", "AUTHORIZATION_ID", "CLIENT_ID", "CLIENT_SECRET")
    return _hide(text, [settings["SPECTRUM_URL"], host, *(settings[f"SPECTRUM_{name}"] for name in names)])


def mask_quoted(sentence: str) -> str:
    """Return a sentence that may quote the accounting system without numbers, codes and names of jobs and customers."""
    jobs = db.session.execute(select(Job.number, Job.name, Job.customer_code))
    kept = chain(
        chain.from_iterable(jobs), chain.from_iterable(db.session.execute(select(Customer.code, Customer.name)))
    )
    told = sentence.casefold()
    known = [value for value in set(kept) if len(value) > SHORT and value.casefold() in told]
    return re.sub(r"[\w./-]*\d[\w./-]*|\b[A-Z]{4,}\b", _hide_code, _hide(sentence, known))


def _hide_code(word: re.Match[str]) -> str:
    """Hide what may be a number or code of Spectrum's; a count, an HTTP status and the name of a field stay."""
    return word[0] if re.fullmatch(r"\d{1,3}\.?|\w*_\w*\.?|HTTP|GUID", word[0]) else HIDDEN


def _hide(text: str, words: Iterable[str]) -> str:
    longest_first = sorted(filter(None, words), key=len, reverse=True)
    pattern = "|".join(rf"(?<!\w){re.escape(word)}(?!\w)" for word in longest_first)
    return re.sub(pattern, HIDDEN, text, flags=re.IGNORECASE) if pattern else text
