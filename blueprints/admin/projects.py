"""The project's Admin tool: its information, and sending it to accounting and back."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask_login import current_user
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from blueprints import comments
from erp import job_key
from extensions import db
from models import INFORMATION, UPDATE, WAITING, Level, NotAllowed, Project, Status, Transition, as_text, diff
from permissions import PROJECT_ADMIN, Rule, requires
from services import drift, project_queries, update_form, workflow, worklist
from services.project_fields import abbreviate_state, check_information, problems_before_send

blueprint = Blueprint("projects", __name__, url_prefix="/admin/projects")
VIEWER = Rule(projects=Level.READ_ONLY)
NOTE_LENGTH = 2000
# what can be done about a value that was changed in the job: the verb, and the sentence that says so
SETTLING: dict[str, tuple[Callable[..., None], str]] = {
    "take over": (workflow.take_over, "The value in Spectrum was taken over here."),
    "send": (workflow.send_back, "The update was sent to accounting."),
    "leave": (workflow.leave, "The difference was left as it is."),
}


@blueprint.get("")
@requires(VIEWER)
def index() -> Any:
    show = worklist.managed_filter(request.args)
    page = worklist.managed_projects(worklist.read_params(request.args), show, current_user.id)
    return render_template("admin/projects.html", page=page, show=show, filters=project_queries.MANAGED)


@blueprint.get("/new")
@requires(PROJECT_ADMIN)
def new() -> Any:
    return _page_of_new(dict.fromkeys(INFORMATION, ""), {}, 200)


@blueprint.post("")
@requires(PROJECT_ADMIN)
def create() -> Any:
    typed, information, errors = read_information(request.form, None)
    note, sends = _note(errors), request.form.get("send")
    anyway = {} if errors or not sends else _refused_by_erp(information, INFORMATION, errors, sends == "anyway")
    if errors:
        return _page_of_new(typed, errors, 422, note=note, anyway=anyway)
    try:
        project = workflow.create(current_user, information)
        project.note = note
        db.session.flush()
        if sends:
            workflow.send(project, current_user, note)
        db.session.commit()
    except IntegrityError:  # somebody else took the number since it was checked
        db.session.rollback()
        return _page_of_new(typed, _number_taken(typed["number"], None), 422, note=note)
    flash(f"{project.title} was created{' and sent to accounting' if sends else ''}.")
    return redirect(url_for(".general", project_id=project.id), 303)


def _page_of_new(typed: Mapping[str, str], errors: Mapping[str, str], status: int, **context: Any) -> Any:
    return render_template("admin/project_new.html", typed=typed, errors=errors, **context), status


def _note(errors: dict[str, str]) -> str:
    """The note that was typed; what is wrong with it goes to the errors."""
    note = request.form.get("note", "").strip()
    if len(note) > NOTE_LENGTH:
        errors["note"] = f"The note is {len(note)} characters long; it can hold {NOTE_LENGTH}."
    return note


def _refused_by_erp(
    information: Mapping[str, Any], columns: Collection[str], errors: dict[str, str], anyway: bool
) -> dict[str, str]:
    """Add Spectrum's refusals to the errors; return those that accounting can change, so that they can be sent."""
    ours, of_accounting = problems_before_send(information, columns)
    errors |= ours if anyway else ours | of_accounting
    return {} if ours else of_accounting


@blueprint.get("/<int:project_id>")
@requires(VIEWER)
def general(project_id: int) -> Any:
    return _page(_project(project_id))


@blueprint.post("/<int:project_id>")
@requires(PROJECT_ADMIN)
def update(project_id: int) -> Any:
    return _saved(project_id, "Saved.")


@blueprint.post("/<int:project_id>/send")
@requires(PROJECT_ADMIN)
def send(project_id: int) -> Any:
    return _saved(
        project_id, "Sent to accounting. The information is locked until accounting has decided.", Transition.SEND
    )


@blueprint.post("/<int:project_id>/retrieve")
@requires(PROJECT_ADMIN)
def retrieve(project_id: int) -> Any:
    project = _current(project_id)
    workflow.retrieve(project, current_user)
    db.session.commit()
    flash(f"{project.title} was taken back from accounting. You can edit it again.")
    return redirect(url_for(".general", project_id=project.id), 303)


@blueprint.post("/<int:project_id>/it-is-another")
@requires(PROJECT_ADMIN)
def tell_apart(project_id: int) -> Any:
    """Keep that it is not the project or job that looks like it."""
    project = _current(project_id)
    workflow.tell_apart(project, current_user, request.form.get("other", ""))
    db.session.commit()
    return redirect(url_for(".general", project_id=project_id), 303)


@blueprint.post("/<int:project_id>/drift")
@requires(PROJECT_ADMIN)
def settle_drift(project_id: int) -> Any:
    """Decide about one value that was changed in the job, as the page showed it."""
    project, column = _current(project_id), request.form.get("column", "")
    shown = next((each for each in drift.find(project) if each.column == column), None)
    if shown is None or shown.there != request.form.get("there"):
        raise NotAllowed("This value was changed meanwhile. Look at it again.")
    verb, sentence = SETTLING.get(request.form.get("as", ""), SETTLING["leave"])
    verb(project, current_user, column)
    drift.mark_one(project)
    db.session.commit()
    flash(sentence)
    return redirect(url_for(".general", project_id=project_id), 303)


