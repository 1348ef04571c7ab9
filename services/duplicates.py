"""Projects and jobs that may be what a project describes too: by address, or by the telling words of the name.

They are hints and stop nothing. Each look-up ends after a few hits, however many projects there are; of Spectrum's jobs
the latest ones are looked through.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from sqlalchemy import func, select

from extensions import db
from lib.text import normalize
from models import Event, Job, Project
from services import project_queries

SHOWN, LATEST_JOBS = 3, 20_000
TOLD_APART = "told apart"
# words that many names have
COMMON = {
    "addition", "additions", "and", "apartments", "bldg", "building", "center", "city", "county", "for",
    "elementary", "expansion", "fire", "hall", "high", "improvement", "improvements", "new", "north", "office",
    "park", "phase", "project", "reno", "renovation", "renovations", "repair", "repairs", "replacement", "road",
    "school", "sch", "south", "station", "street", "suite", "the", "upgrade", "upgrades", "with",
}  # fmt: skip


@dataclass(frozen=True)
class Likeness:
    """A project, or a job without a project, that may be the same."""

    key: str
    title: str
    reason: str
    project_id: int = 0
    job_number: str = ""


def find(project: Project) -> list[Likeness]:
    """The projects and jobs that may be the same, without those that somebody told apart from it."""
    events = select(Event.details).where(Event.project_id == project.id, Event.action == TOLD_APART)
    apart = {details["other"] for details in db.session.scalars(events)}
    alike = {each.key: each for each in _alike(project) if each.key not in apart}
    return list(islice(alike.values(), SHOWN))


def _alike(project: Project) -> Iterator[Likeness]:
    address, words = _fold(project.address_1), _telling_words(project.name)
    if re.search(r"\d", address) and " " in address:
        for other in _containing([word for word in address.split() if len(word) >= project_queries.TRIGRAM]):
            if other.id != project.id and (_fold(other.address_1), _fold(other.city)) == (address, _fold(project.city)):
                yield Likeness(f"project {other.id}", other.title, "has this address", other.id)
    if len(words) < 2:  # one word alone tells too little
        return
    first = words[:2]  # a shorter name of the same begins with them too
    for other in _containing(first):
        if other.id != project.id and _are_alike(words, other.name):
            yield Likeness(f"project {other.id}", other.title, "has a similar name", other.id)
    for job in _jobs_containing(first):
        if _are_alike(words, job.name):
            yield Likeness(f"job {job.key}", f"Job {job.title}", "has a similar name", job_number=job.number)


def _fold(text: str) -> str:
    return " ".join(normalize(text).casefold().split())


def _telling_words(name: str) -> list[str]:
    return list(dict.fromkeys(word for word in re.findall(r"\w{3,}", _fold(name)) if word not in COMMON))


def _are_alike(words: list[str], name: str) -> bool:
    """Tell whether one of two names says all that the other one does, as with a phase or a wing of the same."""
    mine, theirs = set(words), set(_telling_words(name))
    return mine <= theirs or (len(theirs) > 1 and theirs <= mine)


def _containing(texts: list[str]) -> list[Project]:
    """A few projects in which each of these texts occurs; none are looked for where no index would find them."""
    if not texts:
        return []
    statement = project_queries.some_outside((), len(texts), project_queries.unindexed(texts), project_queries.HITS)
    return list(db.session.scalars(statement, project_queries.search_params(texts)))


def _jobs_containing(texts: list[str]) -> list[Job]:
    latest = select(func.max(Job.id) - LATEST_JOBS).scalar_subquery()
    free = project_queries.indexed_jobs_of("ready-to-import").where(Job.id > latest)
    named = (Job.search_text.contains(text, autoescape=True) for text in texts)
    return list(db.session.scalars(free.where(*named).limit(project_queries.HITS)))
