"""Killed or told to stop at any moment, an export ends as one job, or says that nobody knows yet.

The real server is killed at each named step; then its leases run out, and the work goes on: on SQLite from here, on
PostgreSQL as a second machine on the same database does it. Spectrum's own list of calls says how many jobs were made.
"""

import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import timedelta

import pytest
from conftest import INFORMATION, at_another_port, sandboxed, server_settings, wait_until
from flask import Flask
from httpx import HTTPError
from sqlalchemy import select, update
from support.fault_injection import Sandbox, Server, accept, decider, export_of, leases_run_out, status
from support.jobs import keep_job

from extensions import db, writing
from models import Delivery, Event, Export, Person, Project, Status, Transition, utcnow
from services import workflow
from tasks import erp_connection, exports

Ends = Callable[[int], None]
GoOn = Callable[[Callable[[], object]], None]
ON_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # where the other adds time only


@pytest.fixture(scope="module")
def addresses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with sandboxed(tmp_path_factory.mktemp("sandbox") / "data") as found:
        yield found


@pytest.fixture
def sandbox(addresses: dict[str, str]) -> Sandbox:
    return Sandbox.fresh(addresses["spectrum"])


@pytest.fixture
def environ(database_url: str, addresses: dict[str, str]) -> dict[str, str]:
    quick = {"EXPORT_CHECK_SECONDS": "0.2", "SPECTRUM_REFRESH": "never", "DIGEST_TIME": "23:59"}
    return server_settings(database_url, addresses["spectrum"], addresses["smtp"], **quick)


@pytest.fixture
def server(app: Flask, environ: dict[str, str]) -> Iterator[Server]:
    """The server of an installation that has seen Spectrum's jobs before: only then does an absence prove anything."""
    keep_job({"Job_Number": "T-COMM", "Job_Description": "Template"}).listed = True
    db.session.commit()
    running = Server(environ)
    yield running
    running.kill()


@pytest.fixture
def go_on_until(app: Flask, environ: dict[str, str]) -> Iterator[GoOn]:
    """Whoever takes over, once the leases ran out, has a minute for it."""
    other = Server(environ | at_another_port())

    def here(true: Callable[[], object]) -> None:
        leases_run_out(Export)
        erp = erp_connection.connect()
        assert erp

        def tick() -> object:
            exports.run_due(erp)
            return true()

        wait_until(tick, 60)

    def there(true: Callable[[], object]) -> None:
        if not other.process:
            leases_run_out(Export)
            other.start()
        wait_until(true, 60)

    yield here if db.engine.dialect.name == "sqlite" else there
    other.kill()


# --- told to stop ---------------------------------------------------------------------------------------------------


@ON_SQLITE
@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT], ids=["TERM", "Ctrl-C"])
def test_told_to_stop_while_spectrum_hangs_the_server_is_gone_in_30_seconds_and_the_export_is_settled_by_looking(
    sign: signal.Signals, server: Server, sandbox: Sandbox, go_on_until: GoOn
) -> None:
    """Taken out to see it fail: the end of what still hangs (scheduler.stop), and gunicorn's graceful_timeout."""
    sandbox.fail("AddJob", "created-then-timeout")
    project = accept("26-014")
    server.start()
    sandbox.wait_for_call("AddJob")
    server.tell(sign)
    server.wait()
    assert status(project) == "Exporting"
    assert export_of(project).lease_until
    go_on_until(lambda: status(project) == "Synced")
    assert sandbox.made() == {"26-014": 1}


@ON_SQLITE
def test_told_to_reload_while_spectrum_hangs_the_old_workers_are_gone_in_30_seconds_and_the_new_ones_settle_it(
    server: Server, sandbox: Sandbox
) -> None:
    """Taken out to see it fail: the end of what still hangs (scheduler.stop)."""
    sandbox.fail("AddJob", "created-then-timeout")
    project = accept("26-014")
    server.start()
    sandbox.wait_for_call("AddJob")
    before = server.workers()
    server.tell(signal.SIGHUP)
    wait_until(lambda: server.workers() and not server.workers() & before, 30)
    leases_run_out(Export)
    wait_until(lambda: status(project) == "Synced", 60)
    assert sandbox.made() == {"26-014": 1}


@ON_SQLITE
def test_told_to_stop_in_the_middle_of_an_export_it_is_finished_and_no_other_is_begun(
    server: Server, sandbox: Sandbox
) -> None:
    """Taken out to see it fail: the question whether it is `stopping` (exporting.run_due)."""
    sandbox.fail("AddJob", "slow", milliseconds=1000, times=None)
    projects = [accept(f"26-{number}") for number in range(100, 112)]
    server.start()
    sandbox.wait_for_call("AddJob")
    server.tell(signal.SIGTERM)
    server.wait()
    assert {status(project) for project in projects} == {"Synced", "Exporting"}
    left = [export_of(project) for project in projects if status(project) == "Exporting"]
    assert not [export for export in left if export.sent_at or export.token]


# --- killed at each step --------------------------------------------------------------------------------------------


@contextmanager
def nobody_can_write() -> Iterator[None]:
    """From here on no other transaction can change anything."""
    db.session.rollback()
    with writing():
        db.session.execute(update(Export).values(checks=Export.checks))
        yield
        db.session.rollback()


@pytest.fixture
def ends_as_one_job(sandbox: Sandbox, go_on_until: GoOn) -> Ends:
    def check(project: int) -> None:
        go_on_until(lambda: status(project) == "Synced" and export_of(project).finished_at)
        assert sandbox.made() == {"26-014": 1}

    return check


