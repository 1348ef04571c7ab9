"""How an action on one project answers: with its row where a list asked (htmx), else with the project's own page.

Shared by every blueprint whose addresses name a project. `project_id` is the name of that part of the address.
"""

from dataclasses import dataclass
from typing import Any

from flask import Response, abort, flash, make_response, redirect, render_template, request, url_for
from flask_login import current_user
from sqlalchemy import bindparam, select
from sqlalchemy.orm import joinedload

from extensions import db
from lib.formatting import format_ago
from lib.htmx import asks_for_row, hx_trigger
from lib.text import clean
from models import Export, Job, NotAllowed, Project

TO_DECIDE = (
    select(Project)
    .options(joinedload(Project.export), joinedload(Project.sent_by))
    .where(Project.id == bindparam("id"))
    .with_for_update(of=Project)
    .execution_options(populate_existing=True)
)


def get_project(project_id: int) -> Project:
    return db.session.get(Project, project_id) or abort(404)


def current_project(project_id: int) -> Project:
    """The project, locked for this transaction, as long as it is still what the form showed; else Refused."""
    project = db.session.scalar(TO_DECIDE, {"id": project_id}) or abort(404)
    if request.form.get("version") != str(project.version):
        raise NotAllowed("Nothing that you entered was applied.")
    return project


def page(project: Project, status: int = 200, **panel: Any) -> Any:
    """The project with a panel open: `panel` names it, the rest is what the panel shows."""
    if panel.get("panel") == "accept":
        panel["templates"] = Job.templates(Export.template_last_used(current_user))
    if asks_for_row():
        return row(project, **panel), status
    return render_template("approvals/project.html", project=project, **panel), status


def row(project: Project, **panel: Any) -> str:
    return render_template("approvals/_row.html", projects=[project], **panel)


def done(project: Project, sentence: str) -> Any:
    """It worked: commit it, say so, and show the project as it is now, in the same transaction.

    Raises IntegrityError where the database refuses it.
    """
    if not asks_for_row():
        there = url_for("approvals.project", project_id=project.id)  # ahead of the commit, after which it is read anew
        db.session.commit()
        flash(sentence)
        return redirect(there, 303)
    db.session.flush()
    response = make_response(row(project))
    db.session.commit()
    response.headers["HX-Trigger"] = hx_trigger(sentence)
    return response


def refused(refusal: NotAllowed) -> Any:
    """Somebody else was first, or the rules forbid it: what happened, the project as it is, and what was typed."""
    db.session.rollback()
    assert request.view_args is not None
    typed = f" You had written: “{comment()}”" if comment() else ""
    return conflict(get_project(request.view_args["project_id"]), f"{refusal}{typed}")


def conflict(project: Project, sentence: str) -> Any:
    return page(project, 409, conflict=f"{how_it_is(project)} {sentence}")


@dataclass(frozen=True)
class CommentPrompt:
    """A decision that needs a comment: where it is posted to, its button, and why the comment is needed."""

    endpoint: str
    button: str
    why: str

    def ask(self, project: Project) -> Any:
        """The project with the field for the comment."""
        return page(project, panel="comment", asked=self)

    def ask_again(self, project: Project) -> Any:
        """The same once it came back empty."""
        return page(project, 422, panel="comment", asked=self, error=f"Enter a comment. {self.why}")


def comment() -> str:
    """What was entered as the comment."""
    return clean(request.form.get("comment", ""))


def how_it_is(project: Project, called: str = "") -> str:
    """Such as “26-014 Depot was accepted by Dana Whitfield 3 minutes ago and is Exporting now.”

    Of what Countersign did by itself, what came of it and why. The project is `called` by its title, or otherwise.
    """
    last, called = project.events[0], called or project.title
    if last.person_id is None:
        return f"{called} is {project.status} now. {last.comment}".rstrip()
    ago = format_ago(last.at)
    if last.deed != last.action:
        return f"{called} is {project.status} now: {last.who} {last.deed} {ago}."
    return f"{called} was {last.action} by {last.who} {ago} and is {project.status} now."


def announced(page: str, project: Project) -> Response:
    """What shows the project at work; where it no longer has the status `was`, what came of it is said aloud."""
    response = make_response(page)
    if request.args.get("was", project.status) != project.status:
        response.headers["HX-Trigger"] = hx_trigger(how_it_is(project))
    return response
