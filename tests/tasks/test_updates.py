"""The update of a job, with a Spectrum in memory: what is sent of it, and every way in which it can end.

Taken out to see a test here fail: what was seen against what is there now, the check for a complete job, the limit of
tries, the reading before a second sending, what keeps a missing GetJobDates from holding exports.
"""

from collections.abc import Callable
from datetime import date, timedelta

import pytest
import time_machine
from flask import current_app
from support.fake_erp import FakeERP
from support.updates import UpdateStory

from erp import Message, Outcome, WriteResult
from extensions import db
from models import Delivery, Job, NotAllowed, Person, Project, Setting, SettingName, Status, utcnow
from services import erp_settings, update_form, workflow

UNKNOWN = WriteResult(Outcome.UNKNOWN, "Spectrum did not answer in time.")
REFUSED = WriteResult(Outcome.REFUSED, "Spectrum refused it.", (Message("Phone", "Phone is invalid", "I"),))


@pytest.fixture
def story(erp: FakeERP, make_project: Callable[..., Project], cast: dict[str, Person], template: Job) -> UpdateStory:
    project = make_project(address_2="Unit B", completion_date=date(2026, 12, 18))
    return UpdateStory(erp, project, cast["manager"], cast["approver"], template)


def sent(story: UpdateStory) -> list[dict[str, str]]:
    return [values for service, values in story.erp.calls if service == "UpdateJob"]


def run_later(story: UpdateStory, times: int = 1) -> None:
    for minutes in range(1, times + 1):
        with time_machine.travel(utcnow() + timedelta(minutes=minutes)):
            story.run()


def test_only_what_was_ticked_is_sent_and_nothing_else_of_the_job_changes(story: UpdateStory) -> None:
    before = dict(story.job)
    story.send(phone="253-555-0199", city="Fife", completion_date=date(2027, 1, 29))
    story.accept("phone", "completion_date")
    assert story.project.status is Status.UPDATING
    story.run()
    assert story.project.status is Status.SYNCED
    assert sent(story) == [{"Job_Number": "26-014", "Phone": "2535550199", "Est_Complete_Date": "01/29/2027"}]
    assert story.job == before | {"Phone": "2535550199", "Est_Complete_Date": "01/29/2027"}
    assert [each.column for each in update_form.changes(story.project)] == ["city"]
    mail = db.session.query(Delivery).filter_by(kind="update").one()
    assert mail.person is story.manager


def test_what_accounting_last_accepted_is_the_frozen_request_and_not_the_job_list(story: UpdateStory) -> None:
    story.change_job(phone="2535550111")
    story.read()
    story.send(phone="253-555-0199")
    assert [(each.column, each.accepted) for each in update_form.changes(story.project)] == [("phone", "2535550129")]


def test_a_value_that_somebody_changed_in_spectrum_is_not_ticked_and_says_so(story: UpdateStory) -> None:
    story.send(phone="253-555-0199", city="Fife")
    story.change_job(phone="2535550111")
    form = story.read()
    assert form.ticked == {"city"}
    assert [(line.change.column, line.note) for line in form.lines if line.note] == [("phone", update_form.CHANGED)]


def test_other_capital_letters_are_a_change_to_send(story: UpdateStory) -> None:
    story.send(city="TACOMA")
    assert story.read().ticked == {"city"}
    story.accept()
    story.run()
    assert sent(story) == [{"Job_Number": "26-014", "City": "TACOMA"}]
    assert (story.project.status, story.job["City"]) == (Status.SYNCED, "TACOMA")


def test_a_spectrum_that_keeps_other_letters_than_it_was_sent_ends_as_synced(story: UpdateStory) -> None:
    story.send(city="TACOMA")
    story.accept()
    for _ in range(3):  # as if it had come, and been kept as Tacoma
        story.erp.next_create(UNKNOWN, created=False)
    run_later(story, 8)
    assert (story.project.status, len(sent(story))) == (Status.SYNCED, 3)


