"""The lists: what each filter shows, how many rows it holds, and a page of it.

Their statements stand in `listings.py`; how a list is cut into pages, in `paging.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Select, func, select

from extensions import db
from lib import pagination
from lib.pagination import ListParams, Page
from models import Counter, Project, Status, utcnow
from services import project_queries
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
            "ready-to-update",
            "Ready to Update",
            "Updates of Jobs Waiting for Accounting",
            "No update waits for accounting. One appears here when a project manager presses Send Update to ERP.",
            (Status.READY_TO_UPDATE,),
        ),
        Filter(
            "exporting",
            "Exporting",
            "Projects on Their Way to Spectrum",
            "Nothing is being exported. An accepted project appears here until Spectrum has it.",
            (Status.EXPORTING, Status.CHECKING, Status.UPDATING),
        ),
        Filter(
            "failed-to-export",
            "Failed to Export",
            "Projects That Spectrum Did Not Take",
            "No export has failed. If one does, it waits here with its cause until somebody retries or rejects it.",
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
        Filter("archived", "Archived", "Spectrum Jobs Put Away", "No job has been archived."),
    )
}
DEFAULT = "ready-to-export"
PASSED = 0.1  # of what it takes to look a row up, to pass one on the way


def query_of(args: Mapping[str, str]) -> ListParams:
    """What the address of a list asks for."""
    return ListParams.of(args, {*project_queries.PROJECT_SORTS, *project_queries.JOB_SORTS}, AGES)


def counts() -> dict[str, int]:
    """How many rows each filter holds, by slug."""
    of_jobs = Counter.cached("counts of jobs", _count_jobs)
    return {slug: _held(each.statuses) if each.statuses else of_jobs[slug] for slug, each in FILTERS.items()}


def _held(statuses: tuple[Status, ...]) -> int:
    """How many projects have one of these statuses, or any."""
    return sum(Counter.read().get(status, 0) for status in statuses or Status)


def _count_jobs() -> dict[str, int]:
    slugs = [slug for slug, each in FILTERS.items() if each.lists_jobs]
    counted = {slug: select(func.count()).select_from(project_queries.jobs_of(slug).subquery()) for slug in slugs}
    return {slug: db.session.scalar(rows) or 0 for slug, rows in counted.items()}


# --- a page ---------------------------------------------------------------------------------------------------------


def page_of(shown: Filter, query: ListParams) -> Page:
    """One page of a filter's list."""
    if not shown.lists_jobs:
        return _page_of_projects(shown.statuses, shown.oldest_first, query)
    words = project_queries.words_of(query.q)
    jobs, values = project_queries.jobs(shown.slug, query.sort, len(words)), project_queries.sought(words)
    return jobs.page(query, jobs.count(values) if words else counts()[shown.slug], pagination.objects(), values)


def all_projects(query: ListParams) -> Page:
    """One page of every project, newest first."""
    return _page_of_projects((), False, replace(query, age=""))


def _page_of_projects(statuses: tuple[Status, ...], up: bool, query: ListParams) -> Page:
    """One page of the projects in these statuses, or in all.

    What a search finds few of is put in order; what it finds many of is met on the way soon. In a list which is but a
    little of what the index has, everything is.
    """
    words, held = project_queries.words_of(query.q), _held(statuses)
    values = project_queries.sought(words) | (AGES[query.age].moments(utcnow()) if query.age else {})
    asked = (statuses, up, query.sort, query.age)
    short, most = project_queries.too_short(words), statuses != QUEUE and 2 * held > _held(())
    listing = project_queries.projects(*asked, len(words), most)
    total: int | None = held
    if short < len(words) and (statuses == QUEUE or most):
        found = project_queries.found(*asked, short)
        total = found.count(values)
        if total is not None:
            soon = statuses == QUEUE and total > PASSED * pagination.PER_PAGE * held / max(total, 1)
            listing = project_queries.met(query.sort, query.age, short) if soon else found
    elif words or query.age:
        total = listing.count(values)
    return listing.page(query, total, project_queries.lines, values)


def every_project(query: ListParams) -> Select[Any]:
    """All projects that the search finds, in the order in which they came, for a file."""
    words = project_queries.words_of(query.q)
    found = select(Project).where(*project_queries.has(Project.search_text, len(words)))
    return found.order_by(Project.id).params(project_queries.sought(words))
