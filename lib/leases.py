"""Rows as a work queue: due at a time, claimed by one worker at a time under a token with a lease."""

import logging
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime, timedelta
from typing import Any, Self

from sqlalchemy import String, and_, not_, or_, select, update
from sqlalchemy.orm import Mapped, mapped_column

from extensions import db, writing
from lib.columns import UTCDateTime, utcnow

RENEW_AFTER = timedelta(seconds=1)  # so that quick calls cost no transaction
# How far another worker's clock, or this one's when it began to wait for the row, may be behind: a time that is later
# than it can be by more than that was written before the clock was set back
SKEW = timedelta(minutes=1)
log = logging.getLogger("countersign.work")


class LeaseLost(Exception):
    """Another worker holds this row now: stop, and write nothing more."""


class Renewing:
    """A client of a slow service whose calls renew a lease first, so that a row of calls can outlast one lease."""

    def __init__(self, client: object, transaction: Callable[[], AbstractContextManager[object]]) -> None:
        self._client, self._transaction, self._renewed_at = client, transaction, utcnow()

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._client, name)

        def renew_and_call(*arguments: Any, **named: Any) -> Any:
            if abs(utcnow() - self._renewed_at) > RENEW_AFTER:
                with self._transaction():
                    self._renewed_at = utcnow()
            return call(*arguments, **named)

        return renew_and_call


class Leased:
    """A row of work: due at a time, and held by one worker at a time under a token with a lease."""

    id: Mapped[int]
    due_at: Mapped[datetime | None] = mapped_column(UTCDateTime, index=True)  # None: nothing is to be done
    token: Mapped[str | None] = mapped_column(String(32))
    lease_until: Mapped[datetime | None] = mapped_column(UTCDateTime)

    @classmethod
    def max_delay(cls) -> timedelta:
        """Return the longest time between two attempts; a later due time was written before the clock was set back."""
        return timedelta(0)

    @classmethod
    def due(cls, now: datetime) -> Any:
        """Return the condition that a row is due, phrased so that the index on `due_at` skips finished rows."""
        not_yet = and_(cls.due_at > now, cls.due_at <= now + cls.max_delay() + SKEW)
        return and_(cls.due_at.is_not(None), not_(not_yet))

    @classmethod
    def is_due(cls, now: datetime, lease: timedelta) -> Any:
        free = or_(cls.lease_until.is_(None), cls.lease_until <= now, cls.lease_until > now + lease + SKEW)
        return and_(cls.due(now), free)

    @classmethod
    def claim(cls, lease: timedelta, *only: Any) -> tuple[int, str] | None:
        """Claim the row that has been due longest and return its id and fresh token; None if none is due.

        `only` holds further conditions on the rows.
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
    def transaction(cls, row_id: int, token: str, lease: timedelta) -> Iterator[Self]:
        """Open a transaction on the row and renew its lease. Raises LeaseLost if another worker has claimed it."""
        with writing():
            _parent = cls.lock_parent(row_id)  # keep a reference: the identity map is weak
            row = db.session.get(cls, row_id, with_for_update=True, populate_existing=True)
            if row is None or row.token != token:
                raise LeaseLost
            row.lease_until = utcnow() + lease
            yield row
            state = row.state
        log.info("step", extra={"facts": {"work": cls.__name__, "row": row_id, "state": state}})

    @property
    def state(self) -> str:
        return "Held" if self.token else "Waiting" if self.due_at else "Done"

    @classmethod
    def lock_parent(cls, row_id: int) -> object:  # noqa: ARG003 - a row with a parent asks by that id
        """Lock the parent row, which others lock before this one, so that no two wait for each other."""
        return None

    def release(self, retry_at: datetime | None = None) -> None:
        self.due_at, self.token, self.lease_until = retry_at, None, None