def test_a_value_that_was_emptied_has_no_checkbox_and_alone_cannot_be_sent(story: UpdateStory) -> None:
    with pytest.raises(NotAllowed, match="only emptied"):
        story.send(address_2="")
    db.session.rollback()
    story.send(address_2="", city="Fife")
    line = next(line for line in story.read().lines if line.change.column == "address_2")
    assert (line.can_be_ticked, line.note) == (False, update_form.EMPTIED)
    story.accept()
    story.run()
    assert (story.job["City"], story.job["Address_2"]) == ("Fife", "Unit B")


def test_nothing_is_sent_where_nothing_differs(story: UpdateStory) -> None:
    with pytest.raises(NotAllowed, match="Nothing differs"):
        workflow.send(story.project, story.manager)


def test_a_longer_name_is_shortened_as_in_the_accept_form(story: UpdateStory) -> None:
    story.send(name="Harbor Point Parking Structure Phase Two")
    form = story.read()
    assert len(form.job_name) <= 25
    story.accept()
    story.run()
    assert story.job["Job_Description"] == form.job_name
    assert not update_form.changes(story.project)


def test_a_value_changed_in_spectrum_after_the_decision_is_not_overwritten(story: UpdateStory) -> None:
    story.send(phone="253-555-0199")
    story.accept()
    story.change_job(phone="2535550111")
    story.run()
    assert story.project.status is Status.UPDATE_FAILED
    assert "Phone was changed in Spectrum to “2535550111”" in story.project.export.error  # type: ignore[union-attr]
    assert not sent(story)
    story.accept("phone")
    story.run()
    assert (story.project.status, story.job["Phone"]) == (Status.SYNCED, "2535550199")


def test_a_refusal_is_told_by_field_and_can_be_retried_or_rejected(story: UpdateStory) -> None:
    story.send(phone="253-555-0199")
    story.accept()
    story.erp.next_create(REFUSED, created=False)
    story.run()
    assert story.project.status is Status.UPDATE_FAILED
    assert story.project.export.field_errors == [["Phone", "Phone is invalid"]]  # type: ignore[union-attr]
    assert story.project.spectrum_job_id == "26-014"
    workflow.reject(story.project, story.approver, "Ask the owner")
    db.session.commit()
    assert (story.project.status, story.project.spectrum_job_id) == (Status.SYNCED, "26-014")
    assert db.session.query(Delivery).filter_by(kind="rejection").one().person is story.manager


@pytest.mark.parametrize(("changed", "calls"), [(True, 1), (False, 2)])
def test_after_a_lost_reply_the_job_is_read_and_sent_again_only_where_it_is_not_there(
    story: UpdateStory, changed: bool, calls: int
) -> None:
    story.send(phone="253-555-0199")
    story.accept()
    story.erp.next_create(UNKNOWN, created=changed)
    story.run()
    assert story.project.status is Status.UPDATING
    assert not story.project.allows(workflow.Transition.TAKE_BACK)
    run_later(story)
    assert story.project.status is Status.SYNCED
    assert len(sent(story)) == calls


def test_an_update_that_never_arrives_fails_after_three_tries_with_what_is_known(story: UpdateStory) -> None:
    story.send(phone="253-555-0199")
    story.accept()
    for _ in range(5):
        story.erp.next_create(UNKNOWN, created=False)
    story.run()
    run_later(story, 5)
    assert story.project.status is Status.UPDATE_FAILED
    assert len(sent(story)) == 3
    assert "sent 3 times" in story.project.export.error  # type: ignore[union-attr]
    assert "did not answer" in story.project.export.error  # type: ignore[union-attr]


def test_a_complete_job_is_refused_with_a_sentence(story: UpdateStory) -> None:
    story.send(phone="253-555-0199")
    story.accept()
    story.job["Status_Code"] = "C"
    story.run()
    assert story.project.status is Status.UPDATE_FAILED
    assert "complete in Spectrum" in story.project.export.error  # type: ignore[union-attr]
    assert not sent(story)


def test_without_getjobdates_no_update_is_sent_and_exports_go_on(story: UpdateStory) -> None:
    story.send(phone="253-555-0199")
    story.accept()
    story.erp.missing = {"GetJobDates"}
    story.run()
    assert story.project.status is Status.UPDATING
    assert "GetJobDates" in story.project.export.error  # type: ignore[union-attr]
    assert not sent(story)
    assert not erp_settings.export_alarm()
    story.erp.missing = set()
    run_later(story)
    assert story.project.status is Status.SYNCED


