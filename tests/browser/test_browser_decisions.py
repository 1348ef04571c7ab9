"""One decision after the other: the focus goes on, a rejection is undone, a page of record refreshes itself."""

import re

import httpx
from conftest import Live, create_app, go_back
from playwright.sync_api import Locator, Page, Route, expect

from extensions import db


def button(place: Page | Locator, name: str) -> Locator:
    return place.get_by_role("button", name=re.compile(f"^{name}"))


def fill_accept(page: Page) -> None:
    page.get_by_label("Select a Job Template").select_option("T-COMM")
    expect(page.locator("[name=template_shown]")).to_have_value("T-COMM")
    page.get_by_label("Yes", exact=True).check()


def test_after_each_decision_the_next_waiting_project_is_at_hand(live: Live, page: Page) -> None:
    live.sign_in(page).goto(f"{live.url}/erp/jobs")
    rows = page.locator("#found tbody tr")
    first, second, third = (page.locator(f"#{rows.nth(place).get_attribute('id')}") for place in range(3))
    button(first, "Reject").click()
    page.get_by_label("Enter a Comment").fill("The address is missing.")
    page.get_by_role("button", name="Reject", exact=True).click()
    expect(button(second, "Accept")).to_be_focused()
    button(first, "Undo").click()
    expect(first.get_by_text("Ready to Export", exact=True)).to_be_visible()
    button(first, "Accept").click()
    fill_accept(page)
    button(page, "Export and Open Next").click()
    expect(second.get_by_label("Select a Job Template")).to_be_focused()
    page.keyboard.press("Escape")
    expect(first.get_by_text("Synced", exact=True)).to_be_visible()
    expect(page.get_by_role("status").get_by_role("link")).to_have_attribute("href", re.compile(r"^/approvals/\d+$"))
    third.get_by_role("link").first.click()
    number = page.locator("h1 .number").inner_text()
    button(page, "Accept").click()
    fill_accept(page)
    page.get_by_role("button", name="Export", exact=True).click()
    expect(page.get_by_label("Sync Status")).to_have_text("Synced")
    expect(page.get_by_role("heading", name="What Spectrum received")).to_be_visible()
    history = page.get_by_role("region", name="History")
    expect(history.get_by_role("listitem").first).to_contain_text("Countersign exported")
    expect(page.get_by_role("status").get_by_role("link", name=number)).to_be_visible()
    go_back(page)  # to the form, which is over
    expect(page.get_by_label("Sync Status")).to_have_text("Synced")
    expect(page.get_by_role("alert")).to_have_count(0)
    page.get_by_text("Next:").get_by_role("link").first.click()
    expect(page.get_by_label("Sync Status")).to_have_text("Ready to Export")


def test_what_is_typed_before_a_templates_values_have_come_stays_and_the_last_one_chosen_counts(
    live: Live, page: Page
) -> None:
    live.sign_in(page).goto(f"{live.url}/erp/jobs")
    row = page.locator(f"#{page.locator('#found tbody tr').first.get_attribute('id')}")
    button(row, "Accept").click()
    held: list[Route] = []
    page.route("**/approvals/*/accept", lambda route: held.append(route), times=1)
    page.get_by_label("Select a Job Template").select_option("T-CIVIL")
    page.get_by_label("No", exact=True).check()
    page.get_by_label("Spectrum Job ID").fill("J-70001")
    held.pop().continue_()
    expect(page.locator("[name=template_shown]")).to_have_value("T-CIVIL")
    expect(page.get_by_label("Spectrum Job ID")).to_have_value("J-70001")
    expect(page.get_by_label("Spectrum Job ID")).to_be_focused()
    expect(page.get_by_label("No", exact=True)).to_be_checked()
    expect(page.get_by_role("row", name="Spectrum Job ID J-70001")).to_be_visible()
    page.route("**/approvals/*/accept", lambda route: held.append(route), times=1)
    page.get_by_label("Select a Job Template").select_option("T-PUBLIC")
    page.get_by_label("Select a Job Template").select_option("T-COMM")
    expect(page.locator("[name=template_shown]")).to_have_value("T-COMM")
    page.get_by_role("button", name="Export", exact=True).click()
    expect(row.get_by_text("Synced", exact=True)).to_be_visible()
    assert live.jobs()["J-70001"]["Customer_Code"] == live.jobs()["T-COMM"]["Customer_Code"]


def accept_links_of_the_digest(live: Live) -> list[str]:
    app = create_app(live.environ)
    sent = app.test_cli_runner().invoke(args=["digest", "send", "--at", "2031-01-06T08:00"])
    assert sent.exit_code == 0, sent.output
    with app.app_context():
        db.engine.dispose()
    mails = httpx.get(f"{live.mailbox}/sandbox/mails").json()
    text = next(each["text"] for each in mails if each["to"] == ["dana.whitfield@halvorsen.example"])
    return re.findall(rf"{live.url}/approvals/\d+/accept", text)


def test_three_actions_lead_from_the_digest_to_a_job_in_spectrum(live: Live, page: Page) -> None:
    live.sign_in(page)
    before = set(live.jobs())
    page.goto(accept_links_of_the_digest(live)[-1])  # the oldest one is an update
    page.get_by_label("Select a Job Template").select_option("T-COMM")
    page.get_by_role("button", name="Export", exact=True).click()
    expect(page.get_by_label("Sync Status")).to_have_text("Synced")
    assert len(set(live.jobs()) - before) == 1
