"""The outbox: mails that are due to people, and requests for the scheduler."""

import enum
from datetime import date, datetime, timedelta
from email.utils import make_msgid, parseaddr

from flask import current_app
from sqlalchemy import ForeignKey, String, select
from sqlalchemy.orm import Mapped, mapped_column, relationship

from extensions import Base, db
from lib.columns import UTCDateTime, string_enum, utcnow
from lib.leases import Leased
from tables.person import Person
from tables.project import Event
from tables.status import NotAllowed


class DigestDay(Base):
    """A local date whose daily summary is dealt with: inserted with its deliveries, none where nothing waited."""

    __tablename__ = "digest_day"

    day: Mapped[date] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(UTCDateTime, default=utcnow)


class MailKind(enum.StrEnum):
    DIGEST = "digest"
    REJECTION = "rejection"
    EXPORT = "export"
    UPDATE = "update"
    COMMENT = "comment"
    INVITATION = "invitation"
    RESET = "reset"
    ALERT = "alarm"  # as it is kept
    EXPIRY = "expiry"


class MailOutcome(enum.StrEnum):
    SENT = "Sent"
    UNKNOWN = "Unknown"
    FAILED = "Not delivered"
    SKIPPED = "Not needed"


def _message_id() -> str:
    sender = parseaddr(current_app.config["MAIL_DEFAULT_SENDER"])[1]
    return make_msgid(domain=sender.rpartition("@")[2])


class Delivery(Leased, Base):
    """One mail to one person; its key makes it one of a kind."""

    __tablename__ = "delivery"

    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(String(100), unique=True)
    kind: Mapped[str] = mapped_column(String(20))
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    event_id: Mapped[int | None] = mapped_column(ForeignKey("event.id"))
    day: Mapped[date | None] = mapped_column(index=True)  # a digest's
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=utcnow)  # its Date, in every repeat
    message_id: Mapped[str] = mapped_column(String(300), default=_message_id)
    address: Mapped[str] = mapped_column(String(254), default="")  # where it went, or was last tried
    tries: Mapped[int] = mapped_column(default=0)
    failing_since: Mapped[datetime | None] = mapped_column(UTCDateTime)
    again_at: Mapped[datetime | None] = mapped_column(UTCDateTime)  # somebody pressed Send again
    handing_over_at: Mapped[datetime | None] = mapped_column(UTCDateTime)  # committed before the message text goes out
    sent_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    outcome: Mapped[MailOutcome | None] = mapped_column(string_enum(MailOutcome), index=True)  # None: still to go
    error: Mapped[str] = mapped_column(default="")

    person: Mapped[Person] = relationship()
    event: Mapped[Event | None] = relationship()

    @classmethod
    def max_delay(cls) -> timedelta:
        return timedelta(hours=1)

    @classmethod
    def queue(cls, kind: MailKind, event_id: int, person: Person, wait: timedelta = timedelta(0)) -> None:
        key, due = cls.event_key(kind, event_id, person), utcnow() + wait
        db.session.add(cls(key=key, kind=kind, event_id=event_id, person=person, due_at=due))

    @staticmethod
    def event_key(kind: str, event_id: int, person: Person) -> str:
        return f"{kind}:{event_id}:{person.id}"

    @classmethod
    def queue_digest(cls, day: date, person: Person, is_early: bool = False) -> None:
        """That day's summary for a person; an early one, asked for on a day before, leaves the day's own to come."""
        key = f"{MailKind.DIGEST}:{day}:{person.id}{':early' if is_early else ''}"
        db.session.add(cls(key=key, kind=MailKind.DIGEST, day=day, person=person, due_at=utcnow()))

    @classmethod
    def queue_alarm(cls, day: date, person: Person) -> None:
        """That something is stuck, at most once a day for each. Raises IntegrityError at the flush for a second one."""
        key = f"{MailKind.ALERT}:{day}:{person.id}"
        db.session.add(cls(key=key, kind=MailKind.ALERT, person=person, due_at=utcnow()))

    @classmethod
    def queue_expiry(cls, subject: str, person: Person) -> None:
        """That something runs out; the subject names it, its end, and how long before. IntegrityError as above."""
        key = f"{MailKind.EXPIRY}:{subject}:{person.id}"
        db.session.add(cls(key=key, kind=MailKind.EXPIRY, person=person, due_at=utcnow()))

    @property
    def subject(self) -> str:
        return self.key.removeprefix(f"{self.kind}:").rpartition(":")[0]

    @property
    def state(self) -> str:
        return self.outcome or ("Being sent" if self.token else "Waiting")

    @property
    def can_resend(self) -> bool:
        return self.outcome in (MailOutcome.UNKNOWN, MailOutcome.FAILED)

    def end(self, outcome: MailOutcome, error: str = "") -> None:
        self.release()
        self.outcome, self.error = outcome, error

    def resend(self) -> None:
        """Because somebody who may asked for it; it is never done by itself."""
        if not self.can_resend:
            raise NotAllowed(f"This mail is {self.state} now, so nothing was sent again.")
        self.outcome = self.handing_over_at = self.failing_since = None
        self.tries, self.error, self.again_at, self.due_at = 0, "", utcnow(), utcnow()


class TaskKind(enum.StrEnum):
    REFRESH_JOBS = "refresh"
    READ_JOB = "read job"  # its subject is the project's id
    TEST_CONNECTION = "test connection"
    TEST_MAIL = "test mail"  # its subject is the address
    PASSWORD_LINK = "password link"  # noqa: S105 - its subject is the email


class TaskRequest(Leased, Base):
    """Something a click asked the scheduler to do, and its answer."""

    __tablename__ = "errand"

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(20))
    asked_by_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    asked_at: Mapped[datetime] = mapped_column(UTCDateTime, default=utcnow)
    subject: Mapped[str] = mapped_column(String(254), default="")
    succeeded: Mapped[bool | None]
    answer: Mapped[str] = mapped_column(default="")

    asked_by: Mapped[Person | None] = relationship()

    @classmethod
    def last(cls, kind: TaskKind, subject: str = "") -> "TaskRequest | None":
        about = [cls.subject == subject] if subject else []
        return db.session.scalar(select(cls).where(cls.kind == kind, *about).order_by(cls.id.desc()).limit(1))

    @classmethod
    def ask_for_each(cls, kind: TaskKind, subject: str) -> None:
        """Have the scheduler do it for this subject too, whatever else waits."""
        db.session.add(cls(kind=kind, subject=subject[:254], due_at=utcnow()))

    @classmethod
    def ask(cls, kind: TaskKind, by: Person, subject: str = "") -> None:
        waiting = cls.last(kind, subject)
        if waiting is None or waiting.due_at is None:
            db.session.add(cls(kind=kind, asked_by=by, subject=subject, due_at=utcnow()))
