"""A project becomes a Spectrum job, in a real browser, once with JavaScript and once without."""

from collections.abc import Callable

import httpx
import pytest
from conftest import Live
from playwright.sync_api import Locator, Page, expect

NewPage = Callable[..., Page]
# what the project manager types on the project's page, by label
TYPED = {
    "Project Description": "Two-storey shell",
    "Address": "1735 Jefferson Ave",
    "Address 2": "Unit B",
    "City": "Tacoma",
    "State": "wa",
    "ZIP": "98402-1234",
    "Phone": "253-555-0129",
    "Estimated Start Date": "2027-01-18",
    "Estimated Completion Date": "2027-08-20",
}


@pytest.fixture
def number(request: pytest.FixtureRequest) -> str:
    """A project number that no other test uses."""
    return f"{'J' if 'with-javascript' in request.node.name else 'N'}-{abs(hash(request.node.name)) % 100_000:05}"


@pytest.fixture
def manager(live: Live, new_page: NewPage) -> Page:
    return live.sign_in(new_page(), "kari.iversen")


@pytest.fixture
def approver(live: Live, new_page: NewPage) -> Page:
    return live.sign_in(new_page(), "dana.whitfield")


def create(page: Page, number: str, name: str, **fields: str) -> None:
    page.get_by_role("link", name="Projects", exact=True).click()
    page.get_by_role("link", name="New Project").click()
    page.get_by_label("Project Number").fill(number)
    page.get_by_label("Project Name").fill(name)
    fill(page, fields)
    page.get_by_role("button", name="Create Project").click()
    expect(page.get_by_label("Sync Status")).to_have_text("Not Sent")


def fill(page: Page, fields: dict[str, str]) -> None:
    for label, value in fields.items():
        page.get_by_label(label, exact=True).fill(value)


def send(page: Page, note: str = "") -> None:
    page.get_by_label("Note to Accounting").fill(note)
    page.get_by_role("button", name="Send to ERP").click()
    expect(page.get_by_label("Sync Status")).to_have_text("Ready to Export")


def row_of(page: Page, live: Live, number: str, filter_name: str = "Ready to Export") -> Locator:
    """The project's row in a list, reached as a person does."""
    page.goto(f"{live.url}/")
    page.get_by_role("link", name="ERP Integrations", exact=True).click()
    page.get_by_role("link", name=filter_name, exact=True).click()
    page.get_by_label("Search projects").fill(number)
    page.get_by_label("Search projects").press("Enter")
    row = page.get_by_role("row").filter(has_text=number)
    expect(row).to_have_count(1)
    return row


def fill_accept(page: Page, number: str, template: str = "T-CIVIL", **changes: str) -> None:
    page.get_by_label("Select a Job Template").select_option(template)
    if page.get_by_role("button", name="Show the Template's Values").count():
        page.get_by_role("button", name="Show the Template's Values").click()
    expect(page.locator("[name=template_shown]")).to_have_value(template)
    page.get_by_label("Spectrum Job ID").fill(number)
    page.get_by_label("Yes", exact=True).check()
    fill(page, changes)


def status_of(page: Page, live: Live, number: str, status: str) -> None:
    """The project's own page says so, within the time that an export takes."""
    page.goto(f"{live.url}/admin/projects?q={number}")
    page.get_by_role("link", name=number).or_(page.locator("tbody a")).first.click()
    expect(page.get_by_label("Sync Status")).to_have_text(status)


def export(page: Page, number: str, ends_as: str) -> None:
    """Press Export and wait for the end: the row keeps itself true, a page without JavaScript is loaded again."""
    page.get_by_role("button", name="Export", exact=True).click()
    shown = page.get_by_role("row").filter(has_text=number).or_(page.get_by_label("Sync Status"))
    for _ in range(20):
        try:
            expect(shown.first).to_contain_text(ends_as, timeout=1500)
            return
        except AssertionError:
            if not page.url.endswith("jobs") and "filter=" not in page.url:
                page.goto(page.url)
    expect(shown.first).to_contain_text(ends_as)


