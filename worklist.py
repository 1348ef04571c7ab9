"""The lists: what each filter shows, how many rows it holds, and a page of it.

Their statements stand in `listings.py`; how a list is cut into pages, in `paging.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.orm import joinedload

import listings
import paging
from extensions import db
from listings import AGES, QUEUE
from models import Project, Status, Tally, utcnow
from paging import Page, Query, Values


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
PASSED = 0.1  # of what it takes to look a row up, to pass one on the way


def query_of(args: Mapping[str, str]) -> Query:
    """What the address of a list asks for."""
    return Query.of(args, {*listings.PROJECT_SORTS, *listings.JOB_SORTS}, AGES)


def counts() -> dict[str, int]:
    """How many rows each filter holds, by slug."""
    tally, of_jobs = Tally.read(), Tally.remembered("counts of jobs", _count_jobs)
    return {slug: _held(each, tally) if each.statuses else of_jobs[slug] for slug, each in FILTERS.items()}


def _held(shown: Filter, tally: Mapping[str, int]) -> int:
    return sum(tally.get(status, 0) for status in shown.statuses)


def _count_jobs() -> dict[str, int]:
    slugs = [slug for slug, each in FILTERS.items() if each.lists_jobs]
    counted = {slug: select(func.count()).select_from(listings.jobs_of(slug).subquery()) for slug in slugs}
    return {slug: db.session.scalar(rows) or 0 for slug, rows in counted.items()}


# --- a page ---------------------------------------------------------------------------------------------------------


def page_of(shown: Filter, query: Query) -> Page:
    """One page of a filter's list."""
    words = listings.words_of(query.q)
    values = listings.sought(words) | (AGES[query.age].moments(utcnow()) if query.age else {})
    if shown.lists_jobs:
        jobs = listings.jobs(shown.slug, query.sort, len(words))
        return jobs.page(query, jobs.count(values) if words else counts()[shown.slug], paging.objects(), values)
    held = _held(shown, Tally.read())
    if shown.statuses == QUEUE and listings.in_index(words):
        return _page_of_hits(query, values, held)
    listing = listings.projects(shown.statuses, shown.oldest_first, query.sort, query.age, len(words))
    return listing.page(query, listing.count(values) if words or query.age else held, listings.lines, values)


def _page_of_hits(query: Query, values: Values, waiting: int) -> Page:
    """What the index of the open queue finds: a few are looked up and put in order, many are met on the way soon."""
    total = listings.hits(query.sort, query.age).count(values)
    many = total is None or total > PASSED * paging.PER_PAGE * waiting / max(total, 1)
    return listings.hits(query.sort, query.age, many).page(query, total, listings.lines, values)


def all_projects(query: Query) -> Page:
    """One page of every project, newest first."""
    words = listings.words_of(query.q)
    listing, values = listings.everything(query.sort, len(words)), listings.sought(words)
    total = listing.count(values) if words else sum(Tally.read().get(status, 0) for status in Status)
    return listing.page(query, total, listings.lines, values)


def every_project(query: Query) -> Select[Any]:
    """All projects that the search finds, in the order in which they came, for a file."""
    words = listings.words_of(query.q)
    beside = (joinedload(each) for each in (Project.sent_by, Project.export, Project.job))
    found = select(Project).options(*beside).where(*listings.has(Project.search_text, len(words)))
    return found.order_by(Project.id).params(listings.sought(words))
