"""The people of the Company Directory: what each may do, how they sign in, and what is kept of tries that failed."""

import enum
import hashlib
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError
from flask import current_app
from flask_login import UserMixin
from itsdangerous import BadData, URLSafeSerializer, URLSafeTimedSerializer
from sqlalchemy import String, and_, delete, or_, select
from sqlalchemy.orm import Mapped, mapped_column, relationship, validates

from extensions import Base, db, only_reads
from lib.columns import UTCDateTime, string_enum, utcnow
from tables.history import Event
from tables.outbox import Delivery

HASHER = PasswordHasher()
# looks like any other hash and matches nothing, so that a try for nobody takes as long as one for somebody
_COST = f"m={HASHER.memory_cost},t={HASHER.time_cost},p={HASHER.parallelism}"
DUMMY_HASH = f"$argon2id$v=19${_COST}${'A' * 22}${'A' * 43}"
PASSWORD_LENGTH = 12


class Level(enum.Enum):
    NONE = "none"
    READ_ONLY = "read-only"
    STANDARD = "standard"
    ADMIN = "admin"

    @cached_property  # every page asks for several
    def rank(self) -> int:
        return list(Level).index(self)

    @property
    def label(self) -> str:
        return self.value.replace("-", " ").title()

    def __ge__(self, other: "Level") -> bool:
        return self.rank >= other.rank

    @classmethod
    def at_least(cls, level: "Level") -> list["Level"]:
        """The levels that include this one, for a database condition."""
        return [each for each in cls if each >= level]


# What a directory admin decides about a person: column and label
DIRECTORY = {
    "name": "Name",
    "email": "Email",
    "erp": "ERP Integrations",
    "projects": "Projects",
    "directory": "Company Directory",
    "can_push": "Can Push to Accounting",
    "subscribed": "Subscribe to ERP digest emails",
    "active": "Active",
}
EMAIL = re.compile(r"(?=[!-~]+$)[^@<>,;:\"()]+@[^@<>,;:\"()]+")  # in ASCII, which every mail server takes
# How long the link of a mail is good, by what the mail is for; the link is used up by setting the password
LINKS = {"invitation": timedelta(days=7), "reset": timedelta(hours=1)}
LINK_PAUSE = timedelta(minutes=5)
ON_SERVER = "With flask users, on the server."


