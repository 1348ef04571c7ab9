"""What the page does by itself: where the focus goes, what is said aloud, one post a click, characters counted."""

import re
from collections.abc import Iterator

import pytest
from conftest import Live
from playwright.sync_api import Locator, Page, Route, expect


@pytest.fixture
def waiting(live: Live, page: Page) -> Iterator[Page]:
    """The approver before the list of waiting projects."""
    live.sign_in(page).goto(f"{live.url}/erp/jobs")
    yield page


def button(row: Locator, name: str) -> Locator:
    return row.get_by_role("button", name=re.compile(f"^{name}"))


def opened(page: Page, name: str) -> Locator:
    """The first row, with its accept or reject panel open."""
    row = page.locator(f"#{page.locator('tbody tr').first.get_attribute('id')}")
    button(row, name).click()
    row.get_by_role("button", name="Cancel").wait_for()
    return row


def test_a_panel_that_opens_takes_the_focus_to_its_first_field(waiting: Page) -> None:
    opened(waiting, "Accept")
    expect(waiting.get_by_label("Select a Job Template")).to_be_focused()


@pytest.mark.parametrize("way_out", ["Escape", "Cancel"])
def test_a_panel_that_closes_gives_the_focus_back_to_the_rows_button(waiting: Page, way_out: str) -> None:
    row = opened(waiting, "Reject")
    expect(waiting.get_by_label("Enter a Comment")).to_be_focused()
    if way_out == "Escape":
        waiting.keyboard.press("Escape")
    else:
        row.get_by_role("button", name="Cancel").click()
    expect(button(row, "Reject")).to_be_focused()


def test_escape_keeps_what_was_typed_and_says_how_to_close_it(waiting: Page) -> None:
    row = opened(waiting, "Accept")
    waiting.get_by_label("Spectrum Job ID").fill("26-777")
    waiting.get_by_label("Select a Job Template").select_option("T-COMM")
    expect(waiting.get_by_label("Customer")).to_have_value("CASCREST")
    waiting.keyboard.press("Escape")
    expect(waiting.get_by_role("status").filter(has_text="Press Cancel to discard")).to_be_visible()
    expect(waiting.get_by_label("Spectrum Job ID")).to_have_value("26-777")
    row.get_by_role("button", name="Cancel").click()
    opened(waiting, "Reject")
    waiting.keyboard.press("Escape")
    expect(button(row, "Reject")).to_be_focused()


@pytest.mark.parametrize(("key", "field"), [("a", "Select a Job Template"), ("r", "Enter a Comment")])
def test_a_key_on_the_projects_own_page_opens_the_panel_at_its_first_field(waiting: Page, key: str, field: str) -> None:
    waiting.locator("tbody th a").first.click()
    waiting.get_by_role("heading", name="History").wait_for()
    waiting.keyboard.press(key)
    expect(waiting.get_by_label(field)).to_be_focused()


def test_a_refused_form_takes_the_focus_to_the_first_field_that_is_wrong(waiting: Page) -> None:
    opened(waiting, "Accept")
    waiting.get_by_label("Select a Job Template").select_option("T-COMM")
    expect(waiting.get_by_label("Customer")).to_have_value("CASCREST")
    waiting.get_by_label("Spectrum Job ID").fill("no such number")
    waiting.get_by_role("button", name="Export", exact=True).click()
    expect(waiting.get_by_label("Spectrum Job ID")).to_be_focused()
    expect(waiting.get_by_label("Spectrum Job ID")).to_have_attribute("aria-invalid", "true")


def test_a_field_that_was_pulled_larger_comes_back_within_the_policy(waiting: Page) -> None:
    row = opened(waiting, "Reject")
    comment = waiting.get_by_label("Enter a Comment")
    comment.evaluate("field => (field.style.height = '200px')")  # as pulling its corner does
    button(row, "Reject").click()
    expect(comment).to_have_attribute("aria-invalid", "true")


