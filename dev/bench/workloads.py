"""The measurements beside pages: accepts, exports, imports, and a browser's first load."""

import csv
import itertools
import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlencode

import httpx
from flask import Flask
from sqlalchemy import func, select

from app import create_app
from dev.bench import load, servers
from dev.bench.pages import Visitor
from erp import rules
from extensions import db, writing
from models import Export, Job, Person, Project, Status
from services import workflow
from tasks import erp_connection, exports

SHARE = {"Division": "1", "Price_Method_Code": "F"}
TEMPLATE = {"Job_Number": "T-COMM", "Job_Description": "Template Commercial", "Status_Code": "A", **SHARE}
BROWSER = {"Accept-Encoding": "gzip, deflate, br"}
FILE = re.compile(r'(?:href|src)="(/static/[^"]+)"')
MADE, PATIENCE = "SELECT 1 FROM export WHERE project_id = ? AND created_at IS NOT NULL", 30  # seconds
MORE = 400  # projects that are accepted, beside those that a data set has


@contextmanager
def product(database: str, **settings: str) -> Iterator[Flask]:
    app = create_app(servers.environ(database, **settings), instance_path=str(servers.KEPT))
    with app.app_context():
        yield app
        db.session.remove()
        db.engine.dispose()


def _send(count: int, name: str) -> list[int]:
    manager = db.session.scalars(select(Person).where(Person.name == "Kari Iversen")).one()
    projects = []
    with writing():
        if not Job.by_number(TEMPLATE["Job_Number"]):
            Job.upsert(rules().job_from_raw(TEMPLATE)).is_template = True
        for number in range(count):
            information = {"number": f"{name}{number:06}", "name": f"Wharf {number}", "city": "Tacoma", "state": "WA"}
            projects.append(workflow.create(manager, information))
            workflow.send(projects[-1], manager)
    return [project.id for project in projects]


# --- accepting ------------------------------------------------------------------------------------------------------


