"""The comparison with Spectrum's job list after a restore: jobs made since the backup, and the projects they may be.

Until it is done nothing is accepted or exported, because a project that waits in the backup may be a job already.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select

from erp import job_key, rules
from extensions import db
from models import Job, Project, Setting, SettingName, Status, utcnow
from services import job_matching, workflow
from services.cache import cached

Alike = Callable[[Mapping[str, Any]], str]  # what a job and its project have in common; "" where there is nothing
NAMED = 5  # jobs that the banner names


def compare_jobs() -> None:
    """Offer each job made since the backup to the project it resembles, and release accepting and exporting."""
    restored = Setting.read(SettingName.RESTORED)
    if not Setting.restore_pending():
        return
    since = Job.first_seen_at >= datetime.fromisoformat(restored["at"])
    jobs = db.session.scalars(select(Job).where(since, Job.key.not_in(_held_keys()))).all()
    matches = _match(jobs, db.session.scalars(select(Project).where(Project.status != Status.SYNCED)).all())
    for project, job in matches.items():
        _suggest(project, job)
    unmatched = [job.key for job in jobs if job not in matches.values()]
    Setting.write(SettingName.RESTORED, restored | {"compared": utcnow().isoformat(), "unmatched": unmatched})


def warning() -> str:
    return cached("after a restore", _warning)


def _warning() -> str:
    if Setting.restore_pending():
        return workflow.NOT_COMPARED
    keys = (Setting.read(SettingName.RESTORED) or {}).get("unmatched", [])
    open_jobs = select(Job).where(Job.key.in_(keys), ~Job.archived, Job.removed_at.is_(None))
    jobs = db.session.scalars(open_jobs.where(Job.key.not_in(_held_keys())).order_by(Job.number)).all() if keys else []
    if not jobs:
        return ""
    named = ", ".join(job.title for job in jobs[:NAMED]) + (f" and {len(jobs) - NAMED} more" if jobs[NAMED:] else "")
    return (
        f"Spectrum has jobs that were made after the restored backup and belong to no project here: {named}. "
        "Before you accept a project, check that it is none of them. Link or archive them under Ready to Import."
    )


def _held_keys() -> Any:
    return select(Project.job_key).where(Project.job_key.is_not(None))


def _match(jobs: Sequence[Job], projects: Sequence[Project]) -> dict[Project, Job]:
    """Match by number or name, the rest by address, then by dates: a job under another number may be renamed, too."""
    matches = job_matching.find_similar(jobs, projects)
    for alike in (_address, _dates):
        found = set(matches.values())
        left = [job for job in jobs if job not in found]
        matches |= _match_by(alike, left, [project for project in projects if project not in matches])
    return matches


def _match_by(alike: Alike, jobs: Sequence[Job], projects: Sequence[Project]) -> dict[Project, Job]:
    found = {alike(rules().project_from_job(job.row, job.dates)): job for job in jobs}
    return {each: found[key] for each in projects if (key := alike(each.information)) and key in found}


def _address(values: Mapping[str, Any]) -> str:
    street = job_key(values["address_1"] or "")
    return f"{street} {job_key(values['city'] or '')}" if street else ""


def _dates(values: Mapping[str, Any]) -> str:
    """Both dates: one alone is shared by too many."""
    start, end = values["start_date"], values["completion_date"]
    return f"{start} {end}" if start and end else ""


def _suggest(project: Project, job: Job) -> None:
    """Have a person decide: a waiting project shows the job; an export stops, and asks whether it is the project's."""
    project.suggested_job_key = job.key
    if project.export is None or project.status not in (Status.EXPORTING, Status.CHECKING, Status.FAILED):
        return
    if project.status is not Status.FAILED:
        sentence = f"After the restore of a backup, Spectrum's job {job.number} looks like this project."
        workflow.mark_failed(project, sentence, keep_job=True)
        project.export.error = sentence
        project.export.finish()
    project.export.conflicting_job = dict(job.row)
