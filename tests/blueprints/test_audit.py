"""What `/approvals/<id>` answers an auditor: who created, sent and accepted, when, and what Spectrum answered."""

import re
from collections.abc import Callable

import pytest
from conftest import Browser, Live
from playwright.sync_api import Page

from extensions import db
from models import Job, Person, Project
from services import accept_form, workflow


@pytest.fixture
def waiting(make_project: Callable[..., Project], cast: dict[str, Person]) -> Project:
    project = make_project()
    workflow.send(project, cast["manager"])
    db.session.commit()
    return project


def record(browser: Browser, project: Project) -> str:
    """The part “Approval record”, without its tags."""
    page = browser.get(f"/approvals/{project.id}").text
    part = page[page.index('id="record"') :].partition("</section>")[0]
    return re.sub(r"\s+", " ", re.sub("<[^>]+>", " ", part))


def test_an_accepted_project_names_who_created_sent_and_accepted_it(
    waiting: Project, cast: dict[str, Person], template: Job, browser: Callable[[str], Browser]
) -> None:
    workflow.accept(waiting, cast["approver"], accept_form.initial(waiting).lines, template, "HB")
    export = waiting.export
    db.session.commit()
    told = record(browser("onlooker"), waiting)
    assert re.search("Created Manager, .* Sent to accounting Manager, .* Accepted Approver, ", told)
    assert "as job 26-014 with job template T-COMM" in told
    assert "Sent to Spectrum Not yet" in told
    export.sent_at = export.created_at = export.accepted_at
    workflow.mark_exported(waiting)
    db.session.commit()
    assert "Spectrum answered Job 26-014 was created, " in record(browser("onlooker"), waiting)


def test_a_linked_project_says_by_whom_and_that_it_was_not_accepted_here(
    waiting: Project, cast: dict[str, Person], template: Job, browser: Callable[[str], Browser]
) -> None:
    workflow.link(waiting, cast["controller"], template, "HB")
    db.session.commit()
    told = record(browser("onlooker"), waiting)
    assert "Linked Controller, " in told
    assert "Job T-COMM was in Spectrum already; the project was not accepted here." in told
    assert "Accepted" not in told


def test_a_project_prints_on_one_page(live: Live, page: Page) -> None:
    live.sign_in(page).goto(f"{live.url}/erp/jobs?filter=synced")
    page.locator("tbody th a").first.click()
    page.get_by_role("heading", name="Approval record").wait_for()
    assert len(re.findall(rb"/Type /Page\b", page.pdf(format="Letter"))) == 1