def test_killed_before_the_claim_is_committed_it_is_exported_once(
    server: Server, sandbox: Sandbox, ends_as_one_job: Ends
) -> None:
    """Taken out to see it fail: what nobody holds is free (Leased.is_due)."""
    project = accept("26-014")
    with nobody_can_write():
        server.crash(lambda: True)
    assert (status(project), export_of(project).token) == ("Exporting", None)
    ends_as_one_job(project)


def test_killed_while_it_looks_whether_the_number_is_free_it_is_exported_once(
    server: Server, sandbox: Sandbox, ends_as_one_job: Ends
) -> None:
    """Taken out to see it fail: what was held is free when its lease is over (Leased.is_due)."""
    project = accept("26-014")
    server.crash_in_call(sandbox, "GetJobMain", "timeout")
    assert (status(project), export_of(project).sent_at) == ("Exporting", None)
    ends_as_one_job(project)


def test_killed_after_sent_at_is_committed_and_before_the_call_it_is_looked_for_before_it_is_sent_again(
    server: Server, sandbox: Sandbox, ends_as_one_job: Ends
) -> None:
    """Nothing tells that moment apart from a call that never arrived: the row says sent, Spectrum knows of nothing.

    Taken out to see it fail: the second of two looks (exports.CHECKS_BEFORE_RESENDING).
    """
    project = accept("26-014")
    export = export_of(project)
    export.sent_at, export.token, export.lease_until = utcnow(), "of one that was killed", utcnow() + timedelta(hours=1)
    db.session.commit()
    ends_as_one_job(project)
    first_write = [call["service"] for call in sandbox.calls()].index("AddJob")
    assert first_write >= 4  # two looks of two readings came first


@pytest.mark.parametrize("fault", ["created-then-timeout", "timeout"])
def test_killed_during_the_call_it_shows_as_checking_and_ends_as_one_job(
    fault: str, server: Server, sandbox: Sandbox, go_on_until: GoOn
) -> None:
    """Taken out to see it fail: “sent at” written before the call (exports._create)."""
    project = accept("26-014")
    server.crash_in_call(sandbox, "AddJob", fault)
    assert export_of(project).sent_at
    sandbox.fail("GetJobMain", "status", times=4)
    go_on_until(lambda: status(project) == "Checking")
    go_on_until(lambda: status(project) == "Synced")
    assert sandbox.made()["26-014"] <= 1
    assert [call["Job_Number"] for call in sandbox.jobs() if call["Job_Number"] == "26-014"] == ["26-014"]


def test_killed_after_the_answer_and_before_it_is_written_down_it_ends_as_one_job(
    server: Server, sandbox: Sandbox, ends_as_one_job: Ends
) -> None:
    """Taken out to see it fail: what was sent is looked for and not begun anew (exports._process)."""
    project = accept("26-014")
    sandbox.fail("AddJob", "slow", milliseconds=2000)
    server.start()
    wait_until(lambda: export_of(project).sent_at)
    with nobody_can_write():
        sandbox.wait_for_call("AddJob")
        server.kill()
    assert status(project) == "Exporting"
    ends_as_one_job(project)


def test_killed_while_phases_are_copied_the_rest_is_copied_afterwards(
    server: Server, sandbox: Sandbox, ends_as_one_job: Ends
) -> None:
    """Taken out to see it fail: what was made is completed (exports._process)."""
    project = accept("26-014", copy_phases=True)
    server.crash_in_call(sandbox, "AddPhase", "timeout")
    assert status(project) == "Synced"
    ends_as_one_job(project)
    export = export_of(project)
    assert export.phases_done == export.phases_total > 0


def test_killed_while_the_new_job_is_read_back_it_is_read_back_afterwards(
    server: Server, sandbox: Sandbox, ends_as_one_job: Ends
) -> None:
    """Taken out to see it fail: what was made is completed (exports._process)."""
    project = accept("26-014")
    sandbox.fail("AddJob", "slow", milliseconds=1500)
    server.start()
    wait_until(lambda: export_of(project).sent_at)
    server.crash_in_call(sandbox, "GetJobMain", "timeout")
    assert (status(project), export_of(project).step) == ("Synced", "Confirming")
    ends_as_one_job(project)


# --- killed while somebody decides ----------------------------------------------------------------------------------


def test_killed_while_somebody_decides_each_decision_that_was_confirmed_stands_with_its_mail(
    server: Server, environ: dict[str, str], cast: dict[str, Person]
) -> None:
    """Taken out to see it fail: the commit ahead of the answer (blueprints/approvals.py)."""
    for number in range(100, 200):
        workflow.send(workflow.create(cast["manager"], INFORMATION | {"number": f"26-{number}"}), cast["manager"])
    db.session.commit()
    versions = dict(db.session.execute(select(Project.id, Project.version)).all())
    server.start()
    confirmed = []
    with decider(environ["BASE_URL"], "approver") as reject, ThreadPoolExecutor(1) as pool, suppress(HTTPError):
        for project, version in versions.items():
            assert reject(project, version).status_code == 303
            confirmed.append(project)
            if len(confirmed) == 20:
                pool.submit(server.kill)
    assert 20 <= len(confirmed) < 100
    db.session.rollback()
    rejected = set(db.session.scalars(select(Project.id).where(Project.status == Status.REJECTED)))
    about = (
        select(Event.project_id).join(Delivery, Delivery.event_id == Event.id).where(Event.action == Transition.REJECT)
    )
    assert set(confirmed) <= rejected == set(db.session.scalars(about))
