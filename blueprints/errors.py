"""Error pages, and the redirect to the sign-in: answers of every address that belong to none."""

import logging
from typing import Any

from flask import Flask, Response, current_app, flash, redirect, render_template, request, url_for
from flask_login import current_user
from flask_wtf.csrf import CSRFError
from sqlalchemy.exc import DBAPIError, InternalError, OperationalError
from werkzeug.exceptions import Forbidden, HTTPException

from blueprints import resubmit
from extensions import db
from lib import database_errors
from permissions import LARGEST_ANONYMOUS_FORM, log_refusal
from services import sessions

EXPIRED = "This page was open too long or came from another site, so nothing was saved. Go back, reload and try again."
FILE_LOST = "You were signed out, so nothing was saved. Sign in, then choose the file again."
log = logging.getLogger(__name__)


def register(app: Flask) -> None:
    app.register_error_handler(HTTPException, error_page)
    for kind in (OperationalError, InternalError):  # other database errors are bugs
        app.register_error_handler(kind, database_error_page)


def redirect_to_login() -> Any:
    """Ask for a sign-in that leads back here; a form that was posted travels through it."""
    if request.headers.get("HX-Request") == "true":
        return Response(status=401)
    if kept := resubmit.keep():
        return render_template("auth/login.html", email="", kept=kept), 401
    large = (request.content_length or 0) > LARGEST_ANONYMOUS_FORM  # and not read at all
    if file := large or request.files:
        flash(FILE_LOST)
    if request.method == "GET" and sessions.can_be_renewed():
        return redirect(url_for("auth.ask_provider", next=request.full_path.rstrip("?"), silent="yes"))
    back = request.method == "GET" or file  # a file is chosen on a page of the same address
    return redirect(url_for("auth.login", next=request.full_path.rstrip("?") if back else None))


def error_page(error: HTTPException) -> Any:
    if error.response is not None or (error.code or 500) < 400:
        return error
    db.session.rollback()
    if error.code == 405 and request.method == "GET" and (page := _page_above()):
        return redirect(page)
    if error.code in (400, 403, 404) and (refusal := resubmit.refuse_form_of_another()):
        log_refusal("a form that somebody else opened")
        return refusal
    expired = isinstance(error, CSRFError)
    text = error.description if isinstance(error, Forbidden) or error.code in (400, 409) else None
    text = EXPIRED if expired else text
    if error.code in (400, 403):
        log_refusal(text or "")
    if expired and request.headers.get("HX-Request") == "true":
        return Response(status=400, headers={"HX-Reswap": "none", "Fresh-Token": resubmit.form_token()})
    kept = request.form.get("kept") or resubmit.keep() if expired else ""
    if kept and current_user.is_authenticated and (page := resubmit.offer(kept)):
        return page, 400
    return render_template("error.html", error=error, text=text, person=current_user), error.code or 500


def _page_above() -> str | None:
    path = request.path
    while path := path.rpartition("/")[0]:
        if current_app.create_url_adapter(request).test(path, "GET"):  # type: ignore[union-attr]  # inside a request
            return path
    return None


def database_error_page(error: DBAPIError) -> Any:
    log.error("the database did not do its work: %s", error.orig)
    db.session.rollback()
    text = f"{database_errors.meaning(error).sentence} {database_errors.ASK_OPERATOR}"
    page = current_app.jinja_env.get_template("error_database.html")  # render_template would ask who is signed in
    return page.render(text=text), 503
