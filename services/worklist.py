"""The worklist: its filters, their counts, and the pages of their lists."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Select, func, select

from extensions import db
from lib import pagination
from lib.formatting import local, short_date
from lib.pagination import ListParams, Page, PagedQuery
from models import UPDATE, WAITING, Counter, Project, Status, Transition, utcnow
from services import project_queries
from services.cache import cached
from services.project_queries import AGES, QUEUE


@dataclass(frozen=True)
class Filter:
    """One entry of the Filters menu: projects in some statuses, or Spectrum's jobs under a condition."""

    slug: str
    label: str
    heading: str
    empty: str
    statuses: tuple[Status, ...] = ()
    oldest_first: bool = True
    explained: str = ""

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
            "No projects are waiting. A project appears here when its project manager chooses Send to ERP.",
            (Status.READY,),
            explained="Projects that were sent and are not yet in Spectrum.",
        ),
        Filter(
            "ready-to-update",
            "Ready to Update",
            "Updates of Jobs Waiting for Accounting",
            "No updates are waiting. An update appears here when its project manager chooses Send Update to ERP.",
            (Status.READY_TO_UPDATE,),
        ),
        Filter(
            "exporting",
            "Exporting",
            "Exporting to Spectrum",
            "No exports are running. Accepted projects appear here until they are in Spectrum.",
            (Status.EXPORTING, Status.CHECKING, Status.UPDATING),
        ),
        Filter(
            "failed-to-export",
            "Failed to Export",
            "Failed Exports",
            "No failed exports. A failed export stays here with its cause until someone retries or rejects it.",
            (Status.FAILED, Status.UPDATE_FAILED),
        ),
        Filter(
            "synced",
            "Synced",
            "Projects That Are Jobs in Spectrum",
            "No project has reached Spectrum yet. Accept one under Ready to Export.",
            (Status.SYNCED,),
            oldest_first=False,
        ),
        Filter("archived", "Archived", "Archived Spectrum Jobs", "No job has been archived."),
    )
}
DEFAULT = "ready-to-export"
MOST_SELECTED = 200  # projects that are decided at once
SCAN_COST = 0.1  # of passing over one row, relative to fetching one by id


def read_params(args: Mapping[str, str]) -> ListParams:
    return ListParams.from_args(args, {*project_queries.PROJECT_SORTS, *project_queries.JOB_SORTS}, AGES)


def managed_filter(args: Mapping[str, str]) -> str:
    show = args.get("show", "")
    return show if show in project_queries.MANAGED else ""


def counts() -> dict[str, int]:
    of_jobs = cached("counts of jobs", _count_jobs)
    return {slug: _count(each.statuses) if each.statuses else of_jobs[slug] for slug, each in FILTERS.items()}


def _count(statuses: tuple[Status, ...]) -> int:
    counted = Counter.read()
    return sum(counted.get(status, 0) for status in statuses or Status)


def _count_jobs() -> dict[str, int]:
    slugs = [slug for slug, each in FILTERS.items() if each.lists_jobs]
    jobs = {slug: project_queries.indexed_jobs_of(slug) for slug in slugs}
    counted = {slug: rows.with_only_columns(func.count(), maintain_column_froms=True) for slug, rows in jobs.items()}
    return {slug: db.session.scalar(rows) or 0 for slug, rows in counted.items()}


# --- a page ---------------------------------------------------------------------------------------------------------


def get_page(shown: Filter, query: ListParams) -> Page:
    if not shown.lists_jobs:
        return _get_page_of_projects(shown.statuses, shown.oldest_first, query)
    words = project_queries.split_words(query.q)
    jobs, values = project_queries.jobs(shown.slug, query.sort, len(words)), project_queries.search_params(words)
    return jobs.page(query, jobs.count(values) if words else counts()[shown.slug], pagination.objects(), values)


def managed_projects(query: ListParams, show: str, person_id: int) -> Page:
    words, count = project_queries.split_words(query.q), _count(project_queries.MANAGED[show].statuses)
    values = project_queries.search_params(words) | {"me": person_id}
    unindexed = project_queries.unindexed(words)
    most = 2 * count > _count(())
    rows = project_queries.managed(show, query.sort, len(words), False, most)
    total: int | None = count
    if unindexed < len(words):  # more hits than are counted stand on every few pages, so the list is scanned for them
        hits = project_queries.managed(show, query.sort, unindexed, True, most)
        total = hits.count(values)
        rows = hits if total is not None else rows
    elif words or show in ("inactive", "mine"):
        every = project_queries.managed(show, query.sort, 0, False, most)
        rows = _bounded(rows, every, values, words, count)
        total = rows.count(values)
    return rows.page(replace(query, age=""), total, project_queries.read_managed_rows, values)


