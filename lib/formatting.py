"""Dates, ages and counts as people read them, on screen and in emails; and dates as people type them."""

import re
from datetime import date, datetime, timedelta, tzinfo
from functools import lru_cache
from urllib.parse import quote

from flask import current_app
from markupsafe import Markup

from lib.columns import utcnow

OLD, OLDER = timedelta(days=3), timedelta(days=7)  # how long something may wait before its age stands out
LONGEST_AGE = 30  # days; an older moment is written as its date
# by hand, because strftime would take a tenth of a list
MONTHS = (None, "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
SHORT = {"day": "d", "hour": "h", "minute": "min"}
_MIDNIGHT = re.compile(r"[T ]+(0?0:00(:00(\.0+)?)?Z?|12:00(:00)? AM)", re.IGNORECASE)
_KEPT_DATE = re.compile(r"\d{4}-\d{2}-\d{2}|\d{2}/\d{2}/\d{4}", re.ASCII)
_US_DATE = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4})", re.ASCII)


def local(moment: datetime) -> datetime:
    return moment.astimezone(current_app.config["TIMEZONE"])


def today() -> date:
    return local(utcnow()).date()


def short_date(day: date) -> str:
    """Return a date such as “Dec 3”, with the year where it is not this one."""
    return f"{MONTHS[day.month]} {day.day}{'' if day.year == today().year else f', {day.year}'}"


def format_date(day: date) -> str:
    return f"{MONTHS[day.month]} {day.day}, {day.year}"


def format_datetime(moment: datetime) -> str:
    return _format_datetime(moment, current_app.config["TIMEZONE"])


def format_time(moment: datetime) -> str:
    return format_datetime(moment).removeprefix(f"{format_date(today())}, ")


def _format_datetime(moment: datetime, zone: tzinfo) -> str:
    here = moment.astimezone(zone)
    return f"{format_date(here)}, {here.hour % 12 or 12}:{here:%M %p}"


def readable_date(text: str) -> str:
    """A date that is kept as 2026-12-07 or 12/07/2026 as people read it; any other text as it is."""
    if not _KEPT_DATE.fullmatch(text):
        return text
    try:
        day = parse_date(text)
    except ValueError:
        return text
    return format_date(day) if day else text


def parse_date(text: str) -> date | None:
    day = _MIDNIGHT.sub("", text.strip())
    if not day:
        return None
    if found := _US_DATE.fullmatch(day):
        day = "{2}-{0:0>2}-{1:0>2}".format(*found.groups())
    parsed = date.fromisoformat(day)
    if parsed.year < 1900:  # a date field makes 0026 of a year typed as 26
        raise ValueError(f"The year {parsed.year} was typed with two digits.")
    return parsed


def format_duration(span: timedelta) -> str:
    """A span in its largest unit: “3 days”, “1 hour”, “less than a minute”."""
    count, unit = _largest_unit(span)
    return plural(count, unit) if count else "less than a minute"


def short_duration(span: timedelta) -> str:
    count, unit = _largest_unit(span)
    return f"{count} {SHORT[unit]}"


def _largest_unit(span: timedelta) -> tuple[int, str]:
    minutes = max(int(span.total_seconds()) // 60, 0)
    if minutes >= 24 * 60:
        return span.days, "day"
    return (minutes // 60, "hour") if minutes >= 60 else (minutes, "minute")


def elapsed(moment: datetime) -> str:
    return format_duration(utcnow() - moment)


def format_ago(moment: datetime) -> str:
    """Return “3 days ago” or “on Dec 7, 2026”, to end a sentence with."""
    waited = utcnow() - moment
    return f"on {format_date(local(moment))}" if waited.days > LONGEST_AGE else f"{format_duration(waited)} ago"


def time_tag(zone: tzinfo, moment: datetime | None, waits: bool = False, short: bool = False) -> Markup:
    """An age or a date, with the exact time on hover; `short` in tables, marked once old where something `waits`."""
    if moment is None:
        return Markup("never")
    waited = utcnow() - moment
    days, seconds = (waited.days, waited.seconds) if waited.days >= 0 else (0, 0)
    return _time_tag(zone, moment, days, 0 if days else seconds // 60, waits, short)


@lru_cache(maxsize=2048)  # a page of a list has fifty of them, and mostly the same again
def _time_tag(zone: tzinfo, moment: datetime, days: int, minutes: int, waits: bool, short: bool) -> Markup:
    waited = timedelta(days, minutes=minutes)
    mark = "" if not waits or waited < OLD else ' class="old"' if waited < OLDER else ' class="older"'
    exact = f'datetime="{moment:%Y-%m-%dT%H:%MZ}" title="{_format_datetime(moment, zone)}"'
    tag = f"<time {exact}{mark}>{_format_age(waited, moment, zone, short)}</time>"
    return Markup(tag)  # noqa: S704 - of figures and names of ours alone  # nosec B704


def _format_age(waited: timedelta, moment: datetime, zone: tzinfo, short: bool) -> str:
    if waited.days > LONGEST_AGE:
        return format_date(moment.astimezone(zone))
    if not short:
        return f"{format_duration(waited)} ago"
    return short_duration(waited) if waited else "now"


def phone_address(text: str) -> str:
    """The address that dials a phone number; "" where the text is no single number. Ten digits are one in the US."""
    digits = re.sub(r"[^0-9]", "", text)
    if not re.fullmatch(r"\+?[0-9\s().-]+", text) or not 7 <= len(digits) <= 15:
        return ""
    if text.startswith("+"):
        return f"tel:+{digits}"
    return f"tel:+1{digits}" if len(digits) == 10 else f"tel:{digits}"


def map_address(*parts: str) -> str:
    place = ", ".join(filter(None, parts))
    return f"https://www.google.com/maps/search/?api=1&query={quote(place)}" if place else ""


def plural(count: int, noun: str, nouns: str | None = None) -> str:
    return f"{count:,} {noun if count == 1 else nouns or noun + 's'}"
