"""What Spectrum would refuse is said to the project manager before Send, by the same rules as at acceptance."""

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from lxml import html

from erp import rules
from extensions import db
from models import Job, Person, Project
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


def test_what_was_typed_and_sent_at_once_is_said_to_who_sent_it_while_it_can_still_be_retrieved(
    browser: Callable[[str], Any], make_project: Callable[..., Project]
) -> None:
    project, manager = make_project(), browser("manager")
    address = f"/admin/projects/{project.id}"
    typed = {column: value or "" for column, value in project.information.items()} | {"state": "Washington"}
    manager.post(f"{address}/send", {**typed, "active": "yes", "version": project.version})
    assert (
        f"Spectrum would refuse it as it is. {rules().project_problems(typed)['state']} Retrieve"
        in manager.get(address).text
    )


def test_a_long_name_and_an_unfit_number_are_said_to_be_accountings_to_change() -> None:
    said = rules().project_changes(
        INFORMATION | {"name": "Commencement Bay Elementary School Addition", "number": "26/014"}
    )
    assert "Spectrum takes 25 characters" in said["name"]
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
    assert field.get("data-limit") == "2"


def test_a_ready_project_has_no_warning_and_its_fields_count_to_spectrums_limits(
    browser: Callable[[str], Any], make_project: Callable[..., Project]
) -> None:
    page = html.fromstring(browser("manager").get(f"/admin/projects/{make_project().id}").text)
    assert not page.xpath('//section[@aria-label="Not ready for Spectrum"]')
    limits = {field.get("name"): field.get("data-limit") for field in page.xpath("//input[@data-limit]")}
    assert limits == {"address_1": "30", "address_2": "30", "city": "25", "state": "2", "zip": "10"}


def test_a_project_that_is_not_ready_can_be_sent_all_the_same(
    browser: Callable[[str], Any], make_project: Callable[..., Project], cast: dict[str, Person]
) -> None:
    project = make_project(state="Washington")
    form = {"name": project.name, "number": project.number, "state": "Washington", "active": "yes", "version": 1}
    assert browser("manager").post(f"/admin/projects/{project.id}/send", form).status_code == 303
    assert project.status == "Ready to Export"
