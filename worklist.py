"""The lists: what each filter shows, how it is searched and sorted, and how many rows it holds.

How a list is cut into pages stands in `paging.py`. What makes a page quick is that its statements are made once for
each shape of list, and that rows are read as plain columns; an export or a job is read only for a row that has
something to tell of it.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from sqlalchemy import Select, String, and_, bindparam, cast, column, exists, func, literal_column, or_, select, table
from sqlalchemy import null as nothing
from sqlalchemy import text as sql
from sqlalchemy.orm import joinedload, outerjoin

import paging
from extensions import db
from models import Export, Job, Person, Project, Standing, Status, Tally, utcnow
from paging import Listing, Order, Page, Query, Values


@dataclass(frozen=True)
class Filter:
    """One entry of the Filters menu: projects in some statuses, or Spectrum's jobs under a condition."""

    slug: str
    label: str
    heading: str
    empty: str
    statuses: tuple[Status, ...] = ()
    oldest_first: bool = True

    @property
    def lists_jobs(self) -> bool:
        return not self.statuses


FILTERS = {
    each.slug: each
    for each in (
        Filter(
            "ready-to-import",
            "Ready to Import",
            "Spectrum Jobs without a Project",
            "Every open job in Spectrum has its project here.",
        ),
        Filter(
            "ready-to-export",
            "Ready to Export",
            "Projects in Countersign Not Synced to Spectrum",
            "Nothing waits for accounting. A project appears here when its project manager presses Send to ERP.",
            (Status.READY,),
        ),
        Filter(
            "exporting",
            "Exporting",
            "Projects on Their Way to Spectrum",
            "Nothing is being exported. An accepted project appears here until Spectrum has it.",
            (Status.EXPORTING, Status.CHECKING),
        ),
        Filter(
            "failed-to-export",
            "Failed to Export",
            "Projects That Spectrum Did Not Take",
            "No export has failed. If one does, it waits here with its cause until somebody retries or rejects it.",
            (Status.FAILED,),
        ),
        Filter(
            "synced",
            "Synced",
            "Projects That Are Jobs in Spectrum",
            "No project has reached Spectrum yet. Accept one under Ready to Export.",
            (Status.SYNCED,),
            oldest_first=False,
        ),
        Filter("archived", "Archived", "Spectrum Jobs Put Away", "No job has been archived."),
    )
}
DEFAULT = "ready-to-export"

waiting_since = func.coalesce(Project.sent_at, Project.created_at)  # what was linked was perhaps never sent
PROJECT_SORTS: dict[str, Any] = {
    "number": Project.number_key,
    "name": func.lower(Project.name),
    "place": func.lower(Project.city),
    "sender": func.coalesce(func.lower(Person.name), ""),
    "sent": waiting_since,
    "job": func.coalesce(Project.job_key, ""),
    "status": Project.status,
}
JOB_SORTS: dict[str, Any] = {
    "job": Job.key,
    "name": func.lower(Job.name),
    "customer": func.lower(Job.customer_code),
    "division": Job.division,
}
WITH_SENDER = outerjoin(Project, Person, Project.sent_by_id == Person.id)
SEARCH = table("project_search", column("rowid"))  # SQLite's trigram index over the open queue
TRIGRAM = 3  # shorter words are in no such index
QUEUE = (Status.READY,)


@dataclass(frozen=True)
class Age:
    """How long a project has waited: from so many days on, and below so many; and the style of its bar."""

    label: str
    since: int
    below: int | None
    tone: str = ""

    def moments(self, now: datetime) -> dict[str, Any]:
        """The latest and the earliest moment at which what has waited so long began to wait."""
        return {"since": now - timedelta(days=self.since), "below": now - timedelta(days=self.below or 0)}

    def holds(self, since: Any, below: Any) -> list[Any]:
        """The conditions that a project began to wait between these moments."""
        return [waiting_since <= since, *([] if self.below is None else [waiting_since > below])]


AGES = {
    "new": Age("Less than a day", 0, 1),
    "young": Age("1 to 2 days", 1, 3),
    "old": Age("3 to 6 days", 3, 7, "old"),
    "older": Age("7 days and more", 7, None, "older"),
}


