"""An update against the sandbox Spectrum over HTTP, for every way UpdateJob can answer: the status is true, the cause
is a sentence, and of the fields of the job only the ticked ones change."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
import time_machine
from conftest import sandboxed
from flask import Flask

from dev.sandbox.spectrum_faults import CATALOG
from erp.spectrum.client import Spectrum
from extensions import db
from models import Job, Person, Project, Status, utcnow
from services import update_form, workflow
from tasks import exports, updates

SYNCED, FAILED, UPDATING = Status.SYNCED, Status.UPDATE_FAILED, Status.UPDATING
NUMBER = "25-042"
ON_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # which database, the wire does not know
IMPATIENT = 0.5  # seconds: a fault that hangs is given up on after that

# what the sandbox does to UpdateJob; the status right after, and in the end; a word of the cause or remark
UPDATE_JOB: list[tuple[str, dict[str, Any], Status, Status, str]] = [
    ("not-authorized", {}, UPDATING, SYNCED, "authoriz"),
    ("time-out-has-occurred", {}, FAILED, FAILED, "Time out"),
    ("abort", {}, FAILED, FAILED, ""),
    ("error-rows", {}, FAILED, FAILED, ""),
    ("e-row", {}, FAILED, FAILED, ""),
    ("fault-client", {}, UPDATING, SYNCED, "UpdateJob"),
    ("status", {"status": 401}, UPDATING, SYNCED, "SPECTRUM_"),
    ("status", {"status": 403}, UPDATING, SYNCED, "SPECTRUM_"),
    ("status", {"status": 404}, UPDATING, SYNCED, ""),
    ("good-row", {}, SYNCED, SYNCED, ""),
    ("latin-1", {"declared": True}, SYNCED, SYNCED, ""),
    ("drop-field", {"element": "City"}, SYNCED, SYNCED, "City was sent"),
    ("unknown-code", {"created": True}, UPDATING, SYNCED, ""),
    ("unknown-code", {"created": False}, UPDATING, SYNCED, ""),
    ("fault-server", {"created": True}, UPDATING, SYNCED, ""),
    ("fault-server", {"created": False, "status": 200}, UPDATING, SYNCED, ""),
    ("status", {"status": 503, "created": True}, UPDATING, SYNCED, ""),
    ("status", {"status": 503, "created": False}, UPDATING, SYNCED, ""),
    ("html", {"created": True}, UPDATING, SYNCED, ""),
    ("html", {"created": False}, UPDATING, SYNCED, ""),
    ("redirect", {"created": True}, UPDATING, SYNCED, ""),
    ("redirect", {"created": False}, UPDATING, SYNCED, ""),
    ("empty", {"created": True}, UPDATING, SYNCED, ""),
    ("empty", {"created": False}, UPDATING, SYNCED, ""),
    ("cut", {"created": True}, UPDATING, SYNCED, ""),
    ("cut", {"created": False}, UPDATING, SYNCED, ""),
    ("drip", {"created": True}, UPDATING, SYNCED, ""),
    ("huge", {"created": True}, UPDATING, SYNCED, ""),
    ("latin-1", {"declared": False, "created": True}, UPDATING, SYNCED, ""),
    ("dtd", {"created": True}, UPDATING, SYNCED, ""),
    ("dtd", {"created": False}, UPDATING, SYNCED, ""),
    ("timeout", {}, UPDATING, SYNCED, ""),
    ("created-then-timeout", {}, UPDATING, SYNCED, ""),
    ("reset", {"created": True}, UPDATING, SYNCED, ""),
    ("reset", {"created": False}, UPDATING, SYNCED, ""),
    ("late-commit", {"seconds": 0.2, "reset": True}, UPDATING, SYNCED, ""),
]
# what it does to the two readings before anything is sent
READING: list[tuple[str, dict[str, Any]]] = [
    ("not-authorized", {}),
    ("fault-client", {}),
    ("fault-server", {}),
    ("html", {}),
    ("empty", {}),
    ("cut", {}),
    ("reset", {}),
    ("timeout", {}),
]


def test_the_table_has_every_fault_that_a_call_can_meet() -> None:
    assert {fault for fault, *_ in UPDATE_JOB} >= {name for name, kind in CATALOG.items() if kind.is_incident}


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with sandboxed(tmp_path_factory.mktemp("faults") / "sandbox") as addresses:
        yield addresses["spectrum"]


@pytest.fixture
def spectrum(sandbox: str) -> Spectrum:
    httpx.post(f"{sandbox}/sandbox/reset")
    return Spectrum(
        sandbox, "HB", "DEMO-COUNTERSIGN", read_timeout=IMPATIENT, deadline=2 * IMPATIENT, pauses=(0.01, 0.01)
    )


@pytest.fixture
def project(app: Flask, make_project: Callable[..., Project], cast: dict[str, Person], spectrum: Spectrum) -> Project:
    """Linked to a job of the sandbox, with an update of its phone and city that was accepted and is due."""
    assert app
    listed = next(job for job in spectrum.list_jobs().rows if job.number == NUMBER)
    job = Job.upsert(listed)
    job.listed = True
    project = workflow.create_from_job(cast["manager"], job, "HB")
    changed = project.information | {"phone": "253-555-0199", "city": "Fife"}
    workflow.edit(project, cast["manager"], changed)
    workflow.send(project, cast["manager"])
    db.session.commit()
    updates.read_job(spectrum, project.id)
    db.session.expire_all()
    form = update_form.initial(project)
    form.seen = {line.change.column: line.there for line in form.lines}
    workflow.accept_update(project, cast["approver"], form.request, form.seen)
    db.session.commit()
    return project


def configure(sandbox: str, path: str, **settings: Any) -> None:
    answer = httpx.post(f"{sandbox}/sandbox/{path}", json=settings)
    assert answer.is_success, answer.text


def fields(sandbox: str) -> dict[str, str]:
    return next(job for job in httpx.get(f"{sandbox}/sandbox/jobs").json() if job["Job_Number"] == NUMBER)


def run_until_settled(spectrum: Spectrum, project: Project) -> None:
    for minutes in range(1, 6):
        with time_machine.travel(utcnow() + timedelta(minutes=minutes)):
            exports.run_due(spectrum)
        db.session.expire_all()
        if project.status is not UPDATING:
            return


@ON_SQLITE
@pytest.mark.parametrize(
    ("fault", "own", "at_once", "in_the_end", "said"),
    UPDATE_JOB,
    ids=lambda value: str(value) if isinstance(value, str | dict) else "",
)
def test_an_update_ends_right_whatever_updatejob_answers(
    sandbox: str,
    spectrum: Spectrum,
    project: Project,
    fault: str,
    own: dict[str, Any],
    at_once: Status,
    in_the_end: Status,
    said: str,
) -> None:
    before = fields(sandbox)
    configure(sandbox, "faults", service="UpdateJob", fault=fault, times=1, **own)
    exports.run_due(spectrum)
    db.session.expire_all()
    assert project.status is at_once
    assert project.export is not None
    told = [project.export.error, *project.export.warnings, *(text for _, text in project.export.field_errors)]
    assert said in " ".join(told)
    run_until_settled(spectrum, project)
    assert project.status is in_the_end
    assert project.spectrum_job_id == NUMBER
    kept = {} if fault == "drop-field" else {"City": "Fife"}
    sent = {"Phone": "2535550199"} | kept if in_the_end is SYNCED else {}
    assert fields(sandbox) == before | sent


@ON_SQLITE
@pytest.mark.parametrize("service", ["GetJobMain", "GetJobDates"])
@pytest.mark.parametrize(("fault", "own"), READING, ids=[fault for fault, _ in READING])
def test_nothing_of_an_update_is_sent_while_its_job_or_its_dates_can_not_be_read(
    sandbox: str, spectrum: Spectrum, project: Project, service: str, fault: str, own: dict[str, Any]
) -> None:
    configure(sandbox, "faults", service=service, fault=fault, times=None, **own)
    exports.run_due(spectrum)
    db.session.expire_all()
    assert project.status is UPDATING
    assert "UpdateJob" not in [call["service"] for call in httpx.get(f"{sandbox}/sandbox/calls").json()]
    httpx.delete(f"{sandbox}/sandbox/faults")
    run_until_settled(spectrum, project)
    assert project.status is SYNCED


@ON_SQLITE
def test_what_is_sent_back_protects_the_status_and_the_creation_date(
    sandbox: str, spectrum: Spectrum, project: Project
) -> None:
    configure(sandbox, "jobs", Job_Number=NUMBER, Status_Code="I", Create_Date="07/07/2025")
    configure(sandbox, "personality", update_blanks="reset")
    before = fields(sandbox)
    exports.run_due(spectrum)
    db.session.expire_all()
    assert project.status is SYNCED
    assert fields(sandbox) == before | {"Phone": "2535550199", "City": "Fife"}


@ON_SQLITE
@pytest.mark.parametrize("service", ["GetJobDates", "UpdateJob"])
def test_without_an_optional_service_the_update_waits_and_names_it(
    sandbox: str, spectrum: Spectrum, project: Project, service: str
) -> None:
    configure(sandbox, "personality", missing=[service])
    exports.run_due(spectrum)
    db.session.expire_all()
    assert project.status is UPDATING
    assert service in project.export.error  # type: ignore[union-attr]
    httpx.delete(f"{sandbox}/sandbox/personality")
    run_until_settled(spectrum, project)
    assert project.status is SYNCED
