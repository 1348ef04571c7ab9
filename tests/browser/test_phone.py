"""The list and the forms on a phone, and names that have room on a screen."""

import re
from collections.abc import Iterator

import pytest
from conftest import Live, go_back
from playwright.sync_api import Browser as ChromiumBrowser
from playwright.sync_api import Page, expect

FIELDS = "input:not([type=hidden], [type=checkbox], [type=radio]), select"
TARGETS = f"button:not(.hidden), .button, {FIELDS}, nav a, thead a, th > a, label:has(input)"
TOO_SMALL = """all => all.filter(one => one.offsetParent && (one.offsetHeight < 44 || one.offsetWidth < 44)).map(
    one => one.outerHTML.slice(0, 90) + ' ' + one.offsetWidth + ' x ' + one.offsetHeight)"""
SMALL_TEXT = """all => all.filter(one => parseFloat(getComputedStyle(one).fontSize) < 16).map(one => one.outerHTML)"""


@pytest.fixture
def phone(chromium: ChromiumBrowser) -> Iterator[Page]:
    size = {"width": 390, "height": 844}
    context = chromium.new_context(viewport=size, has_touch=True, is_mobile=True)  # type: ignore[arg-type]  # it is one
    context.set_default_timeout(15_000)
    yield context.new_page()
    context.close()


def assert_made_for_fingers(page: Page) -> None:
    assert page.locator(TARGETS).evaluate_all(TOO_SMALL) == []
    assert page.locator("input:not([type=hidden]), select, textarea").evaluate_all(SMALL_TEXT) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_phone_shows_the_first_project_at_once_and_export_while_the_form_is_filled(live: Live, phone: Page) -> None:
    live.sign_in(phone).goto(f"{live.url}/erp/jobs")
    first = phone.locator("tbody tr").first
    assert first.evaluate("row => row.getBoundingClientRect().top") < 300
    assert_made_for_fingers(phone)
    first.get_by_role("button", name=re.compile("^Accept")).click()
    export = phone.get_by_role("button", name="Export", exact=True)
    expect(export).to_be_in_viewport(ratio=1)
    phone.get_by_label("Price Type").scroll_into_view_if_needed()
    expect(export).to_be_in_viewport(ratio=1)
    assert_made_for_fingers(phone)


@pytest.mark.parametrize(
    ("who", "path"),
    [
        ("kari.iversen", "/admin/projects"),
        ("kari.iversen", "/admin/projects/new"),
        ("ingrid.solberg", "/admin/directory"),
        ("ingrid.solberg", "/admin/directory/1"),
        ("dana.whitfield", "/erp/history"),
        ("dana.whitfield", "/erp/settings"),
    ],
)
def test_a_page_on_a_phone_is_made_for_fingers(live: Live, phone: Page, who: str, path: str) -> None:
    live.sign_in(phone, who).goto(f"{live.url}{path}")
    assert_made_for_fingers(phone)


def test_the_number_of_a_project_is_called_and_its_place_is_on_the_map(live: Live, phone: Page) -> None:
    live.sign_in(phone).goto(f"{live.url}/erp/jobs")
    phone.locator("tbody th a").first.click()
    expect(phone.get_by_role("link", name="253-555-0110")).to_have_attribute("href", "tel:+12535550110")
    expect(phone.get_by_role("link", name="5810 N Waterfront Dr")).to_have_attribute("href", re.compile("maps.*Tacoma"))


def test_a_name_of_fifty_letters_is_whole_at_1280_px_and_one_status_is_said_but_takes_no_room(
    live: Live, page: Page
) -> None:
    live.sign_in(page).goto(f"{live.url}/erp/jobs")
    name = page.get_by_role("link", name="Graham Elementary School Gymnasium Improvements")
    assert name.evaluate("link => link.scrollHeight <= link.clientHeight && link.scrollWidth <= link.clientWidth")
    cell = page.get_by_role("cell", name="Ready to Export", exact=True).first
    assert cell.evaluate("cell => cell.offsetWidth") < 40
    page.goto(f"{live.url}/erp/jobs?filter=exporting")
    assert page.locator("td .status").first.evaluate("status => status.offsetWidth") > 60


