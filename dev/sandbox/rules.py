"""Spectrum's checks of a call: `refusals` gives the error rows for it, in stages as documented. Nothing here writes."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime

from dev.sandbox.field_tables import ACCESS, Field, parameters
from dev.sandbox.soap import Row
from dev.sandbox.store import COMPANY_CODE, Job, Store, key

AUTHORIZATION_ID = "DEMO-COUNTERSIGN"
NOT_SET_UP = "The Web Service is not authorized. Authorization ID is not setup in the system."
NOT_GRANTED = "The web service is not Authorized"
UNITS = frozenset(("CY", "DAY", "EA", "GAL", "HR", "LB", "LF", "LS", "MO", "SF", "SQ", "SY", "TON", "WK"))
COST_TYPES = {"E": "Equipment", "L": "Labor", "M": "Material", "O": "Other", "S": "Subcontract"}
WORK_TAX_CODES = ("Work_State_Tax_Code", "Work_County_Tax_Code", "Work_Local_Tax_Cod", "Work_Local_Tax_Code")

KEY = r"""[^/*?"'><#,&~]*"""
NUMBER = r"-?(\d+\.?\d*|\.\d+)"
NO_DASHES = "[^-]*"
MASKS = {
    "Job_Number": KEY,
    "State": "[A-Za-z]{2}",
    "Zip_Code": r"\d{5}(-?\d{4})?",
    **dict.fromkeys(("Phone", "Fax_Phone", "Job_Site_Phone", "Phase_Code", "Alt_Phase_Code"), NO_DASHES),
    **dict.fromkeys(("Taxable_Flag", "Certified_Flag", "Track_Davis_Bacon", "Bill_From_Master"), "[YN]"),
    "Total_Units": r"(?=.*[1-9])[\d.]+",
    "Wage_Rate_Level": "[1-9]",
    "Price_Method_Code": "[FTCU]",
    "Track_Prevailing_Wage": "[YFN]",
    **dict.fromkeys(("Latitude", "Longitude"), r"-?\d{1,3}(\.\d{1,6})?"),
    **dict.fromkeys(("Major_Group_Start", "Major_Group_End", "Minor_Group_Start", "Minor_Group_End"), r"\d{1,2}"),
    **dict.fromkeys(("Status_Code", "pStatus_Code"), "[AIC]"),
    "pStatus": "(?i:I|ALL)",
}
OTHER_MASKS = {("AddPhase", "Price_Method_Code"): "[FTCUJ]"}


@dataclass
class Conditions:
    """The changes that faults make to one call: the installation's settings, and what becomes of the job."""

    required: set[str] = field(default_factory=set)
    dropped: set[str] = field(default_factory=set)
    customers_on_hold: set[str] = field(default_factory=set)
    hidden: bool = False
    cap: int = 500
    success: str = ""


Check = Callable[[str, Mapping[str, str], Store, Conditions], Iterator[Row]]


def shorten(service: str, sent: Mapping[str, str]) -> dict[str, str]:
    """Cut values of a write that are too long, without a word, as Spectrum does; filters are lists and stay whole."""
    if service.startswith("Get"):
        return dict(sent)
    longest = {field.element: field.max for field in parameters(service) if field.element not in ACCESS}
    return {name: text[: longest.get(name)] for name, text in sent.items()}


def refusals(service: str, sent: Mapping[str, str], store: Store, conditions: Conditions) -> list[Row]:
    """Return the error rows of the first stage that has any, one for an element; none where the call may go on."""
    value = {element: text.strip() for element, text in sent.items()}
    for stage in STAGES:
        if found := list(stage(service, value, store, conditions)):
            first_of_each = {row.column: row for row in reversed(found)}
            return [row for row in found if first_of_each[row.column] is row]
    return []


def not_authorized(service: str) -> Row:
    """The row for an Authorization ID without access: E on reads, A on writes."""
    if service.startswith("Get"):
        return Row("E", NOT_GRANTED, "Authorization_ID")
    return Row("A", NOT_SET_UP, "Authorization_ID")


def _access(service: str, value: Mapping[str, str], _store: Store, _conditions: Conditions) -> Iterator[Row]:
    company = value.get("Company_Code", value.get("pCompany_Code", ""))
    if value["Authorization_ID"] != AUTHORIZATION_ID or (company and key(company) != COMPANY_CODE):
        yield not_authorized(service)


def _required(service: str, value: Mapping[str, str], _store: Store, conditions: Conditions) -> Iterator[Row]:
    for declared in parameters(service):
        wanted = declared.required or declared.element in conditions.required
        if wanted and not value[declared.element] and declared.element not in ACCESS:
            yield Row("M", f"{declared.element} is required", declared.element)


def _masks(service: str, value: Mapping[str, str], _store: Store, _conditions: Conditions) -> Iterator[Row]:
    for declared in parameters(service):
        text = value[declared.element]
        if text and not _fits(service, declared, text):
            text = f"{declared.element} is invalid, value does not match specified field mask"
            yield Row("I", text, declared.element)


def _fits(service: str, declared: Field, text: str) -> bool:
    if declared.element.startswith("UDF"):
        return False  # no user-defined field is mapped here
    if declared.kind == "date":
        return _date(text) is not None
    if declared.kind == "numeric" and not _is(NUMBER, text):
        return False
    return _is(OTHER_MASKS.get((service, declared.element), MASKS.get(declared.element, ".*")), text)


def _service(service: str, value: Mapping[str, str], store: Store, conditions: Conditions) -> Iterator[Row]:
    if service == "AddJob":
        yield from _new_job(value, store)
    if service == "UpdateJob":
        yield from _known_job(value, store)
    if service in ("AddJob", "UpdateJob"):
        yield from _job(value, store, conditions)
    if service == "AddPhase":
        yield from _phase(value, store)


STAGES: tuple[Check, ...] = (_access, _required, _masks, _service)


def _new_job(value: Mapping[str, str], store: Store) -> Iterator[Row]:
    if store.job(value["Job_Number"]):
        yield Row("I", f"Job {value['Job_Number']} already exists.", "Job_Number")
    yield from _ordered(value, value)


def _known_job(value: Mapping[str, str], store: Store) -> Iterator[Row]:
    job = store.job(value["Job_Number"])
    if not job:
        yield Row("I", f"Job {value['Job_Number']} is not on file.", "Job_Number")
        return
    if value["Customer_Code"] and has_contract(job):
        yield Row("I", "Customer_Code cannot be changed: the job has a contract.", "Customer_Code")
    yield from _ordered(value, {name: text.strip() for name, text in job.fields.items()} | _filled(value))


def has_contract(job: Job) -> bool:
    return bool(job.value("Customer_Code"))


def _filled(value: Mapping[str, str]) -> dict[str, str]:
    return {name: text for name, text in value.items() if text}


def _ordered(sent: Mapping[str, str], value: Mapping[str, str]) -> Iterator[Row]:
    for first, last in (("Est_Start_Date", "Est_Complete_Date"), ("Start_Date", "Complete_Date")):
        start, end = _date(value.get(first, "")), _date(value.get(last, ""))
        if (sent[first] or sent[last]) and start and end and end < start:
            yield Row("I", f"{last} is before {first}.", last)


def _job(value: Mapping[str, str], store: Store, conditions: Conditions) -> Iterator[Row]:
    yield from _on_file(value, store, {"Division": "division", "Cost_Center": "cost center"})
    yield from _customer(value, store, conditions)
    if value["Unit_of_Measure"] and key(value["Unit_of_Measure"]) not in UNITS:
        yield Row("I", "Unit_of_Measure is not on file.", "Unit_of_Measure")
    if value["Standard_Phase_Category"]:
        yield Row("I", "Standard_Phase_Category is not on file.", "Standard_Phase_Category")
    if value["Master_Job"] and not _open_job(value["Master_Job"], store):
        yield Row("I", "Master_Job must be a job that is not complete.", "Master_Job")
    taxes = [key(value[element]) for element in WORK_TAX_CODES if value.get(element)]
    if len(set(taxes)) < len(taxes):
        yield Row("I", "The three work tax codes must differ.", "Work_State_Tax_Code")
    if value["Track_Davis_Bacon"] == "Y" and value["Track_Prevailing_Wage"] in ("Y", "F"):
        yield Row("I", "Track_Davis_Bacon does not go with Track_Prevailing_Wage.", "Track_Davis_Bacon")


def _customer(value: Mapping[str, str], store: Store, conditions: Conditions) -> Iterator[Row]:
    code = value["Customer_Code"]
    customer = store.code("customer", code)
    if not code:
        return
    if not customer:
        yield Row("I", f"Customer {code} is not on file.", "Customer_Code")
    elif customer.on_hold or {key(code), "*"} & conditions.customers_on_hold:
        yield Row("I", f"Customer {code} is on hold.", "Customer_Code")
    elif customer.cost_center and value["Cost_Center"] and key(value["Cost_Center"]) != key(customer.cost_center):
        yield Row("I", f"Cost_Center does not belong to customer {code}.", "Cost_Center")


def _phase(value: Mapping[str, str], store: Store) -> Iterator[Row]:
    if not _open_job(value["Job_Number"], store):
        yield Row("I", "Job_Number must be an active or inactive job.", "Job_Number")
    if value["Cost_Type"] and key(value["Cost_Type"]) not in COST_TYPES:
        yield Row("I", "Cost_Type is not on file.", "Cost_Type")
    if value["Unit_of_Measure"] and key(value["Unit_of_Measure"]) not in UNITS:
        yield Row("I", "Unit_of_Measure is not on file.", "Unit_of_Measure")
    yield from _on_file(value, store, {"Phase_Cost_Center": "cost center"})
    known = {key(phase["Phase_Code"]) for phase in store.phases(value["Job_Number"])}
    if not value["Description"] and key(value["Phase_Code"]) not in known:
        yield Row("M", "Description is required for a new phase.", "Description")


def _on_file(value: Mapping[str, str], store: Store, kinds: Mapping[str, str]) -> Iterator[Row]:
    for element, kind in kinds.items():
        if value[element] and not store.code(kind, value[element]):
            yield Row("I", f"{element} {value[element]} is not on file.", element)


def _open_job(number: str, store: Store) -> bool:
    found = store.job(number)
    return found is not None and found.status != "C"


def _is(form: str, text: str) -> bool:
    return bool(re.fullmatch(form, text, re.ASCII | re.DOTALL))


def _date(text: str) -> date | None:
    if not _is(r"\d\d/\d\d/\d{4}", text):
        return None
    try:
        return datetime.strptime(text, "%m/%d/%Y").date()
    except ValueError:
        return None
