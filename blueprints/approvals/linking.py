"""Jobs and projects that exist already: adding projects from jobs, linking, unlinking, and putting jobs away."""

from collections.abc import Callable
from typing import Any

from flask import Blueprint, abort, current_app, redirect, render_template, request, url_for
from flask_login import current_user
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from blueprints.approvals.responses import (
    CommentPrompt,
    comment,
    conflict,
    current_project,
    get_project,
    last_change,
    not_allowed,
    render_project,
    success,
)
from blueprints.batch import Result, as_id, report, run_one, selected_ids
from erp import job_key
from extensions import db
from models import Job, NotAllowed, Project, Transition
from permissions import APPROVER, requires
from services import job_matching, workflow

blueprint = Blueprint("linking", __name__)
blueprint.register_error_handler(NotAllowed, not_allowed)
blueprint.add_app_template_global(job_matching.pairs, "pairs")


UNLINK = CommentPrompt("linking.unlink", "Unlink", "Say why the link was wrong. The job stays in Spectrum.")
NOT_OURS = CommentPrompt("linking.not_ours", "Not ours", "Say how you know. The number becomes free for another try.")


# --- one project ----------------------------------------------------------------------------------------------------


@blueprint.get("/approvals/<int:project_id>/link")
@requires(APPROVER)
def link_form(project_id: int) -> Any:
    project = get_project(project_id)
    if not project.allows(Transition.LINK):
        return conflict(project, project.refusal_reason(Transition.LINK))
    if "job" in request.args:
        return _link_panel(project, request.args["job"], begun=True)
    job = job_matching.job_of(project)
    return _link_panel(project, job.number if job else "")


@blueprint.post("/approvals/<int:project_id>/link")
@requires(APPROVER)
def link(project_id: int) -> Any:
    project = current_project(project_id)
    number = request.form.get("job", "").strip()
    if not project.allows(Transition.LINK):
        raise NotAllowed(project.refusal_reason(Transition.LINK))
    job = Job.by_number(number)
    if job is None or job_matching.problem(number, project):
        return _link_panel(project, number, begun=True)
    try:
        workflow.link(project, current_user, job, _company())
        db.session.commit()
    except IntegrityError:  # someone else took the job between the check and here: the panel says who now
        db.session.rollback()
        return _link_panel(get_project(project_id), number, begun=True)
    return success(project, f"{project.title} is job {project.spectrum_job_id} in Spectrum.")


@blueprint.get("/approvals/<int:project_id>/unlink")
@requires(APPROVER)
def unlink_form(project_id: int) -> Any:
    project = get_project(project_id)
    return (
        UNLINK.ask(project)
        if project.allows(Transition.UNLINK)
        else conflict(project, project.refusal_reason(Transition.UNLINK))
    )


@blueprint.post("/approvals/<int:project_id>/unlink")
@requires(APPROVER)
def unlink(project_id: int) -> Any:
    project = current_project(project_id)
    number = project.spectrum_job_id
    if project.allows(Transition.UNLINK) and not comment():
        return UNLINK.ask_again(project)
    workflow.unlink(project, current_user, comment())
    return success(project, f"{project.title} is no longer job {number}. The job stays in Spectrum.")


@blueprint.get("/approvals/<int:project_id>/not-ours")
@requires(APPROVER)
def not_ours_form(project_id: int) -> Any:
    project = get_project(project_id)
    return NOT_OURS.ask(project) if project.conflicting_job else conflict(project, "")


@blueprint.post("/approvals/<int:project_id>/not-ours")
@requires(APPROVER)
def not_ours(project_id: int) -> Any:
    project = current_project(project_id)
    number = project.spectrum_job_id
    if project.conflicting_job and not comment():
        return NOT_OURS.ask_again(project)
    workflow.release_other_job(project, current_user, comment())
    return success(project, f"Job {number} is not {project.title}. Retry it with another number, or reject it.")


