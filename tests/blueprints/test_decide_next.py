"""After a decision: the next project that waits, a rejection undone, and a page of record that refreshes itself."""

from collections.abc import Callable
from datetime import timedelta

import pytest
import time_machine
from conftest import Browser
from support.jobs import compose

from extensions import db
from models import Delivery, Job, MailOutcome, Person, Project, Setting, SettingName, Side, Status, utcnow
from services import erp_settings, workflow

SignIn = Callable[[str], Browser]
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def queue(make_project: Callable[..., Project], cast: dict[str, Person], template: Job) -> list[Project]:
    """Three projects that wait, the oldest first."""
    projects = []
    for count in (1, 2, 3):
        with time_machine.travel(utcnow() - timedelta(days=9 - count), tick=False):
            projects.append(make_project(number=f"26-00{count}", name=f"Depot {count}"))
            workflow.send(projects[-1], cast["manager"])
            db.session.commit()
    return projects


def acceptance(project: Project, **more: str) -> dict[str, object]:
    typed = {"template": "T-COMM", "template_shown": "T-COMM", "taxable": "Y", "price_type": "F", "division": "1"}
    return typed | {"version": project.version, "job_number": project.number, "job_name": project.name} | more


def rejection(project: Project) -> dict[str, object]:
    return {"version": project.version, "comment": "The address is missing."}


def mails() -> list[Delivery]:
    return db.session.query(Delivery).filter_by(kind="rejection").all()


def test_a_projects_page_leads_to_the_next_one_that_waits_and_counts_the_rest(
    browser: SignIn, queue: list[Project]
) -> None:
    approver = browser("approver")
    for place, following in ((0, 1), (1, 2), (2, 0)):
        page = approver.get(f"/approvals/{queue[place].id}").text
        link = f'Next: <a href="/approvals/{queue[following].id}"><span class="number">{queue[following].number}</span>'
        assert link in page
        assert "2 left" in page
        assert "Back to list" in page
    for project in queue:
        approver.post(f"/approvals/{project.id}/reject", rejection(project))
    assert "Nothing else is waiting" in approver.get(f"/approvals/{queue[0].id}").text
    assert "Next:" not in browser("onlooker").get(f"/approvals/{queue[0].id}").text


def test_export_and_open_next_goes_to_the_next_accept_form_and_at_the_end_to_the_list(
    browser: SignIn, queue: list[Project]
) -> None:
    approver = browser("approver")
    addresses = [*(f"/approvals/{project.id}/accept" for project in queue), "/erp/jobs"]
    for project, here, there in zip(queue, addresses, addresses[1:], strict=False):
        answer = approver.post(here, acceptance(project, open_next="yes"))
        assert (answer.status_code, answer.location) == (303, there)
    assert all(project.status is Status.EXPORTING for project in queue)


@pytest.mark.parametrize("headers", [{}, {"HX-Request": "true", "HX-Target": "tr#project-1"}])
@pytest.mark.parametrize("status", [Status.READY, Status.FAILED, Status.READY_TO_UPDATE, Status.UPDATE_FAILED])
def test_a_rejection_is_undone_and_its_mail_is_never_sent(
    browser: SignIn, queue: list[Project], headers: dict[str, str], status: Status
) -> None:
    project, approver = queue[0], browser("approver")
    project.status, project.question_to = status, Side.SENDER
    project.accepted = {"phone": "2535550129", "restore phone": "yes"}
    db.session.commit()
    page = approver.post(f"/approvals/{project.id}/reject", rejection(project), **headers).text
    page = page if headers else approver.get(f"/approvals/{project.id}").text
    undo = f"/approvals/{project.id}/undo-rejection"
    assert f'action="{undo}"' in page
    assert all(mail.due_at and mail.due_at > utcnow() for mail in mails())
    approver.post(undo, {"version": project.version})
    db.session.expire_all()
    assert project.status is status
    assert project.question_to is Side.SENDER
    assert project.accepted == {"phone": "2535550129", "restore phone": "yes"}
    assert [event.from_status for event in project.events[:2]] == [event.to_status for event in project.events[1::-1]]
    assert [(mail.outcome, mail.due_at) for mail in mails()] == [(MailOutcome.SKIPPED, None)]
    page = approver.get(f"/approvals/{project.id}").text
    assert "<b>Approver</b> undid the rejection" in page
    approver.post(f"/approvals/{project.id}/reject", rejection(project))
    assert [mail.outcome for mail in mails()] == [MailOutcome.SKIPPED, None]  # a mail of its own


