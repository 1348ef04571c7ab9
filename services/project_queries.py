"""The statements behind the lists, each built once per shape of list, and the rows they return.

Building a statement takes longer than running it, and an ORM object longer than plain columns. Search words and ages
are passed as parameters. An export or a job is read only for a row that shows something of it.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache, lru_cache
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Select,
    String,
    and_,
    bindparam,
    cast,
    column,
    exists,
    func,
    literal_column,
    null,
    or_,
    select,
    table,
)
from sqlalchemy import text as sql
from sqlalchemy.orm import join, outerjoin

from erp import job_key
from extensions import db
from lib.pagination import Order, PagedQuery, Values
from models import (
    FAILED,
    IN_PROGRESS,
    JOB_LIST,
    JOB_ORDERS,
    ORDERS,
    UPDATE,
    WAITING,
    Event,
    Export,
    Job,
    Person,
    Project,
    ProjectState,
    Side,
    Status,
)

cached_statement = lru_cache(maxsize=256)
waiting_since = func.coalesce(Project.sent_at, Project.created_at)  # a linked project may never have been sent
PROJECT_SORTS: dict[str, Any] = {
    "number": Project.number_key,
    "name": func.lower(Project.name),
    "place": func.lower(Project.city),
    "sender": Project.sender_key,
    "sent": waiting_since,
    "job": func.coalesce(Project.job_key, literal_column("''")),
    "status": Project.status,
}
JOB_SORTS: dict[str, Any] = {name: literal_column(key.text) for name, key in JOB_ORDERS.items()}
WITH_SENDER = outerjoin(Project, Person, Project.sent_by_id == Person.id)
QUEUE = (Status.READY,)
PLAIN = {Status.READY, Status.SYNCED}  # rows of other statuses tell of an export, or have actions of their own
# SQLite's trigram indexes: over the open queue, which is searched all day, and over everything
SEARCH_QUEUE, SEARCH_ALL = (table(name, column("rowid")) for name in ("project_search", "project_search_all"))
TRIGRAM = 3  # shorter words are in no such index
SEARCHED = 10_000  # rows that a search looks through for short words only
INDEXED_ORDERS = ("number", "job", *ORDERS)


@dataclass(frozen=True)
class Age:
    """A range of days that a project has waited, and the style of its bar."""

    label: str
    since: int
    below: int | None
    tone: str = ""

    def params(self, now: datetime) -> dict[str, Any]:
        """The latest and the earliest start of such a wait, as parameters for `conditions`."""
        return {"since": now - timedelta(days=self.since), "below": now - timedelta(days=self.below or 0)}

    def conditions(self, since: Any, below: Any) -> list[Any]:
        return [waiting_since <= since, *([] if self.below is None else [waiting_since > below])]


AGES = {
    "new": Age("Less than a day", 0, 1),
    "young": Age("1 to 2 days", 1, 3),
    "old": Age("3 to 6 days", 3, 7, "old"),
    "older": Age("7 days and more", 7, None, "older"),
}


class _Columns(NamedTuple):
    id: int
    number: str
    name: str
    city: str
    state: str
    sender: str | None  # None: linked before it was sent
    sent_at: datetime | None
    status: Status
    active: bool
    version: int
    sent_by_id: int | None
    spectrum_job_id: str | None
    suggested_job_key: str | None
    drifted: bool
    question_to: Side | None
    export_id: int | None
    job_id: int | None
    updated_at: datetime | None = None  # in the project managers' list


class ProjectRow(ProjectState, _Columns):
    """A project in a list, read as plain columns."""

    export: Export | None = None
    job: Job | None = None

    @property
    def is_plain(self) -> bool:
        """Tell whether its row shows nothing but its columns."""
        return self.status in PLAIN and not (self.export or self.job or self.suggested_job_key)


HAS_DETAILS = or_(  # a row shows something of the export
    *(Project.status != Status.SYNCED, Export.due_at.is_not(None), cast(Export.warnings, String) != "[]"),
    and_(Export.copy_phases, or_(Export.phases_total == 0, Export.phases_done < Export.phases_total)),
)
JOB_UNAVAILABLE = or_(Job.removed_at.is_not(None), Job.status_code == "C")
COLUMNS: list[Any] = [
    *(Project.id, Project.number, Project.name, Project.city, Project.state, Person.name, Project.sent_at),
    *(Project.status, Project.active, Project.version, Project.sent_by_id, Project.spectrum_job_id),
    *(Project.suggested_job_key, Project.drifted, Project.question_to),
]
EXTRA_COLUMNS: list[Any] = [
    select(Export.id).where(Export.project_id == Project.id, Export.current, HAS_DETAILS).scalar_subquery(),
    select(Job.id).where(Job.key == Project.job_key, JOB_UNAVAILABLE).scalar_subquery(),
]


UPDATED = select(Event.at).where(Event.project_id == Project.id).order_by(Event.id.desc()).limit(1).scalar_subquery()


@dataclass(frozen=True)
class ManagedFilter:
    """One filter of the project managers' list: projects in some statuses, or under a condition of `managed_by`."""

    label: str
    statuses: tuple[Status, ...] = ()


