"""The statements of the lists, each made once for each shape of list, and the lines that they give.

To make a statement takes longer than to run it, and an object longer than plain columns; an export or a job is read
only for a line that has something to tell of it. What the lists are and how they are cut into pages stands in
`worklist.py` and `paging.py`. What is searched for, and which moments an age stands for, comes as values.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from sqlalchemy import Select, String, and_, bindparam, cast, column, exists, func, literal_column, or_, select, table
from sqlalchemy import null as nothing
from sqlalchemy import text as sql
from sqlalchemy.orm import join, outerjoin

from extensions import db
from lib.pagination import Order, PagedQuery, Values
from models import ORDERS, Export, Job, Person, Project, ProjectState, Status

kept = lru_cache(maxsize=256)  # shapes
waiting_since = func.coalesce(Project.sent_at, Project.created_at)  # what was linked was perhaps never sent
PROJECT_SORTS: dict[str, Any] = {
    "number": Project.number_key,
    "name": func.lower(Project.name),
    "place": func.lower(Project.city),
    "sender": Project.sender_key,
    "sent": waiting_since,
    "job": func.coalesce(Project.job_key, literal_column("''")),
    "status": Project.status,
}
JOB_SORTS: dict[str, Any] = {
    "job": Job.key,
    "name": func.lower(Job.name),
    "customer": func.lower(Job.customer_code),
    "division": Job.division,
}
WITH_SENDER = outerjoin(Project, Person, Project.sent_by_id == Person.id)
QUEUE = (Status.READY,)
# SQLite's trigram indexes: over the open queue, which is searched all day, and over everything
SEARCH_QUEUE, SEARCH_ALL = (table(name, column("rowid")) for name in ("project_search", "project_search_all"))
TRIGRAM = 3  # shorter words are in no such index
KEPT_FOR_ALL = ("number", "job", *ORDERS)


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
class ProjectRow(ProjectState):
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
    suggested_job_key: str | None
    drifted: bool
    export_id: int | None
    job_id: int | None
    export: Export | None = None
    job: Job | None = None


TOLD = or_(  # of a project's export there is something to say in a list
    *(Project.status != Status.SYNCED, Export.due_at.is_not(None), cast(Export.warnings, String) != "[]"),
    and_(Export.copy_phases, or_(Export.phases_total == 0, Export.phases_done < Export.phases_total)),
)
ASTRAY = or_(Job.removed_at.is_not(None), Job.status_code == "C")
COLUMNS: list[Any] = [
    *(Project.id, Project.number, Project.name, Project.city, Project.state, Person.name, Project.sent_at),
    *(Project.status, Project.active, Project.version, Project.sent_by_id, Project.spectrum_job_id),
    *(Project.suggested_job_key, Project.drifted),
]
BESIDE: list[Any] = [
    select(Export.id).where(Export.project_id == Project.id, Export.current, TOLD).scalar_subquery(),
    select(Job.id).where(Job.key == Project.job_key, ASTRAY).scalar_subquery(),
]


def lines(statement: Select[Any], values: Values) -> list[ProjectRow]:
    """What a statement of projects finds, with the exports and jobs that there is something to say about."""
    found = [ProjectRow(*row) for row in db.session.connection().execute(statement, values).all()]
    exports = _by_id(Export, [line.export_id for line in found if line.export_id])
    jobs = _by_id(Job, [line.job_id for line in found if line.job_id])
    for line in found:
        line.export, line.job = exports.get(line.export_id), jobs.get(line.job_id)
    return found


def _by_id(kind: type[Any], ids: Sequence[int]) -> dict[int | None, Any]:
    return {row.id: row for row in db.session.scalars(select(kind).where(kind.id.in_(ids)))} if ids else {}


# --- the shapes ------------------------------------------------------------------------------------------------------


@kept
def projects(statuses: tuple[Status, ...], up: bool, sort: str, age: str, words: int, most: bool = False) -> PagedQuery:
    """The projects in these statuses, or in all, of that age, that have so many words in their text.

    Where they are `most` of all projects, they are met on the way through all, if those are kept in that order.
    """
    rows = _rows(WITH_SENDER, statuses, age, words)
    if statuses:
        rows = rows.where(_stands(statuses, planned=not (most and sort.removeprefix("-") in KEPT_FOR_ALL)))
    return PagedQuery(rows, _order_of_projects(statuses, up, sort))


@kept
def found(statuses: tuple[Status, ...], up: bool, sort: str, age: str, words: int) -> PagedQuery:
    """The same by one of SQLite's indexes: what that finds is put in order. `words` are too short for it."""
    index = SEARCH_QUEUE if statuses == QUEUE else SEARCH_ALL
    matches = sql(f"{index.name} MATCH :quoted")
    source = outerjoin(join(index, Project, Project.id == index.c.rowid), Person, Project.sent_by_id == Person.id)
    rows = _rows(source, statuses, age, words).where(matches)
    if statuses not in (QUEUE, ()):
        return PagedQuery(rows.where(_stands(statuses, planned=False)), _order_of_projects(statuses, up, sort))
    counted = None if age or words else select(index.c.rowid).where(matches)
    return PagedQuery(rows, _order_of_projects(statuses, up, sort), counted)


