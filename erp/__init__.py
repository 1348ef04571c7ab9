"""The port: everything that the product knows of the accounting system, in neutral words.

`rules()` needs no connection: names, labels, limits, and how a project becomes a request. `connect(settings)` gives the
connection, which reads and writes. How one system is really spoken to stands in its adapter, such as `erp.spectrum`;
field names of an adapter (`FieldValue.key`, `Message.field`, a job's `raw`) are kept and handed back, never read.
"""

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, Protocol, cast

from erp.values import (
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
    freeze,
    is_damaged,
    job_key,
)

__all__ = [
    "ADAPTERS",
    "Comparison",
    "Connection",
    "Customer",
    "ErpJob",
    "FieldValue",
    "FormField",
    "JobDates",
    "Learned",
    "Message",
    "NewSecret",
    "Outcome",
    "Phase",
    "Project",
    "ReadError",
    "ReadResult",
    "Request",
    "Rules",
    "Service",
    "Texts",
    "WriteResult",
    "connect",
    "freeze",
    "is_damaged",
    "job_key",
    "load",
    "rules",
]

ADAPTERS = {"Spectrum": "erp.spectrum"}  # a system's name, and the package that holds RULES, connect() and load()
SYSTEM = "Spectrum"


class Rules(Protocol):
    """The rules of an accounting system, without a call to it. Columns are a project's, `raw` is a job's."""

    name: str
    name_length: int
    accept_fields: tuple[FormField, ...]
    """job_number, job_name, taxable, customer, division, cost_center, price_type: what an approver decides."""
    default_fields: tuple[FormField, ...]
    """The fields for which a template may hold a fixed value; the keys are opaque."""
    update_fields: tuple[FormField, ...]
    """The fields of a job that an update can change, by column; "name" among them."""
    limits: Mapping[str, int]
    """How many characters the system takes of a text column, by column."""
    services: tuple[str, ...]
    states: Mapping[str, str]
    """The names of the states that the system takes, by abbreviation; empty where it takes any text."""

    def label(self, key: str) -> str: ...

    def form_key(self, key: str) -> str: ...

    def job_number_problem(self, number: str) -> str | None:
        """Return what keeps a text from being the number of a new job, as a sentence; None when nothing does."""

    def shorten(self, name: str) -> str: ...

    def project_problems(self, project: Project) -> dict[str, str]:
        """Return what the system would refuse of a project, a sentence by column."""

    def project_changes(self, project: Project) -> dict[str, str]:
        """Return what reaches the system otherwise than it is typed, a sentence by column."""

    def starting_values(self, template: Texts) -> dict[str, str]:
        """Return what an accept form begins with under a template (its `raw`), by form key."""

    def build_request(
        self, project: Project, typed: Texts, template: Texts | None = None, defaults: Texts | None = None
    ) -> list[FieldValue]:
        """Return every value that a new job is created with. `typed` is by form key, `defaults` by default key.

        Typed wins also where it is empty; a default only fills what nothing else gives.
        """

    def build_update(self, number: str, changes: Project) -> list[FieldValue]:
        """Return every value that an update of a job changes; `changes` are by column, empty ones are left out."""

    def update_values(self, project: Project) -> dict[str, str]:
        """Return what an update can change as it would be sent, by column; the name shortened."""

    def job_values(self, raw: Texts, dates: Texts | None = None) -> dict[str, str]:
        """Return what an update can change as a job has it, or as a request asked for it, by column.

        A column that was not read is left out.
        """

    def unread_value(self, job: Texts, dates: Texts) -> str:
        """Return the label of a value that an update must repeat and that was not read whole; "" for none."""

    def same_value(self, column: str, sent: str, there: str) -> bool:
        """Return whether the system holds a column as it was sent; as it reformats and cuts values, if it does."""

    def thaw(self, frozen: Sequence[Sequence[str]]) -> list[FieldValue]: ...

    def typed(self, request: Request) -> dict[str, str]: ...

    def problems(self, request: Request) -> dict[str, str]:
        """Return what the system would refuse of a new job: a sentence by form key, column or default key."""

    def update_problems(self, request: Request) -> dict[str, str]:
        """Return what the system would refuse of an update: a sentence by column."""

    def default_problems(self, defaults: Texts) -> dict[str, str]:
        """Return what the system would refuse of a template's fixed values: a sentence by default key."""

    def job_from_request(self, request: Request) -> ErpJob:
        """Return the job that a request asks for; its number and narrowing values are those to look it up with."""

    def job_from_raw(self, raw: Texts) -> ErpJob: ...

    def project_from_job(self, raw: Texts, dates: Texts | None = None) -> dict[str, object]:
        """Return a project's information as the job has it, by column."""

    def differences(self, request: Request, job: Texts, dates: Texts | None = None) -> list[FieldValue]:
        """Return the values that the job (its `raw`) has otherwise than the request: each `value` as the job has it.

        What was sent empty and what was not read does not count; quotes, number formats, phones and cuts do not either.
        """

    def compare(self, project: Project, job: Texts, dates: Texts | None = None) -> list[Comparison]:
        """Return a project and a job side by side, as far as the job was read. Number and name come first."""


class Connection(Protocol):
    """An accounting system that answers. Writes return how they ended; reads raise ReadError without an answer.

    A read may return more than the filters ask for, and never less; `status` is open (active and inactive), active,
    inactive or complete. `second_way` asks once in the other way there is, for a list that lost suspiciously many.
    """

    def create_job(self, request: Request) -> WriteResult:
        """Create one job. Sent once."""

    def update_job(self, request: Request, job: ErpJob, dates: JobDates) -> WriteResult:
        """Change a job that was just read, with what an update must repeat of it. Sent once."""

    def add_phase(self, job_number: str, phase: Phase) -> WriteResult: ...

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
        """Read jobs."""

    def list_project_managers(self, status: str = "open", *, cost_center: str = "") -> ReadResult[str]:
        """Read who manages jobs: values to narrow a list of jobs by."""

    def list_job_dates(
        self, status: str = "open", *, customer: str = "", division: str = "", cost_center: str = ""
    ) -> ReadResult[JobDates]: ...

    def list_phases(self, job_number: str) -> ReadResult[Phase]: ...

    def list_customers(self) -> ReadResult[Customer]:
        """Read customers, the inactive ones too."""

    def probe(self, service: str) -> str | None:
        """Return what is wrong with a service in one sentence; None when nothing is."""

    def learn(self) -> Learned:
        """Ask in every way there is, and use from now on what shows jobs. Raises ReadError where nothing answers."""

    def sign_in(self) -> None: ...

    def secret_in_use(self) -> str: ...

    def rotate_secret(self) -> NewSecret:
        """Replace the client secret; the caller must keep the new one. Raises ReadError."""


def rules() -> Rules:
    return cast(Rules, import_module(ADAPTERS[SYSTEM]).RULES)


def load() -> None:
    """Load the libraries of connections ahead of a fork: after it, each process would hold them once more."""
    import_module(ADAPTERS[SYSTEM]).load()


def connect(
    settings: Mapping[str, Any], learned: Learned | None = None, client_secrets: Sequence[str] = ()
) -> Connection | None:
    """Return a connection as the settings say; None where the system is not set up.

    `client_secrets` are tried in this order instead of the one in the settings. `learned` counts only for the same
    address, company and access.
    """
    return cast(Connection | None, import_module(ADAPTERS[SYSTEM]).connect(settings, learned, client_secrets))
