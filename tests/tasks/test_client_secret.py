"""The client secret of a hosted Spectrum: which one is tried first, and renewing it, whatever comes of that.

Taken out to see a test here fail: the second choice (Access._post_secret), `refused`, the sign-in that settles an
interrupted rotation, `error`.
"""

from collections.abc import Callable, Iterator
from datetime import timedelta

import httpx
import pytest
import time_machine
from conftest import Browser, sandboxed
from flask import Flask
from support.soap_server import answering

import scheduler
from erp import Connection
from models import Setting, SettingName, utcnow
from services import connection_state
from tasks import client_secret, erp_connection

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
Become = Callable[..., None]
BROKEN = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with sandboxed(tmp_path_factory.mktemp("sandbox")) as addresses:
        yield addresses["spectrum"]


@pytest.fixture
def become(app: Flask, address: str) -> Become:
    """Have the sandbox behave so from here on."""
    httpx.post(f"{address}/sandbox/reset", json={}).raise_for_status()
    client = {"SPECTRUM_CLIENT_ID": "countersign", "SPECTRUM_CLIENT_SECRET": "sandbox-secret"}
    app.config.update(SPECTRUM_URL=address, SPECTRUM_AUTHORIZATION_ID="DEMO-COUNTERSIGN", **client)

    def become(**personality: object) -> None:
        httpx.post(f"{address}/sandbox/personality", json=personality).raise_for_status()

    become(sign_in="token")
    return become


def connection() -> Connection:
    erp = erp_connection.connect()
    assert erp
    return erp


def works() -> bool:
    """Whether Spectrum lets calls in, with a token that is fetched for it; and what that showed is kept."""
    erp = connection()
    erp.sign_in()
    shown = bool(erp.list_jobs().rows)
    connection()
    return shown


def hours_later(hours: float) -> None:
    """The timetable's hourly round comes, then."""
    with time_machine.travel(utcnow() + timedelta(hours=hours)):
        scheduler.rotate_secret_when_due()


def test_a_rotated_secret_is_kept_encrypted_and_used_from_then_on(app: Flask, become: Become) -> None:
    result = app.test_cli_runner().invoke(args=["spectrum", "rotate-secret"])
    assert (result.exit_code, result.stderr) == (0, "")
    assert "It is good until" in result.stdout
    (kept,) = client_secret.in_order()
    assert kept != "sandbox-secret"
    assert kept not in str(Setting.read(SettingName.CLIENT_SECRET))
    assert connection_state.secret_end()
    assert works()


@pytest.mark.parametrize(
    ("by_hand", "environment", "first", "alarm"),
    [
        ("", "sandbox-secret", "kept", ""),
        ("a newer one", "a newer one", "a newer one", ""),
        ("", "one that is wrong", "kept", "refuses SPECTRUM_CLIENT_SECRET"),
    ],
    ids=["the same", "a newer one", "a wrong one"],
)
def test_the_kept_secret_is_used_until_the_environment_has_another_and_where_that_is_refused(
    app: Flask, become: Become, by_hand: str, environment: str, first: str, alarm: str
) -> None:
    client_secret.rotate(connection())
    (kept,) = client_secret.in_order()
    if by_hand:
        become(client_secret=by_hand)
    app.config["SPECTRUM_CLIENT_SECRET"] = environment
    assert client_secret.in_order()[0] == (kept if environment == "sandbox-secret" else environment)
    scheduler.rotate_secret_when_due()
    assert works()
    assert client_secret.in_order()[0] == (kept if first == "kept" else first)
    assert bool(connection_state.secret_end()) == (first == "kept")
    assert alarm in connection_state.secret_alarm()
    assert bool(connection_state.secret_alarm()) == bool(alarm)
    app.config["SPECTRUM_CLIENT_SECRET"] = "sandbox-secret"
    assert client_secret.in_order() == (kept,)


def test_a_renewal_that_spectrum_refuses_is_an_alarm_and_is_tried_again_every_hour(
    app: Flask, become: Become, browser: Callable[[str], Browser]
) -> None:
    app.config["SPECTRUM_SECRET_ROTATION"] = True
    become(self_rotation=False)
    hours_later(0)
    assert not connection_state.secret_alarm(), "it is not due yet"
    hours_later(24 * 4)
    page = browser("controller").get("/erp/jobs").text
    assert "did not renew the client secret" in page
    assert "tries again every hour" in page
    become(self_rotation=True)
    hours_later(24 * 4 + 1)
    assert client_secret.in_order()
    assert "renew" not in browser("controller").get("/erp/jobs").text
    assert works()


def test_a_renewal_without_an_answer_is_tried_again_where_the_old_secret_is_still_good(
    app: Flask, become: Become, address: str
) -> None:
    app.config["SPECTRUM_SECRET_ROTATION"] = True
    scheduler.rotate_secret_when_due()
    with answering(BROKEN) as (broken, _):
        point_at(app, broken)
        hours_later(24 * 4)
    assert "did not get it" in connection_state.secret_alarm()
    point_at(app, address)
    hours_later(24 * 4 + 1)
    assert not connection_state.secret_alarm()
    assert client_secret.in_order()
    assert works()


def test_a_renewal_whose_answer_was_lost_stays_an_alarm_until_there_is_a_secret_by_hand(
    app: Flask, become: Become, address: str, browser: Callable[[str], Browser]
) -> None:
    app.config.update(SPECTRUM_SECRET_ROTATION=True, SPECTRUM_READ_TIMEOUT=0.3)
    become(rotation_seconds=1)
    scheduler.rotate_secret_when_due()
    hours_later(24 * 4)
    for later in (1, 2):
        hours_later(24 * 4 + later)
        assert "create a new client secret" in browser("controller").get("/erp/jobs").text
    check = app.test_cli_runner().invoke(args=["spectrum", "check"])
    assert check.exit_code == 1
    assert "client secret" in check.stderr
    become(client_secret="by hand", rotation_seconds=0)
    app.config["SPECTRUM_CLIENT_SECRET"] = "by hand"
    app.extensions.pop("erp")  # as a start with the new setting
    assert not connection_state.secret_alarm()
    assert works()


def test_two_processes_do_not_renew_it_one_after_the_other(app: Flask, become: Become) -> None:
    erp, state = connection(), client_secret._state()
    client_secret.rotate(erp)
    with pytest.raises(Exception, match="Another process"):
        client_secret._begin(state)


def point_at(app: Flask, address: str) -> None:
    app.config["SPECTRUM_URL"] = address
    app.extensions.pop("erp", None)
