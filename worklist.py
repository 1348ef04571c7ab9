"""The lists: what each filter shows, search, sort, page, counts. A parameter that makes no sense is ignored."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from sqlalchemy import Select, exists, func, select
from sqlalchemy.orm import joinedload

from extensions import db
from models import Job, Person, Project, Status, utcnow

PER_PAGE = 50


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

PROJECT_SORTS: dict[str, Any] = {
    "number": Project.number_key,
    "name": func.lower(Project.name),
    "place": func.lower(Project.city),
    "sender": func.lower(Person.name),
    "sent": Project.sent_at,
    "job": Project.job_key,
    "status": Project.status,
}
JOB_SORTS: dict[str, Any] = {
    "job": Job.key,
    "name": func.lower(Job.name),
    "customer": func.lower(Job.customer_code),
    "division": Job.division,
}


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
    latest = [] if each.below is None else [Project.sent_at > now - timedelta(days=each.below)]
    return [Project.sent_at <= now - timedelta(days=each.since), *latest]


@dataclass(frozen=True)
class Query:
    """What the address asks for, with everything senseless taken out."""

    q: str
    sort: str
    page: int
    age: str = ""

    @classmethod
    def of(cls, args: Mapping[str, str]) -> "Query":
        page = args.get("page", "")
        sort = args.get("sort", "")
        known = {*PROJECT_SORTS, *JOB_SORTS}
        return cls(
            q=args.get("q", "").strip()[:100],
            sort=sort if sort.removeprefix("-") in known else "",
            page=int(page) if page.isascii() and page.isdecimal() and 0 < len(page) < 8 and int(page) else 1,
            age=args["age"] if args.get("age") in AGES else "",
        )

    def address(self, **changes: Any) -> dict[str, Any]:
        """The query as address parameters, without what is at its default."""
        wanted = {"q": self.q, "sort": self.sort, "page": self.page, "age": self.age} | changes
        return {name: value for name, value in wanted.items() if value and (name, value) != ("page", 1)}


@dataclass(frozen=True)
class Page:
    """The rows of one page, with how many there are in all."""

    rows: list[Any]
    total: int
    query: Query

    @property
    def first(self) -> int:
        return (self.query.page - 1) * PER_PAGE + 1

    @property
    def last(self) -> int:
        return self.first + len(self.rows) - 1

    @property
    def has_next(self) -> bool:
        return self.last < self.total


def counts() -> dict[str, int]:
    """How many rows each filter holds, by slug."""
    by_status = dict(db.session.execute(select(Project.status, func.count()).group_by(Project.status)).all())
    return {
        slug: db.session.scalar(select(func.count()).select_from(_jobs(slug).subquery())) or 0
        if each.lists_jobs
        else sum(by_status.get(status, 0) for status in each.statuses)
        for slug, each in FILTERS.items()
    }


def page_of(shown: Filter, query: Query) -> Page:
    """One page of a filter's list."""
    if shown.lists_jobs:
        rows = _jobs(shown.slug).where(*_matching((Job.key, Job.name, Job.customer_code), query.q))
        return _paged(rows, query, JOB_SORTS, Job.key, Job.id)
    rows = select(Project).where(Project.status.in_(shown.statuses), *aged(query.age))
    default = Project.sent_at if shown.oldest_first else Project.sent_at.desc()
    return _paged(_projects(rows, query), query, PROJECT_SORTS, default, Project.id)


def all_projects(query: Query) -> Page:
    """One page of every project, newest first."""
    return _paged(_projects(select(Project), query), query, PROJECT_SORTS, Project.id.desc(), Project.id)


def every_project(query: Query) -> Select[Any]:
    """All projects that the search finds, in the order in which they came, for a file."""
    return _projects(select(Project), query).order_by(Project.id)


def _projects(rows: Select[Any], query: Query) -> Select[Any]:
    beside = (joinedload(each) for each in (Project.sent_by, Project.export, Project.job))
    with_people = rows.outerjoin(Project.sent_by).options(*beside)
    return with_people.where(*_matching((Project.search_text,), query.q))


def _jobs(slug: str) -> Select[Any]:
    synced = exists().where(Project.job_key == Job.key)
    listed = select(Job).where(Job.archived.is_(slug == "archived"))
    if slug == "archived":
        return listed
    return listed.where(Job.gone_at.is_(None), Job.status_code != "C", ~Job.is_template, ~synced)


def _matching(columns: tuple[Any, ...], q: str) -> list[Any]:
    """Each word of the search is somewhere in what is searched."""
    text = columns[0] if len(columns) == 1 else func.lower(columns[0] + " " + columns[1] + " " + columns[2])
    return [text.contains(word, autoescape=True) for word in q.casefold().split()]


def _paged(rows: Select[Any], query: Query, sorts: Mapping[str, Any], default: Any, tie: Any) -> Page:
    total = db.session.scalar(select(func.count()).select_from(rows.order_by(None).subquery())) or 0
    column = sorts.get(query.sort.removeprefix("-"))
    order = default if column is None else column.desc() if query.sort.startswith("-") else column
    query = replace(query, page=min(query.page, max(1, -(-total // PER_PAGE))))  # past the end is the last page
    ordered = rows.order_by(order, tie).limit(PER_PAGE).offset((query.page - 1) * PER_PAGE)
    return Page(list(db.session.scalars(ordered)), total, query)