def test_a_sent_and_accepted_project_is_a_job_with_each_field_as_promised(
    live: Live, manager: Page, approver: Page, number: str
) -> None:
    create(manager, number, "Depot Lofts Retail Shell and Parking")
    fill(manager, TYPED)
    send(manager, "Owner wants certified payroll.")
    row = row_of(approver, live, number)
    row.get_by_role("button", name="Accept").click()
    expect(approver.get_by_text("Owner wants certified payroll.").first).to_be_visible()
    suggested = approver.get_by_label("Spectrum Job Name").input_value()
    assert 0 < len(suggested) <= 25
    expect(approver.get_by_label("Spectrum Job ID")).to_have_value(number)
    fill_accept(approver, number, Customer="CASCREST")
    export(approver, number, "Synced")
    job = live.jobs()[number]
    template = live.jobs()["T-CIVIL"]
    expected = {
        "Job_Number": number,
        "Job_Description": suggested,
        "Taxable_Flag": "Y",
        "Customer_Code": "CASCREST",
        "Division": template["Division"],
        "Cost_Center": template["Cost_Center"],
        "Price_Method_Code": template["Price_Method_Code"],
        "Address_1": "1735 Jefferson Ave",
        "Address_2": "Unit B",
        "City": "Tacoma",
        "State": "WA",
        "Zip_Code": "98402-1234",
        "Phone": "2535550129",
        "Est_Start_Date": "01/18/2027",
        "Est_Complete_Date": "08/20/2027",
    }
    assert {element: job[element] for element in expected} == expected
    others = {"Contract_Number", "Original_Contract", "Standard_Phase_Category", "Superintendent", "Start_Date"}
    assert not any(job[element] for element in others & job.keys())
    approver.goto(f"{live.spectrum}/")
    expect(approver.get_by_role("link", name=number)).to_be_visible()


def test_what_was_sent_is_locked_until_it_is_retrieved(live: Live, manager: Page, number: str) -> None:
    create(manager, number, "Titlow Boardwalk")
    manager.get_by_label("City").fill("Fife")
    send(manager)
    expect(manager.get_by_label("City")).to_be_disabled()
    expect(manager.get_by_label("City")).to_have_value("Fife")
    expect(manager.get_by_text("locked until accounting has decided").first).to_be_visible()
    manager.get_by_role("button", name="Retrieve from ERP").click()
    expect(manager.get_by_label("Sync Status")).to_have_text("Retrieved")
    expect(manager.get_by_label("City")).to_be_enabled()
    expect(manager.get_by_role("button", name="Re-send to ERP")).to_be_visible()


def test_a_rejected_project_comes_back_with_the_comment_and_waits_again_once_corrected(
    live: Live, manager: Page, approver: Page, number: str
) -> None:
    create(manager, number, "Wright Park Glazing", City="Tacoma")
    send(manager)
    row_of(approver, live, number).get_by_role("button", name="Reject").click()
    approver.get_by_role("button", name="Reject", exact=True).click()
    expect(approver.get_by_role("alert")).to_contain_text("Enter a comment")
    expect(approver.get_by_label("Enter a Comment")).to_have_attribute("aria-invalid", "true")
    approver.get_by_label("Enter a Comment").fill("The city is Fife.")
    approver.get_by_role("button", name="Reject", exact=True).click()
    expect(approver.get_by_role("status").filter(has_text="was rejected")).to_be_visible()
    status_of(manager, live, number, "Rejected")
    expect(manager.get_by_text("The city is Fife.").first).to_be_visible()
    expect(manager.get_by_text("Dana Whitfield").first).to_be_visible()
    manager.get_by_label("City").fill("Fife")
    manager.get_by_role("button", name="Re-send to ERP").click()
    expect(manager.get_by_label("Sync Status")).to_have_text("Ready to Export")
    row_of(approver, live, number).get_by_role("button", name="Accept").click()
    changed = approver.get_by_role("table", name="What changed since it was sent before")
    expect(changed.get_by_role("row").filter(has_text="Tacoma")).to_contain_text("Fife")


def comment(page: Page, text: str, announced: str) -> None:
    page.get_by_label("Add a Comment").fill(text)
    page.get_by_role("button", name="Comment", exact=True).click()
    expect(page.get_by_role("status").filter(has_text=f"Your comment was added. {announced}")).to_be_visible()
    expect(page.get_by_label("Add a Comment")).to_have_value("")
    expect(page.get_by_role("listitem").filter(has_text=text)).to_be_visible()


def test_a_question_is_asked_and_answered_without_a_rejection_and_what_is_typed_elsewhere_stays(
    live: Live, manager: Page, approver: Page, number: str, request: pytest.FixtureRequest
) -> None:
    create(manager, number, "Orting Canopy", City="Tacoma")
    comment(manager, "Is this number free?", "")
    send(manager)
    row = row_of(approver, live, number)
    expect(row).to_contain_text("Question for accounting")
    row.get_by_role("link", name="Orting Canopy").click()
    approver.get_by_role("button", name="Comment", exact=True).click()
    expect(approver.get_by_role("alert").filter(has_text="Enter a comment.")).to_be_visible()
    comment(approver, "Yes. Which city?", "Kari Iversen is notified by email.")
    expect(row_of(approver, live, number)).to_contain_text("Question for Kari Iversen")
    manager.get_by_role("button", name="Retrieve from ERP").click()
    manager.get_by_label("City").fill("Orting")
    comment(manager, "It is Orting.", "Dana Whitfield is notified by email.")
    if "with-javascript" in request.node.name:
        expect(manager.get_by_label("City")).to_have_value("Orting")
    expect(manager.get_by_label("Sync Status")).to_have_text("Retrieved")