def test_a_limited_field_says_how_many_characters_it_holds(waiting: Page) -> None:
    row = opened(waiting, "Accept")
    waiting.get_by_label("Spectrum Job Name").fill("Twelve chars")
    expect(row.get_by_text("12 of 25", exact=True)).to_be_visible()
    expect(waiting.get_by_label("Spectrum Job Name")).to_have_accessible_description(re.compile("12 of 25"))


def test_what_spectrum_will_receive_follows_the_typing(waiting: Page) -> None:
    row = opened(waiting, "Accept")
    waiting.get_by_label("Spectrum Job Name").fill("As it is typed")
    expect(row.get_by_role("row", name="Spectrum Job Name")).to_contain_text("As it is typed")


def test_the_templates_values_come_at_once_on_the_projects_own_page_too(waiting: Page) -> None:
    waiting.locator("tbody th a").first.click()
    waiting.get_by_role("button", name=re.compile("^Accept")).click()
    waiting.get_by_label("Spectrum Job ID").fill("26-777")
    waiting.get_by_label("Select a Job Template").select_option("T-COMM")
    expect(waiting.get_by_label("Customer")).to_have_value("CASCREST")
    expect(waiting.get_by_label("Spectrum Job ID")).to_have_value("26-777")
    expect(waiting.get_by_label("Spectrum Job ID")).to_be_focused()


def test_a_row_that_refreshes_itself_leaves_the_focus_where_it_is(live: Live, page: Page) -> None:
    live.sign_in(page).goto(f"{live.url}/erp/jobs?filter=exporting")
    with page.expect_response("**/row?*"):
        page.get_by_label("Search projects").focus()
    expect(page.get_by_label("Search projects")).to_be_focused()
    cancel_export = page.get_by_role("button", name=re.compile("^Take Back")).first
    cancel_export.focus()
    for _ in range(2):
        with page.expect_response("**/row?*"):
            pass
    expect(cancel_export).to_be_focused()


def test_a_double_click_posts_once_and_the_outcome_is_announced(waiting: Page) -> None:
    posts: list[str] = []

    def slowly(route: Route) -> None:
        posts.append(route.request.url)
        waiting.wait_for_timeout(300)  # the second click comes while the first one is on its way
        route.continue_()

    row = opened(waiting, "Reject")
    waiting.get_by_label("Enter a Comment").fill("The customer is missing.")
    waiting.route("**/reject", slowly)
    button(row, "Reject").dblclick()
    expect(waiting.get_by_role("status").filter(has_text="was rejected")).to_be_visible()
    expect(row.get_by_text("Rejected", exact=True)).to_be_visible()
    assert len(posts) == 1


def test_a_double_click_on_accept_opens_one_panel(waiting: Page) -> None:
    button(waiting.locator("tbody tr").first, "Accept").dblclick()
    expect(waiting.get_by_label("Select a Job Template")).to_be_focused()
    expect(waiting.locator(".decision")).to_have_count(1)


def test_a_server_that_does_not_answer_is_said_so_and_the_form_stays(waiting: Page) -> None:
    row = opened(waiting, "Reject")
    waiting.get_by_label("Enter a Comment").fill("Kept.")
    waiting.route("**/reject", lambda route: route.abort())
    button(row, "Reject").click()
    expect(waiting.get_by_role("status").filter(has_text="did not answer")).to_be_visible()
    expect(waiting.get_by_label("Enter a Comment")).to_have_value("Kept.")
    expect(button(row, "Reject")).to_be_enabled()


def test_what_was_typed_outlives_a_session_that_ended(live: Live, waiting: Page) -> None:
    row = opened(waiting, "Reject")
    waiting.get_by_label("Enter a Comment").fill("Kept all the while.")
    waiting.context.clear_cookies()
    button(row, "Reject").click()
    expect(waiting.get_by_role("status").filter(has_text="You were signed out.")).to_be_visible()
    expect(waiting.get_by_label("Enter a Comment")).to_have_value("Kept all the while.")
    live.sign_in(waiting.context.new_page())
    button(row, "Reject").click()
    expect(waiting.get_by_role("status").filter(has_text="You are signed in again")).to_be_visible()
    button(row, "Reject").click()
    expect(row.get_by_text("Rejected", exact=True)).to_be_visible()
