"""Responses to an action on one project: its row where a list asked (htmx), else the project's page.

For blueprints whose addresses have a `project_id`.
"""

from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

from flask import Response, abort, flash, make_response, redirect, render_template, request, url_for
from flask_login import current_user
from sqlalchemy import bindparam, select
from sqlalchemy.orm import joinedload

from extensions import db
from lib.formatting import format_ago
from lib.htmx import asks_for_row, hx_trigger
from models import FAILED, WAITING, NotAllowed, Project, Setting, SettingName, Status, Transition
from services import project_queries, workflow, worklist
from services.accept_form import template_groups

TOLD = (Transition.SEND, Transition.REJECT, Transition.RETRIEVE)  # these say by themselves where it stands
LOCKED_PROJECT = (
    select(Project)
    .options(joinedload(Project.export), joinedload(Project.sent_by))
    .where(Project.id == bindparam("id"))
    .with_for_update(of=Project)
    .execution_options(populate_existing=True)
)


def get_project(project_id: int) -> Project:
    return db.session.get(Project, project_id) or abort(404)


def current_project(project_id: int) -> Project:
    """The project, locked for this transaction; NotAllowed where it changed since the form was opened."""
    project = db.session.scalar(LOCKED_PROJECT, {"id": project_id}) or abort(404)
    if request.form.get("version") != str(project.version):
        raise NotAllowed("Nothing that you entered was applied.")
    return project


def render_project(project: Project, status: int = 200, **panel: Any) -> Any:
    """The project, with `panel` open where one is named; the other keywords are the panel's."""
    if panel.get("panel") == "accept":
        panel["templates"] = template_groups(current_user)
    if asks_for_row():
        return render_row(project, **panel), status
    return render_template("approvals/project.html", project=project, **panel), status


def render_row(project: Project, **panel: Any) -> str:
    listed = parse_qs(urlsplit(request.headers.get("HX-Current-URL", "")).query)
    facts = project_queries.export_facts([project.id]) if listed.get("filter") == ["synced"] else None
    undoable = workflow.can_undo_rejection(project)
    return render_template("approvals/_row.html", projects=[project], facts=facts, undoable=undoable, **panel)


def success(project: Project, sentence: str, there: str = "") -> Any:
    """Commit, announce the sentence, and show the project as it is now, or go `there`. May raise IntegrityError."""
    if not asks_for_row():
        there = there or url_for("approvals.project", project_id=project.id)  # before the commit, which expires it
        db.session.commit()
        flash(sentence)
        return redirect(there, 303)
    db.session.flush()
    response = make_response(render_row(project))
    db.session.commit()
    response.headers["HX-Trigger"] = hx_trigger(sentence)
    return response


def not_allowed(refusal: NotAllowed) -> Any:
    """The project as it is, the reason of the refusal, and the typed comment to copy."""
    db.session.rollback()
    assert request.view_args is not None
    typed = f" Your comment: “{comment()}”" if comment() else ""
    return conflict(get_project(request.view_args["project_id"]), f"{refusal}{typed}")


def conflict(project: Project, sentence: str) -> Any:
    if request.method == "GET" and not asks_for_row() and _decided_here(project):
        return redirect(url_for("approvals.project", project_id=project.id))
    return render_project(project, 409, conflict=f"{last_change(project)} {sentence}")


def _decided_here(project: Project) -> bool:
    """Tell whether this person just decided it: whoever presses Back then needs no explanation."""
    if project.status in WAITING | FAILED:
        return False
    last = next((event for event in project.events if event.person_id), None)
    return last is not None and last.person_id == current_user.id


def next_form(project: Project) -> str:
    """The address of the accept form of the next waiting project; the list's where nothing waits."""
    following, _ = worklist.next_in_queue(project)
    return url_for("approvals.accept_form", project_id=following.id) if following else url_for("erp.jobs")


def export_begun(project: Project) -> str:
    if Setting.read(SettingName.PAUSED):
        return f"was accepted as job {project.spectrum_job_id}. It is exported once exports are resumed."
    return f"is being exported as job {project.spectrum_job_id}."


@dataclass(frozen=True)
class CommentPrompt:
    """A decision that needs a comment: its endpoint, its button, and the reason for the comment."""

    endpoint: str
    button: str
    why: str

    def ask(self, project: Project) -> Any:
        return render_project(project, panel="comment", asked=self)

    def ask_again(self, project: Project) -> Any:
        return render_project(project, 422, panel="comment", asked=self, error=f"Enter a comment. {self.why}")


def comment() -> str:
    return request.form.get("comment", "").strip()


def last_change(project: Project, called: str = "") -> str:
    """Return a sentence such as “26-014 Depot was accepted by Dana Whitfield 3 minutes ago and is being exported.”

    For a step of Countersign itself, the result and the reason.
    """
    last, called = project.last_change, called or project.title
    stands = project.status.ending.format(job=project.spectrum_job_id)
    if last.person_id is None:
        return f"{called} {stands}. {last.comment}".rstrip()
    ago = format_ago(last.at)
    if not last.participle:
        return f"{called} {stands}: {last.who} {last.deed} {ago}."
    return f"{called} was {last.participle} by {last.who} {ago}{'' if last.action in TOLD else f' and {stands}'}."


def with_announcement(page: Any, project: Project) -> Response:
    """The page, which announces the last change once the project no longer has the status `was`."""
    response = make_response(page)
    if request.args.get("was", project.status) != project.status:
        address = url_for("approvals.project", project_id=project.id)
        link = (
            (project.spectrum_job_id, address) if project.status is Status.SYNCED and project.spectrum_job_id else None
        )
        response.headers["HX-Trigger"] = hx_trigger(last_change(project), project.status in FAILED, link)
    return response
