"""However many projects there are, a page costs the database the same work.

SQLite's machine is counted, instruction by instruction: that has no clock, and finds each list that is read through or
sorted for the sake of one page. PostgreSQL plans by the size of its tables; `make bench` measures it at a million.
"""

import html
import math
import re
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
import time_machine
from conftest import ENVIRON
from flask.testing import FlaskClient
from sqlalchemy import event, func, insert, select

from app import create_app
from dev.demo.bulk import PLACES, RARE
from erp import rules
from extensions import db
from lib import pagination
from models import Job, Person, Project, Setting, SettingName, Status, utcnow
from services import cache, duplicates, project_queries

SIZES = (1_000, 4_000)  # projects
ROOM, STEPS = 1.05, 40  # for trees that are one step deeper
JOBS = 4  # projects to a job of Spectrum
OF_A_JOB = 8  # instructions that pass over one
# the lists that grow with a company, and the columns that each can be sorted by; what is under way or failed is short
COLUMNS = {
    "/erp/jobs?filter=ready-to-export": ["number", "name", "place", "sender", "sent", "status"],
    "/erp/jobs?filter=synced": ["number", "name", "place", "sender", "sent", "status"],
    "/admin/projects?": ["number", "name", "place", "status", "job"],
}
SORTED = [(page, f"{way}{column}") for page, columns in COLUMNS.items() for column in columns for way in ("", "-")]
SORTED.remove(("/erp/jobs?filter=synced", "sender"))  # which passes what nobody has sent yet


class Counted:
    """A signed-in approver of a company, and how many instructions SQLite took for what they asked."""

    def __init__(self, client: FlaskClient, session_id: str, ids: dict[str, int]) -> None:
        self.client, self.ids, self.instructions = client, ids, 0
        with client.session_transaction() as session:
            session["_user_id"], session["_fresh"], session["used"] = session_id, True, int(utcnow().timestamp())
        event.listen(db.engine, "checkout", lambda driver, *_: driver.set_progress_handler(self._count, 1))

    def _count(self) -> None:
        self.instructions += 1

    def get(self, address: str) -> tuple[str, int]:
        """The page, asked for a second time in the same minute, when what is remembered until the next is there."""
        with time_machine.travel(utcnow(), tick=False):
            self.client.get(address)
            before = self.instructions
            page = self.client.get(address)
        assert page.status_code == 200, page.status
        return page.text, self.instructions - before


def add_jobs(count: int) -> None:
    """Of every list, most of them with a project, and one marked as a template."""
    numbers = [f"M{number:07}" if number % 4 else f"26-{number:05}" for number in range(count)]
    jobs = [
        {
            **Job.columns(rules().job_from_raw({"Job_Number": number})),
            "archived": not place % 10,
            "is_template": not place,
        }
        for place, number in enumerate(numbers)
    ]
    db.session.execute(insert(Job), jobs)
    Setting.write(SettingName.PATTERN, "YY-#####")
    db.session.commit()


def ids_of(approver: Person) -> dict[str, int]:
    first = select(func.min(Project.id))
    statuses = {"ready": Status.READY, "synced": Status.SYNCED}
    found = {name: db.session.scalars(first.where(Project.status == status)).one() for name, status in statuses.items()}
    return found | {"approver": approver.id}


