"""A failure says the next step and who can take it; troubles of the connection stand once, on top."""

from collections.abc import Callable

import pytest
from conftest import Browser
from lxml import html
from support.jobs import compose

from extensions import db
from lib.formatting import format_time
from models import Job, Person, Project, Setting, SettingName, utcnow
from services import workflow

SignIn = Callable[[str], Browser]
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
TYPED = {"Job_Number": "26-014", "Job_Description": "Depot", "Taxable_Flag": "Y", "Price_Method_Code": "F"}


@pytest.fixture
def exporting(make_project: Callable[..., Project], cast: dict[str, Person], template: Job) -> Project:
    project = make_project()
    workflow.send(project, cast["manager"])
    lines = compose(project.information, {}, TYPED | {"Customer_Code": "CASCREST"})
    workflow.accept(project, cast["approver"], lines, template, "HB")
    db.session.commit()
    return project


def fail(project: Project, element: str, text: str) -> None:
    assert project.export
    project.export.error, project.export.field_errors = f"Spectrum refused it: {text}", [[element, text]]
    workflow.mark_failed(project, project.export.error)
    db.session.commit()


def test_retry_opens_with_the_field_marked_that_the_cause_is_about(browser: SignIn, exporting: Project) -> None:
    fail(exporting, "Customer_Code", "Customer is on hold")
    page = html.fromstring(browser("approver").get(f"/approvals/{exporting.id}/accept").text)
    assert page.xpath('//*[@aria-invalid="true"]/@name') == ["customer"]
    (described,) = page.xpath('//*[@name="customer"]/@aria-describedby')
    assert page.xpath(f'//*[@id="{described}"]')[0].text == "Spectrum: “Customer is on hold”"


@pytest.mark.parametrize(
    ("who", "element", "step", "link"),
    [
        ("approver", "Customer_Code", "Press Retry and change Customer, or have it corrected in Spectrum first.", ""),
        ("approver", "City", "Reject it with a comment, so that the project manager can correct City.", ""),
        (
            "approver",
            "Tax_Class_Code",
            "Ask Controller to set Tax Class Code in the fixed values of template T-COMM.",
            "",
        ),
        ("controller", "Tax_Class_Code", "Set Tax Class Code in the fixed values of the template", "?q=T-COMM"),
    ],
)
def test_a_failure_says_the_next_step_to_who_can_take_it_and_else_whom_to_ask(
    browser: SignIn, exporting: Project, who: str, element: str, step: str, link: str
) -> None:
    fail(exporting, element, "Required")
    person = browser(who)
    for address in (f"/approvals/{exporting.id}", "/erp/jobs?filter=failed-to-export"):
        page = person.get(address).text
        assert step in page
        assert (f'href="/erp/settings{link}"' in page) is bool(link)
    assert "Press Retry" not in browser("onlooker").get(f"/approvals/{exporting.id}").text


def test_that_spectrum_does_not_answer_stands_once_on_top_and_not_at_each_project(
    browser: SignIn, exporting: Project
) -> None:
    since = utcnow()
    assert exporting.export
    exporting.export.error = "Spectrum could not be reached."
    Setting.write(SettingName.CONTACT, {"connected": False, "at": since.isoformat(), "since": since.isoformat()})
    db.session.commit()
    page = browser("approver").get("/erp/jobs?filter=exporting").text
    assert f"Spectrum has not answered since {format_time(since)}. 1 accepted project waits and goes by itself." in page
    assert "Spectrum could not be reached." not in page
    exporting.export.sent_at = since  # then its own trouble is another one
    db.session.commit()
    assert "Spectrum could not be reached." in browser("approver").get("/erp/jobs?filter=exporting").text