MANAGED = {
    "": ManagedFilter("All"),
    "needs-you": ManagedFilter("Needs You", (Status.REJECTED,)),
    "waiting": ManagedFilter("Waiting", tuple(sorted(WAITING | IN_PROGRESS | FAILED))),
    "in-spectrum": ManagedFilter("In Spectrum", tuple(sorted(UPDATE | {Status.SYNCED}))),
    "not-sent": ManagedFilter("Not Sent", (Status.NOT_SENT, Status.RETRIEVED)),
    "inactive": ManagedFilter("Inactive"),
    "mine": ManagedFilter("Mine"),
}


def read_rows(statement: Select[Any], values: Values) -> list[ProjectRow]:
    found = [ProjectRow(*row) for row in db.session.connection().execute(statement, values).all()]
    exports = _by_id(Export, [line.export_id for line in found if line.export_id])
    jobs = _by_id(Job, [line.job_id for line in found if line.job_id])
    for line in found if exports or jobs else ():
        line.export, line.job = exports.get(line.export_id), jobs.get(line.job_id)
    return found


class ExportFacts(NamedTuple):
    """The part of an export that a list of synced projects shows."""

    exported_at: datetime | None
    accepted_by: str
    template: str
    customer: str | None


def export_facts(project_ids: Sequence[int]) -> dict[int, ExportFacts]:
    """The exports that made the jobs of some projects, by project id, in one statement."""
    rows = db.session.connection().execute(_facts(), {"ids": project_ids})
    return {project_id: ExportFacts(*facts) for project_id, *facts in rows}


@cache
def _facts() -> Select[Any]:
    of_some = Export.project_id.in_(bindparam("ids", expanding=True))
    latest = select(func.max(Export.id)).where(of_some, ~Export.is_update, Export.created_at.is_not(None))
    columns: list[Any] = [Export.project_id, Export.created_at, Person.name, Export.template_number, Job.customer_code]
    joined = (
        select(*columns).join(Person, Export.accepted_by_id == Person.id).join(Project, Export.project_id == Project.id)
    )
    by_job = joined.outerjoin(Job, Job.key == Project.job_key)
    return by_job.where(Export.id.in_(latest.group_by(Export.project_id)))


def _by_id(kind: type[Any], ids: Sequence[int]) -> dict[int | None, Any]:
    return {row.id: row for row in db.session.scalars(select(kind).where(kind.id.in_(ids)))} if ids else {}


# --- the shapes ------------------------------------------------------------------------------------------------------


@cached_statement
def projects(statuses: tuple[Status, ...], up: bool, sort: str, age: str, words: int, most: bool = False) -> PagedQuery:
    scanned = most and sort.removeprefix("-") in INDEXED_ORDERS
    parts = _parts(statuses, scanned)
    rows = _rows(WITH_SENDER, statuses, age, words)
    if statuses:
        rows = rows.where(_status_is(statuses, indexed=not scanned and not parts))
    return PagedQuery(rows, _order_of_projects(statuses, up, sort), parts=parts)


@cached_statement
def by_index(statuses: tuple[Status, ...], up: bool, sort: str, age: str, words: int) -> PagedQuery:
    """The same by one of SQLite's trigram indexes, then sorted. `words` counts the words too short for the index."""
    index = SEARCH_QUEUE if statuses == QUEUE else SEARCH_ALL
    matches = sql(f"{index.name} MATCH :quoted")
    source = outerjoin(join(index, Project, Project.id == index.c.rowid), Person, Project.sent_by_id == Person.id)
    rows = _rows(source, statuses, age, words).where(matches)
    if statuses not in (QUEUE, ()):
        return PagedQuery(rows.where(_status_is(statuses, indexed=False)), _order_of_projects(statuses, up, sort))
    counted = None if age or words else select(index.c.rowid).where(matches)
    return PagedQuery(rows, _order_of_projects(statuses, up, sort), counted)


