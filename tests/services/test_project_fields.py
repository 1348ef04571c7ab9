"""What Spectrum would refuse is said to the project manager before Send, by the same rules as at acceptance."""

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from lxml import html

from erp import rules
from extensions import db
from models import Job, Person, Project, Status
from services import accept_form, workflow

INFORMATION: dict[str, Any] = {
    "number": "26-014",
    "name": "Depot",
    "address_1": "1735 Jefferson Ave",
    "address_2": "",
    "city": "Tacoma",
    "state": "WA",
    "zip": "98402",
    "phone": "253-555-0129",
    "start_date": None,
    "completion_date": None,
}
REFUSED = [
    ({"address_1": "a" * 31}, "address_1", "31 characters long; Spectrum takes 30"),
    ({"address_2": "a" * 31}, "address_2", "Spectrum takes 30"),
    ({"city": "c" * 26}, "city", "Spectrum takes 25"),
    ({"state": "Washington"}, "state", "postal abbreviation"),
    ({"state": "ZZ"}, "state", "postal abbreviation"),
    ({"zip": "98402-1234-5"}, "zip", "Spectrum takes 10"),
    ({"phone": "253 555 0129 ext. 12"}, "phone", "an extension goes into the description"),
    ({"phone": "555-0129 555-0130"}, "phone", "must be one number"),
    ({"phone": "+1 253 555 0129 555 0130"}, "phone", "Spectrum takes 14"),
    ({"phone": "none yet"}, "phone", "must be one number"),
    ({"city": "Tacoma\x07"}, "city", "invisible character"),
    ({"start_date": date(2026, 5, 1), "completion_date": date(2026, 4, 1)}, "completion_date", "is before"),
]


@pytest.mark.parametrize(("changes", "column", "sentence"), REFUSED)
def test_what_spectrum_would_refuse_is_said_at_its_column(changes: dict[str, Any], column: str, sentence: str) -> None:
    said = rules().project_problems(INFORMATION | changes)
    assert list(said) == [column]
    assert sentence in said[column]


def test_a_project_that_spectrum_would_take_is_ready() -> None:
    assert rules().project_problems(INFORMATION) == {}
    assert rules().project_changes(INFORMATION) == {}


def test_an_empty_project_is_ready_because_spectrum_requires_none_of_it() -> None:
    assert (
        rules().project_problems(dict.fromkeys(INFORMATION, "") | {"start_date": None, "completion_date": None}) == {}
    )


@pytest.mark.parametrize(("changes", "column", "sentence"), REFUSED)
def test_readiness_says_word_for_word_what_acceptance_would_say(
    changes: dict[str, Any], column: str, sentence: str, make_project: Callable[..., Project], template: Job
) -> None:
    project = make_project(**changes)
    form = accept_form.from_form(
        project, {"template": "T-COMM", "job_number": "26-900", "job_name": "Depot", "taxable": "Y"}
    )
    assert not form.check()
    assert form.other_errors == list(rules().project_problems(project.information).values())


def test_the_accept_form_says_it_as_soon_as_it_opens(
    browser: Callable[[str], Any], make_project: Callable[..., Project], cast: dict[str, Any]
) -> None:
    project = make_project(state="Washington")
    workflow.send(project, cast["manager"])
    db.session.commit()
    page = browser("approver").get(f"/approvals/{project.id}/accept").text
    assert "Spectrum would refuse this project." in page
    assert rules().project_problems(project.information)["state"] in page


def test_what_was_sent_before_its_state_was_checked_is_said_to_who_can_still_retrieve_it(
    browser: Callable[[str], Any], make_project: Callable[..., Project], cast: dict[str, Person]
) -> None:
    project = make_project(state="ZZ")
    workflow.send(project, cast["manager"])
    db.session.commit()
    told = rules().project_problems(project.information)["state"]
    page = browser("manager").get(f"/admin/projects/{project.id}").text
    assert f"Spectrum would refuse it as it is. {told} Retrieve" in page


def test_a_long_name_and_an_unfit_number_are_said_to_be_accountings_to_change() -> None:
    said = rules().project_changes(
        INFORMATION | {"name": "Commencement Bay Elementary School Addition", "number": "26/014"}
    )
    assert "Spectrum allows 25 characters; accounting will shorten it, for example to “" in said["name"]
    assert "Accounting chooses another number" in said["number"]


