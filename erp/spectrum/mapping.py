"""From a project to what AddJob receives, and back: mapping and comparison, pure functions.

The field tables stand in `erp.tables`, what Spectrum refuses in `erp.rules`, shortening in
`erp.shortening`; other modules take all of it from here. Nothing here talks to Spectrum.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from erp.spectrum.abbreviations import shorten
from erp.spectrum.fields import CREDENTIALS, LABELS, PRICE_METHODS, Field, parameters, returns
from erp.spectrum.rules import as_date, is_number, job_key, job_number_problem, problems

__all__ = [
    "CREDENTIALS",
    "LABELS",
    "PRICE_METHODS",
    "Field",
    "FieldValue",
    "compose",
    "differences",
    "from_project",
    "from_template",
    "job_key",
    "job_number_problem",
    "parameters",
    "problems",
    "returns",
    "shorten",
    "to_project",
]  # fmt: skip

TEMPLATE_SHARE = ("Division", "Cost_Center", "Customer_Code", "Price_Method_Code")
PHONES = ("Phone", "Fax_Phone", "Job_Site_Phone")
LONGEST_PHONE = 11  # digits of one number in the US or Canada, the 1 in front among them; a + begins any other


@dataclass(frozen=True)
class FieldValue:
    """One value that AddJob will receive; `source` is project, template, approver or fixed."""

    element: str
    label: str
    value: str
    source: str


def from_project(project: Mapping[str, object]) -> dict[str, str]:
    """Return the project's share of a job; its number and name are the approver's to decide."""
    return {
        "Address_1": _text(project.get("address_1")),
        "Address_2": _text(project.get("address_2")),
        "City": _text(project.get("city")),
        "State": _text(project.get("state")).upper(),
        "Zip_Code": _text(project.get("zip")),
        "Phone": _phone(_text(project.get("phone"))),
        "Est_Start_Date": _date(project.get("start_date")),
        "Est_Complete_Date": _date(project.get("completion_date")),
    }


def to_project(job_row: Mapping[str, str]) -> dict[str, object]:
    """Return what a project made from a job begins with, by column; what the row does not have is empty."""
    given = {element: _text(value) for element, value in job_row.items()}
    texts = {column: given.get(element, "") for column, element in _PLACES.items()}
    dates = {
        "start_date": as_date(given.get("Est_Start_Date", "")),
        "completion_date": as_date(given.get("Est_Complete_Date", "")),
    }
    named = {"number": given["Job_Number"], "name": given.get("Job_Description") or given["Job_Number"]}
    return {**named, "description": "", **texts, **dates}


_PLACES = {
    "address_1": "Address_1",
    "address_2": "Address_2",
    "city": "City",
    "state": "State",
    "zip": "Zip_Code",
    "phone": "Phone",
}


def from_template(job_row: Mapping[str, str]) -> dict[str, str]:
    """Return the four values that a new job starts with, from its template's row."""
    return {element: _text(job_row.get(element)) for element in TEMPLATE_SHARE}


def compose(
    project: Mapping[str, object],
    template: Mapping[str, str],
    typed: Mapping[str, str],
    fixed: Mapping[str, str] | None = None,
) -> list[FieldValue]:
    """Return everything AddJob will receive, in wire order: what has a value or is required.

    Typed wins also where it is empty; a fixed value only fills what nothing else gives.
    """
    share, start = from_project(project), from_template(template)
    named = {"Job_Number": _text(project.get("number")), "Job_Description": shorten(_text(project.get("name")))}
    given: dict[str, tuple[str, str]] = {}
    for values, word in ((fixed or {}, "fixed"), (start, "template"), (share, "project")):
        given |= {element: (_text(value), word) for element, value in values.items() if _text(value)}
    for element, value in typed.items():
        text, origins = _text(value), ((start, "template"), (named, "project"), (fixed or {}, "fixed"))
        source = next((word for values, word in origins if text and values.get(element) == text), "approver")
        given[element] = text, source
    return [
        FieldValue(field.element, LABELS[field.element], *given.get(field.element, ("", "approver")))
        for field in _COMPOSED
        if field.required or given.get(field.element, ("", ""))[0]
    ]


def differences(sent: Mapping[str, str], read: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """Return (label, sent, read) for each value that Spectrum's job has otherwise than it was sent.

    `read` is a row of GetJobMain; what was sent empty, or what the row does not have, does not count.
    """
    both = [element for element in returns("GetJobMain") if _text(sent.get(element)) and element in read]
    return [
        (LABELS[element], _text(sent[element]), _text(read[element]))
        for element in both
        if _comparable(element, sent[element]) != _comparable(element, read[element])
    ]


def _comparable(element: str, value: str) -> str | Decimal:
    if element in PHONES:
        return _digits(value)
    if element in _NUMERIC and is_number(value.strip()):
        return Decimal(value.strip())
    return job_key(value)


_COMPOSED = [field for field in parameters("AddJob") if field.element not in CREDENTIALS]
_NUMERIC = frozenset(field.element for field in parameters("AddJob") if field.kind == "numeric")


def _text(value: object) -> str:
    return "" if value is None else str(value).strip()


def _phone(text: str) -> str:
    """One number as its digits; anything else as it is typed, to be refused: its digits alone would be another one."""
    plain, digits = re.fullmatch(r"\+?[0-9\s().\-\u2010-\u2015]+", text), _digits(text)
    one = plain and (len(digits) <= LONGEST_PHONE or text.startswith("+"))
    return (digits if one else "") or text


def _digits(text: str) -> str:
    return re.sub(r"[^0-9]", "", text)


def _date(value: object) -> str:
    return f"{value:%m/%d}/{value.year:04}" if isinstance(value, date) else ""