def selectable_ids(shown: Filter, query: ListParams) -> list[int]:
    if not WAITING.intersection(shown.statuses):
        return []
    rows, _, values = _choose_query(shown.statuses, shown.oldest_first, query)
    return rows.ids(values, MOST_SELECTED)


def _get_page_of_projects(statuses: tuple[Status, ...], up: bool, query: ListParams) -> Page:
    """A page of the projects in these statuses, or in all."""
    rows, total, values = _choose_query(statuses, up, query)
    return rows.page(query, total, project_queries.read_rows, values)


def _choose_query(
    statuses: tuple[Status, ...], up: bool, query: ListParams
) -> tuple[PagedQuery, int | None, pagination.Values]:
    """The query for the projects in these statuses, their number, and its parameters.

    Query plan: few search hits are fetched from the index and sorted; for many hits the list is scanned in order until
    a page is full; a short list is always scanned.
    """
    words, count = project_queries.split_words(query.q), _count(statuses)
    values = project_queries.search_params(words) | (AGES[query.age].params(utcnow()) if query.age else {})
    shape = (statuses, up, query.sort, query.age)
    unindexed, most = project_queries.unindexed(words), statuses != QUEUE and 2 * count > _count(())
    rows = project_queries.projects(*shape, len(words), most)
    total: int | None = count
    if unindexed < len(words) and (statuses == QUEUE or most):
        hits = project_queries.by_index(*shape, unindexed)
        total = hits.count(values)
        if total is not None:
            scan = statuses == QUEUE and total > SCAN_COST * pagination.PER_PAGE * count / max(total, 1)
            rows = project_queries.by_scan(query.sort, query.age, unindexed) if scan else hits
    elif words or query.age:
        rows = _bounded(rows, project_queries.projects(*shape, 0, most), values, words, count)
        total = rows.count(values)
    return rows, total, values


def _bounded(rows: PagedQuery, every: PagedQuery, values: dict[str, Any], words: list[str], count: int) -> PagedQuery:
    """The rows of a search, of a long list only the first ones where no index finds the words; fills in `values`."""
    if count > project_queries.SEARCHED and project_queries.is_short(words):
        values["bound"] = every.nth(project_queries.SEARCHED, values)
    return rows.bounded if values.get("bound") else rows


def find_elsewhere(shown: Filter, q: str) -> list[tuple[Project, str]]:
    """A few projects that a search in this list misses, each with the words that tell where it is instead."""
    if not q or shown.lists_jobs:
        return []
    words = project_queries.split_words(q)
    unindexed, short = project_queries.unindexed(words), project_queries.is_short(words)
    statement = project_queries.some_outside(shown.statuses, len(words), unindexed, short=short)
    found = db.session.scalars(statement, project_queries.search_params(words))
    return [(project, describe_place(project)) for project in found]


def describe_place(project: Project) -> str:
    listed = next((each for each in FILTERS.values() if project.status in each.statuses), None)
    if listed:
        return f"is under {listed.label}"
    inactive = "" if project.active else "is inactive and "
    moves = {Status.REJECTED: (Transition.REJECT, "rejected"), Status.RETRIEVED: (Transition.RETRIEVE, "retrieved")}
    move, word = moves.get(project.status, (None, ""))
    last = project.latest(move) if move else None
    return f"{inactive}was {word} on {short_date(local(last.at).date())}" if last else f"{inactive}was never sent"


def next_in_queue(project: Project) -> tuple[Any, int]:
    """The project to decide next, as a row with id, number and name, or None; and how many others wait.

    It is the one that was sent after this one, else the oldest.
    """
    status = Status.READY_TO_UPDATE if project.status in UPDATE else Status.READY
    others = _count((status,)) - (project.status is status)
    since = project.sent_at or project.created_at
    values = {"status": status, "since": since, "id": project.id}
    for statement in project_queries.after_in_queue():
        if others and (row := db.session.execute(statement, values).first()):
            return row, others
    return None, others


def every_project(query: ListParams, show: str = "", person_id: int = 0) -> Select[Any]:
    """All projects under the filter that match the search, oldest first, for a file."""
    words = project_queries.split_words(query.q)
    found = select(Project).where(*project_queries.contains_words(Project.search_text, len(words)))
    found = found.where(*project_queries.managed_by(show))
    return found.order_by(Project.id).params(project_queries.search_params(words) | {"me": person_id})