class Person(UserMixin, Base):
    __tablename__ = "person"

    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(String(254), unique=True)
    name: Mapped[str] = mapped_column(String(100))
    password_hash: Mapped[str | None] = mapped_column(String(200))  # None: invited, and not yet set
    session_version: Mapped[int] = mapped_column(
        "epoch", default=0
    )  # raised to end every session and link of this person
    version: Mapped[int] = mapped_column(default=1)  # raised by each change in the directory
    erp: Mapped[Level] = mapped_column(string_enum(Level), default=Level.NONE)
    projects: Mapped[Level] = mapped_column(string_enum(Level), default=Level.NONE)
    directory: Mapped[Level] = mapped_column(string_enum(Level), default=Level.NONE)
    can_push: Mapped[bool] = mapped_column(default=False)
    subscribed: Mapped[bool] = mapped_column(default=True)
    active: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=utcnow)

    events: Mapped[list["Event"]] = relationship(
        foreign_keys="Event.subject_id", back_populates="subject", order_by="Event.id.desc()"
    )

    @validates("email")
    def _fold_email(self, _key: str, email: str) -> str:
        return email.strip().casefold()

    @classmethod
    def by_email(cls, email: str) -> "Person | None":
        folded = email.strip().casefold()
        return db.session.scalar(select(cls).where(cls.email == folded)) if folded.isprintable() else None

    # what a person is now

    @property
    def is_active(self) -> bool:
        return self.active

    @property
    def is_approver(self) -> bool:
        return self.active and self.can_push and self.erp >= Level.STANDARD

    @property
    def is_directory_admin(self) -> bool:
        return self.active and self.directory is Level.ADMIN

    @classmethod
    def approvers(cls) -> Any:
        """The condition that a row of people is an accounting approver at this moment."""
        return and_(cls.active, cls.can_push, cls.erp.in_(Level.at_least(Level.STANDARD)))

    @classmethod
    def directory_admins(cls) -> Any:
        """The condition that a row of people may change the directory."""
        return and_(cls.active, cls.directory == Level.ADMIN)

    # sessions, passwords, and the links that set one

    def get_id(self) -> str:
        """What the session remembers: who, and in which epoch."""
        return f"{self.id}.{self.session_version}"

    @classmethod
    def from_session(cls, session_id: str) -> "Person | None":
        """The person behind a session, unless disabled or signed out everywhere since."""
        person_id, _, session_version = session_id.partition(".")
        find = cls._remembered if only_reads() else cls._held
        person = find(int(person_id)) if person_id.isdecimal() else None
        return person if person and person.active and str(person.session_version) == session_version else None

    @classmethod
    def _held(cls, person_id: int) -> "Person | None":
        return db.session.get(cls, person_id)

    @classmethod
    def _remembered(cls, person_id: int) -> "Person | None":
        """The person to look at: read anew only where anything was written since, and in no session."""

        from services.cache import cached  # the sign-in moves up to services/accounts

        def read() -> "Person | None":
            person = cls._held(person_id)
            if person:
                db.session.expunge(person)
            return person

        return cached(f"person {person_id}", read, max_stale=0)

    @classmethod
    def sign_in(cls, email: str, password: str) -> "Person | None":
        """The active person with that email and password; it takes as long where there is none.

        The slow part runs outside a transaction, so that nobody waits for it.
        """
        person = cls.by_email(email)
        known = person.password_hash if person and person.active else None
        db.session.rollback()
        try:
            HASHER.verify(known or DUMMY_HASH, password)
        except VerificationError:
            return None
        if not (person and known and person.active):
            return None
        if person.password_hash != known:  # set anew while we looked, perhaps only hashed anew by another sign-in
            return cls.sign_in(email, password)
        if HASHER.check_needs_rehash(known):
            person.password_hash = HASHER.hash(password)
        return person

    def set_password(self, password: str) -> None:
        """Keep the password's hash; every session and every link of this person ends."""
        self.password_hash = HASHER.hash(password)
        self.end_sessions()

    def end_sessions(self) -> None:
        self.session_version = (self.session_version or 0) + 1

    def link_token(self, purpose: str) -> str:
        """The signed text in the link of a mail; nothing of it is stored."""
        return _links(purpose).dumps([self.id, self.session_version, self.email])

    @classmethod
    def from_link_token(cls, token: str, purpose: str) -> "Person | None":
        """The active person whom the link was mailed to, unless it is used, old, or for something else."""
        try:
            person_id, *rest = _links(purpose).loads(token, max_age=int(LINKS[purpose].total_seconds()))
        except BadData:
            return None
        person = db.session.get(cls, person_id, with_for_update=True)
        return person if person and person.active and rest == [person.session_version, person.email] else None

    @property
    def unsubscribe_token(self) -> str:
        """The signed text in the daily summary's List-Unsubscribe; it is good for nothing else."""
        return _unsubscribing().dumps(self.id)

    @classmethod
    def from_unsubscribe_token(cls, token: str) -> "Person | None":
        try:
            return db.session.get(cls, _unsubscribing().loads(token))
        except BadData:
            return None

    def send_link(self, purpose: str, by: "Person | None") -> datetime | None:
        """Queue the mail with the link that sets a password; or the moment of one that is a few minutes old."""
        now = utcnow()
        lately = Delivery.created_at.between(now - LINK_PAUSE, now)
        queued = select(Delivery.created_at).where(Delivery.person_id == self.id, Delivery.kind == purpose, lately)
        before = db.session.scalar(queued.limit(1))
        if before is None:
            Delivery.queue(purpose, self.note(f"sent the {purpose} link", by), self)
        return before

    # the directory

    @classmethod
    def add(cls, by: "Person | None", wanted: Mapping[str, Any]) -> "Person":
        """A new person, as `problems` found nothing wrong with; `by` is None on the server."""
        person = cls(**wanted)
        db.session.add(person)
        changes = [[label, "", _said(wanted[column])] for column, label in DIRECTORY.items() if column in wanted]
        person.note("added", by, "" if by else ON_SERVER, changes=changes)
        return person

    @classmethod
    def hold(cls, person_id: int) -> "Person | None":
        """The person for changing; the directory admins are held too, so that two can not demote each other at once."""
        rows = select(cls).where(or_(cls.id == person_id, cls.directory_admins())).order_by(cls.id)
        held = db.session.scalars(rows.with_for_update(), execution_options={"populate_existing": True})
        return next((person for person in held.all() if person.id == person_id), None)

    @classmethod
    def problems(cls, by: "Person | None", wanted: Mapping[str, Any], of: "Person | None" = None) -> dict[str, str]:
        """What stands against adding or changing a person like this, by column; on the server `by` is None."""
        errors = _format_errors(wanted)
        found = cls.by_email(wanted["email"]) if "email" in wanted else None
        if found and found is not of:
            errors["email"] = f"There is a person with the email {found.email} already: {found.name}."
        if by and not by.can_push:
            errors |= _privilege_errors(wanted, of)
        if of and of.is_directory_admin and not of._stays_directory_admin(wanted) and not of._has_another_admin():
            column = "active" if wanted.get("active") is False else "directory"
            errors[column] = f"{of.name} is the last active directory admin. Make somebody else one first."
        if by and of and by.id == of.id and wanted.get("active") is False:
            errors["active"] = "You can not disable yourself. Another directory admin can."
        return errors

    def change(self, by: "Person | None", wanted: Mapping[str, Any]) -> bool:
        """Take over what `problems` found nothing wrong with, as an event; False where it changes nothing."""
        changes = [
            [label, _said(getattr(self, column)), _said(wanted[column])]
            for column, label in DIRECTORY.items()
            if column in wanted and wanted[column] != getattr(self, column)
        ]
        if not changes:
            return False
        if wanted.get("active") is False:
            self.end_sessions()
        for column, value in wanted.items():
            setattr(self, column, value)
        self.version += 1
        self.note("changed", by, "" if by else ON_SERVER, changes=changes)
        return True

    def _stays_directory_admin(self, wanted: Mapping[str, Any]) -> bool:
        return wanted.get("directory", self.directory) is Level.ADMIN and wanted.get("active", self.active)

    def _has_another_admin(self) -> bool:
        another = select(Person.id).where(Person.directory_admins(), Person.id != self.id)
        return db.session.scalar(another.limit(1)) is not None

    def note(self, action: str, by: "Person | None", comment: str = "", **details: Any) -> "Event":
        """One line of this person's history."""
        event = Event(subject=self, person=by, action=action, comment=comment, details=details)
        db.session.add(event)
        return event


