"""An export from claim to outcome, with an accounting system in memory: every way it can end, and who may end it."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import update
from support.fake_erp import FakeERP
from support.jobs import compose, keep_job, values

from erp import Message, Outcome, Phase, WriteResult
from extensions import db
from models import Delivery, Export, Job, NotAllowed, Person, Project, Setting, SettingName, Status, utcnow
from services import connection_state, workflow
from tasks import erp_connection, exports, job_list

pytestmark = pytest.mark.usefixtures("app")
UNKNOWN = WriteResult(Outcome.UNKNOWN, "Spectrum did not answer in time.")
NOT_SENT = WriteResult(Outcome.NOT_SENT, "Spectrum could not be reached.")
DUPLICATE = WriteResult(Outcome.REFUSED, "Taken.", (Message("Job_Number", "Duplicate job number", "I"),))


@pytest.fixture
def erp() -> FakeERP:
    """A Spectrum with a job that an earlier list showed."""
    known = {"Job_Number": "25-001", "Job_Description": "Known"}
    keep_job(known).listed = True
    db.session.commit()
    return FakeERP(known)


@pytest.fixture
def accepted(make_project: Callable[..., Project], cast: dict[str, Person], template: Job) -> Callable[..., Project]:
    """A project that the approver has accepted, as the job of its own number."""

    def accept(number: str = "26-014", copy_phases: bool = False) -> Project:
        project = make_project(number=number, name=f"Depot {number}")
        workflow.send(project, cast["manager"])
        typed = {"Job_Number": number, "Job_Description": project.name, "Taxable_Flag": "Y", "Price_Method_Code": "F"}
        template.copy_phases = copy_phases
        lines = compose(project.information, template.row, typed | {"Customer_Code": "CASCREST"})
        workflow.accept(project, cast["approver"], lines, template, "HB")
        db.session.commit()
        return project

    return accept


def run(erp: FakeERP) -> list[str]:
    lines: list[str] = []
    exports.run_due(erp, lines.append)
    db.session.expire_all()
    return lines


def run_later(erp: FakeERP, seconds: float = 31) -> None:
    """Do what is due after a pause."""
    with time_machine.travel(utcnow() + timedelta(seconds=seconds)):
        run(erp)


def look_and_resend(erp: FakeERP) -> None:
    run_later(erp, 31)
    run_later(erp, 62)


def added(erp: FakeERP) -> int:
    return sum(service == "AddJob" for service, _ in erp.calls)


def test_an_accepted_project_becomes_a_job_with_every_value_as_accepted(
    erp: FakeERP, accepted: Callable[..., Project]
) -> None:
    project = accepted()
    assert run(erp) == ["26-014 Depot 26-014: Synced"]
    assert project.status is Status.SYNCED
    assert project.export is not None
    job = erp.kept["26-014"]
    assert {element: job.get(element, "") for element in values(project.export)} == values(project.export)
    assert project.export.warnings == []
    assert project.export.due_at is None
    assert [delivery.kind for delivery in db.session.query(Delivery)] == ["export"]


def test_a_synced_job_is_known_at_once_so_that_its_number_is_taken(
    erp: FakeERP, accepted: Callable[..., Project]
) -> None:
    accepted()
    run(erp)
    job = Job.by_number("26-014")
    assert job is not None
    assert job.name == "Depot 26-014"


def test_where_spectrum_has_more_jobs_like_it_than_it_lists_an_export_asks_no_more_and_says_so(
    erp: FakeERP, accepted: Callable[..., Project]
) -> None:
    project = accepted()
    assert project.export
    for number in ("A-1", "A-2"):
        erp.keep(values(project.export) | {"Job_Number": number})
    erp.cap = 2
    run(erp)
    assert project.status is Status.SYNCED
    assert [service for service, _ in erp.calls] == ["GetJobMain", "AddJob", "GetJobMain"]
    assert project.export.warnings == [exports.MORE_THAN_LISTED]


def test_nothing_is_exported_while_exports_are_paused(erp: FakeERP, accepted: Callable[..., Project]) -> None:
    project = accepted()
    Setting.write(SettingName.PAUSED, {"by": "Dana"})
    db.session.commit()
    assert run(erp) == []
    assert erp.calls == []
    assert project.status is Status.EXPORTING


def test_the_command_says_that_exports_are_paused(app: Flask, monkeypatch: pytest.MonkeyPatch, erp: FakeERP) -> None:
    monkeypatch.setattr(erp_connection, "connect", lambda: erp)
    Setting.write(SettingName.PAUSED, {"by": "Dana"})
    db.session.commit()
    result = app.test_cli_runner().invoke(args=["exports", "run"])
    assert (result.exit_code, result.output.count("\n")) == (1, 1)
    assert "Dana paused exports" in result.output


def test_five_hundred_wait_without_a_storm_while_spectrum_is_away_and_go_in_order_when_it_returns(
    erp: FakeERP, accepted: Callable[..., Project]
) -> None:
    projects = [accepted(f"26-{number}") for number in range(100, 112)]
    erp.reachable = False
    run(erp)
    run(erp)
    assert len(erp.calls) == 1
    assert {project.status for project in projects} == {Status.EXPORTING}
    assert all(project.export and "could not be reached" in project.export.error for project in projects)
    erp.reachable = True
    run_later(erp)
    created = [values["Job_Number"] for service, values in erp.calls if service == "AddJob"]
    assert created == [project.number for project in projects]


def test_a_refusal_ends_in_failed_with_each_fields_message_and_frees_the_number(
    erp: FakeERP, accepted: Callable[..., Project]
) -> None:
    project = accepted()
    message = Message("Customer_Code", "Customer CASCREST is on hold", "I")
    erp.next_create(WriteResult(Outcome.REFUSED, "Spectrum did not accept the job.", (message,)), created=False)
    run(erp)
    assert project.status is Status.FAILED
    assert project.export is not None
    assert project.export.field_errors == [["Customer_Code", "Customer CASCREST is on hold"]]
    assert project.job_key is None


def test_a_wrong_setting_holds_every_export_under_one_banner_and_they_go_once_it_is_fixed(
    erp: FakeERP, accepted: Callable[..., Project], browser: Callable[[str], Any]
) -> None:
    first, second = accepted(), accepted("26-015")
    erp.next_create(WriteResult(Outcome.HELD, "Ask IT to check SPECTRUM_AUTHORIZATION_ID."), created=False)
    run(erp)
    assert (first.status, second.status, added(erp)) == (Status.EXPORTING, Status.EXPORTING, 1)
    assert first.export and first.export.sent_at is None and first.export.error == ""
    page = browser("approver").get("/erp/jobs?filter=exporting").text
    assert page.count("Ask IT to check SPECTRUM_AUTHORIZATION_ID.") == 1
    assert "nobody has to retry" in page
    run_later(erp)
    assert (first.status, second.status) == (Status.SYNCED, Status.SYNCED)
    assert "Ask IT" not in browser("approver").get("/erp/jobs?filter=exporting").text


@pytest.mark.parametrize("case", ["nothing listed", "only unknown jobs", "only complete jobs", "one look proven"])
def test_an_absence_that_proves_nothing_never_leads_to_a_second_add(
    erp: FakeERP, accepted: Callable[..., Project], case: str
) -> None:
    project = accepted()
    erp.next_create(UNKNOWN, created=False)
    run(erp)
    known = erp.kept.pop("25-001")
    if case == "only unknown jobs":
        erp.keep({"Job_Number": "99-001"})
    if case == "only complete jobs":
        complete = {"Job_Number": "24-001", "Status_Code": "C"}
        keep_job(complete).listed = True
        db.session.commit()
        erp.keep(complete)
    for seconds in range(31, 400, 31):
        run_later(erp, seconds)
    if case == "one look proven":
        erp.keep(known)
        run_later(erp, 4000)
    assert added(erp) == 1
    assert project.status is Status.CHECKING
    assert project.can_be_resolved


def test_where_no_job_was_ever_known_it_is_said_what_to_do_and_a_proven_list_lets_it_go_on_by_itself(
    accepted: Callable[..., Project], browser: Callable[[str], Any]
) -> None:
    erp, project = FakeERP({"Job_Number": "99-001"}), accepted()
    erp.next_create(UNKNOWN, created=False)
    run(erp)
    look_and_resend(erp)
    page = browser("approver").get(f"/approvals/{project.id}").text
    assert "Refresh the job list, or look in Spectrum" in page
    assert "It is not in Spectrum</button>" in page
    job_list.refresh(erp)
    for seconds in (4000, 8000):
        run_later(erp, seconds)
    assert (project.status, added(erp)) == (Status.SYNCED, 2)


@pytest.mark.parametrize("listed", [True, False])
def test_the_first_job_of_an_installation_is_synced_only_once_it_is_listed(
    erp: FakeERP, accepted: Callable[..., Project], listed: bool
) -> None:
    Setting.write(SettingName.LEARNED, None)
    project = accepted()
    erp.next_create(WriteResult(Outcome.CREATED, reply="Spectrum answered with no row."), created=listed)
    run(erp)
    assert project.status is (Status.SYNCED if listed else Status.CHECKING)
    assert bool(connection_state.learned().get("proof")) is listed
    for seconds in range(31, 400, 31):
        run_later(erp, seconds)
    assert added(erp) == 1
    assert project.export
    erp.keep(project.export.lines)
    run_later(erp, 4000)
    assert project.status is Status.SYNCED
    assert connection_state.learned()["proof"]


def test_a_number_that_spectrum_has_already_fails_without_anything_being_sent(
    erp: FakeERP, accepted: Callable[..., Project]
) -> None:
    project = accepted()
    erp.keep(
        {
            "Job_Number": "26-014 ",
            "Job_Description": "Another",
            "Customer_Code": "CASCREST",
            "Division": "1",
            "Cost_Center": "TACOMA",
        }
    )
    run(erp)
    assert added(erp) == 0
    assert project.status is Status.FAILED
    assert project.export is not None
    assert project.export.conflicting_job is not None
    assert project.job_key == "26-014"


def test_an_add_that_could_not_be_sent_is_tried_again_by_itself(erp: FakeERP, accepted: Callable[..., Project]) -> None:
    project = accepted()
    erp.next_create(NOT_SENT, created=False)
    run(erp)
    assert project.status is Status.EXPORTING
    assert project.export is not None
    assert project.export.sent_at is None
    run_later(erp)
    assert project.status is Status.SYNCED


def test_an_unknown_outcome_whose_job_is_there_becomes_synced_by_looking(
    erp: FakeERP, accepted: Callable[..., Project]
) -> None:
    project = accepted()
    erp.next_create(UNKNOWN, created=True)
    run(erp)
    assert project.status is Status.CHECKING
    run_later(erp)
    assert project.status is Status.SYNCED
    assert added(erp) == 1


def test_a_character_that_can_not_be_read_does_not_make_it_another_job(
    erp: FakeERP, accepted: Callable[..., Project]
) -> None:
    project = accepted()
    erp.next_create(UNKNOWN, created=True)
    run(erp)
    erp.kept["26-014"]["Job_Description"] = "Dep\N{REPLACEMENT CHARACTER}t 26-014"
    run_later(erp)
    assert project.status is Status.SYNCED
    assert "Spectrum Job Name was sent as" in project.export.warnings[0]  # type: ignore[union-attr]
    job_list.refresh(erp)
    db.session.expire_all()
    assert not project.drifted


def test_an_unknown_outcome_with_another_job_there_fails_and_keeps_the_number(
    erp: FakeERP, accepted: Callable[..., Project]
) -> None:
    project = accepted()
    erp.next_create(UNKNOWN, created=False)
    run(erp)
    erp.keep({"Job_Number": "26-014", "Job_Description": "Somebody else's"})
    run_later(erp)
    assert project.status is Status.FAILED
    assert project.export is not None
    assert project.export.error == "Job 26-014 already exists in Spectrum and is not this project."
    assert project.job_key == "26-014"


def test_no_second_add_comes_before_two_looks_apart_and_then_only_one(
    erp: FakeERP, accepted: Callable[..., Project]
) -> None:
    project = accepted()
    for _ in range(2):
        erp.next_create(UNKNOWN, created=False)
    run(erp)
    run(erp)
    assert added(erp) == 1
    run_later(erp, 31)
    assert added(erp) == 1
    run_later(erp, 62)
    assert added(erp) == 2
    for seconds in range(100, 3000, 301):
        run_later(erp, seconds)
    assert added(erp) == 2
    assert project.status is Status.CHECKING


def test_a_second_add_that_works_settles_it(erp: FakeERP, accepted: Callable[..., Project]) -> None:
    project = accepted()
    erp.next_create(UNKNOWN, created=False)
    run(erp)
    look_and_resend(erp)
    assert project.status is Status.SYNCED
    assert added(erp) == 2


def test_a_duplicate_on_the_second_add_means_looking_again(erp: FakeERP, accepted: Callable[..., Project]) -> None:
    project = accepted()
    erp.next_create(UNKNOWN, created=False)
    erp.next_create(DUPLICATE, created=True)
    run(erp)
    look_and_resend(erp)
    assert project.status is Status.CHECKING
    run_later(erp, 100)
    assert project.status is Status.SYNCED


def test_a_list_that_was_cut_short_never_allows_a_second_add(erp: FakeERP, accepted: Callable[..., Project]) -> None:
    project = accepted()
    erp.next_create(UNKNOWN, created=False)
    run(erp)
    for number in range(3):
        erp.keep({"Job_Number": f"X{number}", "Customer_Code": "CASCREST", "Division": "1", "Cost_Center": "TACOMA"})
    erp.cap = 2
    for seconds in range(31, 400, 31):
        run_later(erp, seconds)
    assert added(erp) == 1
    assert project.status is Status.CHECKING
    assert project.can_be_resolved


def test_a_crash_between_sending_and_the_answer_is_checked_and_never_sent_blindly(
    erp: FakeERP, accepted: Callable[..., Project]
) -> None:
    project = accepted()
    assert project.export is not None
    project.export.sent_at = utcnow()
    db.session.commit()
    erp.keep(values(project.export))
    run(erp)
    assert added(erp) == 0
    assert project.status is Status.SYNCED


def test_a_worker_whose_lease_ran_out_writes_nothing_more(
    erp: FakeERP, accepted: Callable[..., Project], monkeypatch: pytest.MonkeyPatch
) -> None:
    project = accepted()
    slow = erp.create_job

    def taken_over_meanwhile(request: Any) -> WriteResult:
        answer = slow(request)
        with exports.writing():
            export = db.session.get_one(Export, project.export.id)  # type: ignore[union-attr]
            export.token = "somebody else"
        return answer

    monkeypatch.setattr(erp, "create_job", taken_over_meanwhile)
    run(erp)
    assert project.status is Status.EXPORTING
    assert project.export is not None
    assert project.export.created_at is None


def test_what_reads_back_different_is_a_remark_on_a_synced_project(
    erp: FakeERP, accepted: Callable[..., Project]
) -> None:
    project = accepted()
    assert project.export is not None
    erp.next_create(WriteResult(Outcome.CREATED), created=False)
    erp.keep(values(project.export) | {"City": "Fife"})
    erp.kept["26-014"]["Customer_Code"] = "OTHER"  # the first look, narrowed by customer, does not see it
    run(erp)
    assert project.status is Status.SYNCED
    assert project.export.warnings == [
        "City was sent as “Tacoma” and is “Fife” in Spectrum.",
        "Customer was sent as “CASCREST” and is “OTHER” in Spectrum.",
    ]


def test_taking_back_is_possible_until_something_was_sent(
    erp: FakeERP, accepted: Callable[..., Project], cast: dict[str, Person]
) -> None:
    project = accepted()
    workflow.cancel_export(project, cast["approver"])
    db.session.commit()
    run(erp)
    assert erp.calls == []
    assert project.status is Status.READY
    assert project.job_key is None


def test_what_was_sent_can_not_be_taken_back(accepted: Callable[..., Project], cast: dict[str, Person]) -> None:
    project = accepted()
    assert project.export is not None
    project.export.sent_at = utcnow()
    db.session.commit()
    with pytest.raises(NotAllowed, match="sent to Spectrum"):
        workflow.cancel_export(project, cast["approver"])


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)  # SQLite lets nobody write in between
def test_what_was_sent_a_moment_ago_can_not_be_taken_back_on_a_page_that_does_not_know_it(
    accepted: Callable[..., Project], cast: dict[str, Person]
) -> None:
    project = accepted()
    assert project.export is not None
    assert project.export.sent_at is None
    with db.engine.begin() as worker:
        worker.execute(update(Export).values(sent_at=utcnow()))
    with pytest.raises(NotAllowed, match="sent to Spectrum"):
        workflow.cancel_export(project, cast["approver"])


def test_a_person_may_end_a_checking_only_after_two_looks(
    erp: FakeERP, accepted: Callable[..., Project], cast: dict[str, Person]
) -> None:
    project = accepted()
    erp.next_create(UNKNOWN, created=False)
    erp.next_create(UNKNOWN, created=False)
    run(erp)
    with pytest.raises(NotAllowed, match="still looking"):
        workflow.resolve(project, cast["approver"], exists=True)
    look_and_resend(erp)
    workflow.resolve(project, cast["approver"], exists=False, comment="Looked under Jobs, it is not there.")
    db.session.commit()
    assert project.status is Status.FAILED
    assert project.job_key is None
    assert project.events[0].comment == "Looked under Jobs, it is not there."
    run_later(erp, 4000)
    assert added(erp) == 2


def test_it_is_in_spectrum_makes_it_synced(
    erp: FakeERP, accepted: Callable[..., Project], cast: dict[str, Person]
) -> None:
    project = accepted()
    for _ in range(2):
        erp.next_create(UNKNOWN, created=False)
    run(erp)
    look_and_resend(erp)
    workflow.resolve(project, cast["approver"], exists=True)
    db.session.commit()
    assert project.status is Status.SYNCED
    assert project.events[0].who == "Approver"


PHASES = [
    {"Job_Number": "T-COMM", "Phase_Code": f"0{number}", "Cost_Type": "L", "Description": f"Phase {number}",
     "Price_Method_Code": "F", "Original_Est_Hours": "80", "Original_Est_Cost": "9000"}
    for number in range(1, 6)
]  # fmt: skip


def with_phases(erp: FakeERP) -> None:
    erp.keep({"Job_Number": "T-COMM"})
    for phase in PHASES:
        erp.keep_phase(**phase)
    erp.calls.clear()


def test_a_template_that_asks_for_it_has_its_phases_copied_without_hours_or_dollars(
    erp: FakeERP, accepted: Callable[..., Project]
) -> None:
    with_phases(erp)
    project = accepted(copy_phases=True)
    run(erp)
    copied = [values for service, values in erp.calls if service == "AddPhase"]
    assert [values["Phase_Code"] for values in copied] == ["01", "02", "03", "04", "05"]
    assert not any(name.startswith(("Original_", "Current_")) and values[name] for values in copied for name in values)
    assert project.export is not None
    assert (project.export.phases_done, project.export.phases_total) == (5, 5)
    assert project.export.warnings == []


def test_phases_stay_where_a_template_does_not_ask_for_them(erp: FakeERP, accepted: Callable[..., Project]) -> None:
    with_phases(erp)
    accepted()
    run(erp)
    assert not [service for service, _ in erp.calls if service == "AddPhase"]


def test_copying_that_stops_in_the_middle_is_a_remark_and_goes_on_with_what_is_missing(
    erp: FakeERP, accepted: Callable[..., Project], cast: dict[str, Person], monkeypatch: pytest.MonkeyPatch
) -> None:
    with_phases(erp)
    project = accepted(copy_phases=True)
    real, tried = erp.add_phase, []

    def stops_after_two(job_number: str, phase: Phase) -> WriteResult:
        tried.append(phase.name)
        return real(job_number, phase) if len(tried) <= 2 else UNKNOWN

    monkeypatch.setattr(erp, "add_phase", stops_after_two)
    run(erp)
    assert project.status is Status.SYNCED
    assert project.export is not None
    assert project.export.warnings == ["Phase 03 L was not copied. Spectrum did not answer in time."]
    monkeypatch.undo()
    erp.calls.clear()
    workflow.copy_remaining_phases(project, cast["approver"])
    db.session.commit()
    run(erp)
    assert [values["Phase_Code"] for service, values in erp.calls if service == "AddPhase"] == ["03", "04", "05"]
    assert project.export.warnings == []
    assert project.export.phases_done == 5
    assert added(erp) == 0
