"""Add a Comment, on both pages of a project: each has its own address, and the same answer."""

from collections.abc import Callable
from typing import Any

from flask import flash, make_response, redirect, render_template, request
from flask_login import current_user

from extensions import db
from lib.htmx import hx_trigger, is_htmx
from models import Project
from services import comments


def add(project: Project, page: str, render_page: Callable[..., Any]) -> Any:
    """Add the comment that was typed and go back to the page; `render_page` renders it for a refusal."""
    text = request.form.get("comment", "").strip()
    if problem := comments.problem(text):
        return _refuse(project, render_page, {"comment_typed": text, "comment_error": problem})
    form, answer_needed = request.form.get("form_number", ""), "no_answer" not in request.form
    readers = comments.add(project, current_user, text, form, answer_needed)
    sentence = f"Your comment was added. {comments.describe_readers(readers)}".rstrip()
    if is_htmx():
        response = make_response(_render(project))
        response.headers["HX-Trigger"] = hx_trigger(sentence)
        db.session.commit()
        return response
    db.session.commit()
    flash(sentence)
    return redirect(page, 303)


def _refuse(project: Project, render_page: Callable[..., Any], typed: dict[str, str]) -> Any:
    return (_render(project, **typed), 422) if is_htmx() else render_page(project, 422, **typed)


def _render(project: Project, **typed: str) -> str:
    return render_template("_comments.html", project=project, comment_endpoint=request.endpoint, **typed)
