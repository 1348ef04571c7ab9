"""The list as people use it all day: search while typing, counts that stay true, the keyboard."""

import re
from collections.abc import Iterator

import pytest
from conftest import Live
from playwright.sync_api import Locator, Page, expect


@pytest.fixture
def waiting(live: Live, page: Page) -> Iterator[Page]:
    """The approver before the list of waiting projects."""
    live.sign_in(page).goto(f"{live.url}/erp/jobs")
    yield page


def rows(page: Page) -> Locator:
    return page.locator("#found tbody tr")


def search(page: Page) -> Locator:
    return page.get_by_label("Search projects")


def test_typing_in_the_search_field_narrows_the_list_and_keeps_the_address_true(waiting: Page) -> None:
    search(waiting).press_sequentially("depot", delay=20)
    expect(rows(waiting)).to_have_count(1)
    expect(search(waiting)).to_be_focused()
    expect(waiting).to_have_url(re.compile(r"[?&]q=depot"))
    expect(waiting).to_have_url(re.compile(r"[?&]filter=ready-to-export"))
    search(waiting).press("ArrowLeft")
    search(waiting).press_sequentially("x")
    expect(search(waiting)).to_have_value("depoxt")
    expect(waiting.get_by_text("Nothing matches “depoxt”")).to_be_visible()
    waiting.reload()
    expect(search(waiting)).to_have_value("depoxt")


def test_enter_in_the_search_field_searches_as_well(waiting: Page) -> None:
    search(waiting).fill("depot")
    search(waiting).press("Enter")
    expect(rows(waiting)).to_have_count(1)
    expect(search(waiting)).to_have_value("depot")


def test_a_search_keeps_the_order_that_was_chosen(waiting: Page) -> None:
    waiting.get_by_role("link", name="Name", exact=True).click()
    search(waiting).fill("tacoma")
    expect(waiting).to_have_url(re.compile("q=tacoma"))
    expect(waiting).to_have_url(re.compile("sort=name"))
    expect(waiting.get_by_role("columnheader", name="Name")).to_have_attribute("aria-sort", "ascending")


def test_a_search_for_five_thousand_letters_is_answered_with_a_page(live: Live, page: Page) -> None:
    answer = live.sign_in(page).goto(f"{live.url}/erp/jobs?q={'x' * 5000}")
    assert answer is not None
    assert answer.status == 200


def test_typing_searches_the_projects_too(live: Live, page: Page) -> None:
    live.sign_in(page, "kari.iversen").goto(f"{live.url}/admin/projects")
    search(page).press_sequentially("depot", delay=20)
    expect(rows(page)).to_have_count(1)
    expect(search(page)).to_be_focused()


def test_the_counts_follow_what_is_done_in_the_list(waiting: Page) -> None:
    count = waiting.locator("li", has_text="Ready to Export").locator(".count")
    before = int(count.inner_text())
    waiting.keyboard.press("r")
    waiting.get_by_label("Enter a Comment").fill("The address is missing.")
    waiting.get_by_role("button", name="Reject", exact=True).click()
    expect(count).to_have_text(str(before - 1))


def test_what_waits_long_is_marked_in_more_than_colour(waiting: Page) -> None:
    old = waiting.locator("time.older").first
    expect(old).to_have_css("font-weight", "600")
    mark = old.evaluate("element => getComputedStyle(element, '::before').content")
    assert "!" in mark


def test_keys_move_between_rows_and_open_what_they_name(waiting: Page) -> None:
    waiting.keyboard.press("j")
    expect(rows(waiting).nth(0).locator(":focus")).to_have_count(1)
    waiting.keyboard.press("ArrowDown")
    expect(rows(waiting).nth(1).locator(":focus")).to_have_count(1)
    waiting.keyboard.press("a")
    expect(waiting.get_by_role("button", name="Accept Selected")).to_have_count(0)
    expect(rows(waiting).nth(1).get_by_label("Select a Job Template")).to_be_focused()
    waiting.keyboard.press("Escape")
    expect(waiting.get_by_label("Select a Job Template")).to_have_count(0)
    waiting.keyboard.press("k")
    waiting.keyboard.press("r")
    expect(rows(waiting).nth(0).get_by_label("Enter a Comment")).to_be_focused()


def test_keys_mean_letters_while_somebody_types(waiting: Page) -> None:
    waiting.keyboard.press("/")
    expect(search(waiting)).to_be_focused()
    waiting.keyboard.type("arjk?/")
    expect(search(waiting)).to_have_value("arjk?/")
    expect(waiting.get_by_role("dialog")).to_have_count(0)


def test_the_help_sheet_opens_closes_and_turns_the_keys_off(waiting: Page) -> None:
    waiting.keyboard.press("?")
    sheet = waiting.get_by_role("dialog", name="Keyboard")
    expect(sheet).to_be_visible()
    waiting.keyboard.press("Escape")
    expect(sheet).to_have_count(0)
    waiting.get_by_role("button", name="Keyboard").click()
    sheet.get_by_label("Use keyboard shortcuts on this computer").uncheck()
    sheet.get_by_role("button", name="Close").click()
    waiting.reload()
    waiting.keyboard.press("?")
    expect(sheet).to_have_count(0)
    waiting.get_by_role("button", name="Keyboard").click()
    expect(sheet.get_by_label("Use keyboard shortcuts on this computer")).not_to_be_checked()


def test_many_are_accepted_from_ticks_to_export(waiting: Page) -> None:
    accept = waiting.get_by_role("button", name="Accept Selected")
    expect(accept).to_have_count(0)
    for number in range(2):
        rows(waiting).nth(number).get_by_role("checkbox", name=re.compile("^26-")).check()
    accept.click()
    waiting.get_by_label("Select a Job Template").select_option("T-COMM")
    expect(waiting.get_by_label("Customer")).to_have_value("CASCREST")
    waiting.get_by_label("Yes").check()
    waiting.get_by_role("button", name="Export", exact=True).click()
    expect(waiting.get_by_role("status").filter(has_text="Exporting 2 projects")).to_be_visible()


def test_the_numbers_of_many_are_looked_up_while_they_are_typed(live: Live, waiting: Page) -> None:
    waiting.goto(f"{live.url}/erp/jobs?tick=all")
    waiting.get_by_role("button", name="Accept Selected").click()
    numbers = waiting.get_by_label(re.compile("^Spectrum Job ID of"))
    second = rows_of_many(waiting).nth(1)
    numbers.nth(1).fill("T-COMM")
    expect(second.get_by_role("status")).to_contain_text("Spectrum already has job T-COMM")
    numbers.nth(1).fill(numbers.nth(0).input_value())
    expect(second.get_by_role("status")).to_contain_text("Another row has this number too.")
    numbers.nth(1).fill("26-987")
    expect(second.get_by_role("status")).to_have_text("26-987 is free.")
    expect(numbers.nth(1)).to_be_focused()


def rows_of_many(page: Page) -> Locator:
    return page.locator("#together tbody tr")


def test_all_are_ticked_and_rejected_with_one_comment(waiting: Page) -> None:
    waiting.get_by_role("link", name="Select All").click()
    count = rows(waiting).count()
    assert waiting.locator("#found :checked").count() == count
    waiting.get_by_role("button", name="Reject Selected").click()
    waiting.get_by_label("Enter a Comment").fill("All of these need an address.")
    waiting.get_by_role("button", name="Reject", exact=True).click()
    expect(waiting.get_by_role("status").filter(has_text=f"{count} projects rejected")).to_be_visible()
