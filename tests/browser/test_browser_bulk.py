"""Two people at one list: what one changes the other sees within seconds, and never under working hands."""

import pytest
from conftest import Live
from playwright.sync_api import Locator, Page, expect
from test_browser_worklist import rows

SOON = 15_000  # ms; a list asks every five seconds


@pytest.fixture
def manager(live: Live, page: Page) -> Page:
    """The project manager, in a browser of their own."""
    browser = page.context.browser
    assert browser
    return live.sign_in(browser.new_context().new_page(), "kari.iversen")


@pytest.fixture
def approver(live: Live, page: Page) -> Page:
    live.sign_in(page).goto(f"{live.url}/erp/jobs")
    return page


def send(live: Live, manager: Page, number: str, name: str) -> None:
    """The manager makes a project and sends it."""
    manager.goto(f"{live.url}/admin/projects")
    manager.get_by_role("link", name="New Project").click()
    manager.get_by_label("Project Name").fill(name)
    manager.get_by_label("Project Number").fill(number)
    manager.get_by_role("button", name="Create Project").click()
    manager.get_by_role("button", name="Send to ERP").click()
    expect(manager.get_by_label("Sync Status", exact=True)).to_have_text("Ready to Export")


def row(page: Page, name: str) -> Locator:
    return rows(page).filter(has_text=name)


def test_a_project_that_is_sent_appears_in_a_list_that_is_open(live: Live, approver: Page, manager: Page) -> None:
    send(live, manager, "T-901", "Late Arrival")
    expect(row(approver, "Late Arrival")).to_have_count(1, timeout=SOON)
    manager.get_by_role("button", name="Retrieve from ERP").click()
    expect(row(approver, "Late Arrival")).to_have_count(0, timeout=SOON)


def test_a_list_that_is_open_says_that_exports_are_paused_and_no_longer_once_they_are_resumed(
    live: Live, approver: Page
) -> None:
    settings = approver.context.new_page()
    settings.goto(f"{live.url}/erp/settings")
    said = approver.get_by_role("status").filter(has_text="Exports are paused")
    settings.get_by_role("button", name="Pause Exports").click()
    expect(said).to_be_visible(timeout=SOON)
    settings.get_by_role("button", name="Resume").click()
    expect(said).to_have_count(0, timeout=SOON)


def test_a_list_holds_still_while_somebody_is_at_work_in_it(live: Live, approver: Page, manager: Page) -> None:
    rows(approver).first.get_by_role("button", name="Reject").click()
    comment = approver.get_by_label("Enter a Comment")
    comment.fill("The address is")
    count = approver.locator(".filters [aria-current] + .count")
    before = int(count.inner_text())
    send(live, manager, "T-902", "In Between")
    expect(count).to_have_text(str(before + 1), timeout=SOON)
    expect(comment).to_have_value("The address is")
    expect(row(approver, "In Between")).to_have_count(0)
    approver.get_by_role("button", name="Cancel").click()
    expect(rows(approver).first.get_by_role("button", name="Reject")).to_be_focused()  # the row is back
    approver.get_by_role("heading", level=1).click()  # the focus leaves the list
    expect(row(approver, "In Between")).to_have_count(1, timeout=SOON)
