"""What people see: no accessibility violation in any state, in both schemes, at any width; dense lists; valid HTML."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from conftest import Live, create_app
from playwright.sync_api import Page, expect
from support.html_checks import Markup

from dev.demo import seed
from extensions import db, writing
from models import INFORMATION, Person
from services import workflow

ROOT = Path(__file__).resolve().parent.parent.parent
AXE = (ROOT / "tests/vendor/axe-4.14.1.min.js").read_text("utf-8")
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22a", "wcag22aa", "best-practice"]
WIDTHS = (320, 768, 1280)
APPROVER, MANAGER, DIRECTORY_ADMIN = "dana.whitfield", "kari.iversen", "ingrid.solberg"


def violations(page: Page) -> list[str]:
    """What axe finds now, a line per element."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE)
    found = page.evaluate("tags => axe.run({runOnly: tags}).then(result => result.violations)", RULES)
    return [f"{rule['id']}: {node['html'][:160]} {node['failureSummary']}" for rule in found for node in rule["nodes"]]


def overflow(page: Page) -> int:
    return page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")


# --- every state, opened the way a person gets there ------------------------------------------------------------------


def _listed(page: Page, url: str, filter_: str, button: str = "") -> None:
    page.goto(f"{url}/erp/jobs?filter={filter_}")
    if button:
        page.get_by_role("button", name=re.compile(f"^{button}")).first.click()


def _accept(page: Page, url: str) -> None:
    _listed(page, url, "ready-to-export", "Accept")
    page.get_by_label("Select a Job Template").select_option("T-COMM")
    expect(page.get_by_label("Customer")).to_have_value("CASCREST")


def _accept_with_errors(page: Page, url: str) -> None:
    _accept(page, url)
    page.get_by_label("Spectrum Job ID").fill("far too long for Spectrum")
    page.get_by_role("button", name="Export", exact=True).click()
    expect(page.get_by_role("alert")).not_to_have_count(0)


def _reject(page: Page, url: str) -> None:
    _listed(page, url, "ready-to-export", "Reject")
    page.get_by_label("Enter a Comment").wait_for()


def _keys(page: Page, url: str) -> None:
    _listed(page, url, "ready-to-export")
    page.keyboard.press("?")
    page.get_by_role("dialog").wait_for()


def _figures(page: Page, url: str) -> None:
    _listed(page, url, "ready-to-export")
    page.get_by_role("link", name="Figures", exact=True).click()
    page.get_by_role("heading", name="Decided per week").wait_for()


def _many(page: Page, url: str, decision: str) -> None:
    page.goto(f"{url}/erp/jobs?tick=all")
    page.get_by_role("button", name=f"{decision} Selected").click()
    page.get_by_role("heading", name=re.compile(f"{decision} [0-9]+ projects")).wait_for()


def _many_with_errors(page: Page, url: str) -> None:
    _many(page, url, "Accept")
    page.get_by_label("Spectrum Job ID of").first.fill("")
    page.get_by_role("button", name="Export", exact=True).click()
    page.get_by_role("alert").first.wait_for()


def _row_opened(page: Page, url: str, filter_: str) -> None:
    _listed(page, url, filter_)
    page.locator("tbody th a").first.click()
    page.get_by_role("heading", name="History").wait_for()


def _project(page: Page, url: str, status: str) -> None:
    page.goto(f"{url}/admin/projects")
    page.get_by_role("row").filter(has=page.get_by_text(status, exact=True)).first.get_by_role("link").click()
    page.get_by_role("heading", name="General Project Information").wait_for()


def _delete(page: Page, url: str) -> None:
    _project(page, url, "Not Sent")
    page.get_by_role("link", name="Delete Project").click()
    page.get_by_role("button", name="Delete Project").wait_for()


def _new_project_with_errors(page: Page, url: str) -> None:
    page.goto(f"{url}/admin/projects/new")
    page.get_by_role("button", name="Create Project").click()
    page.get_by_role("alert").first.wait_for()


def _login_with_error(page: Page, url: str) -> None:
    page.get_by_role("button", name="Sign out").click()
    page.get_by_label("Email").fill("somebody@example.com")
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("alert").wait_for()