@pytest.mark.parametrize("outcome", [Outcome.NOT_SENT, Outcome.HELD])
def test_an_update_that_was_not_sent_waits_can_be_taken_back_and_goes_by_itself(
    story: UpdateStory, outcome: Outcome
) -> None:
    story.send(phone="253-555-0199")
    story.accept()
    story.erp.next_create(WriteResult(outcome, "Spectrum is away."), created=False)
    story.run()
    assert story.project.status is Status.UPDATING
    assert story.project.allows(workflow.Transition.TAKE_BACK)
    run_later(story)
    assert story.project.status is Status.SYNCED


def test_while_exports_are_paused_no_update_goes(story: UpdateStory) -> None:
    story.send(phone="253-555-0199")
    story.accept()
    Setting.write(SettingName.PAUSED, {"by": "Dana", "at": utcnow().isoformat()})
    db.session.commit()
    story.run()
    assert not sent(story)


def test_an_update_can_be_taken_back_and_retrieved_and_the_job_stays(story: UpdateStory) -> None:
    story.send(phone="253-555-0199")
    story.accept()
    workflow.cancel_export(story.project, story.approver)
    db.session.commit()
    assert (story.project.status, story.project.spectrum_job_id) == (Status.READY_TO_UPDATE, "26-014")
    story.run()
    assert not sent(story)
    workflow.retrieve(story.project, story.manager)
    db.session.commit()
    assert (story.project.status, story.project.spectrum_job_id) == (Status.SYNCED, "26-014")
    assert story.project.phone == "253-555-0199"


@pytest.mark.parametrize(
    ("hidden", "changed", "named"),
    [
        ("Phone", {}, "Phone"),
        ("Est_Start_Date", {}, "Estimated Start Date"),
        ("Status_Code", {}, "Status Code"),
        ("Create_Date", {}, "Create Date"),
        ("", {"Create_Date": "01/\ufffd5/2026"}, "Create Date"),
        ("", {"Phone": "253\ufffd"}, "Phone"),
    ],
)
def test_what_was_not_read_in_full_is_neither_taken_as_there_nor_overwritten(
    hidden: str, changed: dict[str, str], named: str, story: UpdateStory
) -> None:
    """Out: _unread in tasks/updates.py, and with it unread_value."""
    story.send(phone="253-555-0199", start_date=date(2026, 5, 1))
    story.accept("phone", "start_date")
    before = dict(story.job)
    story.erp.hidden = {hidden}
    story.job.update(changed)
    run_later(story, 4)
    assert story.project.status is Status.UPDATING
    assert not sent(story)
    told = f"Spectrum did not show {named} of job 26-014 in full, so the update waits."
    assert story.project.export and story.project.export.error == told
    story.erp.hidden = set()
    story.job.update(before)
    run_later(story, 6)
    assert story.project.status is Status.SYNCED
    assert len(sent(story)) == 1


def test_a_value_that_is_damaged_in_spectrum_itself_can_be_corrected(story: UpdateStory) -> None:
    story.change_job(city="Tac\ufffdma")
    story.send(city="Fife")
    story.accept("city")
    story.run()
    assert story.job["City"] == "Fife"


def test_with_four_eyes_the_sender_cannot_accept_the_update(story: UpdateStory) -> None:
    story.send(phone="253-555-0199")
    current_app.config["FOUR_EYES"] = True
    with pytest.raises(NotAllowed, match="another accounting approver"):
        workflow.accept_update(story.project, story.manager, [], {})


def test_a_worker_that_died_after_sending_does_not_send_what_is_there(story: UpdateStory) -> None:
    story.send(phone="253-555-0199")
    story.accept()
    export = story.project.export
    assert export
    export.sent_at, export.checks = utcnow(), 1
    db.session.commit()
    story.change_job(phone="2535550199")
    story.run()
    assert story.project.status is Status.SYNCED
    assert not sent(story)
