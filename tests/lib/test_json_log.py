"""The log: a line of JSON per request and per step, nothing secret, and no flood while something is out of order.

Taken out to see a test here fail: the minute between two equal lines, its end, and that all is well before “works
again” is said (RateLimitedLog); what leaves the traceback out
of the database's own troubles, there and in blueprints/errors.py.
"""

import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import ENVIRON, Browser, free_port, wait_until
from flask import Flask
from sqlalchemy.exc import IntegrityError
from support.fake_erp import FakeERP
from support.fault_injection import accept

import scheduler
from app import create_app
from extensions import db
from lib import json_log
from models import Job, Person, Project
from tasks import exports

MakeProject = Callable[..., Project]
SignIn = Callable[[str], Browser]
Running = Callable[[Flask], None]


def lines(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    return [json.loads(json_log.JsonFormatter().format(record)) for record in caplog.records]


def test_each_request_is_one_line_with_the_number_that_its_answer_carries(
    browser: SignIn, make_project: MakeProject, caplog: pytest.LogCaptureFixture
) -> None:
    project, approver = make_project(), browser("approver")
    caplog.set_level(logging.INFO, "countersign")
    answer = approver.get(f"/approvals/{project.id}")
    [line] = [line for line in lines(caplog) if line["said"] == "request"]
    assert line["request"] == answer.headers["X-Request-Id"]
    assert (line["address"], line["project_id"], line["status"]) == ("/approvals/<int:project_id>", project.id, 200)
    assert line["person"] == Person.by_email("approver@example.com").id  # type: ignore[union-attr]


def test_no_line_tells_what_was_typed_or_signed(
    app: Flask, caplog: pytest.LogCaptureFixture, environ: dict[str, str]
) -> None:
    caplog.set_level(logging.INFO, "countersign")
    client = app.test_client()
    client.get("/erp/mails/unsubscribe/a-secret-token?q=a-secret-search")
    client.post("/login", data={"email": "a-secret-address", "password": "a-secret-password"})
    assert len(lines(caplog)) >= 2
    assert "a-secret" not in json.dumps(lines(caplog))


def test_a_traceback_of_the_database_tells_nothing_of_what_was_typed(
    app: Flask, cast: dict[str, Person], caplog: pytest.LogCaptureFixture
) -> None:
    """The log of an unexpected error, such as one of two equal emails."""
    try:
        db.session.add(Person(email=cast["clerk"].email, name="a-secret-name"))
        db.session.commit()
    except IntegrityError:
        logging.getLogger("app").exception("Exception on /admin/directory [POST]")
    db.session.rollback()
    [line] = lines(caplog)
    assert "INSERT INTO person" in line["trace"]
    assert "a-secret" not in line["trace"]


def test_each_step_of_an_export_is_a_line(
    app: Flask, template: Job, erp: FakeERP, caplog: pytest.LogCaptureFixture
) -> None:
    accept("26-014")
    caplog.set_level(logging.INFO, "countersign")
    exports.run_due(erp)
    steps = [line["state"] for line in lines(caplog) if line.get("work") == "Export"]
    assert steps[0] == "Exporting: Checking"
    assert "Exporting: Creating the job" in steps
    assert steps[-1] == "Synced: Done"


# --- what fails again and again -------------------------------------------------------------------------------------


@pytest.fixture
def nowhere(tmp_path: Path) -> Flask:
    """The app with a database that is not there."""
    address = f"postgresql://nobody@127.0.0.1:{free_port()}/nothing"
    return create_app(ENVIRON | {"DATABASE_URL": address}, instance_path=str(tmp_path))


@pytest.fixture
def running() -> Iterator[Running]:
    """The timetable, from when it is given an app until the end of the test."""
    yield scheduler.start
    scheduler.stop()


def test_while_the_database_can_not_be_reached_the_timetable_says_so_once_and_not_at_each_tick(
    nowhere: Flask, running: Running, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks: list[None] = []
    quick = [(work, 0.05) for work, _ in scheduler.TIMETABLE]
    monkeypatch.setattr(scheduler, "TIMETABLE", [*quick, (lambda: ticks.append(None), 0.05)])
    running(nowhere)
    wait_until(lambda: len(ticks) > 30)
    [line] = [line for line in lines(caplog) if "tried again" in line["said"]]
    assert "Connection refused" in line["said"]
    assert "trace" not in line


def test_what_fails_is_said_again_after_a_while_and_a_line_says_when_it_is_over(
    app: Flask, running: Running, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    trouble = ["the cable is out"]

    def work() -> None:
        if trouble:
            raise OSError(trouble[0])

    def said(level: str) -> list[dict[str, Any]]:
        return [line for line in lines(caplog) if line["level"] == level]

    monkeypatch.setattr(scheduler, "TIMETABLE", [(work, 0.02), (lambda: None, 0.02)])  # the other one is well
    monkeypatch.setattr(json_log, "REPEAT_AFTER", 0.2)  # in seconds; a minute is as good
    running(app)
    wait_until(lambda: len(said("ERROR")) >= 3)
    assert not said("WARNING")
    trouble.clear()
    wait_until(lambda: said("WARNING"))
    assert all("the cable is out" in line["said"] and "trace" in line for line in said("ERROR"))
    assert [line["said"] for line in said("WARNING")] == ["work finished; everything works again"]


def test_a_page_that_finds_no_database_leaves_a_line_with_the_cause_and_no_traceback(
    nowhere: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    answer = nowhere.test_client().get("/login")
    assert (answer.status_code, "The database cannot be reached." in answer.text) == (503, True)
    [line] = [line for line in lines(caplog) if line["level"] == "ERROR"]
    assert "Connection refused" in line["said"]
    assert "trace" not in line
