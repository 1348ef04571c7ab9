"""Days on which something is full, locked, read-only, gone or early: nothing is lost, and it is said."""

import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from conftest import Browser
from flask import Flask
from sqlalchemy import event, select, text, update
from support.fake_erp import FakeERP
from support.fault_injection import accept, status

import scheduler
from blueprints import health
from dev.demo import seed
from extensions import db, writing
from models import Delivery, Export, Job, Person, Project, Setting, SettingName, Status, TaskKind, TaskRequest, utcnow
from services import accounts, workflow
from tasks import alerts, exports, mail_messages

MakeProject = Callable[..., Project]
SignIn = Callable[[str], Browser]


# a disk of one's own to fill, lock or protect
ON_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@contextmanager
def pragma(statement: str) -> Iterator[None]:
    """Each new connection of the app begins with it."""

    def begin(connection: Any, _record: Any) -> None:
        connection.execute(f"PRAGMA {statement}")

    db.engine.dispose()
    event.listen(db.engine, "connect", begin)
    try:
        yield
    finally:
        event.remove(db.engine, "connect", begin)
        db.engine.dispose()


@ON_SQLITE
@pytest.mark.parametrize(
    ("trouble", "sentence"),
    [("max_page_count=1", "disk is full."), ("query_only=ON", "The database can only be read")],
    ids=["full", "read-only"],
)
def test_a_change_that_the_disk_does_not_take_is_said_in_a_sentence_and_not_half_done(
    trouble: str, sentence: str, browser: SignIn, make_project: MakeProject
) -> None:
    """Taken out to see it fail: the page for the database's own troubles (errors.register)."""
    manager = browser("manager")
    token = manager.token()
    with pragma(trouble):
        for number in range(100, 200):  # what pages are left fill up
            new = {"csrf_token": token, "name": "New", "number": f"26-{number}", "description": "long " * 399}
            answer = manager.client.post("/admin/projects", data=new)
            if answer.status_code != 303:
                break
        assert (answer.status_code, sentence in answer.text) == (503, True)
    assert db.session.scalar(select(Project).where(Project.number == f"26-{number}")) is None


@ON_SQLITE
def test_readyz_is_503_while_the_database_can_only_be_read(app: Flask, browser: SignIn) -> None:
    """Taken out to see it fail: the change that /readyz begins and takes back."""
    scheduler.beat()
    with pragma("query_only=ON"):
        answer = app.test_client().get("/readyz")
    assert (answer.status_code, answer.json["database"]) == (503, "can only be read")
    assert app.test_client().get("/readyz").status_code == 200


