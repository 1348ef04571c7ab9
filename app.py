"""The application factory: settings, extensions, the guard, blueprints, commands. It starts no background work."""

import logging
import os
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import click
from flask import Flask, Response, current_app, flash, has_request_context, redirect, render_template, request, url_for
from flask.cli import AppGroup
from flask_login import current_user
from flask_wtf.csrf import CSRFError, generate_csrf
from markupsafe import Markup
from sqlalchemy.exc import DBAPIError, InternalError, OperationalError
from werkzeug.exceptions import Forbidden, HTTPException
from werkzeug.middleware.proxy_fix import ProxyFix

import config
import models
import permissions
from blueprints import auth, health, resubmit
from blueprints.admin import directory, projects
from blueprints.admin import project_csv as transfer_pages
from blueprints.approvals import bulk, decisions, linking
from blueprints.erp import approvers, history, settings
from blueprints.erp import mail as mail_pages
from blueprints.erp import worklist as erp_tool
from erp.spectrum import mapping
from extensions import csrf, db, login_manager, mail
from lib import compression, formatting, json_log
from lib.htmx import is_htmx
from services import readiness, workflow

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Frame-Options": "DENY",  # for what does not know frame-ancestors
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
BLUEPRINTS = (
    *(auth, projects, transfer_pages, directory, decisions, approvers, linking),
    *(erp_tool, bulk, history, settings, mail_pages, health),
)


TROUBLE = {
    "is full": "The disk of the server is full.",
    "no space left": "The disk of the server is full.",
    "readonly": "The database can only be read, not written to.",
    "read-only": "The database can only be read, not written to.",
    "locked": "The database was busy for too long.",
    "lock timeout": "The database was busy for too long.",
}
app_log = logging.getLogger(__name__)


class LazyCommands(AppGroup):
    """The command line, which is read once somebody uses it: a web server has no need of what it brings along."""

    def __init__(self, app: Flask) -> None:
        super().__init__(app.name)
        self._app = app

    def list_commands(self, ctx: click.Context) -> list[str]:
        self._read()
        return super().list_commands(ctx)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        self._read()
        return super().get_command(ctx, cmd_name)

    def _read(self) -> None:
        if not self.commands:
            import cli

            cli.register(self._app)


def create_app(environ: Mapping[str, str] | None = None, instance_path: str | None = None) -> Flask:
    """The app with the settings of `environ` (the process's environment where none is given).

    Raises config.SettingsError where a setting can not be used.
    """
    app = Flask(__name__, instance_path=instance_path)
    app.config.update(config.load(os.environ if environ is None else environ))
    Path(app.instance_path).mkdir(exist_ok=True)
    if app.config["SESSION_COOKIE_SECURE"]:  # https ends at one proxy in front
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=1, x_proto=1)  # type: ignore[method-assign]
    app.before_request(json_log.begin_request)
    app.before_request(permissions.guard)  # ahead of the CSRF check, so that a refusal says the real reason
    compression.register(app)
    permissions.public(app.view_functions["static"])
    _bind_extensions(app)
    for room in BLUEPRINTS:
        app.register_blueprint(room.blueprint)
    app.cli = LazyCommands(app)
    _bind_templates(app)
    app.register_error_handler(HTTPException, _error_page)
    for trouble in (OperationalError, InternalError):  # others are mistakes of ours
        app.register_error_handler(trouble, _database_trouble)
    app.after_request(_add_headers)
    app.after_request(json_log.end_request)
    app.logger.setLevel(logging.INFO)
    return app


def _bind_extensions(app: Flask) -> None:
    db.init_app(app)
    mail.init_app(app)
    csrf.init_app(app)
    login_manager.init_app(app)
    login_manager.user_loader(models.Person.from_session)
    login_manager.unauthorized_handler(_to_login)


def _bind_templates(app: Flask) -> None:
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.jinja_env.filters |= {
        "time_tag": partial(formatting.time_tag, app.config["TIMEZONE"]),  # and not asked for fifty times a page
        "format_datetime": formatting.format_datetime,
        "plural": formatting.plural,
        "format_date": formatting.format_date,
        "moment": lambda text: datetime.fromisoformat(text) if text else None,
        "combined": lambda some, more: {**some, **more},
        "extended": lambda address: address + ("&" if "?" in address else "?"),
        "sources": lambda move: models.TRANSITIONS[move][0],
    }
    app.jinja_env.globals |= {
        "url_for": _address,
        "may": permissions.may,
        "token": lambda: Markup('<input type="hidden" name="csrf_token" value="{}">').format(generate_csrf()),
        "access": permissions,
        "Level": models.Level,
        "Status": models.Status,
        "Transition": models.Transition,
        "other_eyes": workflow.OTHER_APPROVER_NEEDED,
        "information": {column: label for column, (label, _) in models.INFORMATION.items()},
        "labels": mapping.LABELS,
        "readiness": readiness,
        "price_methods": mapping.PRICE_METHODS,
        "sources": {"project": "Project", "template": "Template", "approver": "Approver", "fixed": "Template setting"},
    }


def _address(endpoint: str, **values: Any) -> str:
    """Flask's url_for, asked once for each address within the site; those of mails are whole ones, as BASE_URL is."""
    return _within(endpoint, **values) if has_request_context() else url_for(endpoint, **values)


_within = lru_cache(maxsize=8192)(url_for)


def _to_login() -> Any:
    """To the sign-in and back to where one was going; what was typed comes along, or stays in the page."""
    if is_htmx():
        return Response(status=401)
    if kept := resubmit.keep():
        return render_template("auth/login.html", email="", kept=kept), 401
    if request.files:
        flash("Your sign-in had ended, so nothing was done. Sign in, then choose the file again.")
    back = request.method == "GET" or request.files  # a file is chosen on a page of the same address
    return redirect(url_for("auth.login", next=request.full_path.rstrip("?") if back else None))


def _error_page(error: HTTPException) -> Any:
    if error.response is not None or (error.code or 500) < 400:
        return error
    db.session.rollback()
    text = error.description if isinstance(error, Forbidden | CSRFError) or error.code in (400, 409) else None
    if isinstance(error, CSRFError):
        text = "This page was open too long or came from elsewhere, so nothing was done. Go back, reload and try again."
    if error.code in (400, 403):
        permissions.log_refusal(text or "")
    if isinstance(error, CSRFError) and is_htmx():
        return Response(status=400, headers={"HX-Reswap": "none", "Fresh-Token": generate_csrf()})
    if isinstance(error, CSRFError) and current_user.is_authenticated and (page := resubmit.offer(resubmit.keep())):
        return page, 400
    return render_template("error.html", error=error, text=text, person=current_user), error.code or 500


def _database_trouble(error: DBAPIError) -> Any:
    """A page that needs no database, and says in a sentence what keeps it from working."""
    app_log.error("the database did not do its work: %s", error.orig)
    db.session.rollback()
    said = str(error.orig).lower()
    why = next((why for words, why in TROUBLE.items() if words in said), "The database can not be reached.")
    text = f"{why} What you did last was not saved. Try again in a minute; if it stays, tell whoever runs Countersign."
    page = current_app.jinja_env.get_template("error_database.html")  # not render_template, which asks who is signed in
    return page.render(text=text), 503


def _add_headers(response: Response) -> Response:
    response.headers["X-Content-Type-Options"] = "nosniff"
    if request.endpoint != "static":  # which is no page, and there are five of them to each first page
        response.headers.extend(HEADERS)
        response.headers.setdefault("Cache-Control", "no-store")
    if request.is_secure:
        response.headers.setdefault("Strict-Transport-Security", "max-age=31536000")
    return response
