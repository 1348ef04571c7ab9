"""What tables are made of: moments, plain enums, work that is due and leased, and the installation's own facts."""

import enum
import logging
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from sqlalchemy import JSON, Dialect, String, TypeDecorator, and_, not_, or_, select, update
from sqlalchemy import DateTime as SqlDateTime
from sqlalchemy import Enum as SqlEnum
from sqlalchemy.orm import Mapped, mapped_column

from extensions import Base, db, writing

log = logging.getLogger("countersign.work")


def utcnow() -> datetime:
    """This moment, in UTC and saying so."""
    return datetime.now(UTC)


class UTCDateTime(TypeDecorator[datetime]):
    """A point in time, kept in UTC; SQLite forgets the zone, so it is put back when read."""

    impl = SqlDateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value and (value.astimezone(UTC).replace(tzinfo=None) if dialect.name == "sqlite" else value)

    def process_result_value(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        return value and (value if value.tzinfo else value.replace(tzinfo=UTC))


def string_enum(kind: type[enum.Enum]) -> SqlEnum:
    """An enum kept as the plain string a person sees, so that a new member needs no migration."""
    return SqlEnum(kind, native_enum=False, length=40, values_callable=lambda members: [str(m.value) for m in members])


class NotAllowed(Exception):
    """A move that the rules do not allow now; the message is a sentence for the person who tried."""


class LeaseLost(Exception):
    """Somebody else holds this row now; whoever sees this stops and writes nothing more."""


class Leased:
    """A row that is work: due at a time, and held by one worker at a time under a token with a lease."""

    id: Mapped[int]
    due_at: Mapped[datetime | None] = mapped_column(UTCDateTime, index=True)  # None: nothing is to be done
    token: Mapped[str | None] = mapped_column(String(32))
    lease_until: Mapped[datetime | None] = mapped_column(UTCDateTime)

    @classmethod
    def max_delay(cls) -> timedelta:
        """How far ahead it is ever laid down; what is due later was written before the clock was set back."""
        return timedelta(0)

    @classmethod
    def due(cls, now: datetime) -> Any:
        """Said in a way that the index on `due_at` leads past a million rows that are done, in the order of claims."""
        not_yet = and_(cls.due_at > now, cls.due_at <= now + cls.max_delay())
        return and_(cls.due_at.is_not(None), not_(not_yet))

    @classmethod
    def is_due(cls, now: datetime, lease: timedelta) -> Any:
        free = or_(cls.lease_until.is_(None), cls.lease_until <= now, cls.lease_until > now + lease)
        return and_(cls.due(now), free)

    @classmethod
    def claim(cls, lease: timedelta, *only: Any) -> tuple[int, str] | None:
        """The id and fresh token of the row that has been due longest, now held by the caller; None where none is due.

        `only` narrows it to rows under these conditions.
        """
        while True:
            now, token = utcnow(), uuid.uuid4().hex
            due = select(cls.id).where(cls.is_due(now, lease), *only).order_by(cls.due_at, cls.id).limit(1)
            found = db.session.scalar(due)
            if found is None:
                db.session.rollback()
                return None
            with writing():
                claimed = update(cls).where(cls.id == found, cls.is_due(now, lease))
                won: Any = db.session.execute(claimed.values(token=token, lease_until=now + lease))
            if won.rowcount:
                return found, token

    @classmethod
    @contextmanager
    def held(cls, row_id: int, token: str, lease: timedelta) -> Iterator[Self]:
        """One transaction of the worker that holds the row; raises LeaseLost where it no longer does."""
        with writing():
            _privilege_errors = cls.lock_parent(row_id)  # held, so that the row finds it and does not read it again
            row = db.session.get(cls, row_id, with_for_update=True, populate_existing=True)
            if row is None or row.token != token:
                raise LeaseLost
            row.lease_until = utcnow() + lease
            yield row
            state = row.state
        log.info("step", extra={"facts": {"work": cls.__name__, "row": row_id, "state": state}})

    @property
    def state(self) -> str:
        """How far it is, in a word or two."""
        return "Held" if self.token else "Waiting" if self.due_at else "Done"

    @classmethod
    def lock_parent(cls, row_id: int) -> object:  # noqa: ARG003 - what has something above it asks by that id
        """Lock what others lock before such a row, so that nobody waits for each other in a circle; returns it."""
        return None

    def done(self, again_at: datetime | None = None) -> None:
        """Lay the row down: for good, or until it is due again."""
        self.due_at, self.token, self.lease_until = again_at, None, None


class Setting(Base):
    """A fact that the whole installation shares, such as when the job list was last read."""

    __tablename__ = "setting"
    PAUSED = "exports paused"  # {by, at} while nothing may go out
    MAIL = "mail trouble"  # {cause, held, since} while no mail goes, else None
    CONTACT = "contact with Spectrum"  # {connected, at, since, error, error_at}: how the last one ended
    RESTORED = "restored from a backup"  # {at} until the whole job list was read afterwards, else None
    BACKED_UP = "backed up"  # the file of the last good backup; its `at` is when
    PATTERN = "job number pattern"  # such as YY-###, or ""
    DEMO = "demo"  # the rounds of demo data that this database was filled with; nothing in a real one

    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    value: Mapped[Any] = mapped_column(JSON)
    at: Mapped[datetime] = mapped_column(UTCDateTime, default=utcnow, onupdate=utcnow)

    @classmethod
    def read(cls, name: str, default: Any = None) -> Any:
        row = db.session.get(cls, name)
        return default if row is None else row.value

    @classmethod
    def write(cls, name: str, value: Any) -> None:
        db.session.merge(cls(name=name, value=value, at=utcnow()))
