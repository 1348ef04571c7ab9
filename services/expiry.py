"""Everything that runs out: certificates, client secrets, the last backup and the last copy of it, and until when.

Nothing is looked up here: a certificate's end is kept by tasks/expiry.py, the other ends are settings or kept facts.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from urllib.parse import urlsplit

from flask import current_app
from sqlalchemy import select

from extensions import db
from lib.formatting import format_ago, local, plural, today
from models import Event, Setting, SettingName, utcnow
from services.cache import cached
from services.connection_state import secret_end

OVERDUE = timedelta(hours=26)  # a night, and some hours for a clock change or a machine that was off
CHECK_BACKUPS = "Check countersign-backup on the server, or ask the person who runs Countersign."
CHECK_COPIES = "Check BACKUP_COPY_COMMAND and countersign-backup on the server."
WARN_BEFORE = 14  # days
# Days before the end on which ERP admins get a mail
MAIL_BEFORE, MAIL_BEFORE_OF_SPECTRUM = (30, 14, 3, 1), (14, 7, 3, 1)


@dataclass(frozen=True)
class Expiry:
    """One thing that runs out, until when it is good, and the advice for who can renew it."""

    name: str  # for machines
    label: str
    ends_at: datetime | None  # None: not known
    advice: str
    mail_before: tuple[int, ...] = MAIL_BEFORE
    warn_before: int = WARN_BEFORE  # days; -1: once it is past
    past: str = "has expired"

    @property
    def last_day(self) -> date | None:
        """The last day, on the company's calendar, on which it is good."""
        return local(self.ends_at - timedelta(microseconds=1)).date() if self.ends_at else None

    @property
    def days_left(self) -> int | None:
        """Whole days on the company's calendar: 0 on the last day, negative once it is past."""
        if self.ends_at is None or self.last_day is None:
            return None
        days = (self.last_day - today()).days
        return min(days, -1) if self.is_past else days

    @property
    def is_past(self) -> bool:
        return self.ends_at is not None and self.ends_at <= utcnow()

    @property
    def is_urgent(self) -> bool:
        return self.days_left is not None and self.days_left <= self.warn_before

    @property
    def heading(self) -> str:
        days = self.days_left
        if days is None:
            return f"{self.label}: the end is not known"
        when = self.past if days < 0 else f"expires in {plural(days, 'day')}" if days else "expires today"
        return f"{self.label} {when}".rstrip()

    @property
    def sentence(self) -> str:
        return f"{self.heading}. {self.advice}"

    @property
    def mail_due(self) -> str:
        """A key of the mail that is due: of this thing, its end, and the days before; empty where none is due yet."""
        days = self.days_left
        passed = [each for each in self.mail_before if days is not None and days <= each]
        return f"{self.name}:{self.ends_at:%Y-%m-%d}:{min(passed)}" if passed else ""


def list_expiries() -> list[Expiry]:
    return [*_certificates(), *_secrets(), *_backups()]


def find(mail_due: str) -> Expiry | None:
    """Return what a mail is about, unless it was renewed or is nearer to its end since."""
    return next((each for each in list_expiries() if each.mail_due == mail_due), None)


def warnings() -> list[str]:
    return cached("expiries", lambda: [each.sentence for each in list_expiries() if each.is_urgent])


# --- certificates -----------------------------------------------------------------------------------------------------


def watched_addresses() -> dict[str, str]:
    """The addresses that have a certificate, as `host:port` by the name of what expires."""
    urls = {"certificate": current_app.config["BASE_URL"], "spectrum_certificate": current_app.config["SPECTRUM_URL"]}
    parts = {name: urlsplit(url) for name, url in urls.items()}
    return {name: f"{each.hostname}:{each.port or 443}" for name, each in parts.items() if each.scheme == "https"}


def _certificates() -> Iterator[Expiry]:
    kept: dict[str, Any] = Setting.read(SettingName.CERTIFICATES) or {}
    for name, address in watched_addresses().items():
        found = kept.get(address, {})
        ends_at = datetime.fromisoformat(found["ends"]) if found.get("ends") else None
        advice = "Ask IT to renew it." if ends_at else found.get("error") or "It has not been looked at yet."
        yield Expiry(name, f"The TLS certificate of {address.removesuffix(':443')}", ends_at, advice)


# --- client secrets ---------------------------------------------------------------------------------------------------


def _secrets() -> Iterator[Expiry]:
    settings = current_app.config
    if settings["SPECTRUM_CLIENT_ID"]:
        yield _secret("spectrum_secret", "Spectrum's client secret", secret_end(), "SPECTRUM", MAIL_BEFORE_OF_SPECTRUM)
    if settings["MAIL_AUTH"] != "password":
        yield _secret("mail_secret", "The client secret for mail", settings["MAIL_OAUTH_SECRET_EXPIRES"], "MAIL_OAUTH")
    if settings["OIDC_ISSUER"]:
        yield _secret("sign_in_secret", "The client secret for the sign-in", settings["OIDC_SECRET_EXPIRES"], "OIDC")


def _secret(
    name: str, label: str, last_day: date | None, prefix: str, mail_before: tuple[int, ...] = MAIL_BEFORE
) -> Expiry:
    if last_day is None:
        return Expiry(name, label, None, f"Set {prefix}_SECRET_EXPIRES to have it watched.", mail_before)
    advice = f"Ask IT to create a new one and to set {prefix}_CLIENT_SECRET to it."
    end = datetime.combine(last_day + timedelta(days=1), time(), current_app.config["TIMEZONE"])
    return Expiry(name, label, end, advice, mail_before)


# --- backups ----------------------------------------------------------------------------------------------------------


def _backups() -> Iterator[Expiry]:
    """The last backup and the last copy are good for a day; none is wanted in the demo."""
    if Setting.read(SettingName.DEMO):
        return
    last = db.session.get(Setting, SettingName.BACKED_UP)
    if last:
        yield _backup("backup", "The last backup of Countersign", last.at, CHECK_BACKUPS)
    elif began := db.session.scalar(select(Event.at).order_by(Event.id).limit(1)):
        yield _backup("backup", "There is no backup of Countersign", began, CHECK_BACKUPS, "")
    if last and current_app.config["BACKUP_COPY_COMMAND"]:
        yield _copy(last.at)


def _copy(backed_up_at: datetime) -> Expiry:
    row = db.session.get(Setting, SettingName.BACKUP_COPY)
    kept = row.value if row else {}
    if row and kept["error"]:
        label = f"The last backup was not copied off the server: {kept['error'].removesuffix('.')}"
        return Expiry("backup_copy", label, row.at, CHECK_COPIES, (-1,), warn_before=-1, past="")
    if kept.get("at"):
        left_at = datetime.fromisoformat(kept["at"])
        past = f"left the server {format_ago(left_at)}"
        return _backup("backup_copy", "The last copy of a backup", left_at, CHECK_COPIES, past)
    return _backup("backup_copy", "No backup has been copied off the server yet", backed_up_at, CHECK_COPIES, "")


def _backup(name: str, label: str, made_at: datetime, advice: str, past: str | None = None) -> Expiry:
    past = f"was made {format_ago(made_at)}" if past is None else past
    return Expiry(name, label, made_at + OVERDUE, advice, (-1,), warn_before=-1, past=past)
