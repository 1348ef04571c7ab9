"""A Synced project's changes reach its job, in a real browser, and no other field of the job changes."""

from collections.abc import Callable

import pytest
from conftest import Live
from playwright.sync_api import Page, expect

NUMBERS = {True: "25-016", False: "25-031"}  # of the demo; with JavaScript, and without


def open_project(page: Page, live: Live, number: str) -> None:
    page.goto(f"{live.url}/admin/projects?q={number}")
    page.locator("tbody a").first.click()


def test_an_update_goes_from_edit_to_synced_and_changes_only_what_was_ticked(
    live: Live, new_page: Callable[..., Page], request: pytest.FixtureRequest
) -> None:
    manager, approver = live.sign_in(new_page(), "kari.iversen"), live.sign_in(new_page(), "dana.whitfield")
    scripts = bool(request.node.callspec.params["new_page"])
    number = NUMBERS[scripts]
    before = live.jobs()[number]
    open_project(manager, live, number)
    manager.get_by_label("Phone", exact=True).fill("360-555-0190")
    manager.get_by_label("City", exact=True).fill("Lacey")
    manager.get_by_label("Note to Accounting").fill("New office")
    manager.get_by_role("button", name="Send Update to ERP").click()
    expect(manager.get_by_label("Sync Status")).to_have_text("Ready to Update")

    approver.goto(f"{live.url}/erp/jobs?filter=ready-to-update")
    approver.get_by_role("row").filter(has_text=number).get_by_role("button", name="Accept").click()
    send = approver.get_by_role("button", name="Send Update")
    read, show = approver.get_by_role("button", name=f"Read Job {number}"), approver.get_by_role("link", name="Show")
    if not scripts:
        read.click()
        for _ in range(30):
            if send.count():
                break
            show.click()
    expect(send).to_be_visible()
    expect(approver.get_by_role("columnheader", name="In Spectrum")).to_be_visible()
    expect(approver.get_by_text("New office").first).to_be_visible()
    approver.get_by_role("checkbox", name="City").uncheck()
    send.click()
    expect(approver.get_by_text("Updating").or_(approver.get_by_text("Synced")).first).to_be_visible()

    for _ in range(30):
        open_project(manager, live, number)
        if manager.get_by_label("Sync Status").inner_text() == "Synced":
            break
        manager.wait_for_timeout(500)
    expect(manager.get_by_label("Sync Status")).to_have_text("Synced")
    assert live.jobs()[number] == before | {"Phone": "3605550190"}
    expect(manager.get_by_text(f"Accounting last accepted “{before['City']}”.")).to_be_visible()
