"""The five services: what each does with a call that was understood, and what it answers.

The rules that a call must keep are in `rules`, the XML is in `wire`, the faults in `spectrum_faults`.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from itertools import islice

from dev.sandbox import rules, soap
from dev.sandbox.soap import Row
from dev.sandbox.store import Code, Job, Store, key
from dev.sandbox.superselect import selects
from erp.spectrum.mapping import returns

NOT_KEPT = ("Authorization_ID", "GUID")
EXACT = ("pCompany_Code", "pStatus_Code", "pCost_Center", "pSort_By")
WARNING = "WARNING - Number of returnable records exceeds maximum number of records allowed."


@dataclass
class Call:
    """One call on its way: what came, the conditions that hold for it, and what became of it in a few words."""

    store: Store
    service: str
    sent: dict[str, str]
    has_token: bool = False
    conditions: rules.Conditions = field(default_factory=rules.Conditions)
    outcome: str = "nothing"

    def answer(self) -> bytes:
        """Do what the service does and return the body of its reply."""
        with self.store.lock:
            return SERVICES[self.service](self)

    @property
    def is_read(self) -> bool:
        """Whether the service only reads."""
        return self.service.startswith("Get")

    def problems(self) -> list[Row]:
        """Why the call cannot be met, if it cannot."""
        return rules.refusals(self.service, self.sent, self.store, self.conditions)

    def refuse(self, rows: list[Row]) -> bytes:
        """Answer that nothing was done, and why."""
        self.outcome = "refused: " + ", ".join(f"{row.code} {row.column}".strip() for row in rows)
        return self.error_rows(rows)

    def error_rows(self, rows: list[Row]) -> bytes:
        """Rows in the shape that this service has for them."""
        if self.is_read:
            return soap.read_reply(self.service, [_error_row(self.service, row) for row in rows])
        return soap.write_reply(rows)


def add_job(call: Call) -> bytes:
    """Make a job."""
    if problems := call.problems():
        return call.refuse(problems)
    kept = {name: text for name, text in call.sent.items() if name not in {*NOT_KEPT, *call.conditions.dropped}}
    call.store.save_job(kept, origin="AddJob", hidden=call.conditions.hidden)
    call.outcome = "created"
    return soap.write_reply([])


def add_phase(call: Call) -> bytes:
    """Add a phase to a job, or replace the one of that phase code and cost type."""
    if problems := call.problems():
        return call.refuse(problems)
    kept = {name: text for name, text in call.sent.items() if name not in NOT_KEPT}
    siblings = [p for p in call.store.phases(kept["Job_Number"]) if key(p["Phase_Code"]) == key(kept["Phase_Code"])]
    kept["Description"] = kept["Description"].strip() or siblings[0]["Description"]
    shared = [{**phase, "Description": kept["Description"]} for phase in siblings]  # by all cost types of the phase
    call.outcome = "updated" if any(key(p["Cost_Type"]) == key(kept["Cost_Type"]) for p in siblings) else "created"
    call.store.save_phases([*shared, kept])
    return soap.write_reply([])


def get_jobs(call: Call) -> bytes:
    """List the jobs that the filters let through, by number (GetJob and GetJobMain)."""
    return _listed(call, map(_job_record, _visible(call.store)))


def get_phases(call: Call) -> bytes:
    """List the phases that the filters let through, by job, phase code and cost type."""
    chosen = [job for job in _visible(call.store) if selects(call.sent["pJob_Number"], job.number)]
    return _listed(call, (_phase_record(phase) for job in chosen for phase in call.store.phases(job.number)))


SERVICES: dict[str, Callable[[Call], bytes]] = {
    "AddJob": add_job,
    "AddPhase": add_phase,
    "GetJob": get_jobs,
    "GetJobMain": get_jobs,
    "GetPhase": get_phases,
}


def _listed(call: Call, records: Iterable[dict[str, str]]) -> bytes:
    if problems := call.problems():
        return call.refuse(problems)
    cap = call.conditions.cap
    found = list(islice((record for record in records if _lets_through(call.sent, record)), cap + 1))
    customer = cache(partial(call.store.code, "customer"))  # many jobs have the same
    rows = [_read_row(call.service, record, customer) for record in found[:cap]]
    call.outcome = f"{len(rows)} rows"
    if len(found) > cap:
        rows.append(_error_row(call.service, Row("W", WARNING)))
        call.outcome += " and W"
    return soap.read_reply(call.service, rows)


def _lets_through(sent: Mapping[str, str], record: Mapping[str, str]) -> bool:
    if record["Status_Code"] not in (sent["pStatus_Code"].strip() or "AI"):
        return False
    if sent["pCost_Center"].strip() and key(sent["pCost_Center"]) != key(record.get("Cost_Center", "")):
        return False
    filters = [name for name in sent if name.startswith("p") and name not in EXACT]
    return all(selects(sent[name], record.get(name[1:], "")) for name in filters)


def _visible(store: Store) -> list[Job]:
    return sorted((job for job in store.jobs() if not job.hidden), key=lambda job: key(job.number))


def _read_row(service: str, record: Mapping[str, str], customer_of: Callable[[str], Code | None]) -> dict[str, str]:
    customer = customer_of(record.get("Customer_Code", ""))
    row = {name: record.get(name, "").strip() for name in returns(service)}
    known = {"Customer_Name": customer.name if customer else "", "Error_Code": " "}  # one space: seen where all is well
    return row | {name: text for name, text in known.items() if name in row}


def _job_record(job: Job) -> dict[str, str]:
    return job.fields | {"Company_Code": rules.COMPANY_CODE, "Status_Code": job.status}


def _phase_record(phase: dict[str, str]) -> dict[str, str]:
    estimate = {
        "Estimated_Quantity": phase["Current_Est_Quantity"] or phase["Original_Est_Quantity"],
        "Estimated_Hours": phase["Current_Est_Hours"] or phase["Original_Est_Hours"],
        "Current_Estimated_Dollars": phase["Current_Est_Cost"] or phase["Original_Est_Cost"],
    }
    projected = {name.replace("Estimated", "Projected").removeprefix("Current_"): estimate[name] for name in estimate}
    own = {"Cost_Center": phase["Phase_Cost_Center"], "Status_Code": phase["Status_Code"].strip() or "A"}
    return phase | estimate | projected | own | {"Company_Code": rules.COMPANY_CODE}


def _error_row(service: str, row: Row) -> dict[str, str]:
    errors = {"Error_Code": row.code, "Error_Description": row.desc, "Error_Column": row.column}
    return dict.fromkeys(returns(service), "") | errors
