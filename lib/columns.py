"""Column types that the tables share: points in time in UTC, and enums kept as plain text."""

import enum
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import DateTime as SqlDateTime
from sqlalchemy import Dialect, TypeDecorator
from sqlalchemy import Enum as SqlEnum


def utcnow() -> datetime:
    return datetime.now(UTC)


class UTCDateTime(TypeDecorator[datetime]):
    """A point in time, kept in UTC; SQLite forgets the zone, so it is put back when read."""

    impl = SqlDateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value and (value.astimezone(UTC).replace(tzinfo=None) if dialect.name == "sqlite" else value)

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], datetime | None] | None:
        """SQLite's text becomes a moment in one step: to add the zone afterwards is slow, and a page has fifty."""
        return _read_utc if dialect.name == "sqlite" else super().result_processor(dialect, coltype)


def _read_utc(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text + "+00:00")


def string_enum(kind: type[enum.Enum]) -> SqlEnum:
    """An enum kept as the plain string a person sees, so that a new member needs no migration."""
    return SqlEnum(kind, native_enum=False, length=40, values_callable=lambda members: [str(m.value) for m in members])
