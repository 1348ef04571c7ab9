"""Dates and ages as people read them."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
import time_machine
from flask import Flask

from lib.formatting import (
    format_ago,
    format_datetime,
    format_duration,
    map_address,
    phone_address,
    readable_date,
    time_tag,
)

NOW = datetime(2026, 12, 7, 23, 20, tzinfo=UTC)


def test_a_moment_is_a_date_and_a_time_on_the_companys_clock(app: Flask) -> None:
    assert format_datetime(NOW) == "Dec 7, 2026, 3:20 PM"
    assert format_datetime(NOW.replace(hour=8, minute=5)) == "Dec 7, 2026, 12:05 AM"


@pytest.mark.parametrize(
    ("ago", "said", "short"),
    [
        (timedelta(seconds=59), "less than a minute ago", "now"),
        (timedelta(minutes=12), "12 minutes ago", "12 min"),
        (timedelta(hours=23, minutes=59), "23 hours ago", "23 h"),
        (timedelta(days=1), "1 day ago", "1 d"),
        (timedelta(days=30, hours=23), "30 days ago", "30 d"),
        (timedelta(days=31), "Nov 6, 2026", "Nov 6, 2026"),
        (timedelta(seconds=-90), "less than a minute ago", "now"),
    ],
)
def test_an_age_is_a_date_after_thirty_days(app: Flask, ago: timedelta, said: str, short: str) -> None:
    zone = ZoneInfo("America/Los_Angeles")
    with time_machine.travel(NOW, tick=False):
        assert f">{said}</time>" in time_tag(zone, NOW - ago)
        assert f">{short}</time>" in time_tag(zone, NOW - ago, short=True)
        assert format_ago(NOW - ago) == (f"on {said}" if ago.days > 30 else said)


def test_a_duration_is_written_in_its_largest_unit() -> None:
    assert format_duration(timedelta(days=45, hours=3)) == "45 days"


def test_a_kept_date_is_read_with_the_name_of_its_month_and_nothing_else_is() -> None:
    kept = ("2026-12-07", "12/07/2026", "2026-13-01", "Depot", "")
    assert [readable_date(text) for text in kept] == ["Dec 7, 2026", "Dec 7, 2026", "2026-13-01", "Depot", ""]


def test_one_phone_number_can_be_dialed_and_a_place_found() -> None:
    dialed = {
        "253-555-0110": "tel:+12535550110",
        "+47 22 33 44 55": "tel:+4722334455",
        "253-555-0110 ext. 4": "",
        "": "",
    }
    assert {text: phone_address(text) for text in dialed} == dialed
    assert map_address("", "") == ""
    assert map_address("5810 N Waterfront Dr", "Tacoma").endswith("query=5810%20N%20Waterfront%20Dr%2C%20Tacoma")
