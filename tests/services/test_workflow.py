"""The status of a project: every move from every status, allowed or refused, and the event that it leaves."""

from collections.abc import Callable

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError
from support.jobs import compose

from extensions import db
from models import TRANSITIONS, Event, Job, NotAllowed, Person, Project, Status, Transition
from services import workflow

# What the rules are to be, written out a second time on purpose
ALLOWED = {
    ("Not Sent", "sent"): "Ready to Export",
    ("Retrieved", "sent"): "Ready to Export",
    ("Rejected", "sent"): "Ready to Export",
    ("Not Sent", "linked"): "Synced",
    ("Retrieved", "linked"): "Synced",
    ("Rejected", "linked"): "Synced",
    ("Ready to Export", "linked"): "Synced",
    ("Failed to Export", "linked"): "Synced",
    ("Ready to Export", "retrieved"): "Retrieved",
    ("Ready to Export", "rejected"): "Rejected",
    ("Failed to Export", "rejected"): "Rejected",
    ("Rejected", "rejection undone"): "Ready to Export",
    ("Rejected", "rejection of a failed one undone"): "Failed to Export",
    ("Synced", "rejection undone"): "Ready to Update",
    ("Synced", "rejection of a failed one undone"): "Failed to Update",
    ("Ready to Export", "accepted"): "Exporting",
    ("Failed to Export", "retried"): "Exporting",
    ("Exporting", "taken back"): "Ready to Export",
    ("Exporting", "exported"): "Synced",
    ("Exporting", "failed"): "Failed to Export",
    ("Exporting", "being checked"): "Checking",
    ("Checking", "found in Spectrum"): "Synced",
    ("Checking", "exported"): "Synced",
    ("Checking", "failed"): "Failed to Export",
    ("Synced", "unlinked"): "Not Sent",
    ("Synced", "sent"): "Ready to Update",
    ("Ready to Update", "retrieved"): "Synced",
    ("Ready to Update", "rejected"): "Synced",
    ("Ready to Update", "accepted"): "Updating",
    ("Updating", "taken back"): "Ready to Update",
    ("Updating", "updated"): "Synced",
    ("Updating", "failed"): "Failed to Update",
    ("Failed to Update", "retried"): "Updating",
    ("Failed to Update", "rejected"): "Synced",
}
LINES = compose({"number": "26-014", "name": "Depot"}, {}, {"Job_Number": "26-014", "Taxable_Flag": "Y"})


@pytest.mark.parametrize("status", Status)
def test_a_move_is_allowed_from_the_statuses_of_the_table_and_leaves_an_event(
    cast: dict[str, Person], make_project: Callable[..., Project], status: Status
) -> None:
    for number, move in enumerate(Transition):
        project = make_project(number=f"26-{number:03}")
        project.status = status
        db.session.commit()
        to = ALLOWED.get((status, move))
        if to is None:
            with pytest.raises(NotAllowed, match=status):
                workflow._apply(project, move, cast["approver"], "because")
            assert [event.action for event in project.events] == ["created"]
            assert project.status is status
            continue
        workflow._apply(project, move, cast["approver"], "because")
        db.session.commit()
        event = project.events[0]
        assert (event.action, event.from_status, event.to_status) == (move, status, to)
        assert (event.who, event.comment) == ("Approver", "because")
        assert project.status == to


def test_every_status_can_be_reached_and_left() -> None:
    assert {to for leads in TRANSITIONS.values() for to in leads.values()} == set(Status)
    assert {source for leads in TRANSITIONS.values() for source in leads} == set(Status)


def test_an_inactive_project_is_neither_sent_nor_accepted_nor_retried(
    cast: dict[str, Person], make_project: Callable[..., Project], template: Job
) -> None:
    project = make_project()
    workflow.set_active(project, cast["manager"], False)
    with pytest.raises(NotAllowed, match="inactive"):
        workflow.send(project, cast["manager"])
    for status in (Status.READY, Status.FAILED):
        project.status = status
        with pytest.raises(NotAllowed, match="inactive"):
            workflow.accept(project, cast["approver"], LINES, template, "HB")


def test_while_it_is_a_job_only_what_an_update_can_change_is_edited(
    cast: dict[str, Person], make_project: Callable[..., Project]
) -> None:
    project = make_project()
    project.status = Status.SYNCED
    typed = {"number": "X", "description": "X", "name": "Depot", "phone": "253-555-0199"}
    workflow.edit(project, cast["manager"], project.information | typed)
    assert (project.number, project.description) == ("26-014", "Ground floor")
    assert (project.name, project.phone) == ("Depot", "253-555-0199")


