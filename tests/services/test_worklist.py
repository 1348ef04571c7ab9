"""Lists at any size: what a page costs in statements and rows, order, search, counts, and when a browser keeps it."""

import html
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import time_machine
from conftest import Browser, migrate
from flask import Flask, current_app
from markupsafe import escape
from sqlalchemy import event, func, select, text, update
from support.jobs import compose, keep_job

from erp import Customer as Listed
from extensions import db
from lib import pagination
from models import Counter, Customer, Job, Person, Project, Setting, SettingName, Status, utcnow
from services import workflow

SignIn = Callable[[str], Browser]
Names = Callable[..., list[Project]]
NOON = datetime(2026, 3, 9, 20, tzinfo=UTC)


@pytest.fixture
def send(make_project: Callable[..., Project], cast: dict[str, Person]) -> Names:
    """Projects that wait, of these names, in this order."""

    def make(*names: str, first: int = 1) -> list[Project]:
        projects = [make_project(number=f"26-{n:03}", name=name) for n, name in enumerate(names, first)]
        for project in projects:
            workflow.send(project, cast["manager"], "")
        db.session.commit()
        return projects

    return make


@pytest.fixture
def statements(app: Flask) -> Iterator[list[str]]:
    """Each statement that the database is sent from here on, but for the frame of a transaction."""
    sent: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if not statement.startswith("BEGIN"):
            sent.append(statement)

    with app.app_context():
        engine = db.engine
    event.listen(engine, "before_cursor_execute", note)
    yield sent
    event.remove(engine, "before_cursor_execute", note)


def ids(page: str) -> list[int]:
    return [int(found) for found in re.findall(r'id="project-(\d+)"', page)]


def link(page: str, name: str) -> str | None:
    found = re.search(rf'<a rel="{name}" href="([^"]+)"', page)
    return html.unescape(found[1]) if found else None


def walk(person: Browser, address: str | None, name: str) -> list[list[int]]:
    """The pages from an address on, by a link's relation."""
    pages = []
    while address:
        page = person.get(address).text
        pages.append(ids(page))
        address = link(page, name)
    return pages


# --- what it costs ---


def test_a_page_takes_four_statements_however_many_rows_it_has(
    browser: SignIn, send: Names, statements: list[str]
) -> None:
    approver, costs = browser("approver"), []
    for names in (["Depot"], [f"Depot {n}" for n in range(60)]):
        send(*names, first=len(costs) + 1)
        approver.get("/erp/jobs")  # what is remembered until the next write is asked for now
        statements.clear()
        assert len(ids(approver.get("/erp/jobs").text)) == min(len(names) + len(costs), pagination.PER_PAGE)
        costs.append(len(statements))
    assert costs[0] == costs[1] <= 4, statements


def test_the_file_of_all_projects_takes_as_many_statements_however_many_there_are(
    browser: SignIn, send: Names, statements: list[str]
) -> None:
    manager, taken = browser("manager"), []
    for number in (2, 30):
        send(*("Depot",) * number, first=number)
        statements.clear()
        assert len(manager.get("/admin/projects.csv").text.splitlines()) > number
        taken.append(len(statements))
    assert taken[0] == taken[1]


def test_a_search_takes_one_statement_more(browser: SignIn, send: Names, statements: list[str]) -> None:
    send(*(f"Depot {n}" for n in range(60)))
    approver = browser("approver")
    approver.get("/erp/jobs")
    statements.clear()
    approver.get("/erp/jobs?q=depot")
    assert len(statements) <= 5, statements


@pytest.mark.parametrize(
    "address",
    [
        "?sort=sent", "?sort=-sent", "?sort=number", "?sort=name", "?sort=-name", "?sort=place", "?age=older",
        "?filter=synced", "?filter=synced&sort=sent", "?filter=ready-to-update", "?page=2&after=1", "?page=2&before=9",
        "?q=depot", "?q=depot+lofts",
    ],
)  # fmt: skip
def test_a_page_reads_its_own_rows_only(
    app: Flask, browser: SignIn, send: Names, statements: list[str], address: str
) -> None:
    """By SQLite's own plan: each list is found and ordered by an index, and so is each search of the open queue."""
    if db.engine.dialect.name != "sqlite":
        address = "?sort=sent"  # PostgreSQL plans by the size of tables, which are empty here
    send("Depot Lofts")
    approver, plans = browser("approver"), []
    approver.get(f"/erp/jobs{address}")

    def explain(connection: object, _cursor: object, statement: str, parameters: object, *_: object) -> None:
        if statement.startswith("SELECT project.id"):
            driver = connection.connection.driver_connection  # type: ignore[attr-defined]
            plans.extend(row[3] for row in driver.execute(f"EXPLAIN QUERY PLAN {statement}", parameters))

    if db.engine.dialect.name == "sqlite":
        event.listen(db.engine, "before_cursor_execute", explain)
        approver.get(f"/erp/jobs{address}")
        event.remove(db.engine, "before_cursor_execute", explain)
        assert plans
        assert not [step for step in plans if step.startswith("SCAN") and "VIRTUAL TABLE INDEX" not in step], plans
        assert "q=" in address or "USE TEMP B-TREE FOR ORDER BY" not in plans, plans