@dataclass(slots=True)
class Line(Standing):
    """A project as a list shows it."""

    id: int
    number: str
    name: str
    city: str
    state: str
    sender: str | None  # of nobody: what was linked before it was sent
    sent_at: datetime | None
    status: Status
    active: bool
    version: int
    sent_by_id: int | None
    spectrum_job_id: str | None
    presumed_job_key: str | None
    export_id: int | None
    job_id: int | None
    export: Export | None = None
    job: Job | None = None


TOLD = or_(  # of a project's export there is something to say in a list
    *(Project.status != Status.SYNCED, Export.due_at.is_not(None), cast(Export.remarks, String) != "[]"),
    and_(Export.copy_phases, or_(Export.phases_total == 0, Export.phases_done < Export.phases_total)),
)
ASTRAY = or_(Job.gone_at.is_not(None), Job.status_code == "C")
COLUMNS: list[Any] = [
    *(Project.id, Project.number, Project.name, Project.city, Project.state, Person.name, Project.sent_at),
    *(Project.status, Project.active, Project.version, Project.sent_by_id, Project.spectrum_job_id),
    Project.presumed_job_key,
]
BESIDE: list[Any] = [
    select(Export.id).where(Export.project_id == Project.id, Export.current, TOLD).scalar_subquery(),
    select(Job.id).where(Job.key == Project.job_key, ASTRAY).scalar_subquery(),
]


def query_of(args: Mapping[str, str]) -> Query:
    """What the address of a list asks for."""
    return Query.of(args, {*PROJECT_SORTS, *JOB_SORTS}, AGES)


def counts() -> dict[str, int]:
    """How many rows each filter holds, by slug."""
    tally, of_jobs = Tally.read(), Tally.remembered("counts of jobs", _count_jobs)
    return {slug: _held(each, tally) if each.statuses else of_jobs[slug] for slug, each in FILTERS.items()}


def _held(shown: Filter, tally: Mapping[str, int]) -> int:
    return sum(tally.get(status, 0) for status in shown.statuses)


def _count_jobs() -> dict[str, int]:
    slugs = [slug for slug, each in FILTERS.items() if each.lists_jobs]
    counted = {slug: select(func.count()).select_from(_jobs(slug).subquery()) for slug in slugs}
    return {slug: db.session.scalar(rows) or 0 for slug, rows in counted.items()}


# --- a page ---------------------------------------------------------------------------------------------------------


def page_of(shown: Filter, query: Query) -> Page:
    """One page of a filter's list."""
    words = query.q.casefold().split()
    values = _sought(words) | (AGES[query.age].moments(utcnow()) if query.age else {})
    if shown.lists_jobs:
        jobs = _job_listing(shown.slug, query.sort, len(words))
        return jobs.page(query, jobs.count(values) if words else counts()[shown.slug], paging.objects(), values)
    held = _held(shown, Tally.read())
    if shown.statuses == QUEUE and _in_index(words):
        return _page_of_hits(query, values, held)
    listing = _listing(shown, query.sort, query.age, len(words))
    return listing.page(query, listing.count(values) if words or query.age else held, _lines, values)


def _page_of_hits(query: Query, values: Values, waiting: int) -> Page:
    """What the index of the open queue finds: a few are looked up and put in order, many are met on the way soon."""
    total = _hits(query.sort, query.age).count(values)
    many = total is None or 10 * total * total > paging.PER_PAGE * waiting
    return _hits(query.sort, query.age, many).page(query, total, _lines, values)


def all_projects(query: Query) -> Page:
    """One page of every project, newest first."""
    words = query.q.casefold().split()
    listing, values = _all_listing(query.sort, len(words)), _sought(words)
    total = listing.count(values) if words else sum(Tally.read().get(status, 0) for status in Status)
    return listing.page(query, total, _lines, values)


def every_project(query: Query) -> Select[Any]:
    """All projects that the search finds, in the order in which they came, for a file."""
    words = query.q.casefold().split()
    beside = (joinedload(each) for each in (Project.sent_by, Project.export, Project.job))
    found = select(Project).options(*beside).where(*_has(Project.search_text, len(words)))
    return found.order_by(Project.id).params(_sought(words))


def _lines(statement: Select[Any], values: Values) -> list[Line]:
    lines = [Line(*row) for row in db.session.connection().execute(statement, values).all()]
    exports = _by_id(Export, [line.export_id for line in lines if line.export_id])
    jobs = _by_id(Job, [line.job_id for line in lines if line.job_id])
    for line in lines:
        line.export, line.job = exports.get(line.export_id), jobs.get(line.job_id)
    return lines


