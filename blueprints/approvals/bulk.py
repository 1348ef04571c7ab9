"""Accept or reject many waiting projects: one comment for all, or one job template and a number for each."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from flask import Blueprint, current_app, flash, redirect, render_template, request, url_for
from flask_login import current_user
from sqlalchemy import select

from blueprints.approvals.responses import get_project, last_change
from blueprints.batch import Result, report, run_one, selected_ids
from extensions import db
from lib.formatting import plural
from models import WAITING, NotAllowed, Project, Status, TaskKind, TaskRequest
from permissions import APPROVER, requires
from services import accept_form as acceptance
from services import job_numbers, mail_settings, workflow
from services import update_form as updates
from services.accept_form import AcceptForm
from services.update_form import UpdateForm

blueprint = Blueprint("bulk", __name__, url_prefix="/erp/together")


@blueprint.get("/accept")
@requires(APPROVER)
def accept_form() -> Any:
    projects = [project for project in _selected_projects() if project.status is Status.READY]
    return _accept_page(acceptance.initial_many(projects, current_user)) if projects else _none_selected()


@blueprint.post("/accept")
@requires(APPROVER)
def accept() -> Any:
    """Export all rows; an error in one keeps all of them here, a project changed meanwhile only itself."""
    forms = acceptance.from_form_many(_selected_projects(), request.form)
    if not forms:
        return _none_selected()
    if "show" in request.form:  # another template was chosen: its values first
        return _accept_page(forms)
    waiting = [form for form in forms if form.project.status is Status.READY]
    if not acceptance.check_many(waiting):
        return _accept_page(forms), 422
    results = [_decide(form.project.id, partial(_accept, form)) for form in forms]
    return _report(results, f"Exporting {plural(len(results), 'project')}.", forms)


@blueprint.get("/update")
@requires(APPROVER)
def update_form() -> Any:
    forms = [updates.initial(project) for project in _selected_projects() if project.status is Status.READY_TO_UPDATE]
    return render_template("approvals/bulk_update.html", forms=forms) if forms else _none_selected()


@blueprint.post("/update")
@requires(APPROVER)
def update() -> Any:
    """Send what is checked; a form that is wrong keeps all of them here, one that was changed only itself."""
    forms = [updates.from_form(project, request.form) for project in _selected_projects()]
    waiting = [form for form in forms if form.project.status is Status.READY_TO_UPDATE]
    if sum(not form.check() for form in waiting):  # each is checked, so that all errors show
        return render_template("approvals/bulk_update.html", forms=forms), 422
    results = [_decide(form.project.id, partial(_accept_update, form)) for form in forms]
    return _report(results, f"Updating {plural(len(results), 'job')}.", forms)


@blueprint.get("/results")
@requires(APPROVER)
def results() -> Any:
    projects = _selected_projects()
    counts = Counter(project.status for project in projects)
    shown = "ready-to-update" if any(project.export and project.export.is_update for project in projects) else None
    return render_template("approvals/bulk_results.html", projects=projects, counts=counts, shown=shown)


@blueprint.post("/read-jobs")
@requires(APPROVER)
def read_jobs() -> Any:
    projects = _selected_projects()
    for project in projects:
        TaskRequest.ask(TaskKind.READ_JOB, current_user, str(project.id))
    db.session.commit()
    return redirect(url_for(".update_form", project=[project.id for project in projects]), 303)


@blueprint.get("/number/<int:project_id>")
@requires(APPROVER)
def number(project_id: int) -> Any:
    numbers = {name: " ".join(value.split()) for name, value in request.args.items()}
    typed, found = numbers.pop(f"job_number-{project_id}", ""), get_project(project_id)
    number_check = job_numbers.check(typed, found, numbers.values())
    return render_template("approvals/_job_number.html", project=found, number_check=number_check, many=True)


@blueprint.get("/reject")
@requires(APPROVER)
def reject_form() -> Any:
    projects = [project for project in _selected_projects() if project.status in WAITING]
    return _reject_page(projects) if projects else _none_selected()


@blueprint.post("/reject")
@requires(APPROVER)
def reject() -> Any:
    projects, comment = _selected_projects(), request.form.get("comment", "").strip()
    if not comment:
        return _reject_page(projects, "Enter a comment. It tells the senders what to correct."), 422

    def with_comment(project: Project) -> str:
        workflow.reject(project, current_user, comment, workflow.UNDO_FOR)
        return f"{project.title} was rejected."

    ids, shown = [project.id for project in projects], _filter_of(projects)
    results = [_decide(project_id, with_comment) for project_id in ids]
    told = " The senders are notified by email." if mail_settings.is_set_up() else ""
    back = url_for("erp.jobs", filter=shown, rejected=ids)
    return report(results, f"{plural(len(results), 'update' if shown else 'project')} rejected.{told}", back)


@blueprint.post("/undo-rejection")
@requires(APPROVER)
def undo_rejection() -> Any:
    def undo(project: Project) -> str:
        workflow.undo_rejection(project, current_user)
        return f"The rejection of {project.title} was undone."

    projects = _selected_projects()
    ids, back = [project.id for project in projects], url_for("erp.jobs", filter=_filter_of(projects))
    results = [_decide(project_id, undo) for project_id in ids]
    return report(results, f"{plural(len(results), 'rejection')} undone. Nobody was notified.", back)


def _accept(form: AcceptForm, project: Project) -> str:
    assert form.template is not None  # the form was checked
    workflow.accept(project, current_user, form.lines, form.template, current_app.config["SPECTRUM_COMPANY_CODE"])
    return f"{project.title} is being exported as job {project.spectrum_job_id}."


def _accept_update(form: UpdateForm, project: Project) -> str:
    workflow.accept_update(project, current_user, form.request, form.seen)
    return f"The update of {project.title} is being sent to Spectrum."


def _decide(project_id: int, decide: Callable[[Project], str]) -> Result:
    """Decide about one project, unless it changed since the form was opened."""

    def as_shown() -> str:
        project = db.session.get_one(Project, project_id, with_for_update=True, populate_existing=True)
        if request.form.get(f"version-{project_id}") != str(project.version):
            raise NotAllowed(last_change(project, "It"))
        return decide(project)

    def taken() -> str:
        number = request.form.get(f"job_number-{project_id}", "")
        return job_numbers.check(number, get_project(project_id)).sentence

    there = url_for("approvals.project", project_id=project_id)
    return run_one(get_project(project_id).title, as_shown, taken, there)


def _selected_projects() -> list[Project]:
    some = Project.id.in_(selected_ids("project"))
    return list(db.session.scalars(select(Project).where(some).order_by(Project.sent_at, Project.id)))


def _filter_of(projects: Sequence[Project]) -> str | None:
    """The filter that lists the projects while they wait; None is the default one."""
    return "ready-to-update" if projects and projects[0].spectrum_job_id else None


def _reject_page(projects: Sequence[Project], error: str = "") -> str:
    shown = _filter_of(projects)
    return render_template("approvals/bulk_reject.html", projects=projects, shown=shown, error=error)


def _accept_page(forms: list[AcceptForm]) -> str:
    templates = acceptance.template_groups(current_user)
    shared = _without_own_customer(forms[0]) if request.method == "POST" else forms[0]
    return render_template("approvals/bulk_accept.html", forms=forms, shared=shared, templates=templates)


def _without_own_customer(form: AcceptForm) -> AcceptForm:
    own = request.form.get(f"customer-{form.project.id}")
    errors = {name: error for name, error in form.errors.items() if not (own and name == "customer")}
    customer = acceptance.from_form(form.project, request.form).typed["customer"]
    return replace(form, typed=form.typed | {"customer": customer}, errors=errors)


def _none_selected() -> Any:
    flash("Select one or more projects first.")
    return redirect(url_for("erp.jobs"))


def _report(results: list[Result], sentence: str, forms: Sequence[AcceptForm | UpdateForm]) -> Any:
    return report(results, sentence, url_for(".results", project=[form.project.id for form in forms]))