def test_the_general_page_says_it_before_send_and_at_the_field(
    browser: Callable[[str], Any], make_project: Callable[..., Project]
) -> None:
    project = make_project(state="Washington")
    page = html.fromstring(browser("manager").get(f"/admin/projects/{project.id}").text)
    warning = page.xpath('//section[@aria-label="Not ready for Spectrum"]')[0]
    assert "postal abbreviation" in warning.text_content()
    assert warning.xpath("following::button[contains(., 'Send to ERP')]")
    field = page.get_element_by_id("state")
    assert "postal abbreviation" in page.get_element_by_id(field.get("aria-describedby")).text_content()
    assert page.xpath('//datalist[@id="states"]/option[@value="WA" and .="Washington"]')
    assert field.get("list") == "states"


def test_a_ready_project_has_no_warning_and_its_fields_count_to_spectrums_limits(
    browser: Callable[[str], Any], make_project: Callable[..., Project]
) -> None:
    page = html.fromstring(browser("manager").get(f"/admin/projects/{make_project().id}").text)
    assert not page.xpath('//section[@aria-label="Not ready for Spectrum"]')
    limits = {field.get("name"): field.get("data-limit") for field in page.xpath("//input[@data-limit]")}
    assert limits == {"address_1": "30", "address_2": "30", "city": "25", "zip": "10"}


def send(browser: Callable[[str], Any], project: Project, **typed: str) -> Any:
    form = {"name": project.name, "number": project.number, "active": "yes", "version": project.version}
    return browser("manager").post(f"/admin/projects/{project.id}/send", form | typed)


def invalid_fields(page: str) -> list[str]:
    return [field.get("name") for field in html.fromstring(page).xpath('//*[@aria-invalid="true"]')]


@pytest.mark.parametrize("typed", ["Washington", "wa", "WA", " washington "])
def test_a_state_may_be_typed_as_a_name_and_is_kept_as_its_abbreviation(
    browser: Callable[[str], Any], make_project: Callable[..., Project], typed: str
) -> None:
    project = make_project()
    assert send(browser, project, state=typed).status_code == 303
    db.session.refresh(project)
    assert (project.state, project.status) == ("WA", Status.READY)


@pytest.mark.parametrize(("column", "typed"), [("state", "Lower Saxony"), ("phone", "none yet"), ("city", "c" * 26)])
def test_what_spectrum_would_refuse_stops_send_at_its_field_and_nothing_sends_it_anyway(
    browser: Callable[[str], Any], make_project: Callable[..., Project], column: str, typed: str
) -> None:
    """Out: problems_before_send in the General page's Send."""
    project = make_project()
    for more in ({}, {"anyway": "yes"}):
        answer = send(browser, project, **{column: typed}, **more)
        assert (answer.status_code, invalid_fields(answer.text)) == (422, [column])
        assert "Send Anyway" not in answer.text
    db.session.refresh(project)
    assert project.status is Status.NOT_SENT


def test_a_number_that_accounting_can_change_is_sent_anyway_and_a_long_name_at_once(
    browser: Callable[[str], Any], make_project: Callable[..., Project]
) -> None:
    project = make_project(number="2026/0140", name="Commencement Bay Elementary School Addition")
    answer = send(browser, project)
    assert (answer.status_code, invalid_fields(answer.text)) == (422, ["number"])
    assert "Send Anyway" in answer.text
    assert send(browser, project, anyway="yes").status_code == 303
    db.session.refresh(project)
    assert project.status is Status.READY


def test_a_new_project_is_created_and_sent_with_its_note_or_neither(browser: Callable[[str], Any]) -> None:
    manager = browser("manager")
    form = {"number": "26-900", "name": "Depot", "state": "ZZ", "note": "Please hurry", "send": "yes"}
    answer = manager.post("/admin/projects", form)
    assert (answer.status_code, invalid_fields(answer.text)) == (422, ["state"])
    assert html.fromstring(answer.text).get_element_by_id("note").text.strip() == "Please hurry"
    assert db.session.query(Project).count() == 0
    assert manager.post("/admin/projects", form | {"state": "Oregon"}).status_code == 303
    project = db.session.query(Project).one()
    assert (project.state, project.status, project.note) == ("OR", Status.READY, "Please hurry")


def test_what_is_required_is_marked(browser: Callable[[str], Any]) -> None:
    page = html.fromstring(browser("manager").get("/admin/projects/new").text)
    assert [field.get("name") for field in page.xpath('//*[@aria-required="true"]')] == ["name", "number"]
