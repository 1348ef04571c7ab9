"""A job that was changed in Spectrum after accounting accepted it: found by a refresh, and settled by a person."""

from collections.abc import Callable
from datetime import date

import pytest
from conftest import Browser
from support.fake_erp import FakeERP
from support.html_checks import Markup
from support.updates import UpdateStory

from extensions import db
from models import Delivery, Job, Person, Project, Status
from services import drift
from tasks import job_dates, job_list

Asks = Callable[[str], Browser]


@pytest.fixture
def story(erp: FakeERP, make_project: Callable[..., Project], cast: dict[str, Person], template: Job) -> UpdateStory:
    story = UpdateStory(erp, make_project(), cast["manager"], cast["approver"], template)
    refresh(story)
    return story


def refresh(story: UpdateStory) -> None:
    job_list.refresh(story.erp)
    db.session.expire_all()


def settle(story: UpdateStory, manager: Browser, how: str, there: str = "2535550199") -> int:
    form = {"version": story.project.version, "column": "phone", "there": there, "as": how}
    return manager.post(f"/admin/projects/{story.project.id}/drift", form).status_code


def test_a_refresh_finds_what_was_changed_and_pages_say_so_without_a_mail(story: UpdateStory, browser: Asks) -> None:
    manager, version = browser("manager"), story.project.version
    assert "was changed in Spectrum" not in manager.get(f"/admin/projects/{story.project.id}").text
    mails = db.session.query(Delivery).count()
    story.change_job(phone="2535550199")
    refresh(story)
    shown = manager.get(f"/admin/projects/{story.project.id}").text
    assert "Phone was changed in Spectrum after " in shown
    assert ": 253-555-0129 → 253-555-0199" in shown
    assert not Markup(shown).faults
    assert "Changed in Spectrum" in browser("approver").get("/erp/jobs?filter=synced").text
    assert (db.session.query(Delivery).count(), story.project.version) == (mails, version)


def test_taken_over_here_the_project_says_the_same_and_nothing_differs(story: UpdateStory, browser: Asks) -> None:
    story.change_job(phone="2535550199", city="Fife")
    refresh(story)
    assert settle(story, browser("manager"), "take over") == 303
    assert story.project.phone == "2535550199"
    assert [each.column for each in drift.find(story.project)] == ["city"]
    assert "Accounting last accepted" not in browser("manager").get(f"/admin/projects/{story.project.id}").text


def test_a_date_that_was_changed_in_spectrum_is_found_and_taken_over_like_any_value(
    erp: FakeERP, make_project: Callable[..., Project], cast: dict[str, Person], template: Job, browser: Asks
) -> None:
    project = make_project(completion_date=date(2026, 12, 18))
    story, manager = UpdateStory(erp, project, cast["manager"], cast["approver"], template), browser("manager")
    refresh(story)
    assert not drift.find(project)
    story.change_job(completion_date="01/29/2027")
    refresh(story)
    shown = manager.get(f"/admin/projects/{project.id}").text
    assert ": Dec 18, 2026 → Jan 29, 2027" in shown
    form = {"version": project.version, "column": "completion_date", "there": "01/29/2027", "as": "take over"}
    assert manager.post(f"/admin/projects/{project.id}/drift", form).status_code == 303
    assert (project.completion_date, project.drifted) == (date(2027, 1, 29), False)


def test_the_dates_of_projects_cost_a_refresh_one_call_and_a_bounded_number_past_the_row_limit(
    story: UpdateStory, monkeypatch: pytest.MonkeyPatch
) -> None:
    def count() -> int:
        story.erp.calls.clear()
        refresh(story)
        return [service for service, _ in story.erp.calls].count("GetJobDates")

    assert count() == 1
    story.change_job(start_date="03/02/2026")
    story.erp.cap, before = 3, story.job
    for number in range(20):
        story.erp.keep(before | {"Job_Number": f"25-{number:03}", "Cost_Center": f"C{number % 10}"})
    story.erp.kept["26-014"] = story.erp.kept.pop("26-014")  # the last one
    assert count() == 2
    assert [each.column for each in drift.find(story.project)] == ["start_date"]
    monkeypatch.setattr(job_dates, "MOST_CALLS", 1)
    assert count() == 1
    assert story.project.drifted, "what was not read stays as it was"
    story.erp.missing = {"GetJobDates"}
    assert count() == 1


def test_sent_back_it_is_an_update_that_is_not_ticked_by_itself(story: UpdateStory, browser: Asks) -> None:
    story.change_job(phone="2535550199")
    refresh(story)
    assert settle(story, browser("manager"), "send") == 303
    assert story.project.status is Status.READY_TO_UPDATE
    assert story.read().ticked == frozenset()
    story.accept("phone")
    story.run()
    assert (story.job["Phone"], story.project.status) == ("2535550129", Status.SYNCED)
    refresh(story)
    assert not story.project.drifted
    assert not drift.find(story.project)


def test_what_is_left_is_not_shown_until_it_changes_again(story: UpdateStory, browser: Asks) -> None:
    story.change_job(phone="2535550199")
    refresh(story)
    assert settle(story, browser("manager"), "leave") == 303
    refresh(story)
    assert not story.project.drifted
    story.change_job(phone="2535550111")
    refresh(story)
    assert story.project.drifted


def test_what_was_changed_meanwhile_is_not_settled(story: UpdateStory, browser: Asks) -> None:
    story.change_job(phone="2535550111")
    refresh(story)
    assert settle(story, browser("manager"), "take over") == 409
    assert story.project.phone == "253-555-0129"


def test_what_changed_while_an_update_waited_is_found_once_it_is_retrieved(story: UpdateStory, browser: Asks) -> None:
    story.send(city="Fife")
    story.change_job(phone="2535550199")
    refresh(story)
    browser("manager").post(f"/admin/projects/{story.project.id}/retrieve", {"version": story.project.version})
    assert story.project.status is Status.SYNCED
    assert story.project.drifted
    assert [each.column for each in drift.find(story.project)] == ["phone"]
