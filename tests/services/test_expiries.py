"""What runs out stands in one list, and ERP admins are warned of it in time."""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import time_machine
from conftest import Browser
from flask import Flask
from lxml import html

from extensions import db
from lib.formatting import format_date
from models import Setting, SettingName
from services import expiry

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
NOW = datetime(2026, 11, 28, 20, tzinfo=UTC)  # noon in Los Angeles


def days(count: float) -> str:
    return (NOW + timedelta(days=count)).isoformat()


@pytest.mark.parametrize(
    ("settings", "kept", "name", "days_left", "sentence"),
    [
        (
            {"BASE_URL": "https://countersign.example.com"},
            {SettingName.CERTIFICATES: {"countersign.example.com:443": {"ends": days(12)}}},
            *("certificate", 12),
            "The TLS certificate of countersign.example.com expires in 12 days. Ask IT to renew it.",
        ),
        (
            {"SPECTRUM_URL": "https://spectrum.example.com:8482"},
            {SettingName.CERTIFICATES: {"spectrum.example.com:8482": {"ends": days(-0.1)}}},
            *("spectrum_certificate", -1),
            "The TLS certificate of spectrum.example.com:8482 has expired. Ask IT to renew it.",
        ),
        (
            {"SPECTRUM_CLIENT_ID": "us", "SPECTRUM_SECRET_EXPIRES": date(2026, 11, 28)},
            {},
            *("spectrum_secret", 0),
            "Spectrum's client secret expires today. "
            "Ask IT to create a new one and to set SPECTRUM_CLIENT_SECRET to it.",
        ),
        (
            {"MAIL_AUTH": "graph", "MAIL_OAUTH_SECRET_EXPIRES": date(2026, 11, 29)},
            {},
            *("mail_secret", 1),
            "The client secret for mail expires in 1 day. "
            "Ask IT to create a new one and to set MAIL_OAUTH_CLIENT_SECRET to it.",
        ),
        (
            {"OIDC_ISSUER": "https://login.example.com", "OIDC_SECRET_EXPIRES": None},
            {},
            *("sign_in_secret", None),
            "The client secret for the sign-in: the end is not known. Set OIDC_SECRET_EXPIRES to have it watched.",
        ),
        (
            {"BACKUP_COPY_COMMAND": "copy"},
            {SettingName.BACKED_UP: "a file", SettingName.BACKUP_COPY: {"at": days(-3), "error": ""}},
            *("backup_copy", -2),
            "The last copy of a backup left the server 3 days ago. "
            "Check BACKUP_COPY_COMMAND and countersign-backup on the server.",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) and "_" in value else "",
)
def test_each_thing_that_runs_out_says_how_long_it_is_good_and_who_renews_it(
    app: Flask, settings: dict[str, Any], kept: dict[SettingName, Any], name: str, days_left: int | None, sentence: str
) -> None:
    app.config.update(settings)
    for each, value in kept.items():
        Setting.write(each, value)
    with time_machine.travel(NOW, tick=False):
        found = next(each for each in expiry.list_expiries() if each.name == name)
        assert (found.days_left, found.sentence) == (days_left, sentence)


def test_what_is_not_set_up_does_not_run_out(app: Flask) -> None:
    assert [each.name for each in expiry.list_expiries()] == []


@pytest.mark.parametrize(("days_left", "is_warned"), [(15, False), (14, True), (-2, True)])
def test_erp_admins_alone_are_warned_from_14_days_before_and_when_it_is_past(
    app: Flask, browser: Callable[[str], Browser], days_left: int, is_warned: bool
) -> None:
    end = expiry.today() + timedelta(days=days_left)
    app.config.update(OIDC_ISSUER="https://login.example.com", OIDC_SECRET_EXPIRES=end)
    db.session.commit()
    for name, sees in (("controller", is_warned), ("approver", False)):
        assert ("The client secret for the sign-in" in browser(name).get("/erp/jobs").text) is sees
    answer = app.test_client().get("/readyz")
    assert answer.json["days_left"] == {"sign_in_secret": days_left}
    assert f'countersign_days_left{{item="sign_in_secret"}} {days_left}.0' in app.test_client().get("/metrics").text
    report = app.test_cli_runner().invoke(args=["check"]).output
    good = "The client secret for the sign-in .*has expired" if days_left < 0 else f"good until {format_date(end)}"
    assert re.search(rf"\nExpirations\n  Sign in secret +{good}\n", report)
    row = html.fromstring(browser("controller").get("/erp/settings").text).xpath("//tr[contains(., 'for the sign-in')]")
    shown = "Expired" if days_left < 0 else str(days_left)
    assert " ".join(row[0].text_content().split()).endswith(f"{format_date(end)} {shown}")
