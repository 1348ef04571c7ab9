"""A process that is killed while it renews the client secret leaves one that works, or an alarm that says what to do.

Taken out to see it fail: `asked_at` committed before the call, the sign-in that settles it, the commit ahead of use.
"""

import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from typing import Any

import httpx
import pytest
import time_machine
from conftest import ROOT, Browser, sandboxed, server_settings, wait_until
from flask import Flask

import scheduler
from extensions import db, writing
from models import Setting, SettingName, utcnow
from tasks import client_secret, erp_connection

CLIENT = {"SPECTRUM_CLIENT_ID": "countersign", "SPECTRUM_CLIENT_SECRET": "sandbox-secret"}


@pytest.fixture(scope="module")
def addresses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with sandboxed(tmp_path_factory.mktemp("sandbox") / "data") as found:
        yield found


@pytest.fixture
def spectrum(addresses: dict[str, str]) -> str:
    address = addresses["spectrum"]
    httpx.post(f"{address}/sandbox/reset", json={}).raise_for_status()
    slowly = {"sign_in": "token", "rotation_seconds": 1}
    httpx.post(f"{address}/sandbox/personality", json=slowly).raise_for_status()
    return address


@pytest.fixture
def environ(database_url: str, addresses: dict[str, str]) -> dict[str, str]:
    return server_settings(database_url, addresses["spectrum"], addresses["smtp"], **CLIENT)


def kept() -> dict[str, Any]:
    """What the killed process left in the database."""
    db.session.rollback()
    return dict(Setting.read(SettingName.CLIENT_SECRET) or {})


def was_asked() -> object:
    return kept().get("asked_at")


def replaced(spectrum: str) -> bool:
    return bool(httpx.get(f"{spectrum}/sandbox/personality").json()["client_secret"] != "sandbox-secret")


def answered(spectrum: str) -> list[str]:
    calls = httpx.get(f"{spectrum}/sandbox/calls").json()
    return [call["outcome"] for call in calls if call["service"] == "secretRotation"]


@contextmanager
def nobody_can_write() -> Iterator[None]:
    db.session.rollback()
    with writing():
        Setting.write("locked", None)
        db.session.flush()
        yield
        db.session.rollback()


@contextmanager
def rotating(environ: dict[str, str]) -> Iterator[None]:
    """The command in a process of its own, which is killed at the end."""
    command = [sys.executable, "-m", "flask", "--app", "app", "spectrum", "rotate-secret"]
    silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, cwd=ROOT, env=environ, **silent) as process:  # type: ignore[call-overload]
        try:
            yield
        finally:
            process.send_signal(signal.SIGKILL)


def kill_before_the_call_is_read(environ: dict[str, str], _spectrum: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        away = {"SPECTRUM_URL": f"http://127.0.0.1:{deaf.getsockname()[1]}"}
        with rotating(environ | away):
            wait_until(was_asked)


def kill_before_the_answer(environ: dict[str, str], spectrum: str) -> None:
    with rotating(environ):
        wait_until(lambda: replaced(spectrum))


def kill_before_the_commit(environ: dict[str, str], spectrum: str) -> None:
    with ExitStack() as held, rotating(environ):
        wait_until(was_asked)
        held.enter_context(nobody_can_write())
        wait_until(lambda: answered(spectrum))


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("kill", "left", "an_hour_later"),
    [
        (kill_before_the_call_is_read, "alarm", "renewed"),
        (kill_before_the_answer, "alarm", "alarm"),
        (kill_before_the_commit, "alarm", "alarm"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_killed_at_any_step_of_a_renewal_the_secret_is_kept_or_an_alarm_says_what_to_do(
    app: Flask,
    environ: dict[str, str],
    spectrum: str,
    browser: Callable[[str], Browser],
    kill: Callable[[dict[str, str], str], None],
    left: str,
    an_hour_later: str,
) -> None:
    app.config.update(SPECTRUM_SECRET_ROTATION=True, SPECTRUM_URL=spectrum)

    def found() -> str:
        app.extensions.pop("erp", None)
        alarm = "create a new client secret" in browser("controller").get("/erp/jobs").text
        return "alarm" if alarm else "renewed" if client_secret.in_order() else "nothing"

    kill(environ, spectrum)
    assert found() == left
    with time_machine.travel(utcnow() + timedelta(hours=1)):
        scheduler.rotate_secret_when_due()
    with time_machine.travel(utcnow() + timedelta(days=60)):
        scheduler.rotate_secret_when_due()
    assert found() == an_hour_later
    if an_hour_later == "renewed":
        erp = erp_connection.connect()
        assert erp
        assert erp.list_jobs().rows
