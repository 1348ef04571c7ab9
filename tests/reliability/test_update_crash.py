"""An update whose process is killed at any step ends with the job as accepted, and nothing else of it changed.

The real server is killed while Spectrum is silent or slow; then its lease runs out, and the work goes on here.
Taken out to see it fail: the reading ahead of each sending, “sent at” ahead of the call, what is Synced is completed.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from conftest import sandboxed, server_settings, wait_until
from flask import Flask
from sqlalchemy import update
from support.fault_injection import Sandbox, Server, export_of, leases_run_out, status

from extensions import db, writing
from models import Export, Job, Person, Project
from services import update_form, workflow
from tasks import erp_connection, exports, job_list, updates

NUMBER, PHONE = "25-042", "2535550199"
Kill = Callable[[Server, Sandbox, int], None]


@pytest.fixture(scope="module")
def addresses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with sandboxed(tmp_path_factory.mktemp("sandbox") / "data") as found:
        yield found


@pytest.fixture
def environ(database_url: str, addresses: dict[str, str]) -> dict[str, str]:
    quick = {"EXPORT_CHECK_SECONDS": "0.1", "SPECTRUM_REFRESH": "never", "DIGEST_TIME": "23:59"}
    return server_settings(database_url, addresses["spectrum"], addresses["smtp"], **quick)


@pytest.fixture
def sandbox(addresses: dict[str, str]) -> Sandbox:
    return Sandbox.fresh(addresses["spectrum"])


@pytest.fixture
def server(app: Flask, environ: dict[str, str]) -> Iterator[Server]:
    running = Server(environ)
    yield running
    running.kill()


@pytest.fixture
def accepted(app: Flask, sandbox: Sandbox, cast: dict[str, Person]) -> int:
    """A project linked to a job of the sandbox, with an accepted update of its phone; its id."""
    erp = erp_connection.connect()
    assert erp
    job_list.refresh(erp)
    job = Job.by_number(NUMBER)
    assert job
    project = workflow.create_from_job(cast["manager"], job, "HB")
    workflow.edit(project, cast["manager"], project.information | {"phone": PHONE})
    workflow.send(project, cast["manager"])
    db.session.commit()
    updates.read_job(erp, project.id)
    form = update_form.initial(db.session.get_one(Project, project.id))
    seen = {line.change.column: line.there for line in form.lines}
    workflow.accept_update(form.project, cast["approver"], form.request, seen)
    db.session.commit()
    return form.project.id


def fields(sandbox: Sandbox) -> dict[str, Any]:
    return next(job for job in sandbox.jobs() if job["Job_Number"] == NUMBER)


def kill_while_it_is_silent(service: str, fault: str) -> Kill:
    def kill(server: Server, sandbox: Sandbox, _project: int) -> None:
        server.crash_in_call(sandbox, service, fault)

    return kill


def kill_before_it_is_written_down(server: Server, sandbox: Sandbox, project: int) -> None:
    sandbox.fail("UpdateJob", "slow", milliseconds=1000)
    server.start()
    wait_until(lambda: export_of(project).sent_at)
    db.session.rollback()
    with writing():
        db.session.execute(update(Export).values(seen=Export.seen))
        sandbox.wait_for_call("UpdateJob")
        server.kill()
        db.session.rollback()


def kill_while_it_is_read_back(server: Server, sandbox: Sandbox, project: int) -> None:
    sandbox.fail("UpdateJob", "slow", milliseconds=1000)
    server.start()
    wait_until(lambda: export_of(project).sent_at)
    server.crash_in_call(sandbox, "GetJobMain", "timeout")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("kill", "was_sent", "stands", "calls"),
    [
        (kill_while_it_is_silent("GetJobMain", "timeout"), False, "Updating", 1),
        (kill_while_it_is_silent("UpdateJob", "timeout"), True, "Updating", 2),
        (kill_while_it_is_silent("UpdateJob", "created-then-timeout"), True, "Updating", 1),
        (kill_before_it_is_written_down, True, "Updating", 1),
        (kill_while_it_is_read_back, True, "Synced", 1),
    ],
    ids=["while the job is read", "as it is sent", "as it is done", "before it is written down", "as it is read back"],
)
def test_killed_at_any_step_of_an_update_the_job_has_it_and_nothing_else_changes(
    server: Server, sandbox: Sandbox, accepted: int, kill: Kill, was_sent: bool, stands: str, calls: int
) -> None:
    before = fields(sandbox)
    kill(server, sandbox, accepted)
    assert (status(accepted), bool(export_of(accepted).sent_at)) == (stands, was_sent)
    leases_run_out(Export)
    erp = erp_connection.connect()
    assert erp

    def is_finished() -> bool:
        exports.run_due(erp)
        db.session.rollback()
        return bool(export_of(accepted).finished_at)

    wait_until(is_finished)
    assert (status(accepted), export_of(accepted).warnings) == ("Synced", [])
    assert fields(sandbox) == before | {"Phone": PHONE}
    assert len(sandbox.calls("UpdateJob")) == calls