def _sign_in_ended(page: Page, url: str, again: bool = False) -> None:
    page.goto(f"{url}/admin/projects/new")
    page.get_by_label("Project Name").fill("Harbor Steps")
    page.context.clear_cookies()
    page.get_by_role("button", name="Create Project").click()
    page.get_by_role("alert").wait_for()
    if again:
        page.get_by_label("Email").fill(seed.address("Kari Iversen"))
        page.get_by_label("Password").fill(seed.PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("button", name="Submit").wait_for()


STATES: dict[str, tuple[str, Callable[[Page, str], object]]] = {
    "the list": (APPROVER, lambda page, url: _listed(page, url, "ready-to-export")),
    "an open accept panel": (APPROVER, _accept),
    "an accept panel with errors": (APPROVER, _accept_with_errors),
    "an open reject panel": (APPROVER, _reject),
    "exports under way": (APPROVER, lambda page, url: _listed(page, url, "exporting")),
    "failed exports": (APPROVER, lambda page, url: _listed(page, url, "failed-to-export")),
    "Spectrum's jobs": (APPROVER, lambda page, url: _listed(page, url, "ready-to-import")),
    "an empty list": (APPROVER, lambda page, url: _listed(page, url, "archived")),
    "a search without a hit": (APPROVER, lambda page, url: page.goto(f"{url}/erp/jobs?q=nowhere")),
    "approval of a waiting project": (APPROVER, lambda page, url: _row_opened(page, url, "ready-to-export")),
    "approval of a synced project": (APPROVER, lambda page, url: _row_opened(page, url, "synced")),
    "approval of a failed project": (APPROVER, lambda page, url: _row_opened(page, url, "failed-to-export")),
    "rows ticked": (APPROVER, lambda page, url: page.goto(f"{url}/erp/jobs?tick=all")),
    "the keyboard sheet": (APPROVER, _keys),
    "the figures at a glance": (APPROVER, _figures),
    "accepting many": (APPROVER, lambda page, url: _many(page, url, "Accept")),
    "accepting many, with errors": (APPROVER, _many_with_errors),
    "rejecting many": (APPROVER, lambda page, url: _many(page, url, "Reject")),
    "the history": (APPROVER, lambda page, url: page.goto(f"{url}/erp/history")),
    "a history without events": (APPROVER, lambda page, url: page.goto(f"{url}/erp/history?from=2040-01-01")),
    "settings": (APPROVER, lambda page, url: page.goto(f"{url}/erp/settings")),
    "approvers": (APPROVER, lambda page, url: page.goto(f"{url}/erp/approvers")),
    "mails": (APPROVER, lambda page, url: page.goto(f"{url}/erp/mails")),
    "an open link panel": (APPROVER, lambda page, url: _listed(page, url, "ready-to-export", "Link")),
    "a person": (DIRECTORY_ADMIN, lambda page, url: page.goto(f"{url}/admin/directory/1")),
    "a new person": (DIRECTORY_ADMIN, lambda page, url: page.goto(f"{url}/admin/directory/new")),
    "the steps of the first day": (APPROVER, lambda page, url: page.goto(f"{url}/setup")),
    "a question before deleting": (MANAGER, _delete),
    "an import": (MANAGER, lambda page, url: page.goto(f"{url}/admin/projects/import")),
    "the projects": (MANAGER, lambda page, url: page.goto(f"{url}/admin/projects")),
    "an editable project": (MANAGER, lambda page, url: _project(page, url, "Not Sent")),
    "a locked project": (MANAGER, lambda page, url: _project(page, url, "Ready to Export")),
    "a rejected project": (MANAGER, lambda page, url: _project(page, url, "Rejected")),
    "a new project with errors": (MANAGER, _new_project_with_errors),
    "the directory": (DIRECTORY_ADMIN, lambda page, url: page.goto(f"{url}/admin/directory")),
    "one's own page": (MANAGER, lambda page, url: page.goto(f"{url}/me")),
    "nothing here": (MANAGER, lambda page, url: page.goto(f"{url}/nowhere")),
    "not yours to open": (APPROVER, lambda page, url: page.goto(f"{url}/admin/projects/new")),
    "a sign-in that failed": (MANAGER, _login_with_error),
    "a sign-in that ended": (MANAGER, _sign_in_ended),
    "what can be sent again": (MANAGER, lambda page, url: _sign_in_ended(page, url, again=True)),
}


@pytest.mark.parametrize("state", STATES)
def test_a_state_has_no_violation_in_light_and_dark_at_any_width(live: Live, page: Page, state: str) -> None:
    who, open_state = STATES[state]
    open_state(live.sign_in(page, who), live.url)
    found: dict[object, list[str]] = {}
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 720})
        page.evaluate("scrollTo(0, document.body.scrollHeight)")  # to where no bar lies over a row
        found[width] = violations(page)
        assert overflow(page) <= 0, f"{state} scrolls sideways at {width} px"
    page.emulate_media(color_scheme="dark")  # changes colors, which do not depend on the width
    found["dark"] = violations(page)
    assert not {where: lines for where, lines in found.items() if lines}


@pytest.mark.parametrize("state", ["the list", "failed exports", "the directory", "the history", "mails"])
def test_a_list_scrolls_sideways_at_no_width(live: Live, page: Page, state: str) -> None:
    who, open_state = STATES[state]
    open_state(live.sign_in(page, who), live.url)
    too_wide = []
    for width in range(320, 1300, 14):
        page.set_viewport_size({"width": width, "height": 720})
        too_wide += [width] * (overflow(page) > 0)
    assert not too_wide


