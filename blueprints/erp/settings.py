"""ERP settings: the connection, exports paused and resumed, job numbers. Every change is an event."""

from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, current_app, flash, make_response, redirect, render_template, request, url_for
from flask_login import current_user

from erp import rules
from extensions import db
from lib.htmx import hx_trigger
from lib.version import VERSION
from models import Job, Setting, SettingName, TaskKind, TaskRequest
from permissions import ERP_ADMIN, requires
from services import accept_form, connection_state, erp_settings, expiry, job_numbers

blueprint = Blueprint("settings", __name__, url_prefix="/erp/settings")
blueprint.add_app_template_global(erp_settings.admin_alarms)
blueprint.add_app_template_global(erp_settings.export_alarm)
SCHEDULES = {
    "hourly": "every hour",
    "every-4-hours": "every 4 hours",
    "daily": "once a day",
    "never": "only when somebody asks for it",
}


@blueprint.get("")
@requires(ERP_ADMIN)
def index() -> Any:
    return _render(Setting.read(SettingName.PATTERN, ""))


@blueprint.get("/connection")
@requires(ERP_ADMIN)
def connection() -> Any:
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
    TaskRequest.ask(TaskKind.TEST_CONNECTION, current_user)
    return _saved("The connection to Spectrum is being tested.")


@blueprint.post("/refresh")
@requires(ERP_ADMIN)
def refresh() -> Any:
    TaskRequest.ask(TaskKind.REFRESH_JOBS, current_user)
    return _saved("Spectrum's job list is being read.")


@blueprint.post("/job-list-is-right")
@requires(ERP_ADMIN)
def confirm_job_list() -> Any:
    erp_settings.confirm_job_list(current_user)
    return _saved("Spectrum's job list is being read again, and taken over as it is.")


@blueprint.post("/pause")
@requires(ERP_ADMIN)
def pause() -> Any:
    erp_settings.pause(current_user)
    return _saved("Exports are paused. Nothing goes to Spectrum and no mail goes out until you resume.")


@blueprint.post("/resume")
@requires(ERP_ADMIN)
def resume() -> Any:
    erp_settings.resume(current_user)
    return _saved("Exports are resumed.")


@blueprint.post("/numbers")
@requires(ERP_ADMIN)
def numbers() -> Any:
    pattern = request.form.get("pattern", "").strip()
    if error := job_numbers.pattern_problem(pattern):
        return _render(pattern, 422, error=error)
    erp_settings.set_number_pattern(current_user, pattern)
    return _saved("Saved.")


@blueprint.post("/required")
@requires(ERP_ADMIN)
def required() -> Any:
    erp_settings.set_required(current_user, [key for key in accept_form.CHOOSABLE if key in request.form])
    return _saved("Saved.")


def _saved(sentence: str) -> Any:
    db.session.commit()
    flash(sentence)
    return redirect(url_for(".index"), 303)


def _render(pattern: str, status: int = 200, error: str = "") -> Any:
    q = request.args.get("q", "").strip()[:100]
    shown = {
        "pattern": pattern,
        "error": error,
        "choosable": [each for each in rules().accept_fields if each.key in accept_form.CHOOSABLE],
        "required": accept_form.required_fields(),
        "q": q,
        "version": VERSION,
        "backed_up": db.session.get(Setting, SettingName.BACKED_UP),
        "copied": Setting.read(SettingName.BACKUP_COPY),
        "rehearsed": Setting.read(SettingName.REHEARSED),
        "copies": bool(current_app.config["BACKUP_COPY_COMMAND"]),
        "marked": db.session.scalars(Job.marked_templates().order_by(Job.number)).all(),
        "found": erp_settings.find_templates(q),
        "events": erp_settings.latest_events(),
        "expiries": expiry.list_expiries(),
    }
    return render_template("erp/settings.html", **shown, **_connection()), status


def _connection() -> dict[str, Any]:
    settings, learned = current_app.config, connection_state.learned()
    return {
        "server": urlsplit(settings["SPECTRUM_URL"]).netloc.rpartition("@")[2],
        "contact": Setting.read(SettingName.CONTACT, {}),
        "tested": TaskRequest.last(TaskKind.TEST_CONNECTION),
        "refreshed": TaskRequest.last(TaskKind.REFRESH_JOBS),
        "schedule": SCHEDULES[settings["SPECTRUM_REFRESH"]],
        "job_list": connection_state.job_list(),
        "learned": learned.get("learned"),
        "proof": learned.get("proof"),
    }
