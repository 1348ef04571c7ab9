"""The settings: each wrong value stops the start with one sentence that names it, and gives no secret away."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import config

ROOT = Path(__file__).resolve().parent.parent
ENOUGH = {"SECRET_KEY": "0123456789abcdef"}
WRONG = [
    ("SECRET_KEY", ""),
    ("SECRET_KEY", "too-short"),
    ("DATABASE_URL", "mysql://server/countersign"),
    ("DATABASE_URL", "postgresql://server:port/countersign"),
    ("BASE_URL", "countersign.example.com"),
    ("BASE_URL", "https://countersign.example.com/path"),
    ("BASE_URL", "https://countersign.example.com:99999"),
    ("BASE_URL", "http://[::1"),
    ("TIMEZONE", "Mars/Base"),
    ("SPECTRUM_URL", "spectrum"),
    ("SPECTRUM_COMPANY_CODE", "LONG"),
    ("SPECTRUM_AUTHORIZATION_ID", "A" * 21),
    ("SPECTRUM_CA_FILE", "/nowhere.pem"),
    ("SPECTRUM_CA_FILE", __file__),
    ("SPECTRUM_CONNECT_TIMEOUT", "soon"),
    ("SPECTRUM_READ_TIMEOUT", "0"),
    ("SPECTRUM_DEADLINE", "nan"),
    ("SPECTRUM_REFRESH", "weekly"),
    ("EXPORT_CHECK_SECONDS", "-1"),
    ("MAIL_SERVER", "smtp://mail.example.com"),
    ("MAIL_PORT", "70000"),
    ("MAIL_USE_TLS", "maybe"),
    ("MAIL_USE_SSL", "2"),
    ("MAIL_DEFAULT_SENDER", "accounting"),
    ("DIGEST_TIME", "25:00"),
    ("DIGEST_DAYS", "monday"),
    ("PORT", "0"),
    ("HOST", "not a host"),
    ("RUN_SCHEDULER", "maybe"),
    ("FOUR_EYES", "maybe"),
]


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_a_wrong_value_is_refused_with_a_sentence_that_names_the_setting(name: str, value: str) -> None:
    with pytest.raises(config.SettingsError, match=rf"^{name} (must|is) .+\.$"):
        config.load({**ENOUGH, name: value})


def test_every_setting_of_free_form_aside_each_can_be_wrong() -> None:
    free = {"SPECTRUM_CLIENT_ID", "SPECTRUM_CLIENT_SECRET", "MAIL_USERNAME", "MAIL_PASSWORD"}
    assert {name for name, _ in WRONG} == config.SETTINGS.keys() - free


@pytest.mark.parametrize(
    ("name", "value"),
    [("DATABASE_URL", "postgresql://app:hush-hush@server:port/x"), ("SPECTRUM_URL", "https://app:hush-hush@server")],
)
def test_a_refusal_shows_no_password(name: str, value: str) -> None:
    with pytest.raises(config.SettingsError) as refused:
        config.load({**ENOUGH, name: value})
    assert "hush-hush" not in str(refused.value)


@pytest.mark.parametrize("command", ["users list", "db upgrade"])
@pytest.mark.parametrize("url", ["sqlite:////nowhere/at/all.db", "postgresql://nobody@127.0.0.1:1/none"])
def test_a_database_that_can_not_be_reached_is_one_sentence_and_no_traceback(command: str, url: str) -> None:
    environ = os.environ | ENOUGH | {"DATABASE_URL": url}
    flask = [sys.executable, "-m", "flask", "--app", "app", *command.split()]
    done = subprocess.run(flask, cwd=ROOT, env=environ, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert done.stderr.startswith("Error: The database of DATABASE_URL can not be used: ")
    assert "Traceback" not in done.stderr