@pytest.mark.parametrize(("customer", "most"), [("", 11), ("CASCREST", 12)])
def test_an_accept_takes_eleven_statements_and_one_more_for_its_customer(
    browser: SignIn, send: Names, template: Job, statements: list[str], customer: str, most: int
) -> None:
    Customer.take_over([vars(Listed("CASCREST", "Cascade Crest"))], complete=True)
    (project,) = send("Depot Lofts")
    approver = browser("approver")
    form = {"csrf_token": approver.token(), "version": project.version, "template": "T-COMM", "job_number": "26-014"}
    form |= {"template_shown": "T-COMM", "job_name": "Depot Lofts", "taxable": "Y", "division": "1", "price_type": "F"}
    form |= {"customer": customer}
    address = f"/approvals/{project.id}/accept"
    db.session.rollback()
    statements.clear()
    assert approver.client.post(address, data=form).status_code == 303
    assert len(statements) <= most, statements


# --- what a row holds ---

NASTY = """<i>"it's" & {{ 7 * 7 }}</i>"""


@pytest.mark.parametrize("column", ["number", "name", "city", "state", "sender", "conflict"])
def test_what_somebody_typed_is_text_in_a_row_whatever_it_is(
    browser: SignIn, make_project: Callable[..., Project], cast: dict[str, Person], column: str
) -> None:
    project = make_project(**({column: NASTY} if column in ("number", "name", "city", "state") else {}))
    cast["manager"].name = NASTY if column == "sender" else cast["manager"].name
    workflow.send(project, cast["manager"], "")
    db.session.commit()
    approver = browser("approver")
    page = approver.get("/erp/jobs").text
    if column == "conflict":
        row = {"HX-Request": "true", "HX-Target": f"tr#project-{project.id}"}
        page = approver.post(f"/approvals/{project.id}/reject", {"version": 99, "comment": NASTY}, **row).text
    assert str(escape(NASTY)) in page
    assert "<i>" not in page


def test_rows_escape_what_they_show_where_they_are_made() -> None:
    """Their loop is read without autoescape, for speed: so it holds made rows and numbers alone."""
    templates = Path(__file__).parent.parent.parent / "templates"
    loose = {
        path.name: path.read_text() for path in templates.rglob("*.html") if "autoescape false" in path.read_text()
    }
    shown = re.findall(r"{{ (.+?) }}", loose.pop("_row.html"))
    assert shown == ["row | remembered(project, there, when, decides, ticked, export)", "project.id", "rows"]
    assert not loose


def test_a_remembered_row_follows_its_project_and_who_looks_at_it(
    browser: SignIn, send: Names, cast: dict[str, Person]
) -> None:
    send("Depot Lofts")
    approver, onlooker = browser("approver"), browser("onlooker")
    assert '<button name="accept"' in approver.get("/erp/jobs").text
    assert '<button name="accept"' not in onlooker.get("/erp/jobs").text
    cast["manager"].name = "Ann Other"
    db.session.commit()
    assert "<td>Ann Other</td>" in approver.get("/erp/jobs").text


@pytest.mark.parametrize("panel", ["accept", "reject", "link"])
def test_without_a_script_the_buttons_of_a_row_lead_to_their_panel(browser: SignIn, send: Names, panel: str) -> None:
    (project,) = send("Depot Lofts")
    approver = browser("approver")
    action, buttons = re.findall(
        r'<form class="actions asks" action="([^"]+)">(.+?)</form>', approver.get("/erp/jobs").text
    )[0]
    assert f'<button name="{panel}"' in buttons
    assert approver.get(f"{action}?{panel}=").location == f"/approvals/{project.id}/{panel}"
    assert approver.get(f"/approvals/{project.id}/{panel}").status_code == 200


