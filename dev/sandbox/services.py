"""The eight services: the work of each, and its answer.

The checks of a call are in `rules`, the XML is in `soap`, the settings of the whole server in `personality`, the faults
in `spectrum_faults`.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal, InvalidOperation
from itertools import islice

from dev.sandbox import rules, soap
from dev.sandbox.field_tables import ACCESS, ERROR_COLUMNS, parameters, returns
from dev.sandbox.personality import Installation
from dev.sandbox.soap import Row
from dev.sandbox.store import COMPANY_CODE, Code, Store, key
from dev.sandbox.superselect import selector

EXACT = ("pCompany_Code", "pStatus_Code", "pCost_Center", "pSort_By", "pStatus")
WARNING = "WARNING - Number of returnable records exceeds maximum number of records allowed."
AMOUNTS = {"Original_Contract", "Total_Units"} | {
    element for element in returns("GetPhase") if element.endswith(("Quantity", "Hours", "Dollars"))
}
OF_THE_CONTRACT = ("Contract_Number", "Job_Type", "Tax_Class_Code", "Taxable_Flag", "Original_Contract")


@dataclass
class Call:
    """One call on its way: its parameters, the conditions that hold for it, and its outcome in a few words."""

    store: Store
    installation: Installation
    service: str
    sent: dict[str, str]
    has_token: bool = False
    conditions: rules.Conditions = field(default_factory=rules.Conditions)
    outcome: str = "nothing"

    def answer(self) -> bytes:
        with self.store.lock:
            if problems := rules.refusals(self.service, self.sent, self.store, self.conditions):
                self.outcome = "refused: " + ", ".join(f"{row.code} {row.column}".strip() for row in problems)
                return self.error_rows(problems)
            return SERVICES[self.service](self)

    @property
    def is_read(self) -> bool:
        return self.service.startswith("Get")

    def success(self) -> bytes:
        number = self.sent["Job_Number"].strip()
        return self._finish(self.installation.success(self.service, number, self.conditions.success))

    def error_rows(self, rows: list[Row]) -> bytes:
        if self.is_read:
            return self.listing([_error_row(self.service, row) for row in rows])
        return self._finish(soap.write_reply(self.service, rows, self.installation.personality.wrap_errors))

    def listing(self, rows: list[dict[str, str]]) -> bytes:
        return self._finish(soap.read_reply(self.service, self.installation.personality.damaged(rows)))

    def _finish(self, body: str) -> bytes:
        return self.installation.personality.finish(body, self.is_read)


def add_job(call: Call) -> bytes:
    kept = {name: text for name, text in call.sent.items() if name not in {*ACCESS, *call.conditions.dropped}}
    call.store.save_job(kept, origin="AddJob", hidden=call.conditions.hidden)
    call.outcome = "created"
    return call.success()


def update_job(call: Call) -> bytes:
    """Change the elements of a job that are not blank; nothing is emptied, and a contract stays as it is."""
    job = call.store.job(call.sent["Job_Number"])
    assert job
    untouchable = OF_THE_CONTRACT if rules.has_contract(job) else ()
    leave = {*ACCESS, "Job_Number", *call.conditions.dropped, *untouchable}
    changes = {name: text for name, text in call.sent.items() if text.strip() and name not in leave}
    if call.installation.personality.update_blanks == "reset":
        changes = {"Status_Code": "A", "Create_Date": f"{date.today():%m/%d/%Y}"} | changes
    call.store.save_job(job.fields | changes, origin=job.origin, hidden=job.hidden)
    call.outcome = "updated"
    return call.success()


def add_phase(call: Call) -> bytes:
    """Add a phase to a job, or replace the one of that phase code and cost type."""
    kept = {name: text for name, text in call.sent.items() if name not in ACCESS}
    siblings = [p for p in call.store.phases(kept["Job_Number"]) if key(p["Phase_Code"]) == key(kept["Phase_Code"])]
    kept["Description"] = kept["Description"].strip() or siblings[0]["Description"]
    shared = [{**phase, "Description": kept["Description"]} for phase in siblings]  # by all cost types of the phase
    call.outcome = "updated" if any(key(p["Cost_Type"]) == key(kept["Cost_Type"]) for p in siblings) else "created"
    call.store.save_phases([*shared, kept])
    return call.success()


def get_jobs(call: Call) -> bytes:
    """List the jobs that the filters let through, by number (GetJob, GetJobMain and GetJobDates)."""
    return _listed(call, (job.record for job in call.store.visible_jobs()))


def get_phases(call: Call) -> bytes:
    selects = selector(call.sent["pJob_Number"])
    chosen = [job for job in call.store.visible_jobs() if selects(job.number)]
    return _listed(call, (_phase_record(phase) for job in chosen for phase in call.store.phases(job.number)))


def get_customers(call: Call) -> bytes:
    """List the customers by code: the active ones, or with a status I or ALL the inactive ones too."""
    everybody = bool(call.sent["pStatus"].strip())
    customers = (code for code in call.store.codes("customer") if everybody or code.active)
    return _listed(call, map(_customer_record, customers))


SERVICES: dict[str, Callable[[Call], bytes]] = {
    "AddJob": add_job,
    "AddPhase": add_phase,
    "GetCustomers": get_customers,
    "GetJob": get_jobs,
    "GetJobDates": get_jobs,
    "GetJobMain": get_jobs,
    "GetPhase": get_phases,
    "UpdateJob": update_job,
}


def _listed(call: Call, records: Iterable[Mapping[str, str]]) -> bytes:
    match call.installation.listing(call.service, call.sent["GUID"].strip()):
        case "no rows":
            records = ()
        case "blank row" | "row of spaces" as form:
            call.outcome = "a blank row"
            return call.listing([dict.fromkeys(returns(call.service), " " if form == "row of spaces" else "")])
    cap = call.conditions.cap
    lets_through = _filter(call.sent)
    found = list(islice((record for record in records if lets_through(record)), cap + 1))
    rows = [_read_row(call, record) for record in found[:cap]]
    call.outcome = f"{len(rows)} rows"
    if len(found) > cap:
        rows.append(_error_row(call.service, Row("W", WARNING, " "), filler=" "))
        call.outcome += " and W"
    return call.listing(rows)


def _filter(sent: Mapping[str, str]) -> Callable[[Mapping[str, str]], bool]:
    """Return the test of a record against all filters of a call."""
    statuses, cost_center = sent.get("pStatus_Code", "").strip() or "AI", key(sent.get("pCost_Center", ""))
    filters = {name[1:]: selector(text) for name, text in sent.items() if name[0] == "p" and name not in EXACT}
    in_use = [(element, selects) for element, selects in filters.items() if key(sent[f"p{element}"]) not in ("", "ALL")]

    def lets_through(record: Mapping[str, str]) -> bool:
        if record.get("Status_Code", "A") not in statuses:
            return False
        if cost_center and cost_center != key(record.get("Cost_Center", "")):
            return False
        return all(selects(record.get(element, "")) for element, selects in in_use)

    return lets_through


def _read_row(call: Call, record: Mapping[str, str]) -> dict[str, str]:
    row = {name: record.get(name, "").strip() for name in returns(call.service)}
    for name in AMOUNTS & row.keys():
        row[name] = _amount(row[name])
    if "Customer_Name" in row:
        customer = call.store.code("customer", row["Customer_Code"])
        row["Customer_Name"] = customer.name if customer else ""
    return row | (dict.fromkeys(ERROR_COLUMNS, " ") if call.service == "GetPhase" else {})


def _amount(text: str) -> str:
    """Write a number as Spectrum does: two decimals and no zero in front."""
    try:
        return f"{Decimal(text or 0):.2f}".replace("0.", ".", 1 if abs(Decimal(text or 0)) < 1 else 0)
    except InvalidOperation:
        return text


def _phase_record(phase: dict[str, str]) -> dict[str, str]:
    estimate = {
        "Estimated_Quantity": phase["Current_Est_Quantity"] or phase["Original_Est_Quantity"],
        "Estimated_Hours": phase["Current_Est_Hours"] or phase["Original_Est_Hours"],
        "Current_Estimate_Dollars": phase["Current_Est_Cost"] or phase["Original_Est_Cost"],
    }
    own = {"Cost_Center": phase["Phase_Cost_Center"], "Status_Code": phase["Status_Code"].strip() or "A"}
    return phase | estimate | own | {"Company_Code": COMPANY_CODE}


def _customer_record(customer: Code) -> dict[str, str]:
    return {
        "Company_Code": COMPANY_CODE,
        "Customer_Code": customer.code,
        "Name": customer.name,
        "Taxable_Flag": customer.taxable,
        "Status": "Active" if customer.active else "Inactive",
    }


def _error_row(service: str, row: Row, filler: str = "") -> dict[str, str]:
    return dict.fromkeys(returns(service), filler) | dict(zip(ERROR_COLUMNS, row, strict=True))


def elements(service: str) -> list[str]:
    """List the elements of a write service that are kept."""
    return [declared.element for declared in parameters(service) if declared.element not in ACCESS]