def accepts(path: Path) -> tuple[load.Round, load.Round]:
    """The rounds of accepts one after another and eight at a time; each was counted in the database."""
    with servers.copy_of(path) as copy:
        database = f"sqlite:///{copy}"
        waiting = _add_waiting(database, MORE, "A")
        ids = [project for project, *_ in waiting]
        with servers.serving(database) as server:
            visitor = Visitor(server)
            forms = (_form(visitor, *project) for project in waiting)
            alone, together = (
                load.run(server.address, itertools.islice(forms, MORE // 2), connections) for connections in (1, 8)
            )
            trouble = [line for line in server.log.read_text().splitlines() if "locked" in line]
        assert not trouble, trouble[0]
        assert {*alone.statuses, *together.statuses} == {303}, [alone.statuses, together.statuses]
        with product(database):
            taken = select(func.count()).where(Project.id.in_(ids), Project.status == Status.EXPORTING)
            assert db.session.scalar(taken) == MORE, "an accept was answered but is not in the database"
    return alone, together


def wait_for_jobs(path: Path, times: int = 8) -> float:
    """The most seconds from an accept to the job, where Spectrum answers at once."""
    with servers.copy_of(path) as copy, servers.sandboxed() as spectrum:
        database, took = f"sqlite:///{copy}", list[float]()
        waiting = _add_waiting(database, times, "J")
        with (
            servers.serving(database, SPECTRUM_URL=spectrum, RUN_SCHEDULER="yes") as server,
            closing(sqlite3.connect(copy)) as connection,
        ):
            visitor = Visitor(server)
            for number, project in enumerate(waiting):
                time.sleep(number / times)  # so that they begin anywhere between two ticks of the timetable
                begun = time.perf_counter()
                load.run(server.address, iter([_form(visitor, *project)]), 1)
                while not connection.execute(MADE, [project[0]]).fetchone() and time.perf_counter() - begun < PATIENCE:
                    time.sleep(0.01)
                took.append(time.perf_counter() - begun)
    return max(took)


def _add_waiting(database: str, count: int, name: str) -> list[tuple[int, str, str, int]]:
    """Further projects that wait, as id, number, name and version."""
    with product(database):
        asked = select(Project.id, Project.number, Project.name, Project.version)
        rows = db.session.execute(asked.where(Project.id.in_(_send(count, name))))
        return [(project, number, called, version) for project, number, called, version in rows]


def _form(visitor: Visitor, project: int, number: str, name: str, version: int) -> bytes:
    """The bytes that accept a project, under the number and name that its form begins with."""
    fields = {"csrf_token": visitor.token, "version": version, "template": "T-COMM", "template_shown": "T-COMM"}
    fields |= {"job_number": number, "job_name": name, "taxable": "Y", "division": "1", "price_type": "F"}
    return visitor.request(f"/approvals/{project}/accept", urlencode(fields))


# --- exporting ------------------------------------------------------------------------------------------------------


def measure_exports(path: Path, waiting: int, seconds: float, delay: int = 50) -> tuple[float, float]:
    """Exports a second of one worker thread, in the first and in the last third of that time.

    So many wait; Spectrum takes `delay` milliseconds for each call.
    """
    done: list[float] = []
    with servers.copy_of(path) as copy, servers.sandboxed() as spectrum:
        slow = {"service": "*", "fault": "slow", "milliseconds": delay, "times": None}
        httpx.post(f"{spectrum}/sandbox/faults", json=slow).raise_for_status()
        with product(f"sqlite:///{copy}", SPECTRUM_URL=spectrum):
            _accept(_send(waiting, "E"))
            erp = erp_connection.connect()
            assert erp
            begun = time.perf_counter()
            exports.run_due(
                erp,
                lambda line: done.append(time.perf_counter() - begun),
                lambda: time.perf_counter() - begun > seconds,
            )
            made = select(func.count()).where(Export.created_at.is_not(None), Project.number.startswith("E"))
            assert db.session.scalar(made.join(Export.project)) == len(done), "an export ended otherwise than well"
    third = min(seconds, done[-1]) / 3
    return sum(each < third for each in done) / third, sum(2 * third <= each < 3 * third for each in done) / third


def _accept(ids: list[int]) -> None:
    approver = db.session.scalars(select(Person).where(Person.name == "Dana Whitfield")).one()
    template = Job.by_number(TEMPLATE["Job_Number"])
    assert template
    with writing():
        for project in db.session.scalars(select(Project).where(Project.id.in_(ids))):
            typed = {"job_number": project.number, "job_name": project.name, "taxable": "Y"}
            workflow.accept(
                project, approver, rules().build_request(project.information, typed, template.row), template, "HB"
            )


# --- the rest -------------------------------------------------------------------------------------------------------


def import_of(lines: int) -> float:
    file, database = servers.KEPT / "import.csv", servers.KEPT / "import.db"
    with file.open("w", newline="") as opened:
        writer = csv.writer(opened)
        writer.writerow(["number", "name", "address_1", "city", "state", "zip", "start_date", "active"])
        for number in range(lines):
            writer.writerow([f"L{number}", "Wharf", f"{number} Dock St", "Tacoma", "WA", "98402", "2026-03-09", "yes"])
    try:
        servers.flask("db upgrade", f"sqlite:///{database}")
        took = servers.flask(f"projects import {file}", f"sqlite:///{database}")
        with sqlite3.connect(database) as connection:
            assert connection.execute("SELECT count(*) FROM project").fetchone() == (lines,)
        return took
    finally:
        for each in [file, *servers.KEPT.glob(f"{database.name}*")]:
            each.unlink(missing_ok=True)


def export_of(path: Path) -> float:
    file = servers.KEPT / "export.csv"
    try:
        return servers.flask(f"projects export {file}", f"sqlite:///{path}")
    finally:
        file.unlink(missing_ok=True)


def first_load(visitor: Visitor) -> tuple[int, int, int, int]:
    """The list's bytes, and packed; the bytes of it and all its files, packed, and how many requests they take."""
    page, _ = visitor.fetch("/erp/jobs", {})
    packed, _ = visitor.fetch("/erp/jobs", BROWSER)
    files = dict.fromkeys(FILE.findall(page.decode().replace("&amp;", "&")))
    sizes = [len(visitor.fetch(file, BROWSER)[0]) for file in files]
    return len(page), len(packed), len(packed) + sum(sizes), 1 + len(sizes)


def starts(path: Path, times: int = 3) -> float:
    found = []
    for _ in range(times):
        with servers.serving(f"sqlite:///{path}") as server:
            found.append(server.seconds)
    return sorted(found)[times // 2]
