"""Mapping of a project to the elements of Spectrum and back, and their comparison: pure functions.

The field tables stand in `erp.spectrum.fields`, what Spectrum refuses in `erp.spectrum.rules`. Nothing here talks to
Spectrum, and nothing here knows a form.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import date
from decimal import Decimal

from erp import ErpJob, FieldValue, job_key
from erp.spectrum.abbreviations import shorten
from erp.spectrum.fields import (
    CREDENTIALS,
    FORM_ELEMENTS,
    LABELS,
    PROJECT_ELEMENTS,
    STARTING,
    STATUSES,
    lengths,
    parameters,
)
from erp.spectrum.rules import as_date, is_number
from erp.spectrum.salvage import unescape

TEMPLATE_SHARE = tuple(FORM_ELEMENTS[name] for name in STARTING)
PHONES = ("Phone", "Fax_Phone", "Job_Site_Phone")
LONGEST_PHONE = 11  # digits of one number in the US or Canada, the 1 in front among them; a + begins any other


def from_project(project: Mapping[str, object]) -> dict[str, str]:
    """Return the project's share of a job; its number and name are the approver's to decide."""
    return {element: as_sent(element, project.get(column)) for column, element in PROJECT_ELEMENTS.items()}


def as_sent(element: str, value: object) -> str:
    if isinstance(value, date):
        return f"{value:%m/%d}/{value.year:04}"
    text = _text(value)
    if element in PHONES:
        return _phone(text)
    return text.upper() if element == "State" else text


def to_project(job: Mapping[str, str]) -> dict[str, object]:
    """Return a new project's information from a job's row, by column; missing values are empty."""
    given = {element: unescape(_text(value)) for element, value in job.items()}
    values: dict[str, object] = {column: given.get(element, "") for column, element in PROJECT_ELEMENTS.items()}
    dates = {column: as_date(str(values[column])) for column in ("start_date", "completion_date")}
    named = {"number": given["Job_Number"], "name": given.get("Job_Description") or given["Job_Number"]}
    return {**named, "description": "", **values, **dates}


def to_job(row: Mapping[str, str]) -> ErpJob:
    """Return a job from its row, or from what AddJob is sent. A status that is none of the three is shown as it is."""
    code = row.get("Status_Code") or "A"
    return ErpJob(
        row["Job_Number"],
        row.get("Job_Description", ""),
        STATUSES.get(code, code),
        row.get("Customer_Code", ""),
        row.get("Division", ""),
        row.get("Cost_Center", ""),
        dict(row),
        unescape(row.get("Customer_Name", "")),
    )


def from_template(job: Mapping[str, str]) -> dict[str, str]:
    return {element: unescape(_text(job.get(element))) for element in TEMPLATE_SHARE}


def build_request(
    project: Mapping[str, object],
    template: Mapping[str, str],
    typed: Mapping[str, str],
    fixed: Mapping[str, str] | None = None,
) -> list[FieldValue]:
    """Return AddJob's fields in wire order: the required ones and those with a value.

    A typed value wins even if it is empty; a fixed value fills a field that no other source gives.
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
        for field in parameters("AddJob")
        if field.element not in CREDENTIALS and (field.required or given.get(field.element, ("", ""))[0])
    ]


def differing(sent: Mapping[str, str], read: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield (element, value read) for each value that Spectrum's job has otherwise than it was sent.

    `read` is a row of GetJobMain, of GetJobDates too; what was sent empty, or what the row does not have, is left out.
    """
    for element in _LONGEST:
        value = unescape(_text(sent.get(element)))
        if value and element in read:
            there = unescape(_text(read[element]))
            if not same(element, value, there):
                yield element, there


def same(element: str, sent: str, read: str) -> bool:
    """Return whether a value reads as it was sent, apart from what Spectrum itself makes of it."""
    return _comparable(element, read) in (_comparable(element, sent), _comparable(element, sent[: _LONGEST[element]]))


def _comparable(element: str, value: str) -> str | Decimal | date:
    if element in PHONES:
        return _digits(value)
    if element in _NUMERIC and is_number(value):
        return Decimal(value)
    return as_date(value) or job_key(" ".join(value.split()))


# Spectrum cuts what is too long, and refuses nothing.
_LONGEST = lengths("GetJobMain") | lengths("GetJobDates")
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
