"""The pages of an update: edit and send, decide about one or many, and what its people read."""

from collections.abc import Callable

import pytest
from conftest import Browser
from support.fake_erp import FakeERP
from support.html_checks import Markup
from support.updates import UpdateStory

from extensions import db
from models import Delivery, Job, Person, Project, Status, TaskKind, TaskRequest, utcnow
from services import receipt, workflow
from services.outstanding import anything_outstanding
from tasks import mail_messages

Asks = Callable[[str], Browser]


@pytest.fixture
def story(erp: FakeERP, make_project: Callable[..., Project], cast: dict[str, Person], template: Job) -> UpdateStory:
    return UpdateStory(erp, make_project(address_2="Unit B"), cast["manager"], cast["approver"], template)


def typed(project: Project, **changes: str) -> dict[str, object]:
    own = {column: value or "" for column, value in project.information.items()}
    return own | {"version": project.version, "active": "yes"} | changes


def decision(story: UpdateStory, **more: str) -> dict[str, object]:
    """What the form posts back as it opens."""
    project, end = story.project, f"-{story.project.id}"
    form = story.read()
    seen = {f"seen-{line.change.column}{end}": line.there for line in form.lines}
    ticked = {f"send-{column}{end}": "on" for column in form.ticked}
    return {"version": project.version, f"job_name{end}": form.job_name} | seen | ticked | more


def test_a_project_manager_edits_sends_and_retrieves_an_update(story: UpdateStory, browser: Asks) -> None:
    page, project = f"/admin/projects/{story.project.id}", story.project
    manager = browser("manager")
    shown = manager.get(page).text
    assert "Send Update to ERP" in shown
    assert 'name="number" type="text" value="26-014" disabled' in " ".join(shown.split())
    manager.post(page, typed(project, phone="253-555-0199", number="99-999"))
    assert (project.number, project.phone) == ("26-014", "253-555-0199")
    shown = manager.get(page).text
    assert "Accounting last accepted “253-555-0129”." in shown
    assert not Markup(shown).faults
    answer = manager.post(f"{page}/send", typed(project, note="New owner"))
    assert answer.status_code == 303
    assert (project.status, project.note) == (Status.READY_TO_UPDATE, "New owner")
    shown = manager.get(page).text
    assert "Retrieve from ERP" in shown
    assert "Send Update to ERP" not in shown
    manager.post(f"{page}/retrieve", {"version": project.version})
    assert (project.status, project.phone) == (Status.SYNCED, "253-555-0199")


def test_rejected_updates_and_the_undoing_lead_back_to_their_own_list(story: UpdateStory, browser: Asks) -> None:
    story.send(phone="253-555-0199")
    approver, project = browser("approver"), story.project
    page = approver.get(f"/erp/together/reject?project={project.id}").text
    assert "Reject 1 update" in page
    assert page.count('href="/erp/jobs?filter=ready-to-update"') == 2
    rejection = {"project": project.id, f"version-{project.id}": project.version, "comment": "Wrong number."}
    back = approver.post("/erp/together/reject", rejection).location
    shown = approver.get(back).text
    assert "1 update rejected." in shown
    assert "Undo 1 Rejection" in shown
    undoing = {"project": project.id, f"version-{project.id}": project.version}
    assert approver.post("/erp/together/undo-rejection", undoing).location == "/erp/jobs?filter=ready-to-update"
    assert project.status is Status.READY_TO_UPDATE


def test_nothing_to_send_is_said_beside_the_button_and_keeps_what_was_typed(story: UpdateStory, browser: Asks) -> None:
    page, manager = f"/admin/projects/{story.project.id}", browser("manager")
    answer = manager.post(f"{page}/send", typed(story.project))
    assert answer.status_code == 422
    assert "Nothing differs" in answer.text
    answer = manager.post(f"{page}/send", typed(story.project, address_2=""))
    assert answer.status_code == 422
    assert "You only emptied values" in answer.text
    assert story.project.status is Status.SYNCED


def test_the_filter_counts_updates_and_the_digest_tells_them(story: UpdateStory, browser: Asks) -> None:
    assert not anything_outstanding()
    story.send(phone="253-555-0199")
    assert anything_outstanding()
    shown = browser("approver").get("/erp/jobs?filter=ready-to-update").text
    assert 'Ready to Update</a> <span class="count">1</span>' in shown
    assert "Accept Selected" in shown
    assert not Markup(shown).faults
    Delivery.queue_digest(utcnow().date(), story.approver)
    mail = mail_messages.compose(db.session.query(Delivery).filter_by(kind="digest").one())
    assert "Update of job 26-014" in mail.body


def test_accept_has_the_job_read_first_and_then_shows_the_table(story: UpdateStory, browser: Asks) -> None:
    story.send(phone="253-555-0199", address_2="")
    there, approver = f"/approvals/{story.project.id}", browser("approver")
    shown = approver.get(f"{there}/accept").text
    assert "Send Update" not in shown
    assert db.session.query(TaskRequest).count() == 0  # a GET changes nothing
    approver.post(f"{there}/read-job")
    assert db.session.query(TaskRequest).one().kind == TaskKind.READ_JOB
    assert "Reading job 26-014" in approver.get(f"{there}/accept").text
    request = db.session.query(TaskRequest).one()
    request.release()
    db.session.commit()
    story.read()
    shown = approver.get(f"{there}/accept").text
    assert all(f'<th scope="col">{each}</th>' in shown for each in ("Accepted", "In Spectrum", "Will Be"))
    assert shown.count('type="checkbox" name="send-') == 1
    assert "empty it in Spectrum by hand" in shown
    assert not Markup(shown).faults
    answer = approver.post(f"{there}/accept", decision(story))
    assert answer.status_code == 303
    assert story.project.status is Status.UPDATING
    assert not Markup(approver.get(there).text).faults
    assert "Exporting" in approver.get("/erp/jobs?filter=exporting").text
    story.run()
    assert "Job 26-014 was updated" in approver.get(there).text


