"""The Company Directory: people, their levels, and the history of both.

People are disabled, never deleted: history keeps their names.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask_login import current_user
from sqlalchemy import select, true
from sqlalchemy.exc import IntegrityError

from extensions import db
from lib.formatting import format_ago, parse_date
from models import Event, Level, MailKind, Person
from permissions import TOOLS, Rule, log_refusal, requires
from services import accounts, company_accounts, directory, mail_settings


def _preset(erp: Level, projects: Level, tool: Level, can_push: bool) -> dict[str, Any]:
    return {"erp": erp, "projects": projects, "directory": tool, "can_push": can_push}


blueprint = Blueprint("directory", __name__, url_prefix="/admin/directory")
WAITS = "Email is not set up, so the invitation waits until it is."
NOT_A_DAY = "Enter a date, such as 12/31/2026."
# What people of a kind usually get: the levels, and the privilege
PRESETS: dict[str, tuple[str, dict[str, Any]]] = {
    "manager": ("Project Manager", _preset(Level.NONE, Level.ADMIN, Level.NONE, can_push=False)),
    "approver": ("Approver", _preset(Level.STANDARD, Level.READ_ONLY, Level.NONE, can_push=True)),
    "administrator": ("Administrator", _preset(Level.ADMIN, Level.ADMIN, Level.ADMIN, can_push=False)),
}
VIEWER, KEEPER = Rule(directory=Level.READ_ONLY), Rule(directory=Level.ADMIN)
SHOWN: dict[str, tuple[str, Callable[[], Any]]] = {
    "active": ("Active", lambda: Person.active),
    "approvers": ("Accounting Approvers", Person.approvers),  # as of today, so it is asked each time
    "disabled": ("Disabled", lambda: ~Person.active),
    "all": ("All", true),
}


@blueprint.get("")
@requires(VIEWER)
def index() -> Any:
    shown = request.args.get("show", "")
    shown = shown if shown in SHOWN else "active"
    words = request.args.get("q", "").casefold().split()
    everybody = db.session.scalars(select(Person).where(SHOWN[shown][1]()).order_by(Person.name, Person.id))
    found = [each for each in everybody if all(word in f"{each.name} {each.email}".casefold() for word in words)]
    return render_template("admin/directory.html", people=found, shown=shown, filters=SHOWN, keeper=KEEPER)


@blueprint.get("/new")
@requires(KEEPER)
def new() -> Any:
    return _page(None)


@blueprint.post("")
@requires(KEEPER)
def add() -> Any:
    wanted, errors = read_person(request.form)
    if "preset" in request.form:
        return _preview_preset(None, wanted)
    errors = directory.validate(current_user, wanted) | errors
    if errors:
        return _refuse(None, wanted, errors)
    person = directory.add(current_user, wanted)
    accounts.send_link(person, MailKind.INVITATION, current_user)
    try:
        db.session.commit()
    except IntegrityError:
        db.session.rollback()
        return add()  # somebody took the email meanwhile: read again, with that said at the field
    told = f"We are emailing an invitation to {person.email}." if mail_settings.is_set_up() else WAITS
    flash(f"{person.name} was added. {told}")
    return redirect(url_for(".person", person_id=person.id), 303)


@blueprint.get("/<int:person_id>")
@requires(VIEWER)
def person(person_id: int) -> Any:
    return _page(db.session.get(Person, person_id) or abort(404))


@blueprint.post("/<int:person_id>")
@requires(KEEPER)
def save(person_id: int) -> Any:
    found = directory.lock(person_id) or abort(404)
    if request.form.get("version") != str(found.version):
        return _page(found, 409, conflict=_how_it_is(found))
    wanted, errors = read_person(request.form)
    if "preset" in request.form:
        return _preview_preset(found, wanted)
    errors = directory.validate(current_user, wanted, found) | errors
    if errors:
        return _refuse(found, wanted, errors)
    directory.change(found, current_user, wanted)
    try:
        db.session.commit()
    except IntegrityError:
        db.session.rollback()
        return save(person_id)
    flash(f"{found.name} was saved.")
    return redirect(url_for(".person", person_id=person_id), 303)


@blueprint.post("/<int:person_id>/invite")
@requires(KEEPER)
def invite(person_id: int) -> Any:
    found = db.session.get(Person, person_id) or abort(404)
    if not (found.is_invited and found.active):
        return _page(found, 409, conflict=f"{found.name} has a password or is disabled, so no email was sent.")
    before = accounts.send_link(found, MailKind.INVITATION, current_user)
    db.session.commit()
    sentence = f"We are emailing the invitation to {found.email}." if mail_settings.is_set_up() else WAITS
    if before and mail_settings.is_set_up():
        sentence = f"We emailed {found.email} an invitation {format_ago(before)}."
        sentence += " You can send another five minutes after it."
    flash(sentence)
    return redirect(url_for(".person", person_id=person_id), 303)


@blueprint.post("/<int:person_id>/password-link")
@requires(KEEPER)
def send_password_link(person_id: int) -> Any:
    found = db.session.get(Person, person_id) or abort(404)
    if not found.active:
        return _page(found, 409, conflict=f"{found.name} is disabled, so no email was sent.")
    before = accounts.send_link(found, MailKind.RESET, current_user)
    db.session.commit()
    told = f"We {'emailed' if before else 'are emailing'} {found.email} a link to set a password{_since(before)}."
    flash(told if mail_settings.is_set_up() else "Email is not set up, so the link waits until it is.")
    return redirect(url_for(".person", person_id=person_id), 303)


def _since(before: datetime | None) -> str:
    return f" {format_ago(before)}. You can send another five minutes after it" if before else ""


@blueprint.post("/<int:person_id>/sign-out")
@requires(KEEPER)
def sign_out_everywhere(person_id: int) -> Any:
    found = directory.lock(person_id) or abort(404)
    directory.end_sessions(found, current_user)
    db.session.commit()
    flash(f"{found.name} was signed out everywhere.")
    return redirect(url_for(".person", person_id=person_id), 303)


@blueprint.post("/<int:person_id>/forget-account")
@requires(KEEPER)
def forget_account(person_id: int) -> Any:
    found = directory.lock(person_id) or abort(404)
    forgotten = company_accounts.forget(found, current_user)
    db.session.commit()
    told = "The company account of {} was forgotten." if forgotten else "{} has no company account."
    flash(told.format(found.name))
    return redirect(url_for(".person", person_id=person_id), 303)


def read_person(form: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    wanted: dict[str, Any] = {column: form.get(column, "").strip() for column in ("name", "email")}
    wanted |= {column: column in form for column in ("can_push", "subscribed", "active")}
    errors = {}
    if "can_push_until" in form:
        try:
            wanted["can_push_until"] = parse_date(form["can_push_until"])
        except ValueError:
            errors["can_push_until"] = NOT_A_DAY
    for tool in TOOLS:
        try:
            wanted[tool] = Level(form.get(tool))
        except ValueError:
            errors[tool] = f"Choose one of {', '.join(level.label for level in Level)}."
    wanted["email"] = wanted["email"].lower()
    return wanted, errors


def _preview_preset(found: Person | None, wanted: dict[str, Any]) -> Any:
    """The form with what people of that kind usually get, to be saved or changed; nothing is saved yet."""
    label, usual = PRESETS.get(request.form["preset"], ("", {}))
    granted = {} if current_user.may_push else {"can_push": bool(found and found.can_push)}
    db.session.rollback()
    return _page(found, wanted=wanted | usual | granted, preset=label)


def _refuse(found: Person | None, wanted: dict[str, Any], errors: dict[str, str]) -> Any:
    log_refusal(" ".join(errors.values()))
    db.session.rollback()
    return _page(found, 422, wanted=wanted, errors=errors)


def _page(found: Person | None, status: int = 200, **context: Any) -> Any:
    """A person's page, or the form for a new one; `wanted` is what was typed, where it was refused."""
    history = Event.about(found) if found else []
    begun: dict[str, Any] = {"person": found, "history": history, "keeper": KEEPER, "errors": {}, "presets": PRESETS}
    return render_template("admin/person.html", **begun | context), status


def _how_it_is(found: Person) -> str:
    who = next((event.who for event in Event.about(found) if event.action == "changed"), "Somebody")
    return f"{who} changed {found.name} while you had this page open. Nothing that you entered was applied."