@cached_statement
def by_scan(sort: str, age: str, words: int) -> PagedQuery:
    """The open queue scanned in order, keeping the rows that its index finds."""
    in_index = Project.id.in_(select(SEARCH_QUEUE.c.rowid).where(sql(f"{SEARCH_QUEUE.name} MATCH :quoted")))
    listing = projects(QUEUE, True, sort, age, words)
    return replace(listing, rows=listing.rows.where(in_index))


ELSEWHERE = 3  # projects that a search names where its own list has none
HITS = 30  # of a look-up that needs only some
FEW = 10_000  # projects whose events are fetched and sorted; those of more are found among the latest events


@cached_statement
def some_outside(
    statuses: tuple[Status, ...], words: int, unindexed: int, limit: int = ELSEWHERE, short: bool = False
) -> Select[Any]:
    """Some projects that contain so many words and are in none of these statuses; on SQLite of the first few found."""
    outside = Project.status.not_in(statuses)
    if short:
        return select(Project).where(outside, _among_latest(), *contains_words(Project.search_text, words)).limit(limit)
    if unindexed == words:
        return select(Project).where(outside, *contains_words(Project.search_text, words)).limit(limit)
    hits = select(SEARCH_ALL.c.rowid).where(sql(f"{SEARCH_ALL.name} MATCH :quoted")).limit(HITS).subquery()
    found = select(Project).join(hits, Project.id == hits.c.rowid)
    return found.where(outside, *contains_words(Project.search_text, unindexed)).limit(limit)


def ids_of(text: str) -> tuple[Select[Any], bool]:
    """The ids of the project of that number, else of those that contain the words; and whether they are few."""
    numbered = select(Project.id).where(Project.number_key == job_key(text))
    if db.session.scalar(numbered):
        return numbered, True
    words = split_words(text)
    if is_short(words):
        matching = select(Project.id).where(_among_latest(), *contains_words(Project.search_text, len(words)))
    else:
        matching = _every_match(len(words), unindexed(words))
    matching = matching.params(search_params(words))
    count = select(func.count()).select_from(matching.limit(FEW + 1).subquery())
    return matching, (db.session.scalar(count) or 0) <= FEW


def _every_match(words: int, unindexed: int) -> Select[Any]:
    if unindexed == words:
        return select(Project.id).where(*contains_words(Project.search_text, words))
    hits = select(SEARCH_ALL.c.rowid).where(sql(f"{SEARCH_ALL.name} MATCH :quoted"))
    short = select(Project.id).where(*contains_words(Project.search_text, unindexed), Project.id.in_(hits))
    return short if unindexed else hits


@cached_statement
def after_in_queue() -> tuple[Any, Any]:
    """The project after one in the order of a queue, and the first one but that."""
    waits = Project.status == bindparam("status", type_=Project.status.type)
    since: Any = bindparam("since", type_=Project.created_at.type)
    own: Any = bindparam("id")
    after = and_(waiting_since >= since, or_(waiting_since > since, Project.id > own))
    rows = select(Project.id, Project.number, Project.name).order_by(waiting_since, Project.id).limit(1)
    return rows.where(waits, after), rows.where(waits, Project.id != own)


@cached_statement
def managed(show: str, sort: str, words: int, by_words: bool, most: bool) -> PagedQuery:
    listing = by_index((), False, sort, "", words) if by_words else projects((), False, sort, "", words)
    scanned = most or by_words
    parts = _parts(MANAGED[show].statuses, scanned)
    rows = listing.rows.add_columns(UPDATED).where(*managed_by(show, indexed=not scanned and not parts))
    if show == "in-spectrum" and sort.endswith("job"):
        rows = rows.where(PROJECT_SORTS["job"] > "")  # skips those without a job in the index
    return replace(listing, rows=rows, counted=listing.counted if show == "" else None, parts=parts)


def managed_by(show: str, indexed: bool = True) -> list[Any]:
    if statuses := MANAGED[show].statuses:
        return [_status_is(statuses, indexed)]
    created, sent = (
        select(Project.id).where(by == bindparam("me")) for by in (Project.created_by_id, Project.sent_by_id)
    )
    conditions: dict[str, list[Any]] = {
        "inactive": [sql("NOT project.active")],
        "mine": [Project.id.in_(created.union(sent))],
    }
    return conditions.get(show, [])