# --- dense, small, valid ----------------------------------------------------------------------------------------------


@contextmanager
def behind(live: Live) -> Iterator[dict[str, Person]]:
    """A writing transaction on the server's database; the project manager and the approver by their roles."""
    with create_app(live.environ).app_context():
        with writing():
            people = {"manager": Person.by_email(seed.address("Kari Iversen"))}
            yield people | {"approver": Person.by_email(seed.address("Dana Whitfield"))}  # type: ignore[misc]  # both exist
        db.session.remove()
        db.engine.dispose()


BLANK = dict.fromkeys(INFORMATION, "") | {"start_date": None, "completion_date": None}


@pytest.fixture(scope="module")
def crowded(live: Live) -> Live:
    """The demo with fifty projects that wait."""
    with behind(live) as people:
        for number in range(50):
            named = {"number": f"27-{number:03}", "name": f"Warehouse Reroof Section {number}"}
            project = workflow.create(people["manager"], BLANK | named | {"city": "Bonney Lake", "state": "WA"})
            workflow.send(project, people["manager"])
    return live


def test_the_list_shows_thirteen_whole_rows_at_1280_by_720(crowded: Live, page: Page) -> None:
    crowded.sign_in(page).goto(f"{crowded.url}/erp/jobs")
    rows = page.locator("#found tbody tr")
    bottoms = rows.evaluate_all("rows => rows.map(row => row.getBoundingClientRect().bottom)")
    assert len([bottom for bottom in bottoms if bottom <= 720]) >= 13


@pytest.mark.parametrize("width", [1280, 1250, 1240, 1060, 1050, 700, 390])
def test_one_long_place_leaves_the_buttons_of_every_row_in_sight(live: Live, page: Page, width: int) -> None:
    with behind(live) as people:
        place = {"city": "Unincorporated Pierce County near Bonney Lake", "state": "Washington"}
        named = {"number": f"2026-WA-{width:04}-A", "name": "Flood Berm and Pump House"}
        project = workflow.create(people["manager"], BLANK | place | named)
        workflow.send(project, people["manager"])
        db.session.flush()
    page.set_viewport_size({"width": width, "height": 720})
    live.sign_in(page).goto(f"{live.url}/erp/jobs?sort=-sent")
    edges = page.locator(".list, .list button").evaluate_all("all => all.map(one => one.getBoundingClientRect().right)")
    assert len(edges) > 9
    assert max(edges) <= width
    names = page.locator("tbody th").evaluate_all("all => all.map(one => one.getBoundingClientRect().width)")
    assert min(names) >= 96


@pytest.mark.parametrize("width", [1280, 1060, 390])
def test_no_status_is_cut_off_in_the_list_of_projects(live: Live, page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 720})
    live.sign_in(page).goto(f"{live.url}/admin/projects?q=26-0")
    cells = page.locator("td:has(.status)")
    assert {"Ready to Export", "Failed to Export"} <= set(cells.all_inner_texts())
    assert cells.evaluate_all("all => all.filter(one => one.scrollWidth > one.clientWidth).length") == 0


@pytest.mark.parametrize("width", [1280, 390])
def test_an_email_of_sixty_letters_stays_within_the_directory(live: Live, page: Page, width: int) -> None:
    with behind(live):
        email = f"maximiliana.featherstonehaugh{width}@estimating.halvorsen.example"
        db.session.add(Person(email=email, name="Maximiliana Featherstonehaugh"))
    page.set_viewport_size({"width": width, "height": 720})
    live.sign_in(page, "ingrid.solberg").goto(f"{live.url}/admin/directory")
    expect(page.get_by_text(email)).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("filter_", ["ready-to-export", "exporting", "failed-to-export", "synced"])
def test_a_project_prints_on_one_page(live: Live, page: Page, filter_: str) -> None:
    _row_opened(live.sign_in(page), live.url, filter_)
    assert printed_pages(page) == 1


def test_a_project_with_much_to_tell_prints_on_one_page_as_well(live: Live, page: Page) -> None:
    with behind(live) as people:
        manager, approver = people["manager"], people["approver"]
        typed = BLANK | {
            "number": "27-900",
            "name": "Regional Distribution Center",
            "description": "Tilt-wall shell. " * 20,
        }
        project = workflow.create(manager, typed)
        for city in ("Tacoma", "Fife"):
            workflow.edit(
                project, manager, project.information | {"city": city, "zip": "98402", "phone": "253-555-0129"}
            )
            workflow.send(project, manager, "Please take the customer from the template. " * 4)
            workflow.reject(project, approver, "The address is missing. Ask the owner for the parcel number. " * 4)
        db.session.flush()
        address = f"{live.url}/approvals/{project.id}"
    live.sign_in(page).goto(address)
    assert printed_pages(page) == 1


