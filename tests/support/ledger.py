"""Ledger: a second accounting system, in memory. It shows that nothing but the adapter knows Spectrum.

Its fields have names of their own, its job numbers may have 40 characters, and it has no divisions.
`erp.ADAPTERS["Ledger"] = "support.ledger"` and `erp.SYSTEM = "Ledger"` put it in Spectrum's place.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any

from erp import (
    Comparison,
    Customer,
    ErpJob,
    FieldValue,
    FormField,
    JobDates,
    Learned,
    Message,
    NewSecret,
    Outcome,
    Phase,
    Project,
    ReadError,
    ReadResult,
    Request,
    Service,
    Texts,
    WriteResult,
    job_key,
)

FORM = {
    "job_number": "no",
    "job_name": "title",
    "taxable": "vat",
    "customer": "debtor",
    "division": "branch",
    "cost_center": "center",
    "price_type": "terms",
}
COLUMNS = {"city": "town", "start_date": "from", "completion_date": "to"}
LABELS = {
    "no": "Ledger Job",
    "title": "Title",
    "vat": "VAT",
    "debtor": "Debtor",
    "branch": "Branch",
    "center": "Center",
    "terms": "Terms",
    "town": "Town",
    "from": "From",
    "to": "To",
    "color": "Color",
}
CHOICES = {"vat": {"Y": "With VAT", "N": "Without VAT"}, "terms": {"net": "Net", "open": "Open"}}


class LedgerRules:
    name = "Ledger"
    name_length = 60
    services = ("ledger",)
    states: Mapping[str, str] = {}
    limits: Mapping[str, int] = {"city": 20}
    accept_fields = tuple(
        FormField(key, LABELS[own], 40, own in ("no", "vat"), CHOICES.get(own, {})) for key, own in FORM.items()
    )
    default_fields = (FormField("color", "Color", 10, usual=True),)
    update_fields = (FormField("name", "Title", 60), FormField("city", "Town", 20))

    def label(self, key: str) -> str:
        return LABELS.get((FORM | COLUMNS).get(key, key), key)

    def job_number_problem(self, number: str) -> str | None:
        return None if 0 < len(number.strip()) <= 40 else "Enter a Ledger Job of at most 40 characters."

    def shorten(self, name: str) -> str:
        return name[: self.name_length]

    def project_problems(self, project: Project) -> dict[str, str]:
        return {"city": "Town is too long."} if len(str(project.get("city") or "")) > 20 else {}

    def project_changes(self, project: Project) -> dict[str, str]:
        return {"name": "Ledger takes 60 characters."} if len(str(project["name"])) > 60 else {}

    def starting_values(self, template: Texts) -> dict[str, str]:
        return {key: template.get(FORM[key], "") for key in ("customer", "division", "cost_center", "price_type")}

    def build_request(
        self, project: Project, typed: Texts, template: Texts | None = None, defaults: Texts | None = None
    ) -> list[FieldValue]:
        ours = {own: _text(project.get(column)) for column, own in COLUMNS.items()}
        given = {own: (value, "project") for own, value in ours.items()}
        given |= {FORM.get(key, key): (value, "fixed") for key, value in (defaults or {}).items()}
        started = self.starting_values(template or {})
        for key, value in typed.items():
            given[FORM[key]] = value, "template" if value and started.get(key) == value else "approver"
        return [FieldValue(own, LABELS[own], *given[own]) for own in LABELS if given.get(own, ("", ""))[0]]

    def build_update(self, number: str, changes: Project) -> list[FieldValue]:
        own = {"name": "title"} | COLUMNS
        values = {"no": number} | {own[column]: _text(value) for column, value in changes.items()}
        return [FieldValue(each, LABELS[each], value, "project") for each, value in values.items() if value]

    def thaw(self, frozen: Sequence[Sequence[str]]) -> list[FieldValue]:
        return [FieldValue(own, LABELS[own], value, source) for own, value, source in frozen]

    def typed(self, request: Request) -> dict[str, str]:
        values = _values(request)
        return {key: values.get(own, "") for key, own in FORM.items()}

    def problems(self, request: Request) -> dict[str, str]:
        values = _values(request)
        found = {"taxable": "VAT is missing."} if not values.get("vat") else {}
        problem = self.job_number_problem(values.get("no", ""))
        return found | ({"job_number": problem} if problem else {})

    def update_problems(self, request: Request) -> dict[str, str]:
        return {"city": "Town is too long."} if len(_values(request).get("town", "")) > 20 else {}

    def default_problems(self, defaults: Texts) -> dict[str, str]:
        return {key: f"Ledger has no {key}." for key in defaults if key != "color"}

    def job_from_request(self, request: Request) -> ErpJob:
        return self.job_from_raw(_values(request))

    def job_from_raw(self, raw: Texts) -> ErpJob:
        names = ("no", "title", "state", "debtor", "branch", "center")
        number, name, status, customer, branch, center = (raw.get(each, "") for each in names)
        return ErpJob(number, name, status or "active", customer, branch, center, dict(raw))

    def project_from_job(self, raw: Texts, dates: Texts | None = None) -> dict[str, object]:
        there = {**raw, **(dates or {})}
        empty = dict.fromkeys(("description", "address_1", "address_2", "city", "state", "zip", "phone"), "")
        days = {c: date.fromisoformat(there[COLUMNS[c]]) if there.get(COLUMNS[c]) else None for c in DATES}
        return {**empty, "number": raw["no"], "name": raw.get("title", ""), "city": raw.get("town", ""), **days}

    def differences(self, request: Request, job: Texts, dates: Texts | None = None) -> list[FieldValue]:
        there = {**(dates or {}), **job}
        return [
            FieldValue(each.key, each.label, there[each.key], each.source)
            for each in request
            if each.value and each.key in there and job_key(there[each.key]) != job_key(each.value)
        ]

    def compare(self, project: Project, job: Texts, dates: Texts | None = None) -> list[Comparison]:
        there = {**(dates or {}), **job}
        own = {"number": "no", "name": "title"} | COLUMNS
        pairs = (
            (column, each, _text(project.get(column)), there[each]) for column, each in own.items() if each in there
        )
        return [Comparison(c, LABELS[o], ours, theirs, bool(ours) and ours != theirs) for c, o, ours, theirs in pairs]


RULES = LedgerRules()
DATES = ("start_date", "completion_date")


class Ledger:
    """Keeps jobs by key; `reachable` and `cap` as the other fake has them."""

    def __init__(self) -> None:
        self.reachable, self.cap = True, 500
        self.kept: dict[str, dict[str, str]] = {}
        self.phases: dict[str, list[Phase]] = {}

    def create_job(self, request: Request) -> WriteResult:
        job = RULES.job_from_request(request)
        if not self.reachable:
            return WriteResult(Outcome.NOT_SENT, "Ledger could not be reached; nothing was sent.")
        if job.key in self.kept:
            return _refused(Message("no", "Taken", "1"))
        if not job.raw.get("vat"):
            return _refused(Message("vat", "Missing", "2"))
        self.kept[job.key] = {"state": "active", **job.raw}
        return WriteResult(Outcome.CREATED, reply="Ledger said yes.")

    def update_job(self, request: Request, job: ErpJob, dates: JobDates) -> WriteResult:  # noqa: ARG002
        self.kept[job.key] |= _values(request)
        return WriteResult(Outcome.CREATED)

    def add_phase(self, job_number: str, phase: Phase) -> WriteResult:
        if job_key(job_number) not in self.kept:
            return _refused(Message("no", "Unknown", "3"))
        kept = self.phases.setdefault(job_key(job_number), [])
        kept[:] = [each for each in kept if each.key != phase.key] + [phase]
        return WriteResult(Outcome.CREATED)

    def list_jobs(
        self,
        status: str = "open",
        *,
        customer: str = "",
        division: str = "",
        cost_center: str = "",
        project_manager: str = "",  # noqa: ARG002
        second_way: bool = False,  # noqa: ARG002
    ) -> ReadResult[ErpJob]:
        asked = {"debtor": customer, "branch": division, "center": cost_center}
        jobs = [
            RULES.job_from_raw(raw)
            for raw in self._read()
            if raw["state"] in (("active", "inactive") if status == "open" else (status,))
            and all(job_key(raw.get(own, "")) == job_key(value) for own, value in asked.items() if value)
        ]
        return ReadResult(jobs[: self.cap], len(jobs) <= self.cap)

    def list_project_managers(self, status: str = "open", *, cost_center: str = "") -> ReadResult[str]:  # noqa: ARG002
        return ReadResult([])

    def list_job_dates(self, status: str = "open", **filters: Any) -> ReadResult[JobDates]:
        return ReadResult([JobDates(job.number, job.raw) for job in self.list_jobs(status, **filters).rows])

    def list_phases(self, job_number: str) -> ReadResult[Phase]:
        list(self._read())
        return ReadResult(list(self.phases.get(job_key(job_number), [])))

    def list_customers(self) -> ReadResult[Customer]:
        return ReadResult([Customer(code, code) for code in sorted({raw.get("debtor", "") for raw in self._read()})])

    def probe(self, service: str) -> str | None:  # noqa: ARG002
        return None if self.reachable else "Ledger could not be reached."

    def learn(self) -> Learned:
        return Learned("ledger", {}, ("Ledger answers.",), (Service("ledger"),), {"active": len(list(self._read()))})

    def sign_in(self) -> None:
        pass

    def secret_in_use(self) -> str:
        return ""

    def rotate_secret(self) -> NewSecret:
        raise ReadError(Outcome.HELD, "Ledger has no client secret.")

    def _read(self) -> Iterator[dict[str, str]]:
        if not self.reachable:
            raise ReadError(Outcome.NOT_SENT, "Ledger could not be reached.")
        return iter(self.kept.values())


def load() -> None:
    """Nothing: it needs no library."""


def connect(settings: Mapping[str, Any], learned: Learned | None, client_secrets: Sequence[str]) -> Ledger:
    return Ledger()


def _values(request: Request) -> dict[str, str]:
    return {each.key: each.value for each in request}


def _refused(message: Message) -> WriteResult:
    return WriteResult(Outcome.REFUSED, f"Ledger refused it: {message.text}.", (message,))


def _text(value: object) -> str:
    return "" if value is None else str(value)
