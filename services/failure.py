"""A failed export: the fields that its cause is about, and the next steps with who can take them."""

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import select

from erp import rules
from extensions import db
from models import INFORMATION, Export, Level, Person
from services.cache import cached

ACCEPT_FIELDS = {each.key for each in rules().accept_fields}
DEFAULT_FIELDS = {each.key for each in rules().default_fields}


@dataclass(frozen=True)
class Step:
    """A next step as a sentence, and the template whose fixed values it is about, if any."""

    sentence: str
    template: str = ""


def field_errors(export: Export) -> dict[str, str]:
    by_key = {rules().form_key(element): text for element, text in export.field_errors}
    return {key: f"Spectrum: “{text}”" for key, text in by_key.items() if key in ACCEPT_FIELDS}


def next_steps(export: Export, is_erp_admin: bool) -> list[Step]:
    return list(dict.fromkeys(_steps(export, is_erp_admin)))


def _steps(export: Export, is_erp_admin: bool) -> Iterator[Step]:
    for element, _text in export.field_errors:
        key, label = rules().form_key(element), rules().label(element)
        if key in INFORMATION:
            yield Step(f"Reject it with a comment, so that the project manager can correct {label}.")
        elif key in ACCEPT_FIELDS:
            yield Step(f"Press Retry and change {label}, or have it corrected in Spectrum first.")
        elif key in DEFAULT_FIELDS:
            yield _set_default(label, export.template_number, is_erp_admin)


def _set_default(label: str, template: str, is_erp_admin: bool) -> Step:
    if is_erp_admin:
        return Step(f"Set {label} in the fixed values of the template, then press Retry.", template)
    return Step(f"Ask {_erp_admins()} to set {label} in the fixed values of template {template}. Then press Retry.")


def _erp_admins() -> str:
    admins = select(Person.name).where(Person.active, Person.erp == Level.ADMIN).order_by(Person.name)
    names = cached("names of ERP admins", lambda: list(db.session.scalars(admins.limit(3))))
    return " or ".join(names) or "an administrator"
