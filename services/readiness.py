"""Readiness: what Spectrum would refuse of a project's information, said before it is sent, by the rules of acceptance.

It warns and never forbids: accounting decides. What the approver chooses is not looked at here.
"""

from collections.abc import Mapping
from typing import Any

from erp.spectrum.mapping import from_project, job_number_problem, parameters, problems, shorten

# a project's columns, and the AddJob element that each one fills as it is
ELEMENTS = {
    "address_1": "Address_1",
    "address_2": "Address_2",
    "city": "City",
    "state": "State",
    "zip": "Zip_Code",
    "phone": "Phone",
    "start_date": "Est_Start_Date",
    "completion_date": "Est_Complete_Date",
}
_LONGEST = {field.element: field.max for field in parameters("AddJob")}
# how many characters of a column Spectrum takes; a phone is sent without its dashes and a date in one form
LIMITS = {column: _LONGEST[ELEMENTS[column]] for column in ("address_1", "address_2", "city", "state", "zip")}
NAME_LENGTH = _LONGEST["Job_Description"]


def refused(information: Mapping[str, Any]) -> dict[str, str]:
    """What Spectrum would refuse, a sentence by column; empty when nothing."""
    found = problems(from_project(information))
    return {column: found[element] for column, element in ELEMENTS.items() if element in found}


def altered(information: Mapping[str, Any]) -> dict[str, str]:
    """What reaches Spectrum otherwise than it is typed, a sentence by column: accounting sees to both."""
    said, name = {}, information["name"]
    if len(name) > NAME_LENGTH:
        said["name"] = (
            f"Spectrum takes {NAME_LENGTH} characters. Accounting shortens it, to “{shorten(name)}” or otherwise."
        )
    if problem := job_number_problem(information["number"]):
        said["number"] = f"Accounting chooses another number for Spectrum. {problem}"
    return said
