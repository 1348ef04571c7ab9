"""Exactly one mail each, although the processes that send them are killed, started again, and several."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from conftest import ENVIRON, ROOT, wait_until
from postbox import Postbox
from sqlalchemy import Connection, select, text, update

import digest
from extensions import db
from models import Delivery, DigestDay, Level, MailOutcome, Person, Project, utcnow

SEND = [Path(sys.executable).parent / "flask", "--app", "app", "digest", "send", "--at", "2026-05-04T07:00"]
TIMETABLE = [
    sys.executable,
    "-c",
    "import threading, app, timetable; timetable.start(app.create_app()); threading.Event().wait()",
]
# what keeps every other transaction from writing to a delivery
LOCK = {
    "sqlite": "UPDATE delivery SET tries = tries WHERE id = -1",
    "postgresql": "LOCK TABLE delivery IN EXCLUSIVE MODE",
}
MakeProject = Callable[..., Project]
Process = subprocess.Popen[bytes]
Start = Callable[[list[Any]], Process]


@pytest.fixture
def environ(database_url: str, post: Postbox) -> dict[str, str]:
    noon_here = f"Etc/GMT{utcnow().hour - 12:+d}"  # a zone where no midnight comes in the way
    return ENVIRON | {
        "DATABASE_URL": database_url,
        "MAIL_PORT": str(post.port),
        "TIMEZONE": noon_here,
        "DIGEST_TIME": "00:00",
        "RUN_SCHEDULER": "yes",
        "SPECTRUM_REFRESH": "never",
    }


@pytest.fixture
def start(environ: dict[str, str]) -> Iterator[Start]:
    """A process of the product; what still runs at the end is killed."""
    running: list[Process] = []

    def begin(command: list[Any]) -> Process:
        path = {"PATH": os.environ["PATH"]}
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        running.append(subprocess.Popen(command, cwd=ROOT, env=environ | path, **quiet))
        return running[-1]

    yield begin
    for process in running:
        kill(process)


def kill(process: Process) -> None:
    process.kill()
    process.wait()


@pytest.fixture
def waiting(make_project: MakeProject, cast: dict[str, Person]) -> Project:
    project = make_project()
    project.send(cast["manager"])
    db.session.commit()
    return project


def leases_run_out() -> None:
    """As after a minute and a half, for what the killed ones held."""
    db.session.rollback()
    db.session.execute(update(Delivery).values(lease_until=utcnow() - timedelta(seconds=1)))
    db.session.commit()


def send_again_from_here() -> None:
    """As another process would after the restart."""
    db.session.rollback()
    digest.send_day(datetime(2026, 5, 4, 7, 0), report=lambda _line: None)


def outcomes() -> dict[str, MailOutcome | None]:
    """By name of the recipient; asked afresh."""
    db.session.rollback()
    return {delivery.person.name: delivery.outcome for delivery in db.session.scalars(select(Delivery))}


def killed_at(command: str, post: Postbox, start: Start, **fault: object) -> None:
    """Send the summary, and kill the process while the server owes it the answer to that command."""
    post.fail(command, "silence", recipient="approver@example.com" if command != "MAIL" else "", **fault)
    process = start(SEND)
    wait_until(lambda: not post.faults.listed(), 120)
    kill(process)
    leases_run_out()


@pytest.mark.parametrize("command", ["MAIL", "RCPT"])
def test_killed_before_the_hand_over_each_mail_arrives_once_after_the_restart(
    command: str, waiting: Project, post: Postbox, start: Start
) -> None:
    killed_at(command, post, start)
    send_again_from_here()
    assert Counter(post.recipients) == {"approver@example.com": 1, "controller@example.com": 1}
    assert set(outcomes().values()) == {MailOutcome.SENT}


@pytest.mark.parametrize(("command", "stored"), [("DATA", False), ("TEXT", False), ("TEXT", True)])
def test_killed_during_the_hand_over_a_mail_is_unknown_and_not_sent_again_by_itself(
    command: str, stored: bool, waiting: Project, post: Postbox, start: Start
) -> None:
    killed_at(command, post, start, stored=stored)
    send_again_from_here()
    send_again_from_here()
    assert outcomes() == {"Approver": MailOutcome.UNKNOWN, "Controller": MailOutcome.SENT}
    assert Counter(post.recipients)["approver@example.com"] == int(stored)


def test_killed_after_the_server_took_it_and_before_that_was_noted_a_mail_is_unknown_and_arrived_once(
    waiting: Project, post: Postbox, start: Start
) -> None:
    with held_back(post):
        process = start(SEND)
        wait_until(lambda: post.arrived, 120)
        kill(process)
    leases_run_out()
    send_again_from_here()
    assert outcomes() == {"Approver": MailOutcome.UNKNOWN, "Controller": MailOutcome.SENT}
    assert Counter(post.recipients) == {"approver@example.com": 1, "controller@example.com": 1}


@contextmanager
def held_back(post: Postbox) -> Iterator[None]:
    """From the moment at which the server has the mail's text, nobody can write down what became of it."""
    engine, held, keep = db.engine, list[Connection](), post.mails.add

    def keep_and_lock(*mail: Any) -> None:
        held.append(engine.connect())
        held[-1].execute(text(LOCK[engine.dialect.name]))
        keep(*mail)

    db.session.rollback()
    post.mails.add = keep_and_lock  # type: ignore[method-assign]  # the server's own step, made longer
    try:
        yield
    finally:
        post.mails.add = keep  # type: ignore[method-assign]
        for connection in held:
            connection.close()


def test_killed_between_two_mails_the_first_stays_sent_and_the_second_arrives_once(
    waiting: Project, post: Postbox, start: Start
) -> None:
    post.fail("RCPT", "silence", recipient="controller@example.com")
    process = start(SEND)
    wait_until(lambda: not post.faults.listed(), 120)
    kill(process)
    leases_run_out()
    send_again_from_here()
    assert Counter(post.recipients) == {"approver@example.com": 1, "controller@example.com": 1}


def test_three_timetables_killed_and_started_again_send_one_summary_to_each_for_the_date(
    waiting: Project, post: Postbox, start: Start
) -> None:
    for number in range(60):
        person = Person(email=f"p{number}@example.com", name=f"P{number}", erp=Level.STANDARD, can_push=True)
        db.session.add(person)
    db.session.commit()
    for enough in (10, 30):
        processes = [start(TIMETABLE) for _ in range(3)]
        wait_until(lambda enough=enough: len(post.arrived) >= enough, 120)  # type: ignore[misc]
        for process in processes:
            kill(process)
        leases_run_out()
    for _ in range(3):
        start(TIMETABLE)
    wait_until(lambda: None not in outcomes().values(), 120)
    digest.open_due_day()
    digest.deliver_due()
    arrived = Counter(post.recipients)
    assert set(arrived.values()) == {1}
    sent = [name for name, outcome in outcomes().items() if outcome is MailOutcome.SENT]
    assert len(outcomes()) == 62
    assert len(sent) >= 62 - 6  # what a killed one was handing over is unknown
    assert {f"{name.lower()}@example.com" for name in sent} <= set(arrived)
    assert db.session.query(DigestDay).count() == 1
