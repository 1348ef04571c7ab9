"""ERP settings: the connection, exports paused and resumed, job templates, job numbers. Every change is an event.

And what ERP Admins are told of backups, wherever they are.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, abort, current_app, flash, make_response, redirect, render_template, request, url_for
from flask_login import current_user
from sqlalchemy import or_, select

from erp.spectrum.mapping import LABELS
from extensions import db
from lib import formatting
from lib.htmx import hx_trigger
from models import Event, Job, Setting, TaskRequest, utcnow
from permissions import ERP_ADMIN, requires
from services import accept_form, job_numbers
from services.cache import cached

blueprint = Blueprint("settings", __name__, url_prefix="/erp/settings")
OVERDUE = timedelta(hours=26)  # a night, and some hours for a clock change or a machine that was off
MISSED = "Look at countersign-backup on the server, or tell whoever runs Countersign."
SCHEDULES = {
    "hourly": "every hour",
    "every-4-hours": "every 4 hours",
    "daily": "once a day",
    "never": "only when somebody asks for it",
}
TAXABLE = {"": "Ask each time", "Y": "Yes", "N": "No"}
FOUND = 20  # jobs that a search for templates shows


@blueprint.get("")
@requires(ERP_ADMIN)
def index() -> Any:
    return _page(Setting.read(Setting.PATTERN, ""))


@blueprint.get("/connection")
@requires(ERP_ADMIN)
def connection() -> Any:
    """How the connection does, asked for while a test or a refresh is under way; how it ended is announced."""
    shown = _connection()
    response = make_response(render_template("erp/_connection.html", **shown))
    asked = [errand for errand in (shown["tested"], shown["refreshed"]) if errand]
    if asked and all(errand.due_at is None for errand in asked):
        latest = max(asked, key=lambda errand: errand.id)
        response.headers["HX-Trigger"] = hx_trigger(latest.answer.partition("\n")[0])
    return response


@blueprint.post("/test")
@requires(ERP_ADMIN)
def test() -> Any:
    TaskRequest.ask("test connection", current_user)
    return _saved("The connection to Spectrum is being tested.")


@blueprint.post("/refresh")
@requires(ERP_ADMIN)
def refresh() -> Any:
    TaskRequest.ask("refresh", current_user)
    return _saved("Spectrum's job list is being read.")


@blueprint.post("/pause")
@requires(ERP_ADMIN)
def pause() -> Any:
    if not Setting.read(Setting.PAUSED):
        Setting.write(Setting.PAUSED, {"by": current_user.name, "at": utcnow().isoformat()})
        _record("paused exports")
    return _saved("Exports are paused: nothing goes to Spectrum and no mail goes out until they are resumed.")


@blueprint.post("/resume")
@requires(ERP_ADMIN)
def resume() -> Any:
    if Setting.read(Setting.PAUSED):
        Setting.write(Setting.PAUSED, None)
        _record("resumed exports")
    return _saved("Exports are resumed: what waited goes out now.")


@blueprint.post("/numbers")
@requires(ERP_ADMIN)
def numbers() -> Any:
    """Take over the company's pattern for job numbers; an empty one suggests nothing."""
    pattern, before = request.form.get("pattern", "").strip(), Setting.read(Setting.PATTERN, "")
    if error := job_numbers.pattern_problem(pattern):
        return _page(pattern, 422, error=error)
    if pattern != before:
        Setting.write(Setting.PATTERN, pattern)
        _record("changed the job number pattern", changes=[["Job Number Pattern", before, pattern]])
    return _saved("Saved.")


@blueprint.get("/templates/<int:job_id>")
@requires(ERP_ADMIN)
def template(job_id: int) -> Any:
    job = _job(job_id)
    return _template_page(job, _marks_of(job))


@blueprint.post("/templates/<int:job_id>")
@requires(ERP_ADMIN)
def save_template(job_id: int) -> Any:
    job, marks = _job(job_id), _marks_typed()
    if errors := accept_form.fixed_problems(marks["fixed"]):
        return _template_page(job, marks, 422, errors)
    changes = _changes(_marks_of(job), marks)
    if changes:
        for column, value in marks.items():
            setattr(job, column, value)
        _record(f"changed job template {job.number}", changes=changes)
    return _saved(f"Saved what holds for {job.title}.")


def _marks_of(job: Job) -> dict[str, Any]:
    return {name: getattr(job, name) for name in ("is_template", "taxable", "copy_phases", "fixed")}


