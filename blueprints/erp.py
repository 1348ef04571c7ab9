"""The ERP Integrations tool: the lists behind the Filters menu, and the job list's refresh."""

from typing import Any

from flask import Blueprint, current_app, flash, redirect, render_template, request, url_for
from flask_login import current_user

import glance
import worklist
from access import Rule, requires, signed_in
from extensions import db
from models import Errand, Level, Setting

blueprint = Blueprint("erp", __name__)


@blueprint.get("/")
@signed_in
def home() -> Any:
    """The first page for this person: the worklist for who decides, else the projects."""
    tools = (
        (current_user.erp, ".jobs"),
        (current_user.projects, "projects.index"),
        (current_user.directory, "directory.index"),
    )
    return redirect(url_for(next((page for level, page in tools if level is not Level.NONE), "auth.me")))


@blueprint.get("/erp/jobs")
@requires(Rule(erp=Level.READ_ONLY))
def jobs() -> Any:
    page = worklist.page_of(_shown(), worklist.Query.of(request.args))
    whole = "HX-Request" not in request.headers  # a search while typing takes the list's part only
    return render_template("jobs.html", page=page, glance=glance.figures() if whole else None, **_filters())


@blueprint.get("/erp/counts")
@requires(Rule(erp=Level.READ_ONLY))
def counts() -> Any:
    """The Filters menu's links, which keep their counts true."""
    return render_template("_counts.html", **_filters())


def _shown() -> worklist.Filter:
    return worklist.FILTERS.get(request.args.get("filter", ""), worklist.FILTERS[worklist.DEFAULT])


def _filters() -> dict[str, Any]:
    return {"shown": _shown(), "counts": worklist.counts(), "filters": worklist.FILTERS, "ages": worklist.AGES}


@blueprint.post("/erp/refresh")
@requires(Rule(erp=Level.STANDARD))
def refresh() -> Any:
    """Ask the timetable to read Spectrum's job list now."""
    Errand.ask("refresh", current_user)
    db.session.commit()
    flash("Spectrum's job list is being read.")
    return redirect(url_for(".jobs", filter=request.form.get("filter")), 303)


@blueprint.app_context_processor
def _about_spectrum() -> dict[str, Any]:
    """What every ERP page says: which company, how old the job list is, whether exports are paused."""
    return {"company_code": current_app.config["SPECTRUM_COMPANY_CODE"], "setting": Setting.read}