def test_spectrums_refusal_is_shown_at_its_field_and_can_be_retried(
    live: Live, manager: Page, approver: Page, number: str
) -> None:
    create(manager, number, "Edgewood City Hall Parking")
    send(manager)
    row_of(approver, live, number).get_by_role("button", name="Accept").click()
    fill_accept(approver, number, Customer="NOSUCHCUST")
    export(approver, number, "Failed to Export")
    row = row_of(approver, live, number, "Failed to Export")
    expect(row).to_contain_text("Customer")
    row.get_by_role("button", name="Retry").click()
    expect(approver.get_by_label("Customer", exact=True)).to_have_value("NOSUCHCUST")
    expect(approver.get_by_label("Spectrum Job ID")).to_have_value(number)
    approver.get_by_label("Customer", exact=True).fill("CASCREST")
    export(approver, number, "Synced")
    assert live.jobs()[number]["Customer_Code"] == "CASCREST"


def test_an_accepted_project_can_be_taken_back_until_something_was_sent(
    live: Live, manager: Page, approver: Page, number: str
) -> None:
    create(manager, number, "Milton Well House")
    send(manager)
    httpx.post(
        f"{live.spectrum}/sandbox/faults",
        json={"service": "GetJobMain", "fault": "status", "status": 503, "times": None},
    )
    try:
        row_of(approver, live, number).get_by_role("button", name="Accept").click()
        fill_accept(approver, number)
        export(approver, number, "Exporting")
        row_of(approver, live, number, "Exporting").get_by_role("button", name="Take Back").click()
        expect(approver.get_by_role("status").filter(has_text="was taken back")).to_be_visible()
    finally:
        httpx.delete(f"{live.spectrum}/sandbox/faults")
    status_of(manager, live, number, "Ready to Export")
    assert number not in live.jobs()


def test_an_inactive_project_waits_nowhere_and_its_send_button_says_why_not(
    live: Live, manager: Page, approver: Page, number: str
) -> None:
    create(manager, number, "Hilltop Grocery Shell")
    send(manager)
    manager.get_by_label("Active Project?").uncheck()
    manager.get_by_role("button", name="Update").click()
    expect(manager.get_by_label("Sync Status")).to_have_text("Retrieved")
    expect(manager.get_by_role("button", name="Re-send to ERP")).to_be_disabled()
    expect(manager.get_by_text("Inactive projects can't be sent")).to_be_visible()
    approver.goto(f"{live.url}/erp/jobs?filter=ready-to-export&q={number}")
    expect(approver.get_by_role("row").filter(has_text=number)).to_have_count(0)


def test_a_project_that_is_switched_on_is_sent_with_the_same_press(live: Live, page: Page, number: str) -> None:
    live.sign_in(page, "kari.iversen")
    create(page, number, "Hilltop Grocery Annex")
    active, button = page.get_by_label("Active Project?"), page.get_by_role("button", name="Send to ERP")
    refusal_reason = page.get_by_text("Inactive projects can't be sent")
    active.uncheck()
    expect(button).to_be_disabled()
    page.get_by_role("button", name="Update").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    expect(button).to_be_disabled()
    expect(refusal_reason).to_be_visible()
    active.check()
    expect(refusal_reason).not_to_be_visible()
    button.click()
    status_of(page, live, number, "Ready to Export")


def test_an_export_with_something_wrong_comes_back_in_place_with_what_was_typed(
    live: Live, manager: Page, approver: Page, number: str
) -> None:
    create(manager, number, "Old Town Market")
    send(manager)
    row_of(approver, live, number).get_by_role("button", name="Accept").click()
    approver.get_by_label("Select a Job Template").select_option("")
    approver.wait_for_load_state("networkidle")  # with a script, the form comes back without the template
    approver.get_by_label("Spectrum Job ID").fill("24-107")
    approver.get_by_label("Spectrum Job Name").fill("Kept as typed")
    approver.get_by_role("button", name="Export", exact=True).click()
    alerts = approver.get_by_role("alert")
    for sentence in ("Select a job template", "24-107"):
        expect(alerts.filter(has_text=sentence)).to_be_visible()
    expect(approver.get_by_label("Spectrum Job ID")).to_have_attribute("aria-invalid", "true")
    expect(approver.get_by_label("Spectrum Job Name")).to_have_value("Kept as typed")
    status_of(manager, live, number, "Ready to Export")


def test_cancel_leaves_everything_as_it_was(live: Live, manager: Page, approver: Page, number: str) -> None:
    create(manager, number, "Thea's Park Overlook")
    send(manager)
    row_of(approver, live, number).get_by_role("button", name="Accept").click()
    approver.get_by_role("button", name="Cancel").click()
    expect(approver.get_by_label("Select a Job Template")).to_have_count(0)
    expect(row_of(approver, live, number).get_by_role("button", name="Accept")).to_be_visible()
