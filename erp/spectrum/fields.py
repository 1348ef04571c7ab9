"""The field tables: what each service takes and returns, in wire order.

The facts stand in the CSV files beside this one, once in the project; requests, validation and
the sandbox are all made from them. Rules about values stand in `erp.spectrum.rules`.
"""

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path

SCHEMA = Path(__file__).parent / "schema"

# Each service that is called, and what can't be done without it; "" where nothing can be done.
SERVICES = {
    "AddJob": "",
    "AddPhase": "",
    "GetJob": "",
    "GetJobMain": "",
    "GetPhase": "",
    "GetCustomers": "Without it, customers are known by the jobs that have one.",
    "GetJobDates": "Without it, the dates of jobs are not read and no update is sent.",
    "UpdateJob": "Without it, no update is sent.",
}

# Who calls and for which company: the connection's own parameters, never typed for a job.
CREDENTIALS = ("Authorization_ID", "GUID", "Company_Code", "pCompany_Code")

PRICE_METHODS = {"F": "Fixed price", "T": "Time and material", "C": "Cost plus", "U": "Unit price"}


@dataclass(frozen=True)
class Field:
    """One parameter of a service; `max` in characters, `kind` one of text, numeric, date, any."""

    element: str
    max: int
    kind: str
    required: bool
    note: str


@cache
def _rows(service: str) -> tuple[dict[str, str], ...]:
    with (SCHEMA / f"{service}.csv").open(encoding="utf-8", newline="") as file:
        return tuple(csv.DictReader(file))


@cache
def parameters(service: str) -> tuple[Field, ...]:
    """Return what the service takes; tables of write services list nothing else."""
    return tuple(
        Field(row["element"], int(row["max"]), row.get("type", "text"), row["required"] == "yes", row.get("note", ""))
        for row in _rows(service)
        if row.get("part", "parameter") == "parameter"
    )


@cache
def returns(service: str) -> tuple[str, ...]:
    return tuple(lengths(service))


@cache
def lengths(service: str) -> dict[str, int]:
    return {row["element"]: int(row["max"]) for row in _rows(service) if row.get("part") == "return"}


LABELS = {row["element"]: row["element"].replace("_", " ") for service in SERVICES for row in _rows(service)} | {
    "Job_Number": "Spectrum Job ID",
    "Job_Description": "Spectrum Job Name",
    "Customer_Code": "Customer",
    "Price_Method_Code": "Price Type",
    "Taxable_Flag": "Taxable",
    "Address_1": "Address",
    "Zip_Code": "ZIP",
    "Est_Start_Date": "Estimated Start Date",
    "Est_Complete_Date": "Estimated Completion Date",
    "Work_Local_Tax_Cod": "Work Local Tax Code",
}

# What an approver decides by a form's key, and what a project gives by its column.
FORM_ELEMENTS = {
    "job_number": "Job_Number",
    "job_name": "Job_Description",
    "taxable": "Taxable_Flag",
    "customer": "Customer_Code",
    "division": "Division",
    "cost_center": "Cost_Center",
    "price_type": "Price_Method_Code",
}
PROJECT_ELEMENTS = {
    "address_1": "Address_1",
    "address_2": "Address_2",
    "city": "City",
    "state": "State",
    "zip": "Zip_Code",
    "phone": "Phone",
    "start_date": "Est_Start_Date",
    "completion_date": "Est_Complete_Date",
}
UPDATE_ELEMENTS = {"name": "Job_Description"} | PROJECT_ELEMENTS
REPEATED = ("Status_Code", "Create_Date")  # what UpdateJob would reset where it is left out
STARTING = ("customer", "division", "cost_center", "price_type")  # what a template gives

STATUSES = {"A": "active", "I": "inactive", "C": "complete"}
