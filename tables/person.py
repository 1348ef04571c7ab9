"""The people of the Company Directory: what is kept of each, and of tries to sign in that failed."""

import enum
from datetime import date, datetime
from functools import cached_property
from typing import Any

from flask import current_app
from flask_login import UserMixin
from sqlalchemy import Index, String, and_, null, or_, select
from sqlalchemy.orm import Mapped, mapped_column, validates

from extensions import Base, db
from lib.columns import UTCDateTime, string_enum, utcnow
from lib.formatting import short_date, today


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
        return [each for each in cls if each >= level]


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
    oidc_issuer: Mapped[str | None] = mapped_column(String(255))  # the company account, once it signed in
    oidc_subject: Mapped[str | None] = mapped_column(String(255))
    can_push_until: Mapped[date | None]  # the last local day of the privilege; None: no end
    away_from: Mapped[date | None]
    away_until: Mapped[date | None]
    last_sign_in_at: Mapped[datetime | None] = mapped_column(UTCDateTime)

    __table_args__ = (Index("uq_person_company_account", "oidc_issuer", "oidc_subject", unique=True),)

    @validates("email")
    def _fold_email(self, _key: str, email: str) -> str:
        return email.strip().casefold()

    @classmethod
    def by_email(cls, email: str) -> "Person | None":
        folded = email.strip().casefold()
        return db.session.scalar(select(cls).where(cls.email == folded)) if folded.isprintable() else None

    @property
    def is_active(self) -> bool:
        return self.active

    def may_push_on(self, day: date) -> bool:
        """Tell whether the privilege holds on that local day."""
        return self.can_push and (self.can_push_until is None or day <= self.can_push_until)

    @property
    def may_push(self) -> bool:
        return self.may_push_on(today())

    def is_approver_on(self, day: date) -> bool:
        return self.active and self.may_push_on(day) and self.erp >= Level.STANDARD

    @property
    def is_approver(self) -> bool:
        return self.is_approver_on(today())

    def is_away_on(self, day: date) -> bool:
        return bool(self.away_from and self.away_until and self.away_from <= day <= self.away_until)

    @property
    def absence(self) -> str:
        return f"away until {short_date(self.away_until)}" if self.away_until and self.is_away_on(today()) else ""

    @property
    def is_directory_admin(self) -> bool:
        return self.active and self.directory is Level.ADMIN

    @classmethod
    def holders(cls, day: date | None = None) -> Any:
        """The condition that a row of people holds the privilege, on a local day or today."""
        return and_(cls.can_push, or_(cls.can_push_until.is_(None), cls.can_push_until >= (day or today())))

    @classmethod
    def approvers(cls, day: date | None = None) -> Any:
        return and_(cls.active, cls.holders(day), cls.erp.in_(Level.at_least(Level.STANDARD)))

    @classmethod
    def away(cls, day: date | None = None) -> Any:
        on = day or today()
        return and_(cls.away_from.is_not(None), cls.away_until.is_not(None), cls.away_from <= on, cls.away_until >= on)

    @classmethod
    def directory_admins(cls) -> Any:
        return and_(cls.active, cls.directory == Level.ADMIN)

    @classmethod
    def can_sign_in(cls) -> Any:
        """The condition that a row of people is more than invited, by a way to sign in that is set up."""
        tied = cls.oidc_subject if current_app.config["OIDC_ISSUER"] else null()
        return or_(cls.password_hash.is_not(None), tied.is_not(None))

    @property
    def is_invited(self) -> bool:
        return not self.password_hash and not self.oidc_subject

    def get_id(self) -> str:
        """The text in the session cookie: who, and in which version of their sessions."""
        return f"{self.id}.{self.session_version}"

    def end_sessions(self) -> None:
        """Sign the person out everywhere, and let no link mailed so far set a password."""
        self.session_version = (self.session_version or 0) + 1


class LoginAttempt(Base):
    """A try that has not succeeded: after too many of them, the next must wait.

    The account is kept as a digest, because people type passwords into the wrong field.
    """

    __tablename__ = "attempt"

    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(UTCDateTime, index=True)
    purpose: Mapped[str] = mapped_column(String(20))
    account: Mapped[str] = mapped_column(String(64), index=True)
    address: Mapped[str] = mapped_column(String(45), index=True)
