"""ERP settings and what follows from them, in a real browser on the demo's data."""

import re
from collections.abc import Callable

from conftest import Live
from playwright.sync_api import Page, expect

OpenPage = Callable[..., Page]


def settings(live: Live, page: Page) -> Page:
    live.sign_in(page)
    page.get_by_role("link", name="ERP Integrations").click()
    page.get_by_role("link", name="Settings").click()
    return page


def open_accept(live: Live, page: Page) -> None:
    page.goto(f"{live.url}/erp/jobs?filter=ready-to-export")
    page.get_by_role("button", name=re.compile("^Accept")).first.click()
    expect(page.get_by_label("Select a Job Template")).to_be_visible()


def test_the_test_of_the_connection_answers_on_the_page_by_itself(live: Live, page: Page) -> None:
    settings(live, page).get_by_role("button", name="Test connection").click()
    connection = page.get_by_role("region", name="Connection")
    expect(connection).to_contain_text(
        "Each of Spectrum's services that Countersign needs can be used.", timeout=30_000
    )
    expect(connection).to_contain_text("GetJobMain: OK.")
    expect(connection).to_contain_text("Connected since")
    expect(page.get_by_role("status").first).to_contain_text(
        "Each of Spectrum's services that Countersign needs can be used."
    )


def test_a_refresh_asked_for_in_the_settings_ends_with_what_was_read(live: Live, page: Page) -> None:
    settings(live, page).get_by_role("button", name="Refresh Job List").click()
    connection = page.get_by_role("region", name="Connection")
    expect(connection).to_contain_text(re.compile(r"jobs? read"), timeout=30_000)
    expect(connection).to_contain_text("Read less than a minute ago")


def test_a_test_mail_answers_beside_its_button_where_the_focus_and_the_address_stay(live: Live, page: Page) -> None:
    live.sign_in(page)
    page.goto(f"{live.url}/erp/mails")
    card = page.get_by_role("region", name="Test")
    button, answer = card.get_by_role("button", name="Send a test mail"), card.get_by_role("status")
    page.get_by_label("Email").fill("it@halvorsen.example")
    button.click()
    expect(answer).to_contain_text("took a test mail to it@halvorsen.example", timeout=30_000)
    expect(answer).to_be_in_viewport()
    expect(button).to_be_focused()
    expect(page.get_by_label("Email")).to_have_value("it@halvorsen.example")
    page.get_by_label("Email").fill("it")
    button.click()
    expect(card.get_by_role("alert")).to_contain_text("Enter an email address")
    expect(page.get_by_label("Email")).to_be_focused()


def test_pausing_shows_on_the_erp_pages_until_exports_are_resumed(live: Live, new_page: OpenPage) -> None:
    page = settings(live, new_page())
    page.get_by_role("button", name="Pause Exports").click()
    expect(page.get_by_role("button", name="Resume")).to_be_visible()
    page.get_by_role("link", name="Jobs", exact=True).click()
    banner = page.get_by_text("Exports are paused: Dana Whitfield paused them")
    expect(banner).to_be_visible()
    page.get_by_role("link", name="Settings").click()
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_role("button", name="Pause Exports")).to_be_visible()
    expect(banner).not_to_be_visible()


def test_a_template_is_marked_and_brings_its_taxable_and_fixed_values(live: Live, new_page: OpenPage) -> None:
    page = settings(live, new_page())
    page.get_by_label("Find a job").fill("T-COMM")
    page.get_by_role("button", name="Search").click()
    page.get_by_role("link", name=re.compile("^Edit.*T-COMM")).first.click()
    page.get_by_label("Offer it in Select a Job Template").check()
    page.get_by_role("radio", name="No").check()
    page.get_by_label("Tax Class Code").fill("EXEMPT")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text(re.compile("^Template T-COMM .* saved"))).to_be_visible()

    open_accept(live, page)
    choice = page.get_by_label("Select a Job Template")
    marked = ("T-TI", "T-CIVIL", "T-COMM", "T-PUBLIC")  # the one that was used last comes first
    expect(choice.locator("option")).to_have_text(["Choose one …", *(re.compile(f"^{each} ") for each in marked)])
    choice.select_option("T-COMM")
    show = page.get_by_role("button", name="Show the Template's Values")
    if show.is_visible():  # without JavaScript
        show.click()
    expect(page.get_by_role("radio", name="No")).to_be_checked()
    expect(page.get_by_role("row", name="Tax Class Code EXEMPT Template setting")).to_be_visible()


def test_free_or_taken_is_said_while_the_number_is_typed(live: Live, page: Page) -> None:
    settings(live, page).get_by_label("Job Number Pattern").fill("YY-###")
    page.get_by_role("region", name="Job Numbers").get_by_role("button", name="Save").click()
    open_accept(live, page)
    number, said = page.get_by_label("Spectrum Job ID"), page.locator("form").get_by_role("status")
    number.press_sequentially("zzz")
    number.fill("T-TI")
    expect(said).to_contain_text("Spectrum already has job T-TI")
    expect(number).to_have_attribute("aria-invalid", "true")
    expect(said.get_by_role("link", name="Link to it instead")).to_have_attribute(
        "href", re.compile(r"/link\?job=T-TI$")
    )
    number.fill("ZZ-1")
    expect(said).to_have_text("ZZ-1 is free.")
    expect(number).to_have_attribute("aria-invalid", "false")
    number.fill("T-TI")
    use = said.get_by_role("button", name=re.compile(r"^Use \d\d-\d\d\d$"))
    suggested = use.inner_text().removeprefix("Use ")
    use.click()
    expect(number).to_have_value(suggested)
    expect(said).to_have_text(f"{suggested} is free.")


def test_a_field_counts_its_characters_to_what_spectrum_takes(live: Live, page: Page) -> None:
    live.sign_in(page, "kari.iversen")
    page.goto(f"{live.url}/admin/projects/new")
    page.get_by_label("City").fill("Tacoma")
    expect(page.get_by_text("6 of 25")).to_be_visible()
