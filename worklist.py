"""The lists: what each filter shows, how it is searched and sorted, and how many rows it holds.

How a list is cut into pages stands in `paging.py`. Rows are read as plain columns, which is most of what makes a page
quick; what only some rows have (an export, a job) is read for those alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, column, exists, func, literal, select, table, text
from sqlalchemy.orm import joinedload, outerjoin

import paging
from extensions import db
from models import Export, Job, Person, Project, Standing, Status, Tally, utcnow
from paging import Order, Page, Query


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


AGES = {
    "new": Age("Less than a day", 0, 1),
    "young": Age("1 to 2 days", 1, 3),
    "old": Age("3 to 6 days", 3, 7, "old"),
    "older": Age("7 days and more", 7, None, "older"),
}


def aged(name: str) -> list[Any]:
    """The conditions that a project has waited that long; none for a name that is no age."""
    if name not in AGES:
        return []
    each, now = AGES[name], utcnow()
    latest = [] if each.below is None else [waiting_since > now - timedelta(days=each.below)]
    return [waiting_since <= now - timedelta(days=each.since), *latest]


@dataclass(frozen=True, slots=True)
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
    job_key: str | None
    export: Export | None = None
    job: Job | None = None


COLUMNS: list[Any] = [
    *(Project.id, Project.number, Project.name, Project.city, Project.state, Person.name, Project.sent_at),
    *(Project.status, Project.active, Project.version, Project.sent_by_id, Project.spectrum_job_id),
    *(Project.presumed_job_key, Project.job_key),
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


def page_of(shown: Filter, query: Query) -> Page:
    """One page of a filter's list."""
    if shown.lists_jobs:
        return _page_of_jobs(shown.slug, query)
    read = _lines if shown.statuses == QUEUE else _lines_with_exports
    order = _order(PROJECT_SORTS, query, Project.id, waiting_since, up=shown.oldest_first)
    rows = select(*COLUMNS).select_from(WITH_SENDER).where(*aged(query.age))
    if shown.statuses == QUEUE and (hits := _hits(query.q)) is not None:
        found = paging.count(hits)  # a few are fetched and put in order; many are soon met on the way through the queue
        rows = rows.where(Project.id.in_(hits), *([_stands(QUEUE)] if found is None else []))
        return paging.page(rows, order, query, paging.count(rows) if query.age else found, read)
    rows = rows.where(_stands(shown.statuses), *_found(query.q))
    total = paging.count(rows) if query.q or query.age else _held(shown, Tally.read())
    return paging.page(rows, order, query, total, read)


def _page_of_jobs(slug: str, query: Query) -> Page:
    text = func.lower(Job.key + " " + Job.name + " " + Job.customer_code)
    rows = _jobs(slug).where(*(text.contains(word, autoescape=True) for word in query.q.casefold().split()))
    total = paging.count(rows) if query.q else counts()[slug]
    return paging.page(rows, _order(JOB_SORTS, query, Job.id, Job.key), query, total, paging.objects)


def all_projects(query: Query) -> Page:
    """One page of every project, newest first."""
    rows = select(*COLUMNS).select_from(WITH_SENDER).where(*_found(query.q))
    total = paging.count(rows) if query.q else sum(Tally.read().get(status, 0) for status in Status)
    order = _order(PROJECT_SORTS, query, Project.id, Project.id, up=False)
    return paging.page(rows, order, query, total, _lines)


def every_project(query: Query) -> Select[Any]:
    """All projects that the search finds, in the order in which they came, for a file."""
    beside = (joinedload(each) for each in (Project.sent_by, Project.export, Project.job))
    return select(Project).options(*beside).where(*_found(query.q)).order_by(Project.id)


def _lines(rows: Select[Any]) -> list[Line]:
    return [Line(*row) for row in db.session.execute(rows)]


def _lines_with_exports(rows: Select[Any]) -> list[Line]:
    """The same, with what only those have that were accepted or linked."""
    lines = _lines(rows)
    ids, keys = [line.id for line in lines], [line.job_key for line in lines if line.job_key]
    current = select(Export).where(Export.current, Export.project_id.in_(ids))
    exports = {export.project_id: export for export in db.session.scalars(current)}
    jobs = {job.key: job for job in db.session.scalars(select(Job).where(Job.key.in_(keys)))}
    return [replace(line, export=exports.get(line.id), job=jobs.get(line.job_key or "")) for line in lines]


def _order(sorts: Mapping[str, Any], query: Query, row_id: Any, default: Any, up: bool = True) -> Order:
    """What the address sorts by, else the list's own order."""
    source = Job.__table__ if sorts is JOB_SORTS else WITH_SENDER
    key = sorts.get(query.sort.removeprefix("-"))
    if key is not None:
        return Order(key, row_id, source, not query.sort.startswith("-"))
    return Order(default, row_id, source, up)


def _stands(statuses: Sequence[Status]) -> Any:
    """The condition on the status; a single one is written out, so that the indexes of the open queue apply."""
    if len(statuses) > 1:
        return Project.status.in_(statuses)
    return Project.status == literal(statuses[0], Project.status.type, literal_execute=True)


def _found(q: str) -> list[Any]:
    """The conditions that each word of the search is somewhere in the project's text."""
    return [Project.search_text.contains(word, autoescape=True) for word in q.casefold().split()]


def _hits(q: str) -> Select[int] | None:
    """The ids in the open queue that the search finds, by SQLite's index; None where it has no such words."""
    words = q.casefold().split()
    if not words or db.engine.dialect.name != "sqlite" or any(len(word) < TRIGRAM for word in words):
        return None
    quoted = " ".join('"' + word.replace('"', '""') + '"' for word in words)
    return select(SEARCH.c.rowid).where(text("project_search MATCH :words").bindparams(words=quoted))


def _jobs(slug: str) -> Select[Any]:
    synced = exists().where(Project.job_key == Job.key)
    listed = select(Job).where(Job.archived.is_(slug == "archived"))
    if slug == "archived":
        return listed
    return listed.where(Job.gone_at.is_(None), Job.status_code != "C", ~Job.is_template, ~synced)