def printed_pages(page: Page) -> int:
    pdf = page.pdf(format="Letter", margin=dict.fromkeys(("top", "right", "bottom", "left"), "0.4in"))
    return len(re.findall(rb"/Type\s*/Page\b", pdf))


@contextmanager
def client(live: Live, who: str) -> Iterator[httpx.Client]:
    """Somebody signed in, without a browser."""
    with httpx.Client(base_url=live.url) as session:
        token = re.search(r'name="csrf_token" value="([^"]+)"', session.get("/login").text)
        assert token
        form = {"csrf_token": token[1], "email": f"{who}@halvorsen.example", "password": seed.PASSWORD}
        assert session.post("/login", data=form).status_code == 303
        yield session


SHA_256 = """async address => {
  const body = await (await fetch(address)).arrayBuffer();
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", body));
  return [...digest].map(each => each.toString(16).padStart(2, "0")).join("");
}"""


@pytest.fixture
def traffic(page: Page) -> dict[str, float]:
    """The bytes of each answer that came over the wire to this page, headers included, by its address."""
    wire = page.context.new_cdp_session(page)
    addresses: dict[str, str] = {}
    came: dict[str, float] = {}

    def finished(event: dict[str, Any]) -> None:
        if event["encodedDataLength"]:  # not from the browser's own store
            came[addresses[event["requestId"]]] = event["encodedDataLength"]

    wire.on("Network.requestWillBeSent", lambda event: addresses.update({event["requestId"]: event["request"]["url"]}))
    wire.on("Network.loadingFinished", finished)
    wire.send("Network.enable")
    return came


def test_the_first_page_comes_in_six_answers_of_28_kilobytes_and_the_next_in_one_of_six(
    crowded: Live, page: Page, traffic: dict[str, float]
) -> None:
    crowded.sign_in(page)
    page.context.new_cdp_session(page).send("Network.clearBrowserCache")
    traffic.clear()
    page.goto(f"{crowded.url}/erp/jobs")
    expect(page.locator("#found tbody tr")).to_have_count(50)
    for _ in range(300):  # the icon comes last, at Chromium's leisure
        if len(traffic) == 5:
            break
        page.wait_for_timeout(20)
    assert len(traffic) <= 6, traffic
    assert sum(traffic.values()) <= 28_000, traffic
    (script,) = (address for address in traffic if "/vendor/" in address)
    traffic.clear()
    page.goto(f"{crowded.url}/erp/jobs?sort=name")
    assert len(traffic) == 1, traffic
    assert sum(traffic.values()) <= 6_000, traffic
    digest = page.evaluate(SHA_256, script)  # of what came in Brotli
    assert digest in (ROOT / "static/vendor/htmx.sha256").read_text()


def test_the_style_sheet_stays_small() -> None:
    assert (ROOT / "static/app.css").stat().st_size <= 15_500


PAGES = {
    APPROVER: (
        "/erp/jobs",
        "/erp/jobs?filter=ready-to-import",
        "/erp/jobs?filter=exporting",
        "/erp/jobs?filter=failed-to-export",
        "/erp/jobs?filter=synced",
        "/erp/jobs?q=nowhere",
        "/erp/together/accept?project=15&project=16&project=17&project=18",
        "/erp/together/reject?project=15&project=16&project=17&project=18",
        "/erp/history",
        "/erp/figures",
        "/setup",
        "/erp/settings",
        "/erp/mails",
        "/admin/projects",
        "/admin/projects/new",
        "/me",
        "/nowhere",
    ),
    MANAGER: ("/admin/projects", "/admin/projects/new", "/erp/jobs"),
    DIRECTORY_ADMIN: ("/admin/directory",),
}


@pytest.mark.parametrize("who", PAGES)
def test_every_page_is_valid_html(live: Live, who: str) -> None:
    with client(live, who) as session:
        paths = {*PAGES[who]}
        for path in PAGES[who]:
            paths |= set(re.findall(r'href="(/(?:approvals|admin)/[^"#?]+)"', session.get(path).text))
        faults = {path: Markup(session.get(path).text).faults for path in sorted(paths)}
    assert not {path: lines for path, lines in faults.items() if lines}


def test_every_row_that_an_action_returns_is_valid_html(live: Live) -> None:
    with client(live, APPROVER) as session:
        faults = {}
        for project_id in range(1, 41):
            for part in ("row", "accept", "reject"):
                headers = {"HX-Request": "true", "HX-Target": f"tr#project-{project_id}"}
                answer = session.get(f"/approvals/{project_id}/{part}", headers=headers)
                faults[f"{project_id} {part}"] = Markup(f"<table><tbody>{answer.text}</tbody></table>").faults
    assert not {part: lines for part, lines in faults.items() if lines}
