"""Killed or told to stop at any moment, an export ends as one job, or says that nobody knows yet.

The real server is killed at each named step; then its leases run out, it starts again, and Spectrum's own list of calls
says how many jobs were made. Each guard was taken out once, and the test that names it failed.
"""

import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from conftest import sandboxed, server_settings, wait_until
from crashing import Sandbox, Server, accept, export_of, status
from flask import Flask
from sqlalchemy import update

import exporting
import joblist
from extensions import db, writing
from models import Export, utcnow


@pytest.fixture(scope="module")
def addresses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with sandboxed(tmp_path_factory.mktemp("sandbox") / "data") as found:
        yield found


@pytest.fixture
def sandbox(addresses: dict[str, str]) -> Sandbox:
    return Sandbox.fresh(addresses["spectrum"])


@pytest.fixture
def database_url(migrated_sqlite: Path, tmp_path: Path) -> str:
    """SQLite only: PostgreSQL's server is not what is killed here, and the claims are tested on both elsewhere."""
    shutil.copy(migrated_sqlite, tmp_path / "test.db")
    return f"sqlite:///{tmp_path / 'test.db'}"


@pytest.fixture
def environ(database_url: str, addresses: dict[str, str]) -> dict[str, str]:
    quick = {"EXPORT_CHECK_SECONDS": "0.2", "SPECTRUM_REFRESH": "never", "DIGEST_TIME": "23:59"}
    return server_settings(database_url, addresses["spectrum"], addresses["smtp"], **quick)


@pytest.fixture
def server(app: Flask, environ: dict[str, str]) -> Iterator[Server]:
    running = Server(environ)
    yield running
    running.kill()


def leases_run_out() -> None:
    """As after a while, for what the killed ones held."""
    db.session.rollback()
    db.session.execute(
        update(Export).where(Export.lease_until.is_not(None)).values(lease_until=utcnow() - timedelta(seconds=1))
    )
    db.session.commit()


def go_on_until(true: Callable[[], object]) -> None:
    """As another machine would after the leases ran out, from here."""
    leases_run_out()
    erp = joblist.spectrum()
    assert erp

    def tick() -> object:
        exporting.run_due(erp)
        return true()

    wait_until(tick)


# --- told to stop ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT], ids=["TERM", "Ctrl-C"])
def test_told_to_stop_while_spectrum_hangs_the_server_is_gone_in_30_seconds_and_the_export_is_settled_by_looking(
    sign: signal.Signals, server: Server, sandbox: Sandbox
) -> None:
    sandbox.fail("AddJob", "created-then-timeout")
    project = accept("26-014")
    server.start()
    sandbox.wait_for_call("AddJob")
    server.tell(sign)
    assert server.process
    server.process.wait(30)
    assert status(project) == "Exporting"
    assert export_of(project).lease_until
    go_on_until(lambda: status(project) == "Synced")
    assert sandbox.made() == {"26-014": 1}


def test_told_to_reload_while_spectrum_hangs_the_old_workers_are_gone_in_30_seconds(
    server: Server, sandbox: Sandbox
) -> None:
    sandbox.fail("AddJob", "created-then-timeout")
    accept("26-014")
    server.start()
    sandbox.wait_for_call("AddJob")
    before = server.workers()
    server.tell(signal.SIGHUP)
    wait_until(lambda: server.workers() and not server.workers() & before, 30)


def test_told_to_stop_in_the_middle_of_an_export_it_is_finished_and_no_other_is_begun(
    server: Server, sandbox: Sandbox
) -> None:
    sandbox.fail("AddJob", "slow", milliseconds=1000, times=None)
    projects = [accept(f"26-{number}") for number in range(100, 112)]
    server.start()
    sandbox.wait_for_call("AddJob")
    server.tell(signal.SIGTERM)
    assert server.process
    server.process.wait(30)
    assert {status(project) for project in projects} == {"Synced", "Exporting"}
    left = [export_of(project) for project in projects if status(project) == "Exporting"]
    assert not [export for export in left if export.sent_at or export.token]


# --- killed at each step --------------------------------------------------------------------------------------------


