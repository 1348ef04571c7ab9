"""The pictures of the README: `make screenshots` takes them from the running product with its demo data."""

from conftest import ROOT, Live
from playwright.sync_api import Page, expect

IMAGES = ROOT / "docs" / "images"


def test_the_worklist_is_drawn(live: Live, page: Page) -> None:
    live.sign_in(page).goto(f"{live.url}/erp/jobs")
    expect(page.locator("#found tbody tr")).not_to_have_count(0)
    page.screenshot(path=IMAGES / "worklist.png")


def test_the_decision_is_drawn(live: Live, page: Page) -> None:
    live.sign_in(page).goto(f"{live.url}/erp/jobs")
    page.keyboard.press("a")
    page.get_by_label("Select a Job Template").select_option("T-COMM")
    expect(page.get_by_label("Customer")).to_have_value("CASCREST")
    page.screenshot(path=IMAGES / "accept.png")
