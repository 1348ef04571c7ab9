"""The application factory: settings, extensions, the guard, blueprints, commands. It starts no background work."""

import logging
import os
import secrets
from collections.abc import Mapping, MutableMapping
from datetime import datetime
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from flask import Flask, Response, has_request_context, request, url_for
from flask.templating import Environment
from markupsafe import Markup

import config
import erp
import models
import permissions
from blueprints import auth, errors, health, resubmit
from blueprints.admin import directory, projects
from blueprints.admin import project_csv as transfer_pages
from blueprints.approvals import bulk, decisions, linking, receipt
from blueprints.erp import approvers, history, job_templates, settings, synced_report
from blueprints.erp import mail as mail_pages
from blueprints.erp import worklist as erp_tool
from extensions import csrf, db, login_manager, mail
from lib import compression, formatting, json_log, proxied, remembered, request_metrics
from lib.lazy_commands import LazyCommands
from lib.text import CleanRequest
from services import (
    after_restore,
    comments,
    duplicates,
    failure,
    mail_settings,
    project_queries,
    sessions,
    setup,
    update_form,
    workflow,
    worklist,
)
from services import directory as directory_rules

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Frame-Options": "DENY",  # for browsers without frame-ancestors
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
BLUEPRINTS = (
    *(auth, projects, transfer_pages, directory, decisions, receipt, approvers, linking),
    *(erp_tool, bulk, history, synced_report, settings, job_templates, mail_pages, health),
)


class _Environment(Environment):
    """Flask's Jinja, whose globals are a plain dict: a chain of two is copied name by name at each render."""

    def make_globals(self, d: MutableMapping[str, Any] | None) -> MutableMapping[str, Any]:
        return super().make_globals(d) if d else self.globals


def create_app(environ: Mapping[str, str] | None = None, instance_path: str | None = None) -> Flask:
    """The app with the settings of `environ` (the process's environment where none is given).

    Raises config.SettingsError where a setting cannot be used.
    """
    app = Flask(__name__, instance_path=instance_path)
    app.request_class, app.jinja_environment = CleanRequest, _Environment
    app.config.update(config.load(os.environ if environ is None else environ))
    app.session_interface = sessions.CookieSessions(app)
    Path(app.instance_path).mkdir(exist_ok=True)
    if app.config["SESSION_COOKIE_SECURE"]:  # https ends at one proxy in front
        app.wsgi_app = proxied.behind_proxy(app.wsgi_app, app.config["TRUSTED_PROXIES"])  # type: ignore[method-assign]
    app.wsgi_app = request_metrics.under_any_name(app.wsgi_app, app.config["SERVER_NAME"])  # type: ignore[method-assign]
    app.before_request(json_log.begin_request)
    app.before_request(permissions.guard)  # ahead of the CSRF check, so that a refusal says the real reason
    compression.register(app)
    permissions.public(app.view_functions["static"])
    _bind_extensions(app)
    for module in BLUEPRINTS:
        app.register_blueprint(module.blueprint)
    app.cli = LazyCommands(app, _register_commands)
    _bind_templates(app)
    errors.register(app)
    app.after_request(_add_headers)
    app.after_request(request_metrics.observe)
    app.after_request(json_log.end_request)
    app.logger.setLevel(logging.INFO)
    return app


def _register_commands(app: Flask) -> None:
    import cli

    cli.register(app)


def _bind_extensions(app: Flask) -> None:
    db.init_app(app)
    mail.init_app(app)
    csrf.init_app(app)
    login_manager.init_app(app)
    login_manager.user_loader(sessions.person_of)
    login_manager.unauthorized_handler(errors.redirect_to_login)


def _bind_templates(app: Flask) -> None:
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.jinja_env.filters |= {
        "time_tag": partial(formatting.time_tag, app.config["TIMEZONE"]),  # bound once, not fifty times a page
        "format_datetime": formatting.format_datetime,
        "short_date": formatting.short_date,
        "plural": formatting.plural,
        "readable_date": formatting.readable_date,
        "phone_address": formatting.phone_address,
        "format_date": formatting.format_date,
        "moment": lambda text: datetime.fromisoformat(text) if text else None,
        "remembered": remembered.remembered,
        "combined": lambda some, more: {**some, **more},
        "extended": lambda address: address + ("&" if "?" in address else "?"),
        "sources": lambda move: models.TRANSITIONS[move],
    }
    app.jinja_env.globals |= {
        "url_for": _url,
        "map_address": formatting.map_address,
        "absences": directory_rules.absences,
        "comment_side": comments.side_of,
        "form_number": lambda: secrets.token_urlsafe(9),  # tells a form that was submitted twice from another one
        "mail_is_set_up": mail_settings.is_set_up,
        "remaining_steps": setup.remaining_steps,
        "may": permissions.may,
        "token": lambda: Markup('<input type="hidden" name="csrf_token" value="{}">').format(resubmit.form_token()),
        "access": permissions,
        "restore_warning": after_restore.warning,
        "Level": models.Level,
        "Status": models.Status,
        "Transition": models.Transition,
        "in_progress": models.IN_PROGRESS,
        "failed": models.FAILED,
        "waiting": models.WAITING,
        "outstanding": models.OUTSTANDING,
        "updates": models.UPDATE,
        "customer_name": models.Customer.name_of,
        "readable": update_form.readable,
        "other_eyes": workflow.OTHER_APPROVER_NEEDED,
        "other_eyes_link": workflow.OTHER_APPROVER_LINKS,
        "can_undo_rejection": workflow.can_undo_rejection,
        "next_steps": failure.next_steps,
        "possible_duplicates": duplicates.find,
        "most_selected": worklist.MOST_SELECTED,
        "next_in_queue": worklist.next_in_queue,
        "searched": lambda: project_queries.SEARCHED,
        "information": {column: label for column, (label, _) in models.INFORMATION.items()},
        "rules": erp.rules(),
        "sources": {"project": "Project", "template": "Template", "approver": "Approver", "fixed": "Template setting"},
    }


def _url(endpoint: str, **values: Any) -> str:
    """Flask's url_for, with the paths of pages cached; outside a request, in mails, an address is absolute."""
    return _cached_path(endpoint, **values) if has_request_context() else url_for(endpoint, **values)


_cached_path = lru_cache(maxsize=8192)(url_for)


def _add_headers(response: Response) -> Response:
    response.headers["X-Content-Type-Options"] = "nosniff"
    if request.endpoint != "static":  # five of them come with a first page, and the policy is about pages
        response.headers.extend(HEADERS)
        response.headers.setdefault("Cache-Control", "no-store")
    if request.is_secure:
        response.headers.setdefault("Strict-Transport-Security", "max-age=31536000")
    return response