def test_why_the_job_could_not_be_read_is_said_instead_of_the_table(story: UpdateStory, browser: Asks) -> None:
    story.send(phone="253-555-0199")
    failed = TaskRequest(kind=TaskKind.READ_JOB, subject=str(story.project.id), succeeded=False)
    failed.answer = "GetJobDates is missing."
    db.session.add(failed)
    db.session.commit()
    shown = browser("approver").get(f"/approvals/{story.project.id}/accept").text
    assert "GetJobDates is missing." in shown
    assert "Send Update" not in shown


@pytest.mark.parametrize(
    ("wrong", "said"),
    [({"job_name": ""}, "Enter a name"), ({"job_name": "x" * 26}, "26 characters"), ({}, "at least one value")],
)
def test_what_is_wrong_with_the_decision_is_said_and_nothing_is_sent(
    story: UpdateStory, browser: Asks, wrong: dict[str, str], said: str
) -> None:
    story.send(name="Harbor Point Parking Structure Phase Two")
    form = decision(story, **{f"{name}-{story.project.id}": value for name, value in wrong.items()})
    if not wrong:
        form = {name: value for name, value in form.items() if not name.startswith("send-")}
    answer = browser("approver").post(f"/approvals/{story.project.id}/accept", form)
    assert answer.status_code == 422
    assert said in answer.text
    assert story.project.status is Status.READY_TO_UPDATE


def test_a_decision_about_another_version_is_refused(story: UpdateStory, browser: Asks) -> None:
    story.send(phone="253-555-0199")
    answer = browser("approver").post(f"/approvals/{story.project.id}/accept", decision(story) | {"version": 1})
    assert answer.status_code == 409
    assert story.project.status is Status.READY_TO_UPDATE


def test_a_rejected_update_leaves_the_project_synced_and_its_sender_reads_why(
    story: UpdateStory, browser: Asks
) -> None:
    story.send(phone="253-555-0199")
    approver, there = browser("approver"), f"/approvals/{story.project.id}"
    assert "Enter a comment" in approver.post(f"{there}/reject", {"version": story.project.version}).text
    approver.post(f"{there}/reject", {"version": story.project.version, "comment": "Ask the owner"})
    assert story.project.status is Status.SYNCED
    mail = mail_messages.compose(db.session.query(Delivery).filter_by(kind="rejection").one())
    assert mail.subject == "ERP Project Rejection Notification: 26-014 Depot Lofts Retail Shell"
    assert "was not changed" in mail.body
    assert "Ask the owner" in browser("manager").get(f"/admin/projects/{story.project.id}").text


def test_the_sender_gets_a_mail_when_spectrum_has_the_update(story: UpdateStory) -> None:
    story.send(phone="253-555-0199")
    story.accept()
    story.run()
    mail = mail_messages.compose(db.session.query(Delivery).filter_by(kind="update").one())
    assert mail.subject == "ERP Project Update Notification: 26-014 Depot Lofts Retail Shell"
    assert "26-014" in mail.body


def test_many_updates_are_accepted_or_rejected_at_once(story: UpdateStory, browser: Asks) -> None:
    story.send(phone="253-555-0199")
    project, approver = story.project, browser("approver")
    asked = f"/erp/together/update?project={project.id}"
    assert "Send Update" not in approver.get(asked).text
    assert approver.post("/erp/together/read-jobs", {"project": project.id}).status_code == 303
    assert "Reading 1 job" in approver.get(asked).text
    db.session.query(TaskRequest).one().release()
    db.session.commit()
    form = decision(story)
    shown = approver.get(asked).text
    assert "Send Update" in shown
    assert not Markup(shown).faults
    nothing = {name: value for name, value in form.items() if not name.startswith("send-")}
    versions = {"project": project.id, f"version-{project.id}": project.version}
    assert approver.post("/erp/together/update", nothing | versions).status_code == 422
    assert approver.post("/erp/together/update", form | versions).status_code == 303
    assert project.status is Status.UPDATING
    workflow.cancel_export(project, story.approver)
    db.session.commit()
    versions[f"version-{project.id}"] = project.version
    approver.post("/erp/together/reject", versions | {"comment": "Not now"})
    assert project.status is Status.SYNCED


def test_the_receipt_has_the_export_with_what_updates_changed(story: UpdateStory, browser: Asks) -> None:
    story.send(phone="253-555-0199")
    story.accept()
    story.run()
    lines = {line.label: line for line in receipt.compare(story.project)}
    assert (lines["Phone"].sent, lines["Phone"].now) == ("2535550199", "2535550199")
    assert lines["City"].sent == "Tacoma"
    assert not Markup(browser("approver").get(f"/approvals/{story.project.id}/receipt").text).faults