def test_export_is_in_reach_at_1280_px_in_the_last_row_and_below_a_hint(live: Live, page: Page) -> None:
    assert page.context.browser
    with page.context.browser.new_context() as context:
        manager = live.sign_in(context.new_page(), "kari.iversen")
        manager.goto(f"{live.url}/admin/projects/new")
        manager.get_by_label("Project Name").fill("Marine View Dock 3 Warehouse")
        manager.get_by_label("Project Number").fill("27-778")
        manager.get_by_role("button", name="Create and Send to ERP").click()
        expect(manager.get_by_text("has a similar name. Same job?")).to_be_visible()
    live.sign_in(page).goto(f"{live.url}/erp/jobs")
    page.locator("tbody tr").last.get_by_role("button", name=re.compile("^Accept")).click()
    expect(page.get_by_label("Select a Job Template")).to_be_focused()
    page.locator("td.panel").evaluate("panel => scrollBy(0, panel.getBoundingClientRect().top - 300)")
    expect(page.get_by_role("button", name="Export", exact=True)).to_be_in_viewport(ratio=1)
    hint = page.get_by_role("form", name="Possible duplicate: 26-017 Marine View Dock 3 Warehouse Reroof")
    assert hint.evaluate("form => form.offsetHeight") < 70  # one line


def test_tabs_are_links_and_the_page_that_is_open_says_so(live: Live, page: Page) -> None:
    live.sign_in(page).goto(f"{live.url}/erp/history")
    expect(page.get_by_role("tab")).to_have_count(0)
    expect(page.get_by_role("link", name="History", exact=True)).to_have_attribute("aria-current", "page")
    page.get_by_role("link", name="Jobs", exact=True).click()
    expect(page.get_by_role("heading", name="Projects in Countersign Not Synced to Spectrum")).to_be_visible()


# --- Back -------------------------------------------------------------------------------------------------------------


def test_back_after_a_form_that_was_refused_and_then_sent_shows_the_project_as_it_is(live: Live, page: Page) -> None:
    live.sign_in(page, "kari.iversen").goto(f"{live.url}/admin/projects/new")
    expect(page.get_by_label("Project Name")).to_be_focused()
    page.get_by_label("Project Number").fill("27-777")
    page.get_by_role("button", name="Create Project").click()
    expect(page.get_by_label("Project Name")).to_have_attribute("aria-invalid", "true")
    page.get_by_label("Project Name").fill("Fern Hill Library")
    page.get_by_role("button", name="Create Project").click()
    page.get_by_role("heading", name="General Project Information").wait_for()
    page.get_by_label("Phone").fill("none yet")
    page.get_by_role("button", name="Send to ERP").click()
    expect(page.get_by_label("Phone")).to_have_attribute("aria-invalid", "true")
    page.get_by_label("Phone").fill("253-555-0101")
    page.get_by_role("button", name="Send to ERP").click()
    expect(page.get_by_role("button", name="Retrieve from ERP")).to_be_visible()
    go_back(page)
    expect(page.get_by_role("button", name="Retrieve from ERP")).to_be_visible()
    for _ in range(2):
        go_back(page)
        expect(page.get_by_role("navigation", name="Tools")).to_be_visible()
        expect(page.get_by_role("alert")).to_have_count(0)


def test_back_to_a_list_shows_what_was_decided_meanwhile(live: Live, page: Page) -> None:
    live.sign_in(page, "marcus.reed").goto(f"{live.url}/erp/jobs")
    page.route("**/erp/counts*", lambda route: route.fulfill(status=204))  # nothing but Back brings news
    name = page.locator("tbody th a").last.inner_text()
    page.get_by_role("link", name=name).click()
    page.get_by_role("button", name=re.compile("^Reject")).click()
    page.get_by_label("Enter a Comment").fill("The owner's name is missing.")
    page.get_by_role("button", name="Reject", exact=True).click()
    page.get_by_text("was rejected").first.wait_for()
    for _ in range(3):
        if not page.url.endswith("/erp/jobs"):
            go_back(page)
    expect(page.get_by_role("link", name="Titlow Beach Boardwalk")).to_be_visible()
    expect(page.get_by_role("link", name=name)).to_have_count(0)
