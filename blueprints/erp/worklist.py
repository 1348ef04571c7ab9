"""The ERP Integrations tool: the lists behind the Filters menu, and the job list's refresh."""

import hashlib
from typing import Any

from flask import Blueprint, Response, current_app, flash, redirect, render_template, request, session, url_for
from flask_login import current_user
from flask_wtf.csrf import generate_csrf
from sqlalchemy import select

from extensions import db
from models import Counter, Level, Setting, TaskRequest, utcnow
from permissions import Rule, requires, signed_in
from services import project_queries, statistics, worklist

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
    """A list; a browser that has it as it is now is told so, and nothing more."""
    tag, announces = _tag(), "_flashes" in session  # what is said once is not kept
    if not announces and request.if_none_match.contains_weak(tag):
        return _kept(Response(status=304), tag)
    page = worklist.page_of(_shown(), worklist.query_of(request.args))
    whole = "HX-Request" not in request.headers  # a search while typing takes the list's part only
    drawn = Counter.cached("glance", _draw_glance) if whole else ""
    response = Response(render_template("erp/worklist.html", page=page, glance=drawn, **_filters()))
    return response if announces else _kept(response, tag)


def _draw_glance() -> str:
    """The strip of bars, which is drawn when its figures are counted."""
    return render_template("erp/_statistics.html", glance=statistics.figures())


@blueprint.get("/erp/figures")
@requires(Rule(erp=Level.READ_ONLY))
def figures() -> Any:
    """What the strip of bars shows, as tables."""
    return render_template("erp/statistics.html", glance=statistics.figures())


def _tag() -> str:
    """What a list's page depends on: what was written last, who looks, which sign-in, and the minute: ages grow."""
    if "csrf_token" not in session:  # at the first page after a sign-in
        generate_csrf()
    parts = Counter.read()[Counter.REVISION], current_user.id, session["csrf_token"], request.headers.get("HX-Request")
    return hashlib.sha256(repr((*parts, f"{utcnow():%F %H:%M}")).encode()).hexdigest()[:20]


def _kept(response: Response, tag: str) -> Response:
    """The browser may keep it, but asks each time whether it is still true; signing out takes it away."""
    response.set_etag(tag, weak=True)
    response.headers["Cache-Control"] = "private, no-cache"
    response.vary.add("HX-Request")
    return response


@blueprint.get("/erp/counts")
@requires(Rule(erp=Level.READ_ONLY))
def counts() -> Any:
    """The Filters menu's links, which keep their counts true, and what keeps things from going out.

    Nothing where they have `seen` what was written last.
    """
    if request.args.get("seen") == str(Counter.read()[Counter.REVISION]):
        return "", 204
    return render_template("erp/_filters.html", **_filters()) + render_template("erp/_alarms.html", with_counts=True)


def _shown() -> worklist.Filter:
    return worklist.FILTERS.get(request.args.get("filter", ""), worklist.FILTERS[worklist.DEFAULT])


def _filters() -> dict[str, Any]:
    menu = {"shown": _shown(), "counts": worklist.counts(), "filters": worklist.FILTERS, "ages": project_queries.AGES}
    return menu | {"revision": Counter.read()[Counter.REVISION]}


@blueprint.post("/erp/refresh")
@requires(Rule(erp=Level.STANDARD))
def refresh() -> Any:
    """Ask the timetable to read Spectrum's job list now."""
    TaskRequest.ask("refresh", current_user)
    db.session.commit()
    flash("Spectrum's job list is being read.")
    return redirect(url_for(".jobs", filter=request.form.get("filter")), 303)


@blueprint.app_context_processor
def _about_spectrum() -> dict[str, Any]:
    """What every ERP page says: which company, how old the job list is, whether exports are paused."""
    return {"company_code": current_app.config["SPECTRUM_COMPANY_CODE"], "setting": _setting}


def _setting(name: str, default: Any = None) -> Any:
    """What `Setting.read` says, without asking the database for each."""
    settings = Counter.cached(
        "settings", lambda: {each.name: each.value for each in db.session.scalars(select(Setting))}, patience=0
    )
    return settings.get(name, default)
