"""How times, ages and counts are said, on screen and in mails alike."""

from datetime import date, datetime, timedelta, tzinfo
from functools import lru_cache

from flask import current_app
from markupsafe import Markup

from lib.columns import utcnow

OLD, OLDER = timedelta(days=3), timedelta(days=7)  # how long something may wait before its age stands out


def local(moment: datetime) -> datetime:
    """The moment on the company's clock."""
    return moment.astimezone(current_app.config["TIMEZONE"])


def today() -> date:
    """The day on the company's clock."""
    return local(utcnow()).date()


def short_date(day: date) -> str:
    """Such as “Dec 3”, with the year where it is not this one."""
    return f"{day:%b} {day.day}{'' if day.year == today().year else f', {day.year}'}"


def parse_date(text: str) -> date | None:
    """The day that was typed, as 2026-12-03 or 12/3/2026; None for nothing. Raises ValueError for anything else."""
    text = text.strip()
    if "/" in text:
        return datetime.strptime(text, "%m/%d/%Y").date()
    return date.fromisoformat(text) if text else None


def exact(moment: datetime) -> str:
    """Such as “Mon 9 Mar 2026, 7:05 AM PDT”."""
    return _exact(moment, current_app.config["TIMEZONE"])


def _exact(moment: datetime, zone: tzinfo) -> str:
    here = moment.astimezone(zone)
    return f"{here:%a} {here.day} {here:%b %Y}, {here.hour % 12 or 12}:{here:%M %p %Z}"


def age(span: timedelta) -> str:
    """A span in its largest unit: “3 days”, “1 hour”, “less than a minute”."""
    if span.days > 0:
        return plural(span.days, "day")
    minutes = span.seconds // 60 if span.days == 0 else 0
    if minutes >= 60:
        return plural(minutes // 60, "hour")
    return plural(minutes, "minute") if minutes else "less than a minute"


def since(moment: datetime) -> str:
    """How long ago a moment is, as plain text."""
    return age(utcnow() - moment)


def weekday(day: date) -> str:
    """Such as “Mon 9 Mar 2026”."""
    return f"{day:%a} {day.day} {day:%b %Y}"


def ago(zone: tzinfo, moment: datetime | None, waits: bool = False) -> Markup:
    """An age in words, with the exact time on hover; of what `waits`, marked once it is old."""
    if moment is None:
        return Markup("never")
    waited = utcnow() - moment
    mark = "" if not waits or waited < OLD else ' class="old"' if waited < OLDER else ' class="older"'
    said = f"<time {_stamp(moment, zone)}{mark}>{age(waited)} ago</time>"
    return Markup(said)  # noqa: S704 - of figures and names of ours alone  # nosec B704


@lru_cache(maxsize=8192)  # a page of a list has fifty of them, and mostly the same again
def _stamp(moment: datetime, zone: tzinfo) -> str:
    """The attributes that say a moment exactly, to a machine and on hover."""
    return f'datetime="{moment:%Y-%m-%dT%H:%MZ}" title="{_exact(moment, zone)}"'


def plural(count: int, noun: str, nouns: str | None = None) -> str:
    return f"{count:,} {noun if count == 1 else nouns or noun + 's'}"