def read_managed_rows(statement: Select[Any], values: Values) -> list[ProjectRow]:
    return [ProjectRow(*row) for row in db.session.connection().execute(statement, values)]


@cached_statement
def jobs(slug: str, sort: str, words: int) -> PagedQuery:
    found = contains_words(Job.search_text, words)
    counted = indexed_jobs_of(slug).with_only_columns(Job.id).where(*found)
    return PagedQuery(jobs_of(slug).where(*found), _order(JOB_SORTS, sort, Job.id, Job.key), counted)


def indexed_jobs_of(slug: str) -> Select[Any]:
    """The same jobs, to be counted or searched: of their indexes SQLite is to take the one with key and search text."""
    return jobs_of(slug).where(Job.key > "")


def jobs_of(slug: str) -> Select[Any]:
    if slug == "archived":
        return select(Job).where(sql(f"{JOB_LIST} = 'archived'"))
    return select(Job).where(sql(f"{JOB_LIST} = 'open'"), ~exists().where(Project.job_key == Job.key))


def _order(sorts: Mapping[str, Any], sort: str, row_id: Any, default: Any, up: bool = True) -> Order:
    source = Job.__table__ if sorts is JOB_SORTS else Project.__table__
    key = sorts.get(sort.removeprefix("-"))
    return Order(default, row_id, source, up) if key is None else Order(key, row_id, source, not sort.startswith("-"))


def _rows(source: Any, statuses: tuple[Status, ...], age: str, words: int) -> Select[Any]:
    """Columns of a row. Export and job ids are selected only in lists that show them."""
    extra = [null(), null()] if statuses in (QUEUE, ()) else EXTRA_COLUMNS
    return (
        select(*COLUMNS, *extra)
        .select_from(source)
        .where(*_age_between(age), *contains_words(Project.search_text, words))
    )


def _order_of_projects(statuses: tuple[Status, ...], up: bool, sort: str) -> Order:
    """Return the order that was asked for; in a list of one status, sorting by status means the list's own."""
    sorts = PROJECT_SORTS | ({"status": waiting_since} if len(statuses) == 1 else {})
    return _order(sorts, sort, Project.id, waiting_since if statuses else Project.id, up)


def _parts(statuses: tuple[Status, ...], scanned: bool) -> tuple[Any, ...]:
    return () if scanned or len(statuses) < 2 else tuple(_status_is([each]) for each in statuses)


def _status_is(statuses: Sequence[Status], indexed: bool = True) -> Any:
    """The condition on the status, as literals, so that the partial indexes of the open queue apply.

    `indexed=False` keeps the database from choosing the status index.
    """
    status: Any = Project.status if indexed else literal_column("(project.status || '')")
    written: list[Any] = [literal_column(f"'{each}'") for each in statuses]
    return status == written[0] if len(written) == 1 else status.in_(written)


def _age_between(age: str) -> list[Any]:
    return AGES[age].conditions(bindparam("since"), bindparam("below")) if age else []


def contains_words(text: Any, words: int) -> list[Any]:
    return [text.like(bindparam(f"word_{number}"), escape="/") for number in range(words)]


def _among_latest() -> ColumnElement[bool]:
    return Project.id > select(func.max(Project.id) - SEARCHED).scalar_subquery()


def is_short(words: Sequence[str]) -> bool:
    return bool(words) and all(len(word) < TRIGRAM for word in words)


def split_words(q: str) -> list[str]:
    return sorted(filter(None, (each.strip(",") for each in q.casefold().split())), key=len)


def search_params(words: Sequence[str]) -> dict[str, Any]:
    quoted = " ".join('"' + word.replace('"', '""') + '"' for word in words if len(word) >= TRIGRAM)
    anywhere = ("%" + re.sub("[/%_]", r"/\g<0>", word) + "%" for word in words)
    return {"quoted": quoted} | {f"word_{number}": word for number, word in enumerate(anywhere)}


def unindexed(words: Sequence[str]) -> int:
    """The number of words that are too short for SQLite's indexes; all on PostgreSQL, whose planner decides."""
    return sum(len(word) < TRIGRAM or db.engine.dialect.name != "sqlite" for word in words)