def test_the_place_of_a_typed_page_number_is_counted_in_the_index_of_its_order(
    app: Flask, browser: SignIn, send: Names, statements: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pagination, "PER_PAGE", 1)
    sent = send("One", "Two", "Three", "Four", "Five")
    approver, plans = browser("approver"), []
    on_sqlite = db.engine.dialect.name == "sqlite"  # PostgreSQL plans by the size of tables, which are empty here

    def explain(connection: object, _cursor: object, statement: str, parameters: object, *_: object) -> None:
        if on_sqlite and re.match(r"SELECT project.id\s+FROM", statement):
            driver = connection.connection.driver_connection  # type: ignore[attr-defined]
            plans.extend(row[3] for row in driver.execute(f"EXPLAIN QUERY PLAN {statement}", parameters))

    for number in (2, 4):  # one counted from the beginning, one from the end
        approver.get("/erp/jobs")
        statements.clear()
        event.listen(db.engine, "before_cursor_execute", explain)
        assert ids(approver.get(f"/erp/jobs?page={number}").text) == [sent[number - 1].id]
        event.remove(db.engine, "before_cursor_execute", explain)
        assert len(statements) <= 5, statements
    plans = [step.replace("COVERING ", "") for step in plans]  # which some versions say, and all do
    assert plans == ["SEARCH project USING INDEX ix_project_listed (status=?)"] * (2 if on_sqlite else 0)


# --- order and pages ---


@pytest.mark.parametrize("sort", ["", "number", "-number", "name", "-name", "place", "-sender", "sent", "-sent", "job"])
def test_each_project_is_on_one_page_there_and_back(
    browser: SignIn, send: Names, monkeypatch: pytest.MonkeyPatch, sort: str
) -> None:
    monkeypatch.setattr(pagination, "PER_PAGE", 4)
    sent = send("Depot", "alder", "Depot", "Birch", "cedar", "Depot", "Elm", "fir", "Depot", "Gum", "Hazel")
    approver = browser("approver")
    there = walk(approver, f"/erp/jobs?sort={sort}", "next")
    assert [len(page) for page in there] == [4, 4, 3]
    assert sorted(row for page in there for row in page) == sorted(project.id for project in sent)
    last = approver.get(f"/erp/jobs?sort={sort}&page=3").text
    assert ids(last) == there[-1]
    assert walk(approver, link(last, "prev"), "prev") == [there[1], there[0]]


def test_the_order_by_sender_is_that_of_their_names(
    browser: SignIn, make_project: Callable[..., Project], cast: dict[str, Person]
) -> None:
    cast["clerk"].name = "anna"
    sent = [make_project(number=f"26-{n:03}") for n in range(2)]
    for project, sender in zip(sent, ("manager", "clerk"), strict=True):
        workflow.send(project, cast[sender])
    db.session.commit()
    first, second = (project.id for project in sent)
    approver = browser("approver")
    assert ids(approver.get("/erp/jobs?sort=sender").text) == [second, first]
    assert ids(approver.get("/erp/jobs?sort=-sender").text) == [first, second]


def test_a_page_goes_on_where_the_one_before_ended_although_that_row_was_decided_meanwhile(
    browser: SignIn, send: Names, cast: dict[str, Person], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pagination, "PER_PAGE", 2)
    sent = send("One", "Two", "Three", "Four", "Five")
    approver = browser("approver")
    onwards = link(approver.get("/erp/jobs").text, "next")
    for project in sent[:2]:
        workflow.reject(project, cast["approver"], "Not now")
    db.session.commit()
    assert onwards and ids(approver.get(onwards).text) == [sent[2].id, sent[3].id]


@pytest.mark.parametrize(
    "address", ["page=7", "after=999", "before=1", "after=x", "page=-1", "page=0", "before=99999999999"]
)
def test_a_place_that_is_not_there_shows_the_list_all_the_same(browser: SignIn, send: Names, address: str) -> None:
    sent = send("One", "Two")
    assert ids(browser("approver").get(f"/erp/jobs?{address}").text) == [project.id for project in sent]


