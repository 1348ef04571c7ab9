"""The Company Directory's rules: who may add or change whom, and the line of history that each change leaves."""

import re
from collections.abc import Mapping
from datetime import date
from typing import Any

from sqlalchemy import or_, select

from extensions import db
from models import Event, Level, Person

# What a directory admin decides about a person: column and label
DIRECTORY = {
    "name": "Name",
    "email": "Email",
    "erp": "ERP Integrations",
    "projects": "Projects",
    "directory": "Company Directory",
    "can_push": "Can Push to Accounting",
    "can_push_until": "Can Push to Accounting Until",
    "subscribed": "Subscribe to ERP digest emails",
    "active": "Active",
}
ABSENCE = {"away_from": "Away From", "away_until": "Away Until"}
# An address as every mail server takes it: ASCII, and no part of it between dots is empty
ATOM, NAME = r"[\w!#$%&'*+/=?^`{|}~-]+", r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
EMAIL = re.compile(rf"(?=[^@]{{1,64}}@){ATOM}(?:\.{ATOM})*@{NAME}(?:\.{NAME})*", re.ASCII)
ON_SERVER = "With flask users, on the server."


def add(by: Person | None, wanted: Mapping[str, Any], comment: str = ON_SERVER) -> Person:
    person = Person(**wanted)
    db.session.add(person)
    changes = [[label, "", _display(wanted[column])] for column, label in DIRECTORY.items() if column in wanted]
    record(person, "added", by, "" if by else comment, changes=changes)
    return person


def lock(person_id: int) -> Person | None:
    rows = select(Person).where(or_(Person.id == person_id, Person.directory_admins())).order_by(Person.id)
    locked = db.session.scalars(rows.with_for_update(), execution_options={"populate_existing": True})
    return next((person for person in locked.all() if person.id == person_id), None)


def validate(by: Person | None, wanted: Mapping[str, Any], person: Person | None = None) -> dict[str, str]:
    """Return why a person cannot be added or changed like this, by column; on the server `by` is None."""
    errors = _format_errors(wanted, person.email if person else None)
    found = Person.by_email(wanted["email"]) if "email" in wanted else None
    if found and found is not person:
        errors["email"] = f"There is a person with the email {found.email} already: {found.name}."
    if by and not by.may_push:
        errors |= _privilege_errors(wanted, person)
    if person and _leaves_no_admin(person, wanted):
        column = "active" if wanted.get("active") is False else "directory"
        errors[column] = f"{person.name} is the last active directory admin. Make somebody else one first."
    if by and person and by.id == person.id and wanted.get("active") is False:
        errors["active"] = "You can't disable yourself. Another directory admin can."
    return errors


def change(person: Person, by: Person | None, wanted: Mapping[str, Any]) -> bool:
    changes = [
        [label, _display(getattr(person, column)), _display(wanted[column])]
        for column, label in (DIRECTORY | ABSENCE).items()
        if column in wanted and wanted[column] != getattr(person, column)
    ]
    if not changes:
        return False
    if wanted.get("active") is False:
        person.end_sessions()
    for column, value in wanted.items():
        setattr(person, column, value)
    person.version += 1
    record(person, "changed", by, "" if by else ON_SERVER, changes=changes)
    return True


def absence_errors(away_from: date | None, away_until: date | None) -> dict[str, str]:
    if bool(away_from) != bool(away_until):
        return {"away_until" if away_from else "away_from": "Enter both days, or leave both empty."}
    if away_from and away_until and away_until < away_from:
        return {"away_until": "The last day is before the first one."}
    return {}


def end_sessions(person: Person, by: Person) -> None:
    person.end_sessions()
    record(person, "ended every session", by)


def absences() -> list[str]:
    away = db.session.scalars(select(Person).where(Person.approvers(), Person.away()).order_by(Person.name))
    return [f"{person.name} is {person.absence}." for person in away]


def record(person: Person, action: str, by: Person | None, comment: str = "", **details: Any) -> Event:
    event = Event(subject=person, person=by, action=action, comment=comment, details=details)
    db.session.add(event)
    return event


def _leaves_no_admin(person: Person, wanted: Mapping[str, Any]) -> bool:
    stays = wanted.get("directory", person.directory) is Level.ADMIN and wanted.get("active", person.active)
    if stays or not person.is_directory_admin:
        return False
    another = select(Person.id).where(Person.directory_admins(), Person.can_sign_in(), Person.id != person.id)
    return db.session.scalar(another.limit(1)) is None


def _format_errors(wanted: Mapping[str, Any], present_email: str | None) -> dict[str, str]:
    errors = {}
    if "name" in wanted and not (0 < len(wanted["name"]) <= 100 and wanted["name"].isprintable()):
        errors["name"] = "Enter a name of 1 to 100 characters."
    email = wanted.get("email", present_email)
    if email != present_email and not (len(email) <= 254 and EMAIL.fullmatch(email)):
        errors["email"] = "Enter an email address, such as dana@example.com."
    return errors


def _privilege_errors(wanted: Mapping[str, Any], person: Person | None) -> dict[str, str]:
    """Errors of who lacks the privilege: they neither grant nor take it, nor redirect the mail that sets a holder's
    password."""
    label, holds = DIRECTORY["can_push"], person is not None and person.can_push
    errors = {}
    if wanted.get("can_push", holds) != holds:
        errors["can_push"] = f"Only a directory admin who holds {label} can grant or take it."
    until = person.can_push_until if person else None
    if wanted.get("can_push_until", until) != until:
        errors["can_push_until"] = f"Only a directory admin who holds {label} can change this day."
    if person and holds and wanted.get("email", person.email).casefold() != person.email:
        errors["email"] = f"{person.name} holds {label}. Only a directory admin who holds it too can change this email."
    return errors


def _display(value: Any) -> str:
    if isinstance(value, Level):
        return value.label
    if isinstance(value, date):
        return f"{value:%b} {value.day}, {value.year}"
    return ("No", "Yes")[value] if isinstance(value, bool) else str(value or "")