def _marks_typed() -> dict[str, Any]:
    """A template's marks as the form has them, without what is empty."""
    form = request.form
    fixed = {each.element: form.get(each.element, "").strip() for each in accept_form.FIXABLE}
    return {
        "is_template": "is_template" in form,
        "taxable": form.get("taxable", "") if form.get("taxable") in TAXABLE else "",
        "copy_phases": "copy_phases" in form,
        "fixed": {element: value for element, value in fixed.items() if value},
    }


def _changes(before: dict[str, Any], after: dict[str, Any]) -> list[list[str]]:
    """What differs between two sets of marks, as [label, before, after]."""
    old, new = _in_words(before), _in_words(after)
    both = [(label, old.get(label, ""), new.get(label, "")) for label in {**old, **new}]
    return [[label, was, now] for label, was, now in both if was != now]


def _in_words(marks: dict[str, Any]) -> dict[str, str]:
    return {
        "Offered as a job template": "yes" if marks["is_template"] else "no",
        "Taxable": TAXABLE[marks["taxable"]],
        "Copies its phases": "yes" if marks["copy_phases"] else "no",
        **{LABELS[element]: value for element, value in marks["fixed"].items()},
    }


def _job(job_id: int) -> Job:
    return db.session.get(Job, job_id) or abort(404)


def _record(action: str, **details: Any) -> None:
    db.session.add(Event(person=current_user, action=action, details=details))


def _saved(sentence: str) -> Any:
    db.session.commit()
    flash(sentence)
    return redirect(url_for(".index"), 303)


def _page(pattern: str, status: int = 200, error: str = "") -> Any:
    q = request.args.get("q", "").strip()[:100]
    marked = db.session.scalars(select(Job).where(Job.is_template).order_by(Job.number)).all()
    shown = {"pattern": pattern, "error": error, "q": q, "marked": marked, "found": _found(q), "events": _events()}
    return render_template("erp/settings.html", **shown, **_connection()), status


def _template_page(
    job: Job, marks: dict[str, Any], status: int = 200, errors: dict[str, str] | None = None
) -> tuple[str, int]:
    fixable, taxable = accept_form.FIXABLE, TAXABLE
    shown = {"job": job, "marks": marks, "errors": errors or {}, "fixable": fixable, "taxable": taxable}
    return render_template("erp/job_template.html", **shown), status


def _connection() -> dict[str, Any]:
    settings = current_app.config
    return {
        "server": urlsplit(settings["SPECTRUM_URL"]).netloc.rpartition("@")[2],
        "contact": Setting.read(Setting.CONTACT, {}),
        "tested": TaskRequest.last("test connection"),
        "refreshed": TaskRequest.last("refresh"),
        "schedule": SCHEDULES[settings["SPECTRUM_REFRESH"]],
    }


def _found(q: str) -> Sequence[Job]:
    """The jobs that a search for templates finds, by number; complete ones can be none."""
    if not q:
        return []
    matching = [Job.search_text.contains(word, autoescape=True) for word in q.casefold().split()]
    open_jobs = select(Job).where(Job.removed_at.is_(None), Job.status_code != "C", *matching)
    return db.session.scalars(open_jobs.order_by(Job.number).limit(FOUND)).all()


def _events() -> Sequence[Event]:
    """The latest changes of these settings."""
    words = ("paused exports", "resumed exports", "changed the job number pattern", "changed job template %")
    settings = or_(*(Event.action.like(word) for word in words))
    of_no_project = select(Event).where(Event.project_id.is_(None), settings)  # where few of so many events are
    return db.session.scalars(of_no_project.order_by(Event.id.desc()).limit(10)).all()


# --- backups --------------------------------------------------------------------------------------------------------


@blueprint.app_template_global()
def backup_overdue() -> str:
    """What ERP Admins are told on every ERP page where the last backup is too old; else empty."""
    return cached("backup", _backup_overdue)


def _backup_overdue() -> str:
    """A sentence where the last backup is too old, or none was made since the first day; else empty, as in the demo."""
    last = db.session.get(Setting, Setting.BACKED_UP)
    began = last.at if last else db.session.scalar(select(Event.at).order_by(Event.id).limit(1))
    if began is None or utcnow() - began < OVERDUE or Setting.read(Setting.DEMO):
        return ""
    if last is None:
        return f"There is no backup of Countersign. {MISSED}"
    return f"The last backup of Countersign was made {formatting.format_ago(last.at)}. {MISSED}"