def test_what_a_search_finds_is_counted_as_far_as_anybody_looks(
    browser: SignIn, send: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pagination, "PER_PAGE", 2)
    monkeypatch.setattr(pagination, "MANY", 3)
    send("Depot 1", "Depot 2", "Depot 3", "Depot 4", "Other")
    approver = browser("approver")
    assert "1 to 2 of 5" in approver.get("/erp/jobs").text
    assert "1 to 2 of more than 3" in approver.get("/erp/jobs?q=depot").text
    assert [len(page) for page in walk(approver, "/erp/jobs?q=depot", "next")] == [2, 2]


# --- search ---


@pytest.mark.parametrize(
    ("q", "found"),
    [
        ("lofts", {"Depot Lofts"}),
        ("LOFTS dep", {"Depot Lofts"}),
        ("epo", {"Depot Lofts", "Depot 100%"}),
        ("100%", {"Depot 100%"}),
        ("o_t", set()),
        ('"plaza"', {'The "Plaza"'}),
        ("äußer", {"Äußere Straße"}),
        ("STRASSE", {"Äußere Straße"}),
        ("de lo", {"Depot Lofts"}),
        ("t %", {"Depot 100%"}),
        ("lofts AND depot", set()),
        ("depot OR lofts", set()),
        ("lof*", set()),
        ("-depot", set()),
        ("text:depot", set()),
        ("\0", {"Depot Lofts", "Depot 100%", 'The "Plaza"', "Äußere Straße"}),
    ],
)
def test_a_search_finds_each_word_anywhere_as_it_is_typed(
    browser: SignIn, send: Names, q: str, found: set[str]
) -> None:
    sent = {project.id: project.name for project in send("Depot Lofts", "Depot 100%", 'The "Plaza"', "Äußere Straße")}
    page = browser("approver").client.get("/erp/jobs", query_string={"q": q}).text
    assert {sent[each] for each in ids(page)} == found


@pytest.mark.parametrize("status", ["ready-to-export", "failed-to-export"])
def test_a_search_finds_a_place_as_the_list_writes_it(
    browser: SignIn, send: Names, template: Job, cast: dict[str, Person], status: str
) -> None:
    (project,) = send("Depot Lofts")
    if status == "failed-to-export":
        workflow.accept(
            project, cast["approver"], compose(project.information, {}, {"Job_Number": "26-001"}), template, "HB"
        )
        workflow.mark_failed(project, "Spectrum did not take it.")
        db.session.commit()
    page = browser("approver").client.get("/erp/jobs", query_string={"filter": status, "q": "Tacoma, WA"}).text
    assert ids(page) == [project.id]


def test_a_search_forgets_what_was_decided_and_learns_what_was_sent_again(
    browser: SignIn, send: Names, cast: dict[str, Person]
) -> None:
    (project,) = send("Depot Lofts")
    approver = browser("approver")
    workflow.reject(project, cast["approver"], "Another name, please")
    db.session.commit()
    assert not ids(approver.get("/erp/jobs?q=lofts").text)
    workflow.edit(project, cast["manager"], project.information | {"name": "Depot Terrace"})
    workflow.send(project, cast["manager"], "")
    db.session.commit()
    assert not ids(approver.get("/erp/jobs?q=lofts").text)
    assert ids(approver.get("/erp/jobs?q=terrace").text) == [project.id]


# --- counts ---


def test_the_counts_are_those_of_the_rows_however_they_came(send: Names, cast: dict[str, Person]) -> None:
    first, second, *_ = send("One", "Two", "Three")
    workflow.reject(first, cast["approver"], "Not now")
    workflow.retrieve(second, cast["manager"])
    db.session.commit()
    db.session.execute(text("UPDATE project SET status = 'Synced' WHERE status = 'Rejected'"))
    db.session.commit()
    rows = dict(db.session.execute(select(Project.status, func.count()).group_by(Project.status)).all())
    kept = {name: n for name, n in Counter.read().items() if n and name != Counter.REVISION}
    assert kept == rows == {Status.SYNCED: 1, Status.RETRIEVED: 1, Status.READY: 1}


def test_who_writes_counts_what_is_not_committed_yet(app: Flask, send: Names, cast: dict[str, Person]) -> None:
    (depot,) = send("Depot")
    with app.test_request_context(method="POST"):
        workflow.reject(depot, cast["approver"], "Not now")
        db.session.flush()
        assert Counter.read()[Status.REJECTED] == 1
    db.session.rollback()