@pytest.fixture(scope="module")
def companies(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Counted]]:
    """A small company and one four times as large."""
    found, place = [], tmp_path_factory.mktemp("flat")
    with ExitStack() as stack:
        for size in SIZES:
            app = create_app(ENVIRON | {"DATABASE_URL": f"sqlite:///{place}/{size}.db"}, instance_path=str(place))
            run = app.test_cli_runner()
            for command in (["db", "upgrade"], ["demo", "seed", "--projects", str(size)]):
                assert run.invoke(args=command).exit_code == 0
            with app.app_context():
                approver = db.session.scalars(select(Person).where(Person.name == "Dana Whitfield")).one()
                add_jobs(size // JOBS)
                found.append(Counted(app.test_client(), approver.get_id(), ids_of(approver)))
                stack.callback(db.engine.dispose)
                db.session.remove()
        yield found


@pytest.fixture(autouse=True)
def no_stale_values(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine a slow value would outlive its minute, and be made anew between two requests."""
    monkeypatch.setattr(cache, "SLOW", math.inf)


@pytest.fixture(autouse=True)
def short_pages(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Of which each list has several in the small company too, as a hint has more hits than it reads."""
    monkeypatch.setattr(pagination, "PER_PAGE", 3)
    monkeypatch.setattr(pagination, "MANY", 4)
    monkeypatch.setattr(project_queries, "HITS", 2)
    monkeypatch.setattr(project_queries, "SEARCHED", 10)
    monkeypatch.setattr(duplicates, "LATEST_JOBS", 10)
    project_queries.some_outside.cache_clear()
    yield
    project_queries.some_outside.cache_clear()


def onwards(page: str) -> str:
    return html.unescape(re.search(r'<a rel="next" href="([^"]+)"', page)[1])  # type: ignore[index]


def assert_flat(work: list[int]) -> None:
    small, large = work
    assert large <= small * ROOM + STEPS, f"{large} instructions, {small} with a quarter of the projects"


@pytest.mark.parametrize(("address", "sort"), [*((page, "") for page in COLUMNS), *SORTED])
def test_a_page_of_a_list_in_whatever_order(companies: list[Counted], address: str, sort: str) -> None:
    first, second = [], []
    for company in companies:
        page, work = company.get(f"{address}&sort={sort}")
        first.append(work)
        second.append(company.get(onwards(page))[1])
    assert_flat(first)
    assert_flat(second)


@pytest.mark.parametrize("word", [RARE, PLACES[0], f"{PLACES[0]}, WA", "nobody"])
@pytest.mark.parametrize("address", ["/erp/jobs?", "/erp/jobs?filter=synced", "/admin/projects?"])
def test_a_search_whether_it_finds_much_or_little(companies: list[Counted], address: str, word: str) -> None:
    assert_flat([company.get(f"{address}&q={word}")[1] for company in companies])


@pytest.mark.parametrize("address", ["/erp/jobs?", "/erp/jobs?filter=synced", "/admin/projects?"])
def test_a_search_for_two_letters_looks_through_the_first_rows_and_says_so(
    companies: list[Counted], address: str
) -> None:
    pages = [company.get(f"{address}&q=zz") for company in companies]
    assert_flat([work for _, work in pages])
    assert all("Only the first 10 of this list were searched." in page for page, _ in pages)


def test_the_accept_form_passes_over_jobs_in_an_index(companies: list[Counted]) -> None:
    """It points out jobs of a similar name, and reads no row of one that has none."""
    small, large = (company.get(f"/approvals/{company.ids['ready']}/accept")[1] for company in companies)
    assert large <= small * ROOM + OF_A_JOB * (SIZES[1] - SIZES[0]) // JOBS


@pytest.mark.parametrize(
    "address",
    [
        "/erp/counts",
        "/erp/jobs?filter=exporting",
        "/erp/jobs?filter=failed-to-export",
        "/erp/jobs?filter=ready-to-import",
        "/erp/jobs?filter=ready-to-import&sort=name",
        "/erp/jobs?filter=archived",
        "/admin/projects?show=waiting",
        "/admin/projects?show=in-spectrum",
        "/admin/projects?show=not-sent",
        "/erp/history",
        "/erp/history?action=decided",
        "/erp/history?action=rejected",
        "/erp/history?person={approver}",
        "/erp/history?person={approver}&action=sent",
        "/erp/history?project=M0000100",
        "/erp/history?project=zz",
        "/erp/settings",
        "/erp/together/accept?project={ready}",
        "/approvals/{synced}",
        "/admin/projects/{synced}",
    ],
)
def test_another_page(companies: list[Counted], address: str) -> None:
    assert_flat([company.get(address.format(**company.ids))[1] for company in companies])
