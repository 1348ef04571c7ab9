"""A Spectrum in memory, for the tests of the modules that use an accounting system."""

from collections.abc import Mapping

from erp import (
    Customer,
    ErpJob,
    JobDates,
    Learned,
    Message,
    NewSecret,
    Outcome,
    Phase,
    ReadError,
    ReadResult,
    Request,
    Service,
    WriteResult,
    job_key,
)
from erp.spectrum.client import COPIED
from erp.spectrum.fields import CREDENTIALS, SERVICES, STATUSES, parameters, returns
from erp.spectrum.mapping import to_job
from erp.spectrum.system import values_of

_OUT_OF_REACH = "Spectrum could not be reached; nothing was sent. Countersign tries again by itself."


class FakeERP:
    """Keeps jobs by `job_key` and phases by job, code and cost type; `calls` tells what was asked."""

    def __init__(self, *jobs: Mapping[str, str]) -> None:
        self.reachable = True
        self.cap = 500  # rows that a read returns at most
        self.calls: list[tuple[str, dict[str, str]]] = []
        self.kept: dict[str, dict[str, str]] = {}
        self.kept_phases: dict[tuple[str, str, str], dict[str, str]] = {}
        self.kept_customers: list[Customer] = []
        self.missing: set[str] = set()  # services that this Spectrum does not have
        self.hidden: set[str] = set()  # elements that no row has
        self.second_way_only = False  # jobs are shown in the other way alone
        self._planned: list[tuple[WriteResult, bool]] = []
        for job in jobs:
            self.keep(job)

    # what a test arranges

    def keep(self, values: Mapping[str, str] | Request) -> None:
        """Put a job there, by element or as a request, as if somebody had entered it in Spectrum."""
        row = dict(values) if isinstance(values, Mapping) else values_of(values)
        self.kept[job_key(row["Job_Number"])] = {"Status_Code": "A", **{k: v for k, v in row.items() if v}}

    def keep_phase(self, **row: str) -> None:
        """Put a phase there, by element."""
        key = (job_key(row["Job_Number"]), row["Phase_Code"], row["Cost_Type"])
        self.kept_phases[key] = {"Status_Code": "A", **row}

    def next_create(self, answer: WriteResult, *, created: bool) -> None:
        """Plan the next answer to a create, and whether the job is there afterwards whatever it says."""
        self._planned.append((answer, created))

    # erp.Connection

    def create_job(self, request: Request) -> WriteResult:
        """Create a job; a number that is taken and a required value that is missing are refused."""
        values = values_of(request)
        self.calls.append(("AddJob", values))
        if not self.reachable:
            return WriteResult(Outcome.NOT_SENT, _OUT_OF_REACH)
        answer, created = self._planned.pop(0) if self._planned else self._judge_job(values)
        if created:
            self.keep(values)
        return answer

    def update_job(self, request: Request, job: ErpJob, dates: JobDates) -> WriteResult:  # noqa: ARG002
        """Change a job that is there; a value that is not sent stays."""
        values = values_of(request)
        self.calls.append(("UpdateJob", values))
        if not self.reachable:
            return WriteResult(Outcome.NOT_SENT, _OUT_OF_REACH)
        if self._planned:
            answer, changed = self._planned.pop(0)
        else:
            changed = job_key(values["Job_Number"]) in self.kept
            answer = _created() if changed else _refused(Message("Job_Number", "Invalid job number", "I"))
        if changed:
            self.kept[job_key(values["Job_Number"])] |= {k: v for k, v in values.items() if v and k != "Job_Number"}
        return answer

    def add_phase(self, job_number: str, phase: Phase) -> WriteResult:
        """Add or update a phase of a job that is there."""
        row = {element: phase.raw.get(element, "") for element in COPIED} | {"Job_Number": job_number}
        self.calls.append(("AddPhase", row))
        if not self.reachable:
            return WriteResult(Outcome.NOT_SENT, _OUT_OF_REACH)
        if job_key(job_number) not in self.kept:
            return _refused(Message("Job_Number", "Invalid job number", "I"))
        self.keep_phase(**row, Cost_Center=phase.raw.get("Cost_Center", ""))
        return _created()

    def list_jobs(
        self,
        status: str = "open",
        *,
        customer: str = "",
        division: str = "",
        cost_center: str = "",
        project_manager: str = "",
        second_way: bool = False,
    ) -> ReadResult[ErpJob]:
        """Read jobs as GetJobMain returns them."""
        if self.second_way_only and not second_way:
            self.calls.append(("GetJobMain", {"status": status}))
            return ReadResult([])
        rows, complete = self._jobs("GetJobMain", status, customer, division, cost_center, project_manager)
        return ReadResult([to_job(row) for row in rows], complete)

    def list_project_managers(self, status: str = "open", *, cost_center: str = "") -> ReadResult[str]:
        """Read the managers as GetJob returns them."""
        rows, complete = self._jobs("GetJob", status, "", "", cost_center)
        return ReadResult(sorted({row["Project_Manager"] for row in rows} - {""}), complete)

    def list_job_dates(
        self, status: str = "open", *, customer: str = "", division: str = "", cost_center: str = ""
    ) -> ReadResult[JobDates]:
        """Read dates as GetJobDates returns them."""
        rows, complete = self._jobs("GetJobDates", status, customer, division, cost_center)
        return ReadResult([JobDates(row["Job_Number"], row) for row in rows], complete)

    def list_phases(self, job_number: str) -> ReadResult[Phase]:
        """Read the phases of one job."""
        rows = [row for key, row in self.kept_phases.items() if key[0] == job_key(job_number)]
        shown, complete = self._listing("GetPhase", rows, {"pJob_Number": job_number})
        keys = [(row["Phase_Code"], row["Cost_Type"]) for row in shown]
        return ReadResult([Phase(key, " ".join(key), row) for key, row in zip(keys, shown, strict=True)], complete)

    def list_customers(self) -> ReadResult[Customer]:
        """Read what a test put into `kept_customers`."""
        self._listing("GetCustomers", [], {})
        return ReadResult(self.kept_customers[: self.cap], len(self.kept_customers) <= self.cap)

    def probe(self, service: str) -> str | None:
        """Say whether the service can be reached."""
        self.calls.append((service, {}))
        if not self.reachable:
            return _OUT_OF_REACH
        return f"There is no {service} at Spectrum's address (HTTP 404)." if service in self.missing else None

    def learn(self) -> Learned:
        """Say what there is, as a Spectrum in order would show it."""
        rows = [*self.list_jobs().rows, *self.list_jobs("complete").rows]
        services = tuple(Service(name, self.probe(name) or "", without) for name, without in SERVICES.items())
        jobs = {word: sum(row.status == word for row in rows) for word in STATUSES.values()}
        empty = not rows
        sentences = ("Spectrum takes calls without a sign-in to its web server.",)
        problem = "Spectrum lists no job at all." if empty else ""
        return Learned("fake", {"http": "none", "guid": "fresh"}, sentences, services, jobs, problem, empty)

    def sign_in(self) -> None:
        """Let anybody in."""

    def secret_in_use(self) -> str:
        """Want no secret."""
        return ""

    def rotate_secret(self) -> NewSecret:
        """Give a secret that says which one it is."""
        self.calls.append(("secretRotation", {}))
        if not self.reachable:
            raise ReadError(Outcome.NOT_SENT, _OUT_OF_REACH)
        return NewSecret("rotated", "2030-01-31")

    def _judge_job(self, values: Mapping[str, str]) -> tuple[WriteResult, bool]:
        fields = [field for field in parameters("AddJob") if field.required and field.element not in CREDENTIALS]
        absent = [Message(each.element, "Missing value", "M") for each in fields if not values.get(each.element)]
        if absent:
            return _refused(*absent), False
        if job_key(values["Job_Number"]) in self.kept:
            return _refused(Message("Job_Number", "Job number already exists", "I")), False
        return _created(), True

    def _jobs(
        self, service: str, status: str, customer: str, division: str, cost_center: str, project_manager: str = ""
    ) -> tuple[list[dict[str, str]], bool]:
        asked = {"Customer_Code": customer, "Division": division, "Cost_Center": cost_center}
        asked |= {"Project_Manager": project_manager} if project_manager else {}
        words = ("active", "inactive") if status == "open" else (status,)
        rows = [
            row
            for row in self.kept.values()
            if STATUSES[row["Status_Code"]] in words
            and all(job_key(row.get(element, "")) == job_key(value) for element, value in asked.items() if value)
        ]
        return self._listing(service, rows, {"status": status, **asked})

    def _listing(
        self, service: str, rows: list[dict[str, str]], asked: dict[str, str]
    ) -> tuple[list[dict[str, str]], bool]:
        self.calls.append((service, asked))
        if not self.reachable:
            raise ReadError(Outcome.NOT_SENT, _OUT_OF_REACH)
        if service in self.missing:
            raise ReadError(Outcome.HELD, f"There is no {service} at Spectrum's address (HTTP 404).")
        columns = [element for element in returns(service) if element not in self.hidden]
        shown = [{element: row.get(element, "") for element in columns} for row in rows[: self.cap]]
        return shown, len(rows) <= self.cap


def _created() -> WriteResult:
    return WriteResult(Outcome.CREATED, reply="Spectrum answered with no row.")


def _refused(*messages: Message) -> WriteResult:
    return WriteResult(Outcome.REFUSED, f"Spectrum did not accept it: {messages[0].text}.", messages)