def test_a_database_that_is_brought_to_date_counts_and_finds_what_it_has(
    app: Flask, environ: dict[str, str], browser: SignIn, send: Names
) -> None:
    depot = send("Depot Lofts", "Other")[0].id
    db.session.remove()
    run = app.test_cli_runner()
    assert run.invoke(args=["db", "downgrade", "0002"]).exit_code == 0
    migrate(environ["DATABASE_URL"])
    approver = browser("approver")
    assert ids(approver.get("/erp/jobs?q=lofts").text) == [depot]
    assert approver.get("/admin/projects?q=lofts").text.count("Depot Lofts") == 1
    assert set(db.session.scalars(select(Project.sender_key))) == {"manager"}
    assert Counter.read()[Status.READY] == 2


@pytest.mark.filterwarnings("ignore:.*expression-based index")  # SQLite does not tell what such an index is made of
def test_the_models_are_what_the_migrations_make(app: Flask) -> None:
    result = app.test_cli_runner().invoke(args=["db", "check"])
    assert result.exit_code == 0, result.output


# --- what a browser keeps ---


def test_a_list_of_plain_names_is_a_text_of_one_byte_characters(browser: SignIn, send: Names) -> None:
    """One wider character, which the templates write as an entity, makes the whole page slower to join and to send."""
    send("Plain")
    assert browser("approver").get("/erp/jobs").text.isascii()


def test_a_list_that_nothing_was_written_to_is_not_sent_again_and_opens_no_session(
    browser: SignIn, send: Names, statements: list[str]
) -> None:
    send("Depot Lofts")
    with time_machine.travel(NOON, tick=False):
        approver = browser("approver")
        first = approver.get("/erp/jobs")
        statements.clear()
        again = approver.get("/erp/jobs", **{"If-None-Match": first.headers["ETag"]})
    assert statements == []
    assert (again.status_code, again.data) == (304, b"")
    assert first.headers["Cache-Control"] == "private, no-cache"


@pytest.mark.parametrize(
    "what", ["a project", "a setting", "a job", "a person", "a minute", "a day", "another person", "htmx", "sign-in"]
)
def test_a_list_is_sent_again_after_anything_that_may_have_changed_it(
    browser: SignIn, send: Names, cast: dict[str, Person], what: str
) -> None:
    (project,) = send("Depot Lofts")
    later, current_app.config["SESSION_IDLE_HOURS"] = NOON, 48  # the session outlasts the day
    with time_machine.travel(NOON, tick=False):
        approver = browser("approver")
        headers = {"If-None-Match": approver.get("/erp/jobs").headers["ETag"]}
        match what:
            case "a project":
                workflow.retrieve(project, cast["manager"])
            case "a setting":
                Setting.write(SettingName.PAUSED, {"by": "Dana", "at": utcnow().isoformat()})
            case "a job":
                keep_job({"Job_Number": "26-900"})
            case "a person":
                db.session.execute(update(Person).values(name="Somebody"))
            case "a minute":
                later += timedelta(minutes=1)
            case "a day":
                later += timedelta(days=1)
            case "another person":
                approver = browser("controller")
            case "htmx":
                headers["HX-Request"] = "true"
            case "sign-in":
                approver = browser("approver")
        db.session.commit()
    with time_machine.travel(later, tick=False):
        assert approver.get("/erp/jobs", **headers).status_code == 200


def test_what_is_said_once_is_not_kept(browser: SignIn, send: Names) -> None:
    clerk = browser("clerk")
    clerk.post("/erp/refresh", {"filter": "ready-to-export"})
    page = clerk.get("/erp/jobs")
    assert "is being read" in page.text
    assert "ETag" not in page.headers and page.headers["Cache-Control"] == "no-store"
    assert "is being read" not in clerk.get("/erp/jobs").text


def test_signing_out_takes_what_the_browser_kept(browser: SignIn) -> None:
    assert browser("approver").post("/logout").headers["Clear-Site-Data"] == '"cache"'


def test_counts_are_sent_only_when_something_was_written(browser: SignIn, send: Names) -> None:
    send("Depot Lofts")
    approver = browser("approver")
    seen = re.search(r"seen=(\d+)", approver.get("/erp/jobs").text)
    assert seen
    assert approver.get(f"/erp/counts?seen={seen[1]}").status_code == 204
    send("Another", first=2)
    assert "Ready to Export" in approver.get(f"/erp/counts?seen={seen[1]}").text
