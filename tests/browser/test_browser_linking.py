"""Day one in a real browser: jobs and projects that exist already are added, linked, unlinked and imported."""

from collections.abc import Callable

import httpx
import pytest
from conftest import Live, wait_until
from playwright.sync_api import Page, expect

NewPage = Callable[..., Page]


@pytest.fixture
def mark(request: pytest.FixtureRequest) -> str:
    """A letter for the numbers of this run, with JavaScript or without."""
    return "J" if "with-javascript" in request.node.name else "N"


@pytest.fixture
def approver(live: Live, new_page: NewPage) -> Page:
    return live.sign_in(new_page())


def enter_jobs(live: Live, *numbers: str) -> None:
    """Somebody enters jobs in Spectrum, and Countersign reads the list."""
    for number in numbers:
        job = {"Job_Number": number, "Job_Description": f"Job {number}", "City": "Fife"}
        place = {"Customer_Code": "CASCREST", "Division": "1", "Cost_Center": "TACOMA"}
        httpx.post(f"{live.spectrum}/sandbox/jobs", json=job | place).raise_for_status()


def show(page: Page, live: Live, filter_name: str, q: str) -> None:
    page.goto(f"{live.url}/erp/jobs")
    page.get_by_role("link", name=filter_name, exact=True).click()
    page.get_by_label("Search projects").fill(q)
    page.get_by_label("Search projects").press("Enter")


def refresh(page: Page, live: Live, last: str) -> None:
    """Refresh the job list, and wait until it shows the last job entered."""
    page.goto(f"{live.url}/erp/jobs?filter=ready-to-import")
    page.get_by_role("button", name="Refresh Job List").click()

    def listed() -> bool:
        show(page, live, "Ready to Import", last)
        return page.get_by_role("cell", name=last, exact=True).count() == 1

    wait_until(listed)


def new_project(page: Page, live: Live, number: str, name: str) -> None:
    page.goto(f"{live.url}/admin/projects/new")
    page.get_by_label("Project Number").fill(number)
    page.get_by_label("Project Name").fill(name)
    page.get_by_role("button", name="Create Project").click()


def test_twenty_jobs_are_imported_at_once(live: Live, approver: Page, mark: str) -> None:
    numbers = [f"{mark}20-{each:02}" for each in range(20)]
    enter_jobs(live, *numbers)
    refresh(approver, live, numbers[-1])
    show(approver, live, "Ready to Import", f"{mark}20-")
    approver.get_by_role("link", name="Select All").click()
    approver.get_by_role("button", name="Add to Countersign").click()
    expect(approver.get_by_role("status")).to_contain_text("20 jobs were added to Countersign.")
    show(approver, live, "Synced", f"{mark}20-")
    expect(approver.get_by_role("cell", name="Synced", exact=True)).to_have_count(20)


def test_a_waiting_project_is_linked_after_a_look_at_both_sides_and_unlinked_again(
    live: Live, approver: Page, new_page: NewPage, mark: str
) -> None:
    number = f"{mark}30-01"
    enter_jobs(live, number)
    refresh(approver, live, number)
    manager = live.sign_in(new_page(), "kari.iversen")
    new_project(manager, live, number, "Depot Lofts")
    manager.get_by_role("button", name="Send to ERP").click()
    calls = len(live.jobs())
    show(approver, live, "Ready to Export", number)
    approver.get_by_role("button", name="Link to existing job").click()
    expect(approver.get_by_label("Spectrum Job ID")).to_have_value(number)
    name = approver.get_by_role("row", name="Spectrum Job Name")
    expect(name).to_contain_text("Depot Lofts")
    expect(name).to_contain_text(f"Job {number}")
    expect(name).to_contain_text("differs")
    approver.get_by_role("button", name="Link", exact=True).click()
    expect(approver.get_by_role("status").first).to_contain_text(f"is job {number} in Spectrum")
    assert len(live.jobs()) == calls
    manager.reload()
    expect(manager.get_by_label("Sync Status")).to_have_text("Synced")

    show(approver, live, "Synced", number)
    approver.get_by_role("link", name="Depot Lofts").click()
    approver.get_by_role("button", name="Unlink").click()
    approver.get_by_role("button", name="Unlink").click()
    expect(approver.get_by_role("alert")).to_contain_text("Enter a comment.")
    approver.get_by_label("Enter a Comment").fill("It is another depot")
    approver.get_by_role("button", name="Unlink").click()
    expect(approver.get_by_label("Sync Status")).to_have_text("Not Sent")
    show(approver, live, "Ready to Import", number)
    expect(approver.get_by_role("row", name=number)).to_be_visible()


def test_a_pair_of_the_same_number_is_linked_from_the_list(
    live: Live, approver: Page, new_page: NewPage, mark: str
) -> None:
    numbers = [f"{mark}40-01", f"{mark}40-02"]
    enter_jobs(live, *numbers)
    refresh(approver, live, numbers[-1])
    manager = live.sign_in(new_page(), "kari.iversen")
    for number in numbers:
        new_project(manager, live, number, f"Pair {number}")
    show(approver, live, "Ready to Import", f"{mark}40-")
    for number in numbers:
        approver.get_by_role("checkbox", name=number).check()
    approver.get_by_role("button", name="Link to Existing Project").click()
    expect(approver.get_by_role("status")).to_contain_text("2 jobs were linked.")


def test_a_csv_is_previewed_corrected_and_imported(live: Live, new_page: NewPage, mark: str) -> None:
    manager = live.sign_in(new_page(), "kari.iversen")

    def choose(text: str) -> None:
        manager.goto(f"{live.url}/admin/projects")
        manager.get_by_role("link", name="Import Projects").click()
        file = {"name": "projects.csv", "mimeType": "text/csv", "buffer": text.encode()}
        manager.get_by_label("CSV File").set_input_files(files=[file])  # type: ignore[list-item]  # a file in memory
        manager.get_by_role("button", name="Preview").click()

    choose(f'number,name\n{mark}50-01,"Quoted ""Depot"""\n{mark}50-02,\n')
    expect(manager.get_by_role("alert")).to_contain_text("Line 3: Enter the Project Name.")
    choose(f'number,name\n{mark}50-01,"Quoted ""Depot"""\n{mark}50-02,Trail\n')
    manager.get_by_role("button", name="Import 2 Projects").click()
    expect(manager.get_by_role("status")).to_contain_text("Imported 2 projects.")
    with manager.expect_download() as download:
        manager.get_by_role("link", name="Download CSV").click()
    assert f'{mark}50-01,"Quoted ""Depot"""' in download.value.path().read_text("utf-8")
