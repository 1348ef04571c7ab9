"""A project's fields as they are typed or imported: their values, and what is wrong with them.

What Spectrum would refuse is said by the port's rules. It keeps a project from being sent, but not from being saved.
"""

import re
from collections.abc import Collection, Mapping
from typing import Any

from erp import rules
from lib.formatting import parse_date
from lib.text import normalize
from models import INFORMATION

DATES = ("start_date", "completion_date")
INVISIBLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")


def abbreviate_state(text: str) -> str:
    typed = normalize(text).casefold()
    return next((code for code, name in rules().states.items() if typed in (code.casefold(), name.casefold())), text)


def problems_before_send(values: Mapping[str, Any], columns: Collection[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Return two dicts of Spectrum's refusals: fields that only the project manager, and that accounting can change."""
    ours = {column: told for column, told in rules().project_problems(values).items() if column in columns}
    number = rules().project_changes(values).get("number") if "number" in columns else None
    return ours, {"number": number} if number else {}


def check_information(typed: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the texts by column as values, dates as dates, and an error for each that is wrong, by column."""
    values: dict[str, Any] = {column: normalize(text) for column, text in typed.items()}
    errors = {column: problem for column in INFORMATION if (problem := _problem(column, values[column]))}
    for column in DATES:
        try:
            values[column] = parse_date(values[column])
        except ValueError:
            errors[column] = f"{INFORMATION[column][0]} must be a date, such as 12/7/2026 or 2026-12-07."
    start, end = (None if errors else values[column] for column in DATES)
    if start and end and end < start:
        errors["completion_date"] = "The completion date is before the start date."
    return values, errors


def _problem(column: str, text: str) -> str:
    label, limit = INFORMATION[column]
    if column in ("name", "number") and not text:
        return f"Enter the {label}."
    if len(text) > limit and column not in DATES:
        return f"{label} is {len(text)} characters long; it can hold {limit}."
    if INVISIBLE.search(re.sub(r"[\n\t]", "", text) if column == "description" else text):
        return f"{label} holds a line break or an invisible character; type it again."
    return ""
