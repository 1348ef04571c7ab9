"""Every kind of Spectrum that the sandbox can be, from the first refresh to exactly one job."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import product
from pathlib import Path

import httpx
import pytest
import time_machine
from conftest import sandboxed
from flask import Flask
from sqlalchemy import select
from support.jobs import compose, keep_job

import scheduler
from extensions import db
from models import Job, Person, Project, Status, utcnow
from services import connection_state, erp_settings, workflow
from tasks import erp_connection, exports, job_list

SIGN_INS, GUIDS, CUTS = ("none", "basic", "token"), ("fresh", "empty"), (0, 2)
MISSING = ([], ["GetCustomers", "GetJobDates", "UpdateJob"])


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with sandboxed(tmp_path_factory.mktemp("sandbox")) as addresses:
        yield addresses["spectrum"]


@pytest.fixture
def become(app: Flask, address: str) -> Callable[..., None]:
    """Point the app at the sandbox, which is now such a Spectrum as was never seen before."""

    def become(**personality: object) -> None:
        httpx.post(f"{address}/sandbox/reset", json={"jobs": 40, "seed": False}).raise_for_status()
        httpx.post(f"{address}/sandbox/personality", json=personality).raise_for_status()
        app.config.update(SPECTRUM_URL=address, SPECTRUM_AUTHORIZATION_ID="DEMO-COUNTERSIGN")
        if personality.get("sign_in") == "token":
            app.config.update(SPECTRUM_CLIENT_ID="countersign", SPECTRUM_CLIENT_SECRET="sandbox-secret")

    return become


def accepted(project: Project, cast: dict[str, Person]) -> Project:
    """The project, on its way to become job 26-914."""
    workflow.send(project, cast["manager"])
    template = Job.by_number("T-COMM") or keep_job({"Job_Number": "T-COMM"})
    typed = {"job_number": "26-914", "job_name": "Depot", "taxable": "Y", "price_type": "F"}
    workflow.accept(project, cast["approver"], compose(project.information, template.row, typed), template, "HB")
    db.session.commit()
    return project


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(("sign_in", "guid", "cut", "missing"), list(product(SIGN_INS, GUIDS, CUTS, MISSING)))
def test_the_list_is_complete_and_an_accepted_project_becomes_exactly_one_job(
    become: Callable[..., None],
    address: str,
    make_project: Callable[..., Project],
    cast: dict[str, Person],
    sign_in: str,
    guid: str,
    cut: int,
    missing: list[str],
) -> None:
    become(sign_in=sign_in, guid=guid, cut_tail=cut, missing=missing)
    erp = erp_connection.connect()
    assert erp
    job_list.refresh(erp)
    there = httpx.get(f"{address}/sandbox/jobs").json()
    assert {job.number for job in db.session.scalars(select(Job))} == {row["Job_Number"] for row in there}
    assert connection_state.job_list()["proven"]
    project = accepted(make_project(), cast)
    erp = erp_connection.connect()
    assert erp
    exports.run_due(erp)
    db.session.expire_all()
    assert project.status is Status.SYNCED
    after = httpx.get(f"{address}/sandbox/jobs").json()
    assert [row["Job_Number"] for row in after if row["Job_Number"] == "26-914"] == ["26-914"]
    assert len(after) == len(there) + 1
    assert erp_connection.is_proven()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_server_that_wants_another_sign_in_and_guid_is_learned_again_by_a_refresh_and_never_by_a_write(
    become: Callable[..., None], address: str, make_project: Callable[..., Project], cast: dict[str, Person]
) -> None:
    become()
    scheduler.refresh_job_list()
    project = accepted(make_project(), cast)
    httpx.post(f"{address}/sandbox/personality", json={"sign_in": "basic", "guid": "empty"}).raise_for_status()
    before = connection_state.learned()
    scheduler.run_exports()
    assert (project.status, connection_state.learned()) == (Status.EXPORTING, before)
    assert erp_settings.export_alarm()
    scheduler.refresh_when_old()
    assert connection_state.learned()["learned"]["style"] == {"http": "basic", "guid": "empty", "cut": "no"}
    with time_machine.travel(utcnow() + timedelta(minutes=1)):
        scheduler.run_exports()
        read = connection_state.job_list()["at"]
        scheduler.refresh_when_old()
    db.session.expire_all()
    assert (project.status, connection_state.job_list()["at"]) == (Status.SYNCED, read)
    assert not erp_settings.export_alarm()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_check_says_what_was_learned_and_its_report_gives_nothing_away(
    app: Flask, become: Callable[..., None], tmp_path: Path
) -> None:
    become(sign_in="basic", guid="empty", missing=["GetCustomers"])
    file = tmp_path / "report.txt"
    result = app.test_cli_runner().invoke(args=["spectrum", "check", "--report", str(file)])
    assert (result.exit_code, result.stderr) == (0, "")
    report = file.read_text(encoding="utf-8")
    for text in (result.stdout, report):
        assert "HTTP Basic" in text
        assert "empty" in text
        assert "GetCustomers" in text and "Without it" in text
        assert "Not proven" in text
    for secret in (app.config["SPECTRUM_URL"], "127.0.0.1", "DEMO-COUNTERSIGN", "sandbox-secret"):
        assert secret not in report
