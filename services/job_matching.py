"""Matching of Spectrum jobs and projects, and the differences between the two. Nothing is changed here."""

from collections.abc import Iterable

from sqlalchemy import or_, select

from erp import Comparison, job_key, rules
from extensions import db
from models import TRANSITIONS, Job, Project, Transition


def compare(project: Project, job: Job) -> list[Comparison]:
    return rules().compare(project.information, job.row)


def pairs(jobs: Iterable[Job]) -> dict[str, Project]:
    keys = [job.key for job in jobs]
    seems = or_(Project.number_key.in_(keys), Project.suggested_job_key.in_(keys))
    linkable = TRANSITIONS[Transition.LINK]  # asked of what is found, because each key has an index and this has not
    found = [each for each in db.session.scalars(select(Project).where(seems)) if each.status in linkable]
    found = [each for each in found if each.job_key is None]
    by_number = {project.number_key: project for project in found if not project.suggested_job_key}
    return by_number | {project.suggested_job_key: project for project in found if project.suggested_job_key}


def find_similar(jobs: Iterable[Job], projects: Iterable[Project]) -> dict[Project, Job]:
    """Return the projects that look like one of the jobs: by number, else by name as far as Spectrum holds it."""
    by_number, by_name = ({getattr(job, name).casefold(): job for job in jobs} for name in ("number", "name"))
    alike = {
        project: by_number.get(project.number_key) or by_name.get(rules().shorten(project.name).casefold())
        for project in projects
    }
    return {project: job for project, job in alike.items() if job}


def job_of(project: Project) -> Job | None:
    return Job.by_number(project.suggested_job_key or project.number)


def problem(number: str, project: Project) -> str:
    job = Job.by_number(number)
    if not number.strip():
        return "Enter the Spectrum Job ID of the job to link."
    if job is None:
        return f"The job list read from Spectrum has no job {number}. Refresh the job list if the job is new."
    if job.removed_at:
        return f"Spectrum no longer lists job {job.number}."
    if job.is_template:
        return f"{job.title} is a job template."
    return taken(job, project)


def taken(job: Job, project: Project | None = None) -> str:
    holder = db.session.scalar(select(Project).where(Project.job_key == job.key))
    if holder is None or holder is project:
        return ""
    return f"{job.number} is the Spectrum Job ID of {holder.title}, which is {holder.status}."


def namesake(job: Job) -> str:
    """Return a sentence about the project that has the job's number as its own already; "" where none has."""
    project = db.session.scalar(select(Project).where(Project.number_key == job_key(job.number)))
    return f"{project.title} has the number {job.number} already. Link the job to it instead." if project else ""