@kept
def met(sort: str, age: str, words: int) -> PagedQuery:
    """Of the open queue, what its index finds, but met on the way through the queue."""
    in_index = Project.id.in_(select(SEARCH_QUEUE.c.rowid).where(sql(f"{SEARCH_QUEUE.name} MATCH :quoted")))
    listing = projects(QUEUE, True, sort, age, words)
    return replace(listing, rows=listing.rows.where(in_index))


@kept
def jobs(slug: str, sort: str, words: int) -> PagedQuery:
    """Spectrum's jobs of a filter that have so many words in their text."""
    rows = jobs_of(slug).where(*has(Job.search_text, words))
    return PagedQuery(rows, _order(JOB_SORTS, sort, Job.id, Job.key))


def jobs_of(slug: str) -> Select[Any]:
    synced = exists().where(Project.job_key == Job.key)
    listed = select(Job).where(Job.archived.is_(slug == "archived"))
    if slug == "archived":
        return listed
    return listed.where(Job.removed_at.is_(None), Job.status_code != "C", ~Job.is_template, ~synced)


def _order(sorts: Mapping[str, Any], sort: str, row_id: Any, default: Any, up: bool = True) -> Order:
    """What the address sorts by, else the list's own order."""
    source = Job.__table__ if sorts is JOB_SORTS else Project.__table__
    key = sorts.get(sort.removeprefix("-"))
    return Order(default, row_id, source, up) if key is None else Order(key, row_id, source, not sort.startswith("-"))


def _rows(source: Any, statuses: tuple[Status, ...], age: str, words: int) -> Select[Any]:
    """The columns of lines; what waits has no export and no job to tell of, and a list of all tells of none."""
    beside = [nothing(), nothing()] if statuses in (QUEUE, ()) else BESIDE
    return select(*COLUMNS, *beside).select_from(source).where(*_aged(age), *has(Project.search_text, words))


def _order_of_projects(statuses: tuple[Status, ...], up: bool, sort: str) -> Order:
    """Of one status, an order by status is the list's own."""
    sorts = PROJECT_SORTS | ({"status": waiting_since} if len(statuses) == 1 else {})
    return _order(sorts, sort, Project.id, waiting_since if statuses else Project.id, up)


def _stands(statuses: Sequence[Status], planned: bool = True) -> Any:
    """The condition on the status, written out, so that the indexes of the open queue apply.

    It is `planned` with, or the database does not look for an index of it.
    """
    status: Any = Project.status if planned else literal_column("(project.status || '')")
    written: list[Any] = [literal_column(f"'{each}'") for each in statuses]
    return status == written[0] if len(written) == 1 else status.in_(written)


def _aged(age: str) -> list[Any]:
    return AGES[age].holds(bindparam("since"), bindparam("below")) if age else []


def has(text: Any, words: int) -> list[Any]:
    """The conditions that each word of the search is somewhere in the text."""
    return [text.like(bindparam(f"word_{number}"), escape="/") for number in range(words)]


def words_of(q: str) -> list[str]:
    """The words of a search, the shortest first; a place is written with a comma, which is no part of either word."""
    return sorted(filter(None, (each.strip(",") for each in q.casefold().split())), key=len)


def sought(words: Sequence[str]) -> dict[str, Any]:
    """The words as values: each for `has`, and those that SQLite's indexes have as they take them."""
    quoted = " ".join('"' + word.replace('"', '""') + '"' for word in words if len(word) >= TRIGRAM)
    anywhere = ("%" + re.sub("[/%_]", r"/\g<0>", word) + "%" for word in words)
    return {"quoted": quoted} | {f"word_{number}": word for number, word in enumerate(anywhere)}


def too_short(words: Sequence[str]) -> int:
    """How many of the words no index on SQLite has; of PostgreSQL, which decides for itself, all."""
    return sum(len(word) < TRIGRAM or db.engine.dialect.name != "sqlite" for word in words)
