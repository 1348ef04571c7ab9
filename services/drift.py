"""Drift: a job was changed in the accounting system after accounting accepted the project.

A refresh of the job list is compared, and the dates as they were read last. Nothing here changes anything.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import selectinload

from erp import is_damaged, rules
from extensions import db
from lib.formatting import local
from models import INFORMATION, UPDATE, Event, Project, Status, Transition
from services.update_form import LEFT, RESTORE, accepted_values, readable

ACCEPTED = [str(each) for each in (Transition.CREATED, Transition.FOUND, Transition.LINK, Transition.UPDATED)]
AS_JOB = {Status.SYNCED, *UPDATE}
MANY = 500  # projects that one statement reads


@dataclass(frozen=True)
class Drift:
    """One value of a job that differs both from the accepted one and from the project's."""

    column: str
    accepted: str
    there: str
    since: datetime | None

    @property
    def sentence(self) -> str:
        day = local(self.since) if self.since else None
        after = f" after {day:%b} {day.day}, {day.year}" if day else ""
        before, now = (readable(self.column, value) or "empty" for value in (self.accepted, self.there))
        return f"{INFORMATION[self.column][0]} was changed in Spectrum{after}: {before} → {now}"


def find(project: Project) -> list[Drift]:
    """Return the values of a Synced project's job that changed, without those left as they are."""
    if project.status not in AS_JOB or project.job is None or project.job.removed_at:
        return []
    there, accepted = rules().job_values(project.job.row, project.job.dates), accepted_values(project)
    ours = rules().update_values(project.information)
    found = [each for each in INFORMATION if each in there and each in accepted and not is_damaged(there[each])]
    drifted = [each for each in found if _drifted(each, accepted, ours[each], there[each])]
    since = _accepted_at(project) if drifted else None
    return [Drift(each, accepted[each], there[each], since) for each in drifted]


def _drifted(column: str, accepted: dict[str, str], ours: str, there: str) -> bool:
    known = [accepted[column], ours, *([accepted[LEFT + column]] if LEFT + column in accepted else [])]
    return RESTORE + column not in accepted and not any(rules().same_value(column, each, there) for each in known)


def _accepted_at(project: Project) -> datetime | None:
    own = select(Event.at).where(Event.project_id == project.id, Event.action.in_(ACCEPTED))
    return db.session.scalar(own.order_by(Event.id.desc()).limit(1))


def mark(job_keys: Sequence[str]) -> None:
    synced = select(Project).where(Project.status.in_(AS_JOB))
    synced = synced.options(selectinload(Project.job), selectinload(Project.export))
    for start in range(0, len(job_keys), MANY):
        some = Project.job_key.in_(job_keys[start : start + MANY])
        for project in db.session.scalars(synced.where(some)).all():
            mark_one(project)


def mark_one(project: Project) -> None:
    """The same for one project. Its version stays, because nothing of what a person decided about it changed."""
    db.session.flush()
    db.session.execute(update(Project).where(Project.id == project.id).values(drifted=bool(find(project))))