@ON_SQLITE
def test_readyz_is_503_at_once_when_the_disk_of_the_database_is_full(
    app: Flask, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Taken out to see it fail: the question how much is free (health._database)."""
    scheduler.beat()
    assert app.test_client().get("/readyz").status_code == 200
    monkeypatch.setattr(health, "SPARE", shutil.disk_usage(tmp_path).free * 2)  # as if that much were wanted
    answer = app.test_client().get("/readyz")
    assert (answer.status_code, answer.json["database"]) == (503, "disk is full")


@ON_SQLITE
def test_readyz_is_503_once_the_file_of_the_database_was_taken_away(
    app: Flask, environ: dict[str, str], tmp_path: Path
) -> None:
    """It is written to while it is open, and then lost. Taken out to see it fail: the question in health._file."""
    scheduler.beat()
    path = Path(environ["DATABASE_URL"].removeprefix("sqlite:///"))
    path.rename(tmp_path / "elsewhere.db")
    answer = app.test_client().get("/readyz")
    assert (answer.status_code, answer.json["database"]) == (503, "its file is gone")


@pytest.mark.parametrize(
    ("change", "stands"),
    [
        ("UPDATE alembic_version SET version_num = '0001'", "older than the program"),
        ("UPDATE alembic_version SET version_num = '9999'", "newer than the program"),
        ("DELETE FROM alembic_version", "empty"),
        ("DROP TABLE alembic_version", "empty"),
    ],
)
def test_readyz_is_503_while_the_database_is_of_another_version(app: Flask, change: str, stands: str) -> None:
    scheduler.beat()
    with writing():
        db.session.execute(text(change))
    answer = app.test_client().get("/readyz")
    assert (answer.status_code, answer.json["database"]) == (503, stands)


def test_readyz_is_503_when_the_timetable_could_write_nothing_for_minutes(app: Flask) -> None:
    """Taken out to see it fail: the age of the heartbeat (health._scheduler)."""
    scheduler.beat()
    with time_machine.travel(utcnow() + timedelta(minutes=4)):
        assert app.test_client().get("/readyz").status_code == 503


@ON_SQLITE
def test_a_database_locked_for_ten_seconds_delays_a_decision_and_loses_none(
    environ: dict[str, str], browser: SignIn, make_project: MakeProject
) -> None:
    """Taken out to see it fail: the busy timeout (extensions.PRAGMAS), made one second."""
    project, manager = make_project(), browser("manager")
    workflow.send(project, project.created_by)  # type: ignore[arg-type]  # the manager made it
    db.session.commit()
    form = {"csrf_token": manager.token(), "version": project.version}
    path = environ["DATABASE_URL"].removeprefix("sqlite:///")
    holder = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    holder.execute("BEGIN IMMEDIATE")
    release = threading.Timer(10, lambda: holder.execute("ROLLBACK"))
    release.start()
    answer = manager.client.post(f"/admin/projects/{project.id}/retrieve", data=form)
    release.join()
    holder.close()
    assert answer.status_code == 303
    assert status(project.id) == "Retrieved"


@ON_SQLITE
def test_while_spectrum_is_down_for_a_day_500_wait_together_and_then_go_in_order(
    app: Flask, template: Job, erp: FakeERP
) -> None:
    """One knock each EXPORT_CHECK_SECONDS, however many wait and however often it is asked what is due.

    Taken out to see it fail: the others wait too (exporting._everybody_waits), and the order of claims (Leased.claim).
    """
    numbers = [f"26-{number}" for number in range(100, 600)]
    with pragma("synchronous=OFF"):  # thousands of commits, none of them in danger here
        for number in numbers:
            accept(number)
        erp.reachable, began = False, utcnow()
        for seconds in (*range(0, 600, 5), *range(3600, 86400, 3600)):
            with time_machine.travel(began + timedelta(seconds=seconds), tick=False):
                exports.run_due(erp)
        assert len(erp.calls) == 600 / app.config["EXPORT_CHECK_SECONDS"] + 23
        erp.reachable = True
        with time_machine.travel(began + timedelta(hours=25)):
            exports.run_due(erp)
    assert [values["Job_Number"] for service, values in erp.calls if service == "AddJob"] == numbers
    assert set(db.session.scalars(select(Project.status))) == {Status.SYNCED}


@pytest.mark.parametrize("kind", [Export, Delivery, TaskRequest])
def test_work_that_was_laid_down_before_the_clock_was_set_back_is_due(
    kind: Any, app: Flask, cast: dict[str, Person]
) -> None:
    """Taken out to see it fail: what is due too far ahead is due now (Leased.time_has_come)."""
    with time_machine.travel(utcnow() + timedelta(hours=2, minutes=1)):
        project = accept("26-014")
        Delivery.queue_alarm(utcnow().date(), cast["approver"])
        TaskRequest.ask(TaskKind.REFRESH_JOBS, cast["approver"])
        db.session.execute(update(Export).values(due_at=utcnow() + Export.retry_delay()))
        db.session.commit()
    assert status(project) == "Exporting"
    assert kind.claim(timedelta(minutes=1))


def test_a_lease_from_before_the_clock_was_set_back_is_over(app: Flask, erp: FakeERP, template: Job) -> None:
    """Taken out to see it fail: a lease too far ahead is over (Leased.is_due)."""
    project = accept("26-014")
    with time_machine.travel(utcnow() + timedelta(hours=2)):
        assert Export.claim(timedelta(minutes=2))
    exports.run_due(erp)
    assert status(project) == "Synced"


@pytest.mark.parametrize("seconds", [0.2, 20])
def test_a_worker_whose_clock_is_behind_takes_nothing_that_another_one_holds(
    seconds: float, app: Flask, template: Job
) -> None:
    """So does one that waited for the row since before the other claimed it. Taken out to see it fail: SKEW."""
    accept("26-014")
    db.session.execute(update(Export).values(due_at=utcnow() - timedelta(hours=1)))
    db.session.commit()
    with time_machine.travel(utcnow(), tick=False) as clock:
        assert Export.claim(timedelta(minutes=2))
        clock.shift(-seconds)
        assert Export.claim(timedelta(minutes=2)) is None


def test_a_pause_that_is_not_over_is_kept(app: Flask, erp: FakeERP, template: Job) -> None:
    """Taken out to see it fail: the pause of what could not be sent (exporting._everybody_waits)."""
    accept("26-014")
    erp.reachable = False
    exports.run_due(erp)
    exports.run_due(erp)
    assert len(erp.calls) == 1


# --- seeing inside --------------------------------------------------------------------------------------------------


def test_readyz_reports_the_last_tick_the_last_contacts_and_the_oldest_due_export(
    app: Flask, cast: dict[str, Person]
) -> None:
    scheduler.beat()
    accept("26-014")
    due = db.session.scalars(select(Export.due_at)).one()
    answer = app.test_client().get("/readyz").json
    assert answer["oldest_due_export"] == due.isoformat()
    assert answer["last_tick"].startswith(utcnow().date().isoformat())
    assert answer["last_mail"] is answer["last_contact_with_spectrum"] is None
    assert answer["spectrum"] == "no contact yet"


def alarms() -> list[str]:
    db.session.rollback()
    found = select(Person.name).join(Delivery, Delivery.person_id == Person.id).where(Delivery.kind == "alarm")
    return list(db.session.scalars(found.order_by(Person.name)))


def test_an_export_that_is_stuck_for_half_an_hour_alarms_the_erp_admins_once_a_day(app: Flask) -> None:
    accept("26-014")
    began = utcnow().replace(hour=20, minute=0)  # midday in Los Angeles
    db.session.execute(update(Export).values(accepted_at=began, due_at=began))
    db.session.commit()
    for minutes, expected in ((29, []), (31, ["Controller"]), (90, ["Controller"]), (24 * 60, ["Controller"] * 2)):
        with time_machine.travel(began + timedelta(minutes=minutes)):
            alerts.raise_alarm()
        assert alarms() == expected


def test_the_alarm_names_the_project_that_is_stuck_and_links_to_it(app: Flask) -> None:
    accept("26-014")
    db.session.commit()
    with time_machine.travel(utcnow() + timedelta(minutes=31)):
        alerts.raise_alarm()
        mail = mail_messages.compose(db.session.scalars(select(Delivery).where(Delivery.kind == "alarm")).one())
    project = db.session.scalars(select(Project)).one()
    assert f"* {project.title}\n  Exporting\n  http://127.0.0.1:8000/approvals/{project.id}\n" in str(mail.body)
    assert f'/approvals/{project.id}">{project.title}</a>' in str(mail.html)


def test_the_demo_alarms_nobody(app: Flask) -> None:
    Setting.write(SettingName.DEMO, [-1])  # the cast of the tests is there already
    db.session.commit()
    seed.seed()
    alerts.raise_alarm()
    assert alarms() == []


def test_a_mail_that_is_stuck_for_half_an_hour_alarms_too(app: Flask, cast: dict[str, Person]) -> None:
    accounts.send_link(cast["manager"], "invitation", cast["administrator"])
    db.session.commit()
    with time_machine.travel(utcnow() + timedelta(minutes=31)):
        alerts.raise_alarm()
    assert alarms() == ["Controller"]


def test_nothing_alarms_while_exports_are_paused(app: Flask) -> None:
    accept("26-014")
    Setting.write(SettingName.PAUSED, {"by": "Controller", "at": utcnow().isoformat()})
    db.session.commit()
    with time_machine.travel(utcnow() + timedelta(minutes=31)):
        alerts.raise_alarm()
    assert alarms() == []
