"""An accounting system in memory, for the tests of the modules that use one."""

from collections.abc import Mapping

from erp import Message, Outcome, ReadError, ReadResult, WriteResult
from erp.spectrum.fields import CREDENTIALS, Field, parameters, returns
from erp.spectrum.rules import job_key

_OUT_OF_REACH = "Spectrum could not be reached; nothing was sent. Countersign tries again by itself."


class FakeERP:
    """Keeps jobs by `job_key` and phases by job, code and cost type; `calls` tells what was asked."""

    def __init__(self, *jobs: Mapping[str, str]) -> None:
        self.reachable = True
        self.cap = 500  # rows that a read returns at most
        self.calls: list[tuple[str, dict[str, str]]] = []
        self.kept: dict[str, dict[str, str]] = {}
        self.kept_phases: dict[tuple[str, str, str], dict[str, str]] = {}
        self._planned: list[tuple[WriteResult, bool]] = []
        for job in jobs:
            self.keep(job)

    def keep(self, values: Mapping[str, str]) -> None:
        """Put a job there, as if somebody had entered it in Spectrum."""
        self.kept[job_key(values["Job_Number"])] = {"Status_Code": "A", **{k: v for k, v in values.items() if v}}

    def next_add_job(self, answer: WriteResult, *, created: bool) -> None:
        """Plan the next AddJob's answer, and whether the job is there afterwards whatever it says."""
        self._planned.append((answer, created))

    def add_job(self, values: Mapping[str, str]) -> WriteResult:
        """Create a job; a number that is taken and a required value that is missing are refused."""
        self.calls.append(("AddJob", dict(values)))
        if not self.reachable:
            return WriteResult(Outcome.NOT_SENT, _OUT_OF_REACH)
        answer, created = self._planned.pop(0) if self._planned else self._judge_job(values)
        if created:
            self.keep(values)
        return answer

    def add_phase(self, values: Mapping[str, str]) -> WriteResult:
        """Add or update a phase of a job that is there."""
        self.calls.append(("AddPhase", dict(values)))
        if not self.reachable:
            return WriteResult(Outcome.NOT_SENT, _OUT_OF_REACH)
        missing = _missing(parameters("AddPhase"), values)
        if missing:
            return missing
        if job_key(values["Job_Number"]) not in self.kept:
            return _refused(Message("Job_Number", "Invalid job number", "I"))
        key = (job_key(values["Job_Number"]), values["Phase_Code"], values["Cost_Type"])
        self.kept_phases[key] = {"Status_Code": "A", **values, "Cost_Center": values.get("Phase_Cost_Center", "")}
        return WriteResult(Outcome.CREATED)

    def jobs(self, *, status: str = "", customer: str = "", division: str = "", cost_center: str = "") -> ReadResult:
        """Read jobs as GetJobMain returns them."""
        return self._jobs("GetJobMain", status, customer, division, cost_center)

    def job_details(
        self, *, status: str = "", customer: str = "", division: str = "", cost_center: str = ""
    ) -> ReadResult:
        """Read jobs as GetJob returns them."""
        return self._jobs("GetJob", status, customer, division, cost_center)

    def phases(self, job_number: str) -> ReadResult:
        """Read the phases of one job."""
        rows = [row for key, row in self.kept_phases.items() if key[0] == job_key(job_number)]
        return self._listing("GetPhase", rows, {"pJob_Number": job_number})

    def probe(self, service: str) -> str | None:
        """Say whether the service can be reached."""
        self.calls.append((service, {}))
        return None if self.reachable else _OUT_OF_REACH

    def _judge_job(self, values: Mapping[str, str]) -> tuple[WriteResult, bool]:
        missing = _missing(parameters("AddJob"), values)
        if missing:
            return missing, False
        if job_key(values["Job_Number"]) in self.kept:
            return _refused(Message("Job_Number", "Job number already exists", "I")), False
        return WriteResult(Outcome.CREATED), True

    def _jobs(self, service: str, status: str, customer: str, division: str, cost_center: str) -> ReadResult:
        asked = {"Customer_Code": customer, "Division": division, "Cost_Center": cost_center}
        rows = [
            row
            for row in self.kept.values()
            if row["Status_Code"] in (status or "AI")
            and all(job_key(row.get(element, "")) == job_key(value) for element, value in asked.items() if value)
        ]
        return self._listing(service, rows, {"Status_Code": status, **asked})

    def _listing(self, service: str, rows: list[dict[str, str]], asked: dict[str, str]) -> ReadResult:
        self.calls.append((service, asked))
        if not self.reachable:
            raise ReadError(Outcome.NOT_SENT, _OUT_OF_REACH)
        shown = [{element: row.get(element, "") for element in returns(service)} for row in rows[: self.cap]]
        return ReadResult(shown, complete=len(rows) <= self.cap)


def _missing(fields: tuple[Field, ...], values: Mapping[str, str]) -> WriteResult | None:
    required = [field.element for field in fields if field.required and field.element not in CREDENTIALS]
    absent = [Message(element, "Missing value", "M") for element in required if not values.get(element)]
    return _refused(*absent) if absent else None


def _refused(*messages: Message) -> WriteResult:
    return WriteResult(Outcome.REFUSED, f"Spectrum did not accept it: {messages[0].text}.", messages)