@blueprint.post("/<int:project_id>/comment")
@requires(VIEWER)
def add_comment(project_id: int) -> Any:
    return comments.add(_project(project_id), url_for(".general", project_id=project_id), _page)


@blueprint.get("/<int:project_id>/delete")
@requires(PROJECT_ADMIN)
def ask_delete(project_id: int) -> Any:
    project = _project(project_id)
    if not project.is_deletable:
        return _page(project, 409, conflict=workflow.NOT_DELETABLE)
    return render_template("admin/project_delete.html", project=project)


@blueprint.post("/<int:project_id>/delete")
@requires(PROJECT_ADMIN)
def delete(project_id: int) -> Any:
    project = _current(project_id)
    title = project.title
    workflow.delete(project, current_user)
    db.session.commit()
    flash(f"{title} was deleted.")
    return redirect(url_for(".index"), 303)


@blueprint.errorhandler(NotAllowed)
def refused(refusal: NotAllowed) -> Any:
    db.session.rollback()
    assert request.view_args is not None
    project = _project(request.view_args["project_id"])
    typed, _, _ = read_information(request.form, project) if "name" in request.form else ({}, {}, {})
    lost = diff(as_text(project.information), typed) if typed else []
    note = request.form.get("note", project.note).strip()
    return _page(project, 409, conflict=str(refusal), lost=lost, note=note)


def _saved(project_id: int, sentence: str, move: Transition | None = None) -> Any:
    """Save the form, then make the button's `move`; neither where a field has an error."""
    project = _current(project_id)
    typed, information, errors = read_information(request.form, project)
    note, active, anyway = _note(errors), "active" in request.form, {}
    if move is Transition.SEND and not active:
        errors["active"] = "Inactive projects can't be sent. Check Active Project? first."
    if move is Transition.SEND and not errors:
        anyway = _refused_by_erp(information, project.editable_columns, errors, "anyway" in request.form)
    if errors:
        shown = {"typed": typed} if typed else {}
        return _page(project, 422, errors=errors, note=note, active=active, anyway=anyway, **shown)
    try:
        if project.editable_columns:
            workflow.edit(project, current_user, information)
            project.note = note
        if move is Transition.SEND and project.status is Status.SYNCED and (why := update_form.send_problem(project)):
            db.session.rollback()
            return _page(project, 422, errors={"send": why}, note=note, active=active, typed=typed)
        waited = project.status in WAITING
        workflow.set_active(project, current_user, active)
        if waited and project.status not in WAITING:
            sentence = "Saved. The project is inactive, so it was taken back from accounting."
        if move is Transition.SEND:
            workflow.send(project, current_user, note)
        db.session.commit()
    except IntegrityError:  # somebody else took the number since it was checked
        db.session.rollback()
        errors = _number_taken(typed["number"], project_id)
        return _page(_project(project_id), 422, errors=errors, note=note, active=active, typed=typed)
    flash(sentence)
    return redirect(url_for(".general", project_id=project_id), 303)


def read_information(
    form: Mapping[str, str], project: Project | None
) -> tuple[dict[str, str], dict[str, Any], dict[str, str]]:
    columns = project.editable_columns if project else frozenset(INFORMATION)
    if not columns:
        return {}, project.information if project else {}, {}
    kept = as_text(project.information) if project else {}
    typed = {column: form.get(column, "").strip() if column in columns else kept[column] for column in INFORMATION}
    typed["state"] = abbreviate_state(typed["state"])
    values, errors = check_information(typed)
    return typed, values, errors | _number_taken(typed["number"], project.id if project else None)


def _number_taken(number: str, project_id: int | None) -> dict[str, str]:
    same = select(Project.id).where(Project.number_key == job_key(number), Project.id != (project_id or 0))
    taken = db.session.scalar(same) is not None
    return {"number": f"Another project has the number {number} already."} if taken else {}


def _project(project_id: int) -> Project:
    return db.session.get(Project, project_id) or abort(404)


def _current(project_id: int) -> Project:
    project = db.session.get(Project, project_id, with_for_update=True) or abort(404)
    if request.form.get("version") != str(project.version):
        last = project.last_change
        who = "You" if last.person_id == current_user.id else last.who
        raise NotAllowed(
            f"{who} changed this project while you had it open; its status is {project.status}. "
            "Nothing that you entered was applied."
        )
    return project


def _page(project: Project, status: int = 200, **context: Any) -> Any:
    typed = {column: "" if value is None else value for column, value in project.information.items()}
    begun = {"project": project, "typed": typed, "errors": {}, "note": project.note, "active": project.active}
    if project.status is Status.SYNCED or project.status in UPDATE:
        differing = update_form.changes(project)
        begun["note"] = "" if project.status is Status.SYNCED else project.note  # of the next update
        begun["differing"] = {each.column: each.sentence for each in differing if each.accepted != each.value}
        begun["drifted"] = drift.find(project)
    return render_template("admin/project.html", **(begun | context)), status