@pytest.mark.parametrize("meanwhile", ["time passed", "the mail is being sent", "the sender corrects it"])
def test_a_rejection_that_went_its_way_is_not_undone(
    browser: SignIn, queue: list[Project], cast: dict[str, Person], meanwhile: str
) -> None:
    project, approver = queue[0], browser("approver")
    approver.post(f"/approvals/{project.id}/reject", rejection(project))
    if meanwhile == "the mail is being sent":
        mails()[0].token = "a-worker's"
    if meanwhile == "the sender corrects it":
        workflow.edit(project, cast["manager"], project.information | {"city": "Fife"})
    db.session.commit()
    with time_machine.travel(utcnow() + (timedelta(minutes=1) if meanwhile == "time passed" else timedelta(0))):
        assert ">Undo<" not in approver.get(f"/approvals/{project.id}").text
        answer = approver.post(f"/approvals/{project.id}/undo-rejection", {"version": project.version})
    assert answer.status_code == 409
    assert "can no longer be undone" in answer.text
    assert project.status is Status.REJECTED
    assert mails()[0].outcome is None


def test_a_page_of_record_is_whole_once_its_export_ended(
    browser: SignIn, queue: list[Project], cast: dict[str, Person], template: Job
) -> None:
    project, approver = queue[0], browser("approver")
    template.copy_phases = True
    workflow.accept(
        project, cast["approver"], compose(project.information, {}, {"Job_Number": "26-001"}), template, "HB"
    )
    export = project.export
    db.session.commit()
    address = f"/approvals/{project.id}/standing?was=Exporting"
    assert "History" not in approver.get(address).text
    export.created_at, export.phases_done, export.phases_total = utcnow(), 4, 5
    workflow.mark_exported(project)
    db.session.commit()
    answer = approver.get(address)
    assert answer.headers["HX-Retarget"] == answer.headers["HX-Reselect"] == "#whole"
    for words in ("What Spectrum received", "History", "template T-COMM and 4 phases. Accepted by Approver."):
        assert words in answer.text
    assert "<dt>Phases copied</dt><dd>4 of 5</dd>" in answer.text
    said = answer.headers["HX-Trigger"]
    assert f"{project.title} is now in Spectrum as job 26-001." in said
    assert f'["26-001", "/approvals/{project.id}"]' in said


def test_a_failure_is_announced_as_an_alert(
    browser: SignIn, queue: list[Project], cast: dict[str, Person], template: Job
) -> None:
    project = queue[0]
    workflow.accept(project, cast["approver"], compose(project.information, {}, {"Job_Number": "1"}), template, "HB")
    workflow.mark_failed(project, "Spectrum refused it.")
    db.session.commit()
    assert (
        '"failed": true' in browser("approver").get(f"/approvals/{project.id}/row?was=Exporting").headers["HX-Trigger"]
    )


def test_nothing_is_said_to_be_exported_while_exports_are_paused(
    browser: SignIn, queue: list[Project], cast: dict[str, Person]
) -> None:
    erp_settings.pause(cast["controller"])
    db.session.commit()
    approver = browser("approver")
    approver.post(f"/approvals/{queue[0].id}/accept", acceptance(queue[0]))
    page = approver.get("/erp/jobs").text
    assert "was accepted as job 26-001. It is exported once exports are resumed." in page
    assert "is being exported" not in page
    assert Setting.read(SettingName.PAUSED)
