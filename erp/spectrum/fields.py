"""The field tables: what each service takes and returns, in wire order.

The facts stand in the CSV files beside this one, once in the project; requests, validation and
the sandbox are all made from them. Rules about values stand in `erp.rules`.
"""

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path

SCHEMA = Path(__file__).parent / "schema"
SERVICES = ("AddJob", "AddPhase", "GetJob", "GetJobMain", "GetPhase")

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
    """Return the elements of a row that the service returns; none for a write service."""
    return tuple(row["element"] for row in _rows(service) if row.get("part") == "return")


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
