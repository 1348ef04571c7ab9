"""Forms that come late: after the sign-in ended, or after somebody else signed in.

A form belongs to the person who opened it; the token in it says who that is. Somebody else's form is refused, with its
text to copy. After the author's own next sign-in it is offered again, and submitted by a click. Nothing is stored. A
form with a password is never kept, nor one that no page of ours surely posted.
"""

import json
from functools import lru_cache
from typing import Any

from flask import Response, current_app, flash, render_template, request, session
from flask_login import current_user
from flask_wtf.csrf import generate_csrf
from itsdangerous import BadData, URLSafeSerializer
from sqlalchemy import select
from werkzeug.exceptions import HTTPException
from werkzeug.routing import RoutingException

from extensions import AUTHOR_MARK, SAFE_METHODS, db
from lib.formatting import plural
from models import Person, Project

LARGEST = 64 * 1024  # bytes of a form that is kept
UNINTERESTING = ("csrf_token", "version", "template_shown", "project", "form_number")
# Buttons that are not called like the view behind them
ACTS = {
    "projects.create": "Create Project",
    "projects.send": "Send to ERP",
    "projects.retrieve": "Retrieve from ERP",
    "projects.add_comment": "Comment",
    "approvals.add_comment": "Comment",
    "approvals.accept": "Export",
    "approvals.present": "It is in Spectrum",
    "approvals.absent": "It is not in Spectrum",
    "bulk.accept": "Export",
    "linking.not_ours": "Not ours",
    "directory.add": "Add Person",
}


def form_token() -> str:
    if "csrf_token" not in session:
        generate_csrf()
    return _sign_token(session["csrf_token"], current_user.id if current_user.is_authenticated else None)


@lru_cache(maxsize=1024)  # once for each session: every page has forms
def _sign_token(_of_session: str, author: int | None) -> str:
    signed = "" if author is None else _author_signer().dumps(author)
    return f"{generate_csrf()}{AUTHOR_MARK}{signed}"


def keep() -> str:
    """Return the form that was posted, signed, to travel through the sign-in; "" where there is nothing to keep."""
    author = _author() if (request.content_length or 0) <= LARGEST else None
    ours = "Origin" in request.headers or "Sec-Fetch-Site" in request.headers  # the guard has seen that it is ours
    if author is None or not ours or "password" in request.form or request.files or not _typed():
        return ""
    return str(_form_signer().dumps([request.full_path.rstrip("?"), _typed(), author]))


def offer(kept: str) -> str | None:
    """Return a page that asks the form's author whether to submit it; None where there is nothing of theirs."""
    try:
        address, fields, author = _form_signer().loads(kept)
    except BadData:
        return None
    if author != current_user.id:
        flash(f"The changes of {_name(author)} were not submitted, because {current_user.name} signed in.")
        return None
    return render_template("auth/resubmit.html", address=address, fields=fields, act=_act(address, fields), **_HIDDEN)


def refuse_form_of_another() -> Any:
    """Return the refusal of a form that somebody else opened; None where the form is one's own, or nobody's."""
    if request.method in SAFE_METHODS or not current_user.is_authenticated:
        return None
    author = _author()
    if author in (None, current_user.id):
        return None
    refusal = f"{_name(author)} opened this form, and {current_user.name} is signed in now. Nothing was recorded."
    if request.headers.get("HX-Request") == "true":
        said = {"announce": {"sentence": f"{refusal} What was typed is still here to copy."}}
        return Response(status=409, headers={"HX-Reswap": "none", "HX-Trigger": json.dumps(said)})
    typed = [] if "password" in request.form else _typed()
    return render_template("auth/form_of_another.html", refusal=refusal, fields=typed, **_HIDDEN), 409


_HIDDEN: dict[str, Any] = {"uninteresting": UNINTERESTING}


def _typed() -> list[tuple[str, str]]:
    return [(name, value) for name, value in request.form.items(multi=True) if name != "csrf_token"]


def _author() -> int | None:
    try:
        return int(_author_signer().loads(request.form.get("csrf_token", "").partition(AUTHOR_MARK)[2]))
    except (BadData, ValueError, TypeError, HTTPException):  # the last one of a form that is too large to read
        return None


def _name(person_id: int | None) -> str:
    person = db.session.get(Person, person_id) if person_id else None
    return person.name if person else "Somebody"


def _act(address: str, fields: list[tuple[str, str]]) -> str:
    try:
        endpoint, values = current_app.create_url_adapter(None).match(address.partition("?")[0], "POST")  # type: ignore[union-attr]
    except (HTTPException, RoutingException):
        return ""
    act = ACTS.get(endpoint, endpoint.rpartition(".")[2].replace("_", " ").capitalize())
    ticked = [int(value) for name, value in fields if name == "project" and value.isdecimal()]
    ids = [values["project_id"]] if "project_id" in values else ticked[:100]
    found = db.session.scalars(select(Project).where(Project.id.in_(ids)).order_by(Project.id)).all()
    if len(found) > 1:
        return f"{act} {plural(len(ticked), 'project')}: {', '.join(project.title for project in found)}"
    return f"{act} {found[0].title}" if found else act


def _author_signer() -> URLSafeSerializer:
    return URLSafeSerializer(current_app.config["SECRET_KEY"], salt="author")


def _form_signer() -> URLSafeSerializer:
    return URLSafeSerializer(current_app.config["SECRET_KEY"], salt="unsent")
