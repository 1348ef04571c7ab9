"""How an action on one project answers: with its row where a list asked (htmx), else with the project's own page.

Shared by every blueprint whose addresses name a project. `project_id` is the name of that part of the address.
"""

from typing import Any

from flask import abort, flash, json, make_response, redirect, render_template, request, url_for
from flask_login import current_user

from extensions import db
from models import Export, Job, Project, Refused, utcnow
from wording import age


def get_project(project_id: int) -> Project:
    return db.session.get(Project, project_id) or abort(404)


def current_project(project_id: int) -> Project:
    """The project, locked for this transaction, as long as it is still what the form showed; else Refused."""
    project = db.session.get(Project, project_id, with_for_update=True) or abort(404)
    if request.form.get("version") != str(project.version):
        raise Refused("Nothing that you entered was applied.")
    return project


def page(project: Project, status: int = 200, **panel: Any) -> Any:
    """The project with a panel open: `panel` names it, the rest is what the panel shows."""
    if panel.get("panel") == "accept":
        panel["templates"] = Job.templates(Export.template_last_used(current_user))
    if _in_list():
        return row(project, **panel), status
    return render_template("approval.html", project=project, **panel), status


def row(project: Project, **panel: Any) -> str:
    return render_template("_row.html", project=project, **panel)


def done(project: Project, sentence: str) -> Any:
    """It worked: say so, and show the project as it is now."""
    if not _in_list():
        flash(sentence)
        return redirect(url_for("approvals.project", project_id=project.id), 303)
    response = make_response(row(project))
    response.headers["HX-Trigger"] = announcing(sentence)
    return response


def refused(refusal: Refused) -> Any:
    """Somebody else was first, or the rules forbid it: what happened, and the project as it really is."""
    db.session.rollback()
    assert request.view_args is not None
    return conflict(get_project(request.view_args["project_id"]), str(refusal))


def conflict(project: Project, sentence: str) -> Any:
    return page(project, 409, conflict=f"{how_it_is(project)} {sentence}")


def how_it_is(project: Project) -> str:
    """Such as “26-014 Depot was accepted by Dana Whitfield 3 minutes ago and is Exporting now.”"""
    last = project.events[0]
    return f"{project.title} was {last.action} by {last.who} {age(utcnow() - last.at)} ago and is {project.status} now."


def announcing(sentence: str) -> str:
    """The HX-Trigger header that has the page say the sentence, and lists refresh their counts."""
    return json.dumps({"announce": {"sentence": sentence}, "changed": {}})


def _in_list() -> bool:
    return request.headers.get("HX-Request") == "true" and request.headers.get("HX-Target", "").startswith("tr#")
