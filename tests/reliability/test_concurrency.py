"""Many people decide on the same projects at the same moment: one decision each, and everybody else is told whose.

Twenty threads ask two machines of two processes each. Taken out to see it fail: on SQLite, BEGIN IMMEDIATE
(extensions.py); on PostgreSQL, both the row's lock (answering.py) and the version that the mapper checks (models.py).
"""

import re
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from conftest import INFORMATION, at_another_port, server_settings, start_server
from flask import Flask
from sqlalchemy import select
from support.fault_injection import decider

from extensions import db
from models import Event, Person, Project, Status, Transition
from services import workflow

PROJECTS, THREADS = 25, 20
PEOPLE = ("approver", "controller")  # one at each machine
WriteResult = tuple[int, int, str]  # project, status, and who rejected it according to the page


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


@pytest.fixture
def machines(app: Flask, database_url: str, log: Path) -> Iterator[list[str]]:
    """The addresses of two."""
    settings = server_settings(database_url, "http://127.0.0.1:1", "127.0.0.1:1", RUN_SCHEDULER="no")
    each = [settings | at_another_port() for _ in PEOPLE]
    with log.open("w") as written:
        processes = [start_server(environ, written) for environ in each]
        yield [environ["BASE_URL"] for environ in each]
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait()


def decide(address: str, person: str, versions: dict[int, int]) -> list[WriteResult]:
    """Somebody who rejects all of them, as fast as it goes."""
    with decider(address, person) as reject:
        answers = []
        for project, version in versions.items():
            answer = reject(project, version)
            said = re.search(r"rejected by (\w+) less than a minute ago", answer.text)
            answers.append((project, answer.status_code, said[1] if said else ""))
        return answers


def test_of_many_decisions_at_the_same_moment_one_holds_and_the_others_are_told_whose(
    machines: list[str], cast: dict[str, Person], log: Path
) -> None:
    for number in range(PROJECTS):
        workflow.send(workflow.create(cast["manager"], INFORMATION | {"number": f"26-{number:03}"}), cast["manager"])
    db.session.commit()
    versions = dict(db.session.execute(select(Project.id, Project.version)).all())
    db.session.rollback()
    with ThreadPoolExecutor(THREADS) as pool:
        told = list(pool.map(lambda turn: decide(machines[turn % 2], PEOPLE[turn % 2], versions), range(THREADS)))
    answers = [answer for each in told for answer in each]
    counts = Counter((project, code) for project, code, _ in answers)
    once = {(project, 303): 1 for project in versions}
    assert counts == once | {(project, 409): THREADS - 1 for project in versions}
    db.session.rollback()
    decisions = db.session.scalars(select(Event).where(Event.action == Transition.REJECT)).all()
    whose = {event.project_id: event.person.name for event in decisions if event.person}
    assert len(decisions) == len(whose) == PROJECTS
    assert all(name == whose[project] for project, code, name in answers if code == 409)
    assert set(db.session.scalars(select(Project.status))) == {Status.REJECTED}
    assert "locked" not in log.read_text()
