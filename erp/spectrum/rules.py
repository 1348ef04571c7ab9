"""Spectrum's own checks, made before it is asked, as sentences shown at the field."""

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime

from erp import job_key
from erp.spectrum.fields import CREDENTIALS, LABELS, PRICE_METHODS, Field, parameters

STATES = {
    "AL": "Alabama", "AK": "Alaska", "AZ": "Arizona", "AR": "Arkansas", "CA": "California", "CO": "Colorado",
    "CT": "Connecticut", "DE": "Delaware", "FL": "Florida", "GA": "Georgia", "HI": "Hawaii", "ID": "Idaho",
    "IL": "Illinois", "IN": "Indiana", "IA": "Iowa", "KS": "Kansas", "KY": "Kentucky", "LA": "Louisiana",
    "ME": "Maine", "MD": "Maryland", "MA": "Massachusetts", "MI": "Michigan", "MN": "Minnesota", "MS": "Mississippi",
    "MO": "Missouri", "MT": "Montana", "NE": "Nebraska", "NV": "Nevada", "NH": "New Hampshire", "NJ": "New Jersey",
    "NM": "New Mexico", "NY": "New York", "NC": "North Carolina", "ND": "North Dakota", "OH": "Ohio",
    "OK": "Oklahoma", "OR": "Oregon", "PA": "Pennsylvania", "RI": "Rhode Island", "SC": "South Carolina",
    "SD": "South Dakota", "TN": "Tennessee", "TX": "Texas", "UT": "Utah", "VT": "Vermont", "VA": "Virginia",
    "WA": "Washington", "WV": "West Virginia", "WI": "Wisconsin", "WY": "Wyoming", "DC": "District of Columbia",
    "AS": "American Samoa", "GU": "Guam", "MP": "Northern Mariana Islands", "PR": "Puerto Rico",
    "VI": "Virgin Islands", "AB": "Alberta", "BC": "British Columbia", "MB": "Manitoba", "NB": "New Brunswick",
    "NL": "Newfoundland and Labrador", "NS": "Nova Scotia", "NT": "Northwest Territories", "NU": "Nunavut",
    "ON": "Ontario", "PE": "Prince Edward Island", "QC": "Quebec", "SK": "Saskatchewan", "YT": "Yukon",
}  # fmt: skip

CHOICES = {
    "Taxable_Flag": "YN",
    "Certified_Flag": "YN",
    "Wage_Rate_Level": "123456789",
    "Price_Method_Code": "".join(PRICE_METHODS),
    "Track_Davis_Bacon": "YN",
    "Track_Prevailing_Wage": "YFN",
    "Bill_From_Master": "YN",
    "Status_Code": "AIC",
}

# XML 1.0 has no place for most control characters and lone surrogates, and alters line breaks. The last one before
# \ufffe stands for a character of Spectrum's that could not be read.
_UNSENDABLE = re.compile("[^\x20-\x7e\xa0-\ud7ff\ue000-\ufffc\U00010000-\U0010ffff]")


def job_number_problem(text: str) -> str | None:
    """Return what keeps the text from being a Spectrum Job ID, as a sentence; None when nothing does."""
    number = text.strip()
    if not number:
        return "Enter a Spectrum Job ID."
    if len(number) > 10:
        return f"Spectrum Job ID is {len(number)} characters long; Spectrum takes 10."
    if not re.fullmatch(r"[A-Za-z0-9.-]+", number):
        return "Spectrum Job ID may hold only letters A to Z, digits, dots and dashes."
    if number[0] in ".-":
        return "Spectrum Job ID must begin with a letter or a digit."
    if job_key(number) == "all":
        return "ALL means every job in Spectrum; enter another Spectrum Job ID."
    return None


def problems(values: Mapping[str, str]) -> dict[str, str]:
    """Return what AddJob would refuse of these values: element to sentence, empty when nothing."""
    found = {element: f"Spectrum has no field called {element}." for element in values if element not in _ADD_JOB}
    for field in _ADD_JOB.values():
        sentence = _field_problem(field, values.get(field.element, ""))
        if sentence:
            found[field.element] = sentence
    for element, sentence in _contradictions(values):
        found.setdefault(element, sentence)
    return found


_ADD_JOB = {field.element: field for field in parameters("AddJob")}


def _field_problem(field: Field, value: str) -> str | None:
    label = LABELS[field.element]
    if field.element == "Job_Number":
        return job_number_problem(value)
    if not value.strip():
        required = field.required and field.element not in CREDENTIALS
        return f"{label} is missing; Spectrum requires it." if required else None
    if _UNSENDABLE.search(value):
        return f"{label} holds a line break or an invisible character; type it again."
    if field.element in CHOICES and value not in tuple(CHOICES[field.element]):
        return f"{label} must be one of {', '.join(CHOICES[field.element])}."
    check = _CHECKS.get(field.element) or _CHECKS.get(field.kind)
    if check and not check[0](value):
        return f"{label} {check[1]}"
    return f"{label} is {len(value)} characters long; Spectrum takes {field.max}." if len(value) > field.max else None


def is_number(value: str) -> bool:
    return bool(re.fullmatch(r"-?([0-9]+\.?[0-9]*|\.[0-9]+)", value))


def as_date(value: str) -> date | None:
    if not re.fullmatch(r"[0-9]{2}/[0-9]{2}/[0-9]{4}", value):
        return None
    try:
        return datetime.strptime(value, "%m/%d/%Y").date()
    except ValueError:
        return None


_NO_DASHES = (lambda value: "-" not in value, "is sent without dashes; leave them out.")

# Element or kind: what must hold, and how a sentence about it ends.
_CHECKS: dict[str, tuple[Callable[[str], bool], str]] = {
    "numeric": (is_number, "must be a number."),
    "date": (lambda value: as_date(value) is not None, "must be a date like 03/09/2026."),
    "State": (lambda value: value in STATES, "must be the postal abbreviation of a US state or Canadian province."),
    "Zip_Code": (lambda value: bool(re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9 -]*", value)), "must be like 78701-1234."),
    "Phone": (
        lambda value: bool(re.fullmatch(r"[0-9]+", value)),
        "must be one number like 253-555-0129; an extension goes into the description.",
    ),
    "Fax_Phone": _NO_DASHES,
    "Job_Site_Phone": _NO_DASHES,
    "Total_Units": (lambda value: is_number(value) and float(value) > 0, "must be a number above 0."),
}


def _contradictions(values: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for first, last in (("Est_Start_Date", "Est_Complete_Date"), ("Start_Date", "Complete_Date")):
        start, end = as_date(values.get(first, "")), as_date(values.get(last, ""))
        if start and end and end < start:
            yield last, f"{LABELS[last]} is before {LABELS[first]}."
    seen: set[str] = set()
    for element in ("Work_State_Tax_Code", "Work_County_Tax_Code", "Work_Local_Tax_Cod"):
        code = job_key(values.get(element, ""))
        if code and code in seen:
            yield element, f"{LABELS[element]} is the same as another work tax code; the three must differ."
        seen.add(code)
    if values.get("Track_Davis_Bacon") == "Y" and values.get("Track_Prevailing_Wage") in ("Y", "F"):
        yield "Track_Prevailing_Wage", "Spectrum tracks Davis Bacon or Prevailing Wage, not both."
