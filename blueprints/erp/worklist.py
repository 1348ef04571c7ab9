"""The ERP Integrations tool: the lists of the Filters menu, and refreshing the job list."""

import hashlib
from typing import Any

from flask import Blueprint, Response, current_app, flash, redirect, render_template, request, session, url_for
from flask_login import current_user
from flask_wtf.csrf import generate_csrf
from sqlalchemy import select

from blueprints.batch import selected_ids
from extensions import db
from models import Counter, Level, Setting, TaskKind, TaskRequest, utcnow
from permissions import Rule, may, requires, signed_in
from services import project_queries, setup, statistics, workflow, worklist
from services.cache import MAX_STALE, cached

blueprint = Blueprint("erp", __name__)


@blueprint.get("/")
@signed_in
def home() -> Any:
    """Redirect to the first tool that this person may open; administrators, on the first day, to what is left to do."""
    administers = Level.ADMIN in (current_user.erp, current_user.directory)
    if administers and not setup.has_projects() and setup.remaining_steps():
        return redirect(url_for(".setup_page"))
    tools = (
        (current_user.erp, ".jobs"),
        (current_user.projects, "projects.index"),
        (current_user.directory, "directory.index"),
    )
    return redirect(url_for(next((page for level, page in tools if level is not Level.NONE), "auth.me")))


@blueprint.get("/erp/jobs")
@requires(Rule(erp=Level.READ_ONLY))
def jobs() -> Any:
    announces = "_flashes" in session or "rejected" in request.args  # not kept: what it says holds for seconds
    tag = _etag()
    if not announces and request.if_none_match.contains_weak(tag):
        return _cacheable(Response(status=304), tag)
    page = worklist.get_page(_current_filter(), worklist.read_params(request.args))
    elsewhere = [] if page.rows else worklist.find_elsewhere(_current_filter(), page.query.q)
    on_page = [row.id for row in page.rows]
    others = worklist.selectable_ids(_current_filter(), page.query) if request.args.get("tick") == "every" else ()
    whole = "HX-Request" not in request.headers  # a search while typing replaces the list only
    strip = _statistics_strip(0 if announces else MAX_STALE) if whole else ""  # after a decision it counts that one
    shown = {
        "page": page,
        "elsewhere": elsewhere,
        "facts": project_queries.export_facts(on_page) if _current_filter().slug == "synced" else None,
        "others": [each for each in others if each not in on_page],
        "rejected": workflow.undoable_rejections(selected_ids("rejected")) if "rejected" in request.args else (),
        "statistics_strip": strip,
        **_filters(),
    }
    response = Response(render_template("erp/worklist.html", **shown))
    return response if announces else _cacheable(response, tag)


def _statistics_strip(max_stale: float = MAX_STALE) -> str:
    def render() -> str:
        return render_template("erp/_statistics.html", statistics=statistics.compute())

    return cached("statistics", render, max_stale)


@blueprint.get("/erp/figures")
@requires(Rule(erp=Level.READ_ONLY))
def statistics_page() -> Any:
    return render_template("erp/statistics.html", statistics=statistics.compute())


@blueprint.get("/setup")
@signed_in
def setup_page() -> Any:
    return render_template("erp/setup.html", steps=setup.list_steps(), command=setup.command, may_open=_may_open)


def _may_open(endpoint: str) -> bool:
    return may(vars(current_app.view_functions[endpoint])["access_rule"])


def _etag() -> str:
    """A hash of all that a list depends on: data revision, person, sign-in, and the minute, because ages grow."""
    if "csrf_token" not in session:  # at the first page after a sign-in
        generate_csrf()
    parts = Counter.read()[Counter.REVISION], current_user.id, session["csrf_token"], request.headers.get("HX-Request")
    return hashlib.sha256(repr((*parts, int(utcnow().timestamp()) // 60)).encode()).hexdigest()[:20]


def _cacheable(response: Response, tag: str) -> Response:
    """Let the browser keep the response and revalidate it each time; signing out clears it."""
    response.set_etag(tag, weak=True)
    response.headers["Cache-Control"] = "private, no-cache"
    response.vary.add("HX-Request")
    return response


@blueprint.get("/erp/counts")
@requires(Rule(erp=Level.READ_ONLY))
def counts() -> Any:
    """The Filters menu with its counts, the figures and the alarms; 204 if the page has `seen` the data revision."""
    if request.args.get("seen") == str(Counter.read()[Counter.REVISION]):
        return "", 204
    menu = render_template("erp/_filters.html", **_filters())
    alarms = render_template("erp/_alarms.html", with_counts=True)
    return menu + _statistics_strip() + alarms


def _current_filter() -> worklist.Filter:
    return worklist.FILTERS.get(request.args.get("filter", ""), worklist.FILTERS[worklist.DEFAULT])


def _filters() -> dict[str, Any]:
    menu = {
        "shown": _current_filter(),
        "counts": worklist.counts(),
        "filters": worklist.FILTERS,
        "ages": project_queries.AGES,
    }
    return menu | {"revision": Counter.read()[Counter.REVISION]}


@blueprint.post("/erp/refresh")
@requires(Rule(erp=Level.STANDARD))
def refresh() -> Any:
    TaskRequest.ask(TaskKind.REFRESH_JOBS, current_user)
    db.session.commit()
    flash("Spectrum's job list is being read.")
    return redirect(url_for(".jobs", filter=request.form.get("filter")), 303)


@blueprint.app_context_processor
def _about_spectrum() -> dict[str, Any]:
    return {"company_code": current_app.config["SPECTRUM_COMPANY_CODE"], "setting": _setting}


def _setting(name: str, default: Any = None) -> Any:
    """`Setting.read`, from one cached query for all settings."""
    settings = cached(
        "settings", lambda: {each.name: each.value for each in db.session.scalars(select(Setting))}, max_stale=0
    )
    return settings.get(name, default)