def _by_id(kind: type[Any], ids: Sequence[int]) -> dict[int | None, Any]:
    return {row.id: row for row in db.session.scalars(select(kind).where(kind.id.in_(ids)))} if ids else {}


# --- the statements, made once for each shape of list ---------------------------------------------------------------

kept = lru_cache(maxsize=256)


@kept
def _listing(shown: Filter, sort: str, age: str, words: int) -> Listing:
    """A filter's projects of that age that have so many words in their text."""
    beside = [nothing(), nothing()] if shown.statuses == QUEUE else BESIDE  # what waits has neither
    rows = select(*COLUMNS, *beside).select_from(WITH_SENDER)
    rows = rows.where(_stands(shown.statuses), *_aged(age), *_has(Project.search_text, words))
    return Listing(rows, _order(PROJECT_SORTS, sort, Project.id, waiting_since, up=shown.oldest_first))


@kept
def _hits(sort: str, age: str, on_the_way: bool = False) -> Listing:
    """What SQLite's index of the open queue finds; `on_the_way` through the queue, or each looked up."""
    hits = select(SEARCH.c.rowid).where(sql("project_search MATCH :quoted"))
    rows = select(*COLUMNS, nothing(), nothing()).select_from(WITH_SENDER).where(Project.id.in_(hits), *_aged(age))
    rows = rows.where(_stands(QUEUE)) if on_the_way else rows
    return Listing(rows, _order(PROJECT_SORTS, sort, Project.id, waiting_since), None if age else hits)


@kept
def _all_listing(sort: str, words: int) -> Listing:
    """Every project that has so many words in its text."""
    rows = select(*COLUMNS, nothing(), nothing()).select_from(WITH_SENDER).where(*_has(Project.search_text, words))
    return Listing(rows, _order(PROJECT_SORTS, sort, Project.id, Project.id, up=False))


@kept
def _job_listing(slug: str, sort: str, words: int) -> Listing:
    """Spectrum's jobs of a filter that have so many words in their text."""
    rows = _jobs(slug).where(*_has(func.lower(Job.key + " " + Job.name + " " + Job.customer_code), words))
    return Listing(rows, _order(JOB_SORTS, sort, Job.id, Job.key))


def _jobs(slug: str) -> Select[Any]:
    synced = exists().where(Project.job_key == Job.key)
    listed = select(Job).where(Job.archived.is_(slug == "archived"))
    if slug == "archived":
        return listed
    return listed.where(Job.gone_at.is_(None), Job.status_code != "C", ~Job.is_template, ~synced)


def _order(sorts: Mapping[str, Any], sort: str, row_id: Any, default: Any, up: bool = True) -> Order:
    """What the address sorts by, else the list's own order."""
    source = Job.__table__ if sorts is JOB_SORTS else WITH_SENDER
    key = sorts.get(sort.removeprefix("-"))
    return Order(default, row_id, source, up) if key is None else Order(key, row_id, source, not sort.startswith("-"))


def _stands(statuses: Sequence[Status]) -> Any:
    """The condition on the status; written out, so that the indexes of the open queue apply."""
    written: list[Any] = [literal_column(f"'{status}'") for status in statuses]
    return Project.status == written[0] if len(written) == 1 else Project.status.in_(written)


def _aged(age: str) -> list[Any]:
    return AGES[age].holds(bindparam("since"), bindparam("below")) if age else []


def _has(text: Any, words: int) -> list[Any]:
    """The conditions that each word of the search is somewhere in the text."""
    return [text.like(bindparam(f"word_{number}"), escape="/") for number in range(words)]


def _sought(words: Sequence[str]) -> dict[str, Any]:
    """The words as values: each for `_has`, and all as SQLite's index takes them."""
    quoted = " ".join('"' + word.replace('"', '""') + '"' for word in words)
    anywhere = ("%" + re.sub("[/%_]", r"/\g<0>", word) + "%" for word in words)
    return {"quoted": quoted} | {f"word_{number}": word for number, word in enumerate(anywhere)}


def _in_index(words: Sequence[str]) -> bool:
    """Whether SQLite's index has all of these words."""
    return bool(words) and db.engine.dialect.name == "sqlite" and all(len(word) >= TRIGRAM for word in words)