def _links(purpose: str) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(current_app.config["SECRET_KEY"], salt=f"link:{purpose}")


def _unsubscribing() -> URLSafeSerializer:
    return URLSafeSerializer(current_app.config["SECRET_KEY"], salt="unsubscribe")


def _format_errors(wanted: Mapping[str, Any]) -> dict[str, str]:
    """What is wrong with the texts themselves, by column."""
    errors = {}
    if "name" in wanted and not (0 < len(wanted["name"]) <= 100 and wanted["name"].isprintable()):
        errors["name"] = "Enter a name of 1 to 100 characters."
    if "email" in wanted and not (len(wanted["email"]) <= 254 and EMAIL.fullmatch(wanted["email"])):
        errors["email"] = "Enter an email address, such as dana@example.com."
    return errors


def _privilege_errors(wanted: Mapping[str, Any], of: Person | None) -> dict[str, str]:
    """What needs the privilege oneself: to grant or take it, and to redirect the mail that sets a holder's password."""
    label, holds = DIRECTORY["can_push"], of is not None and of.can_push
    errors = {}
    if wanted.get("can_push", holds) != holds:
        errors["can_push"] = f"Only a directory admin who holds {label} can grant or take it."
    if of and holds and wanted.get("email", of.email).casefold() != of.email:
        errors["email"] = f"{of.name} holds {label}. Only a directory admin who holds it too can change this email."
    return errors


def _said(value: Any) -> str:
    """A value of the directory as a person reads it."""
    if isinstance(value, Level):
        return value.label
    return ("No", "Yes")[value] if isinstance(value, bool) else str(value)


class LoginAttempt(Base):
    """A try that has not succeeded: too many lately for one account, or from one address, and the next must wait.

    The account is kept as a digest, because people type passwords into the wrong field.
    """

    __tablename__ = "attempt"
    WINDOW = timedelta(minutes=15)
    LIMITS = {"account": 10, "address": 50}

    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(UTCDateTime, index=True)
    purpose: Mapped[str] = mapped_column(String(20))
    account: Mapped[str] = mapped_column(String(64), index=True)
    address: Mapped[str] = mapped_column(String(45), index=True)

    @classmethod
    def begin(cls, purpose: str, email: str, address: str) -> datetime | None:
        """Note a try down before its outcome is known, so that parallel ones count; or the moment to wait for."""
        now = utcnow()
        db.session.execute(delete(cls).where(~cls.at.between(now - cls.WINDOW, now + cls.WINDOW)))
        row = cls(at=now, purpose=purpose, account=cls._digest(email), address=address)
        for column, limit in cls.LIMITS.items():
            same = cls.purpose == purpose, getattr(cls, column) == getattr(row, column)
            latest = db.session.scalars(select(cls.at).where(*same).order_by(cls.at.desc()).limit(limit)).all()
            if len(latest) == limit:
                return latest[-1] + cls.WINDOW
        db.session.add(row)
        return None

    @classmethod
    def forget(cls, purpose: str, email: str) -> None:
        """The account's tries no longer count: one has succeeded."""
        db.session.execute(delete(cls).where(cls.purpose == purpose, cls.account == cls._digest(email)))

    @staticmethod
    def _digest(email: str) -> str:
        return hashlib.sha256(email.strip().casefold().encode()).hexdigest()