def _link_panel(project: Project, number: str, begun: bool = False) -> Any:
    problem = job_matching.problem(number, project)
    job = None if problem else Job.by_number(number)
    compared = job_matching.compare(project, job) if job else []
    shown = {"number": number, "error": problem if begun else "", "job": job, "compared": compared}
    return render_project(project, 422 if shown["error"] else 200, panel="link", **shown)


def _company() -> str:
    return str(current_app.config["SPECTRUM_COMPANY_CODE"])


# --- Spectrum's jobs ------------------------------------------------------------------------------------------------


@blueprint.get("/erp/jobs/<int:job_id>/link")
@requires(APPROVER)
def choose_project(job_id: int) -> Any:
    job = db.session.get(Job, job_id) or abort(404)
    number = request.args.get("number", "").strip()
    project = db.session.scalar(select(Project).where(Project.number_key == job_key(number)))
    if number and project:
        return redirect(url_for(".link_form", project_id=project.id, job=job.number))
    pair = job_matching.pairs([job]).get(job.key)
    error = f"No project has the number {number}." if number else ""
    if "number" in request.args and not number:
        error = "Enter the number of the project."
    return render_template("erp/link_job.html", job=job, number=number, pair=pair, error=error), 422 if error else 200


@blueprint.post("/erp/jobs/add")
@requires(APPROVER)
def add_ticked() -> Any:
    def add(job: Job) -> str:
        problem = _not_free(job) or job_matching.namesake(job)
        if problem:
            raise NotAllowed(problem)
        return f"{workflow.create_from_job(current_user, job, _company()).title} was added."

    return _told(_each_ticked(add), "added to Countersign")


@blueprint.post("/erp/jobs/link")
@requires(APPROVER)
def link_ticked() -> Any:
    """Link to Existing Project: one job goes to the choice of its project; several are linked to the ones shown."""
    if len(jobs := selected_ids("job")) == 1:
        return redirect(url_for(".choose_project", job_id=jobs[0]), 303)

    def link_to_pair(job: Job) -> str:
        project = _pair_as_shown(job)
        if problem := _not_free(job):
            raise NotAllowed(problem)
        workflow.link(project, current_user, job, _company())
        return f"{project.title} is job {job.number}."

    return _told(_each_ticked(link_to_pair), "linked")


@blueprint.post("/erp/jobs/archive")
@requires(APPROVER)
def archive_ticked() -> Any:

    def put_away(job: Job) -> str:
        if problem := job_matching.taken(job):
            raise NotAllowed(problem)
        job.archived = True
        return f"{job.title} was archived."

    return _told(_each_ticked(put_away), "archived")


@blueprint.post("/erp/jobs/bring-back")
@requires(APPROVER)
def bring_back_ticked() -> Any:

    def bring_back(job: Job) -> str:
        job.archived = False
        return f"{job.title} was brought back."

    return _told(_each_ticked(bring_back), "brought back")


def _each_ticked(act: Callable[[Job], str]) -> list[Result]:
    return [_result(job_id, act) for job_id in selected_ids("job")]


def _result(job_id: int, act: Callable[[Job], str]) -> Result:
    job = db.session.get(Job, job_id, with_for_update=True) or abort(404)
    return run_one(job.title, lambda: act(job), lambda: job_matching.taken(job) or job_matching.namesake(job))


def _not_free(job: Job) -> str:
    return job.unavailable_reason or job_matching.taken(job)


def _pair_as_shown(job: Job) -> Project:
    project_id, _, version = request.form.get(f"pair-{job.id}", "").partition(":")
    if not project_id:
        raise NotAllowed("No project has this number. Select this job alone to choose its project.")
    project = db.session.get(Project, as_id(project_id), with_for_update=True) or abort(404)
    if version != str(project.version):
        raise NotAllowed(last_change(project))
    return project


def _told(results: list[Result], what: str) -> Any:
    count = len(results)
    sentence = f"{count} {'job was' if count == 1 else 'jobs were'} {what}." if count else "Select the jobs first."
    return report(results, sentence, url_for("erp.jobs", filter=request.form.get("filter")))
