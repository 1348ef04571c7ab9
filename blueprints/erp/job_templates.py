"""Job templates: which jobs are offered as one, and what holds for each."""

from typing import Any

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask_login import current_user

from erp import rules
from extensions import db
from models import Job
from permissions import ERP_ADMIN, requires
from services import erp_settings

blueprint = Blueprint("job_templates", __name__, url_prefix="/erp/settings/templates/<int:job_id>")


@blueprint.get("")
@requires(ERP_ADMIN)
def template(job_id: int) -> Any:
    job = _job(job_id)
    return _render(job, erp_settings.template_options(job))


@blueprint.post("")
@requires(ERP_ADMIN)
def save_template(job_id: int) -> Any:
    job, options = _job(job_id), _read_options()
    if errors := erp_settings.template_problems(options):
        return _render(job, options, 422, errors)
    erp_settings.set_template(current_user, job, options)
    db.session.commit()
    flash(f"Template {job.title} saved.")
    return redirect(url_for("settings.index"), 303)


def _job(job_id: int) -> Job:
    return db.session.get(Job, job_id) or abort(404)


def _read_options() -> dict[str, Any]:
    form = request.form
    defaults = {each.key: form.get(each.key, "").strip() for each in rules().default_fields}
    return {
        "is_template": "is_template" in form,
        "taxable": form.get("taxable", "") if form.get("taxable") in erp_settings.TAXABLE else "",
        "copy_phases": "copy_phases" in form,
        "defaults": {key: value for key, value in defaults.items() if value},
    }


def _render(
    job: Job, options: dict[str, Any], status: int = 200, errors: dict[str, str] | None = None
) -> tuple[str, int]:
    shown = {"job": job, "options": options, "errors": errors or {}, "taxable": erp_settings.TAXABLE}
    return render_template("erp/job_template.html", **shown), status
