"""A range of days on the company's clock, as the address parameters `from` and `to` name it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from flask import current_app

from lib.formatting import parse_date


@dataclass(frozen=True)
class DayRange:
    """The first and the last day; None has no limit, and so has a parameter that makes no sense."""

    since: date | None
    until: date | None

    @classmethod
    def from_args(cls, args: Mapping[str, str]) -> "DayRange":
        return cls(*(_day(args.get(name, "")) for name in ("from", "to")))

    def conditions(self, moment: Any) -> list[Any]:
        """The conditions that a column of moments is within the range."""
        since = [moment >= _midnight(self.since)] if self.since else []
        return since + ([moment < _midnight(self.until + timedelta(days=1))] if self.until else [])


def _day(text: str) -> date | None:
    try:
        day = parse_date(text)
    except ValueError:
        return None
    return day if day and 1900 < day.year < 9000 else None


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), current_app.config["TIMEZONE"]).astimezone(UTC)
