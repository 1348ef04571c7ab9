"""An export against the sandbox Spectrum over HTTP, for every way it can answer: at the end there is exactly one job or
none, the status is true, the cause is a sentence, and the events tell the same story."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
import time_machine
from conftest import sandboxed
from flask import Flask
from support.jobs import compose

from erp.spectrum.client import Spectrum
from extensions import db
from models import Job, Person, Project, Setting, SettingName, Status, utcnow
from services import workflow
from tasks import exports

SYNCED, FAILED, CHECKING, EXPORTING = Status.SYNCED, Status.FAILED, Status.CHECKING, Status.EXPORTING
NUMBER = "26-901"
ON_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # which database, the wire does not know
IMPATIENT = 0.5  # seconds: a fault that hangs is given up on after that

# what the sandbox does to AddJob; the status right after, and in the end; the jobs made; a word of the cause or remark
ADD_JOB: list[tuple[str, dict[str, Any], Status, Status, int, str]] = [
    ("not-authorized", {}, EXPORTING, SYNCED, 1, "authoriz"),
    ("time-out-has-occurred", {}, FAILED, FAILED, 0, "Time out"),
    ("abort", {}, FAILED, FAILED, 0, ""),
    ("error-rows", {}, FAILED, FAILED, 0, ""),
    ("e-row", {}, FAILED, FAILED, 0, ""),
    ("customer-on-hold", {}, FAILED, FAILED, 0, "hold"),
    ("required", {"element": "Tax_Class_Code"}, FAILED, FAILED, 0, "Tax"),
    ("fault-client", {}, EXPORTING, SYNCED, 1, ""),
    ("fault-client", {"status": 200}, EXPORTING, SYNCED, 1, ""),
    ("status", {"status": 401}, EXPORTING, SYNCED, 1, "SPECTRUM_"),
    ("status", {"status": 403}, EXPORTING, SYNCED, 1, "SPECTRUM_"),
    ("status", {"status": 404}, EXPORTING, SYNCED, 1, ""),
    ("good-row", {}, SYNCED, SYNCED, 1, ""),
    ("latin-1", {"declared": True}, SYNCED, SYNCED, 1, ""),
    ("slow", {"milliseconds": 50}, SYNCED, SYNCED, 1, ""),
    ("drop-field", {"element": "City"}, SYNCED, SYNCED, 1, "did not keep City"),
    ("hidden", {}, SYNCED, SYNCED, 1, "does not list it yet"),
    ("unknown-code", {"created": True}, CHECKING, SYNCED, 1, ""),
    ("unknown-code", {"created": False}, CHECKING, SYNCED, 1, ""),
    ("fault-server", {"created": True}, CHECKING, SYNCED, 1, ""),
    ("fault-server", {"created": False, "status": 200}, CHECKING, SYNCED, 1, ""),
    ("status", {"status": 503, "created": True}, CHECKING, SYNCED, 1, ""),
    ("status", {"status": 503, "created": False}, CHECKING, SYNCED, 1, ""),
    ("html", {"created": True}, CHECKING, SYNCED, 1, ""),
    ("html", {"created": False}, CHECKING, SYNCED, 1, ""),
    ("redirect", {"created": True}, CHECKING, SYNCED, 1, ""),
    ("redirect", {"created": False}, CHECKING, SYNCED, 1, ""),
    ("empty", {"created": True}, CHECKING, SYNCED, 1, ""),
    ("empty", {"created": False}, CHECKING, SYNCED, 1, ""),
    ("cut", {"created": True}, CHECKING, SYNCED, 1, ""),
    ("cut", {"created": False}, CHECKING, SYNCED, 1, ""),
    ("drip", {"created": True}, CHECKING, SYNCED, 1, ""),
    ("huge", {"created": True}, CHECKING, SYNCED, 1, ""),
    ("latin-1", {"declared": False, "created": True}, CHECKING, SYNCED, 1, ""),
    ("dtd", {"created": True}, CHECKING, SYNCED, 1, ""),
    ("timeout", {}, CHECKING, SYNCED, 1, ""),
    ("created-then-timeout", {}, CHECKING, SYNCED, 1, ""),
    ("reset", {"created": True}, CHECKING, SYNCED, 1, ""),
    ("reset", {"created": False}, CHECKING, SYNCED, 1, ""),
    ("late-commit", {"seconds": 0.2, "reset": True}, CHECKING, SYNCED, 1, ""),
]
# what it does to the reading before anything is sent
READING: list[tuple[str, dict[str, Any]]] = [
    ("not-authorized", {}),
    ("fault-client", {}),
    ("status", {"status": 404}),
    ("fault-server", {}),
    ("status", {"status": 503}),
    ("html", {}),
    ("empty", {}),
    ("dtd", {}),
    ("reset", {}),
    ("timeout", {}),
]


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with sandboxed(tmp_path_factory.mktemp("faults") / "sandbox") as addresses:
        yield addresses["spectrum"]


@pytest.fixture
def spectrum(sandbox: str) -> Spectrum:
    httpx.post(f"{sandbox}/sandbox/reset")
    return Spectrum(sandbox, "HB", "DEMO-COUNTERSIGN", read_timeout=IMPATIENT, deadline=2 * IMPATIENT, pauses=())


@pytest.fixture
def project(app: Flask, make_project: Callable[..., Project], cast: dict[str, Person], template: Job) -> Project:
    """Accepted, and due."""
    template.listed = True  # known from an earlier list
    project = make_project(number=NUMBER, name="Dock Levelers")
    workflow.send(project, cast["manager"])
    decided = {"Job_Number": NUMBER, "Job_Description": "Dock Levelers", "Taxable_Flag": "Y"}
    typed = decided | {"Customer_Code": "CASCREST", "Division": "1", "Cost_Center": "TACOMA", "Price_Method_Code": "F"}
    workflow.accept(project, cast["approver"], compose(project.information, template.row, typed), template, "HB")
    db.session.commit()
    return project


def switch_on(sandbox: str, service: str, fault: str, **own: Any) -> None:
    answer = httpx.post(f"{sandbox}/sandbox/faults", json={"service": service, "fault": fault, "times": 1, **own})
    assert answer.is_success, answer.text


def jobs_made(sandbox: str) -> int:
    return sum(job["Job_Number"] == NUMBER for job in httpx.get(f"{sandbox}/sandbox/jobs").json())


def held() -> str:
    """What keeps every export from going, as the banner says it."""
    return str((Setting.read(SettingName.HELD) or {}).get("error", ""))


def run_until_settled(spectrum: Spectrum, project: Project) -> None:
    """Do what is due, again and again a while later, as the timetable does."""
    for minutes in range(1, 6):
        with time_machine.travel(utcnow() + timedelta(minutes=minutes)):
            exports.run_due(spectrum)
        db.session.expire_all()
        if project.status in (SYNCED, FAILED):
            return


def tells_the_same_story(project: Project) -> bool:
    status = Status.NOT_SENT
    for event in reversed(project.events):
        assert event.from_status == status
        status = event.to_status or status
    return status == project.status


@ON_SQLITE
@pytest.mark.parametrize(
    ("fault", "own", "at_once", "in_the_end", "made", "said"),
    ADD_JOB,
    ids=lambda value: str(value) if isinstance(value, str | dict) else "",
)
def test_an_export_ends_right_whatever_addjob_answers(
    sandbox: str,
    spectrum: Spectrum,
    project: Project,
    fault: str,
    own: dict[str, Any],
    at_once: Status,
    in_the_end: Status,
    made: int,
    said: str,
) -> None:
    switch_on(sandbox, "AddJob", fault, **own)
    exports.run_due(spectrum)
    db.session.expire_all()
    assert project.status is at_once
    assert project.export is not None
    told = " ".join(
        [held(), project.export.error, *project.export.warnings, *(text for _, text in project.export.field_errors)]
    )
    assert said in told
    assert (at_once in (SYNCED, EXPORTING)) == (project.export.error == "")
    assert (at_once is EXPORTING) == bool(held())
    run_until_settled(spectrum, project)
    assert project.status is in_the_end
    assert jobs_made(sandbox) == made
    assert tells_the_same_story(project)


@ON_SQLITE
@pytest.mark.parametrize(("fault", "own"), READING, ids=lambda value: str(value))
def test_nothing_is_sent_while_spectrum_can_not_be_read(
    sandbox: str, spectrum: Spectrum, project: Project, fault: str, own: dict[str, Any]
) -> None:
    switch_on(sandbox, "GetJobMain", fault, **own)
    exports.run_due(spectrum)
    db.session.expire_all()
    assert project.status is EXPORTING
    assert project.export is not None
    assert project.export.sent_at is None
    assert (held() or project.export.error).endswith(".")
    assert jobs_made(sandbox) == 0
    run_until_settled(spectrum, project)
    assert project.status is SYNCED
    assert jobs_made(sandbox) == 1


@ON_SQLITE
def test_a_refused_connection_waits_and_goes_by_itself_later(spectrum: Spectrum, project: Project) -> None:
    exports.run_due(Spectrum("http://127.0.0.1:1", "HB", "DEMO-COUNTERSIGN"))
    db.session.expire_all()
    assert project.status is EXPORTING
    assert project.export is not None
    assert "could not be reached" in project.export.error
    run_until_settled(spectrum, project)
    assert project.status is SYNCED


@ON_SQLITE
def test_a_job_that_the_operator_may_not_see_stays_in_checking_until_a_person_ends_it(
    sandbox: str, spectrum: Spectrum, project: Project, cast: dict[str, Person]
) -> None:
    switch_on(sandbox, "AddJob", "reset", created=True)
    exports.run_due(spectrum)
    httpx.post(f"{sandbox}/sandbox/jobs", json={"Job_Number": NUMBER, "hidden": True})
    run_until_settled(spectrum, project)
    assert project.status is CHECKING
    assert jobs_made(sandbox) == 1
    workflow.resolve(project, cast["approver"], exists=True)
    db.session.commit()
    assert project.status is SYNCED