@contextmanager
def nobody_can_write() -> Iterator[None]:
    """From here on no other transaction can change anything."""
    db.session.rollback()
    with writing():
        db.session.execute(update(Export).values(looks=Export.looks))
        yield
        db.session.rollback()


def ends_as_one_job(sandbox: Sandbox, project: int) -> None:
    go_on_until(lambda: status(project) == "Synced" and export_of(project).finished_at)
    assert sandbox.made() == {"26-014": 1}


def test_killed_before_the_claim_is_committed_it_is_exported_once(server: Server, sandbox: Sandbox) -> None:
    project = accept("26-014")
    with nobody_can_write():
        server.crash(lambda: True)
    assert (status(project), export_of(project).token) == ("Exporting", None)
    ends_as_one_job(sandbox, project)


def test_killed_while_it_looks_whether_the_number_is_free_it_is_exported_once(server: Server, sandbox: Sandbox) -> None:
    project = accept("26-014")
    sandbox.fail("GetJobMain", "timeout")
    server.crash(lambda: sandbox.calls("GetJobMain", "timeout"))
    assert (status(project), export_of(project).sent_at) == ("Exporting", None)
    ends_as_one_job(sandbox, project)


def test_killed_after_sent_at_is_committed_and_before_the_call_it_is_looked_for_before_it_is_sent_again(
    server: Server, sandbox: Sandbox
) -> None:
    """Nothing tells that moment apart from a call that never arrived: the row says sent, Spectrum knows of nothing."""
    project = accept("26-014")
    export = export_of(project)
    export.sent_at, export.token, export.lease_until = utcnow(), "of one that was killed", utcnow() + timedelta(hours=1)
    db.session.commit()
    ends_as_one_job(sandbox, project)
    first_write = [call["service"] for call in sandbox.calls()].index("AddJob")
    assert first_write >= 4  # two looks of two readings came first


@pytest.mark.parametrize("fault", ["created-then-timeout", "timeout"])
def test_killed_during_the_call_it_shows_as_checking_and_ends_as_one_job(
    fault: str, server: Server, sandbox: Sandbox
) -> None:
    project = accept("26-014")
    sandbox.fail("AddJob", fault)
    server.crash(lambda: sandbox.calls("AddJob", fault))
    assert export_of(project).sent_at
    sandbox.fail("GetJobMain", "status", times=4)
    go_on_until(lambda: status(project) == "Checking")
    go_on_until(lambda: status(project) == "Synced")
    assert sandbox.made()["26-014"] <= 1
    assert [call["Job_Number"] for call in sandbox.jobs() if call["Job_Number"] == "26-014"] == ["26-014"]


def test_killed_after_the_answer_and_before_it_is_written_down_it_ends_as_one_job(
    server: Server, sandbox: Sandbox
) -> None:
    project = accept("26-014")
    sandbox.fail("AddJob", "slow", milliseconds=2000)
    server.start()
    wait_until(lambda: export_of(project).sent_at)
    with nobody_can_write():
        sandbox.wait_for_call("AddJob")
        server.kill()
    assert status(project) == "Exporting"
    ends_as_one_job(sandbox, project)


def test_killed_while_phases_are_copied_the_rest_is_copied_afterwards(server: Server, sandbox: Sandbox) -> None:
    project = accept("26-014", copy_phases=True)
    sandbox.fail("AddPhase", "timeout")
    server.crash(lambda: sandbox.calls("AddPhase", "timeout"))
    assert status(project) == "Synced"
    ends_as_one_job(sandbox, project)
    export = export_of(project)
    assert export.phases_done == export.phases_total > 0


def test_killed_while_the_new_job_is_read_back_it_is_read_back_afterwards(server: Server, sandbox: Sandbox) -> None:
    project = accept("26-014")
    sandbox.fail("AddJob", "slow", milliseconds=1500)
    server.start()
    wait_until(lambda: export_of(project).sent_at)
    sandbox.fail("GetJobMain", "timeout")
    wait_until(lambda: sandbox.calls("GetJobMain", "timeout"))
    server.kill()
    assert (status(project), export_of(project).step) == ("Synced", "Confirming")
    ends_as_one_job(sandbox, project)