def test_deactivating_a_waiting_project_retrieves_it(
    cast: dict[str, Person], make_project: Callable[..., Project]
) -> None:
    project = make_project()
    workflow.send(project, cast["manager"])
    workflow.set_active(project, cast["manager"], False)
    db.session.commit()
    assert project.status is Status.RETRIEVED
    assert [event.action for event in project.events] == ["deactivated", "retrieved", "sent", "created"]


@pytest.mark.parametrize("status", [Status.EXPORTING, Status.CHECKING, Status.UPDATING])
def test_a_project_on_its_way_to_spectrum_can_not_be_switched_off(
    cast: dict[str, Person], make_project: Callable[..., Project], status: Status
) -> None:
    project = make_project()
    project.status = status
    with pytest.raises(NotAllowed, match="being exported"):
        workflow.set_active(project, cast["manager"], False)


def test_information_can_be_edited_only_while_it_is_not_before_accounting(
    cast: dict[str, Person], make_project: Callable[..., Project]
) -> None:
    project = make_project()
    changed = project.information | {"city": "Fife"}
    for status in Status:
        project.status = status
        if status in (Status.NOT_SENT, Status.RETRIEVED, Status.REJECTED, Status.SYNCED):
            workflow.edit(project, cast["manager"], changed)
        else:
            with pytest.raises(NotAllowed, match="locked"):
                workflow.edit(project, cast["manager"], changed)


def test_a_resend_tells_what_changed_since_it_was_sent_before(
    cast: dict[str, Person], make_project: Callable[..., Project]
) -> None:
    project = make_project()
    workflow.send(project, cast["manager"], "first")
    workflow.reject(project, cast["approver"], "Wrong city")
    workflow.edit(project, cast["manager"], project.information | {"city": "Fife"})
    workflow.send(project, cast["manager"], "second")
    db.session.commit()
    assert project.sent_changes == [["City", "Tacoma", "Fife"]]
    assert project.note == "second"


def test_two_deciders_of_the_same_version_can_not_both_win(
    cast: dict[str, Person], make_project: Callable[..., Project]
) -> None:
    project = make_project()
    workflow.send(project, cast["manager"])
    db.session.commit()
    before = project.version
    workflow.reject(project, cast["approver"], "No")
    db.session.commit()
    assert project.version > before


@pytest.mark.parametrize("statement", ["UPDATE event SET comment = 'x'", "DELETE FROM event"])
def test_the_database_itself_refuses_to_change_an_event(make_project: Callable[..., Project], statement: str) -> None:
    make_project()
    with pytest.raises(DBAPIError, match="never changed"):
        db.session.execute(text(statement))
    db.session.rollback()
    assert db.session.scalars(select(Event)).all()


@pytest.mark.parametrize("status", [Status.READY, Status.FAILED, Status.READY_TO_UPDATE, Status.UPDATE_FAILED])
def test_the_database_itself_refuses_a_rejection_without_a_comment(
    cast: dict[str, Person], make_project: Callable[..., Project], status: Status
) -> None:
    project = make_project()
    project.status = status
    db.session.commit()
    with pytest.raises(DBAPIError, match="rejection_has_comment"):
        workflow.reject(project, cast["approver"], "  ")
    db.session.rollback()


def test_a_job_number_is_held_by_one_project_whatever_its_case(
    cast: dict[str, Person], make_project: Callable[..., Project], template: Job
) -> None:
    first, second = make_project(number="26-a"), make_project(number="26-b")
    for project, number in ((first, "26-X"), (second, "26-x")):
        workflow.send(project, cast["manager"])
        lines = compose(project.information, {}, {"Job_Number": number, "Taxable_Flag": "Y"})
        if project is first:
            workflow.accept(project, cast["approver"], lines, template, "HB")
            db.session.commit()
        else:
            with pytest.raises(DBAPIError):
                workflow.accept(project, cast["approver"], lines, template, "HB")
    db.session.rollback()


def test_progress_of_an_export_does_not_touch_the_projects_version(
    cast: dict[str, Person], make_project: Callable[..., Project], template: Job
) -> None:
    project = make_project()
    workflow.send(project, cast["manager"])
    workflow.accept(project, cast["approver"], LINES, template, "HB")
    export = project.export
    db.session.commit()
    version = project.version
    export.step, export.error = "Checking", "waiting"
    db.session.commit()
    assert project.version == version
