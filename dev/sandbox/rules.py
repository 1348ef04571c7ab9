"""What Spectrum refuses, and in which words: `refusals` gives the error rows for one call. Nothing here writes."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime

from dev.sandbox.soap import Row
from dev.sandbox.store import Store, key
from erp.spectrum.mapping import Field, parameters

AUTHORIZATION_ID = "DEMO-COUNTERSIGN"
COMPANY_CODE = "HB"
NOT_AUTHORIZED = "The Web Service is not authorized. Authorization ID is not setup in the system."
UNITS = frozenset(("CY", "DAY", "EA", "GAL", "HR", "LB", "LF", "LS", "MO", "SF", "SQ", "SY", "TON", "WK"))
COST_TYPES = {"E": "Equipment", "L": "Labor", "M": "Material", "O": "Other", "S": "Subcontract"}
WORK_TAX_CODES = ("Work_State_Tax_Code", "Work_County_Tax_Code", "Work_Local_Tax_Cod")

NUMBER = r"-?(\d+\.?\d*|\.\d+)"
YES_NO = ("[YN]", "must be Y or N")
STATUS = ("[AIC]", "must be A, I or C")
NO_DASHES = ("[^-]*", "must be sent without dashes")
POSITION = (r"-?\d{1,3}(\.\d{1,6})?", "must be degrees such as -122.444290")
GROUP = (r"\d{1,2}", "must be a whole number")
FORMS = {
    "AddJob": {
        "State": ("[A-Za-z]{2}", "must be a postal abbreviation of two letters"),
        "Zip_Code": (r"\d{5}(-?\d{4})?", "must be ZIP or ZIP+4"),
        **dict.fromkeys(("Phone", "Fax_Phone", "Job_Site_Phone"), NO_DASHES),
        **dict.fromkeys(("Taxable_Flag", "Certified_Flag", "Track_Davis_Bacon", "Bill_From_Master"), YES_NO),
        "Total_Units": (r"(?=.*[1-9])[\d.]+", "must be positive"),
        "Wage_Rate_Level": ("[1-9]", "must be 1 to 9"),
        "Price_Method_Code": ("[FTCU]", "must be F, T, C or U"),
        "Track_Prevailing_Wage": ("[YFN]", "must be Y, F or N"),
        **dict.fromkeys(("Latitude", "Longitude"), POSITION),
        **dict.fromkeys(("Major_Group_Start", "Major_Group_End", "Minor_Group_Start", "Minor_Group_End"), GROUP),
        "Status_Code": STATUS,
    },
    "AddPhase": {
        **dict.fromkeys(("Phase_Code", "Alt_Phase_Code"), NO_DASHES),
        "Price_Method_Code": ("[FTCUJ]", "must be F, T, C, U or J"),
        "Status_Code": STATUS,
    },
    "GetJob": {"pStatus_Code": STATUS},
    "GetJobMain": {"pStatus_Code": STATUS},
    "GetPhase": {"pStatus_Code": STATUS},
}


@dataclass
class Conditions:
    """What faults change about one call: the installation's settings, and what becomes of the job."""

    required: set[str] = field(default_factory=set)
    dropped: set[str] = field(default_factory=set)
    customers_on_hold: set[str] = field(default_factory=set)
    hidden: bool = False
    cap: int = 500


def refusals(service: str, sent: Mapping[str, str], store: Store, conditions: Conditions) -> list[Row]:
    """All error rows for a call, one for an element at most; none where the call may go on."""
    rows = list(_fields(service, sent, conditions.required))
    if service == "AddJob":
        rows += _job(sent, store, conditions)
    if service == "AddPhase":
        rows += _phase(sent, store)
    first_of_each = {row.column: row for row in reversed(rows)}
    return _access(sent) or [row for row in rows if first_of_each[row.column] is row]


def _access(sent: Mapping[str, str]) -> list[Row]:
    company = sent.get("Company_Code", sent.get("pCompany_Code", ""))
    if sent["Authorization_ID"].strip() != AUTHORIZATION_ID:
        return [Row("A", NOT_AUTHORIZED)]
    if company.strip() and key(company) != COMPANY_CODE:
        return [Row("A", f"The Web Service is not authorized. Company {company.strip()} is not granted.")]
    return []


def _fields(service: str, sent: Mapping[str, str], required: set[str]) -> Iterator[Row]:
    for declared in parameters(service):
        value = sent[declared.element]
        if not value.strip() and (declared.required or declared.element in required):
            yield Row("M", f"{declared.element} is required.", declared.element)
        elif wrong := _wrong(service, declared, value):
            yield Row("I", f"{declared.element} {wrong}.", declared.element)


def _wrong(service: str, declared: Field, value: str) -> str | None:
    text = value.strip()
    form, sentence = FORMS[service].get(declared.element, (".*", ""))
    if len(value) > declared.max:
        return f"is longer than {declared.max} characters"
    if not text:
        return None
    if declared.kind == "numeric" and not _is(NUMBER, text):
        return "must be numeric"
    if declared.kind == "date" and not _date(text):
        return "must be a date as MM/DD/CCYY"
    if declared.element.startswith("UDF"):
        return "is not mapped for this Authorization ID"
    return None if _is(form, text) else sentence


def _job(sent: Mapping[str, str], store: Store, conditions: Conditions) -> Iterator[Row]:
    value = {element: text.strip() for element, text in sent.items()}
    if value["Job_Number"] and store.job(value["Job_Number"]):
        yield Row("I", f"Job {value['Job_Number']} already exists.", "Job_Number")
    yield from _on_file(value, store, {"Division": "division", "Cost_Center": "cost center"})
    yield from _customer(value, store, conditions)
    if value["Unit_of_Measure"] and key(value["Unit_of_Measure"]) not in UNITS:
        yield Row("I", "Unit_of_Measure is not on file.", "Unit_of_Measure")
    if value["Standard_Phase_Category"]:
        yield Row("I", "Standard_Phase_Category is not on file.", "Standard_Phase_Category")
    if value["Master_Job"] and not _open_job(value["Master_Job"], store):
        yield Row("I", "Master_Job must be a job that is not complete.", "Master_Job")
    for first, last in (("Est_Start_Date", "Est_Complete_Date"), ("Start_Date", "Complete_Date")):
        start, end = _date(value[first]), _date(value[last])
        if start and end and end < start:
            yield Row("I", f"{last} is before {first}.", last)
    taxes = [key(value[element]) for element in WORK_TAX_CODES if value[element]]
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


def _phase(sent: Mapping[str, str], store: Store) -> Iterator[Row]:
    value = {element: text.strip() for element, text in sent.items()}
    if value["Job_Number"] and not _open_job(value["Job_Number"], store):
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
