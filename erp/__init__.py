"""The port: everything that the product knows of the accounting system, in neutral words.

`rules()` needs no connection: names, labels, limits, and how a project becomes a request. `connect(settings)` gives the
connection, which reads and writes. How one system is really spoken to stands in its adapter, such as `erp.spectrum`;
field names of an adapter (`FieldValue.key`, `Message.field`, a job's `raw`) are kept and handed back, never read.
"""

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Generic, Protocol, TypeVar, cast

ADAPTERS = {"Spectrum": "erp.spectrum"}  # a system's name, and the package that holds RULES and connect()
SYSTEM = "Spectrum"

Project = Mapping[str, object]  # a project's information, by column
Texts = Mapping[str, str]
Request = Sequence["FieldValue"]


def job_key(number: str) -> str:
    """Return a job number as numbers are compared: two with the same key are the same job."""
    return number.strip().casefold()


class Outcome(enum.StrEnum):
    """How an attempt ended. Only UNKNOWN leaves open whether the job exists."""

    CREATED = "created"
    REFUSED = "refused"  # the values were not accepted; each message says why
    HELD = "held"  # a setting is wrong, nothing was sent; the error names it
    NOT_SENT = "not sent"  # nothing left this machine; trying later is safe
    UNKNOWN = "unknown"  # the job may exist; only looking can tell


@dataclass(frozen=True)
class Message:
    """One reason of a refusal; `field` is a request's key, "" where it is about none."""

    field: str
    text: str
    code: str


@dataclass(frozen=True)
class WriteResult:
    """The end of a write. `error` is a sentence for a person, "" when created; then `reply` tells the answer."""

    outcome: Outcome
    error: str = ""
    messages: tuple[Message, ...] = ()
    reply: str = ""


class ReadError(Exception):
    """A read that gave nothing to rely on; `error` is a sentence for a person. The outcome is never CREATED."""

    def __init__(self, outcome: Outcome, error: str) -> None:
        super().__init__(error)
        self.outcome = outcome
        self.error = error


@dataclass(frozen=True)
class ErpJob:
    """A job as the system lists it, or as a request asked for it. `raw` can be kept as JSON."""

    number: str
    name: str = ""
    status: str = "active"  # or "inactive", "complete"
    customer: str = ""
    division: str = ""
    cost_center: str = ""
    raw: dict[str, str] = field(default_factory=dict)
    customer_name: str = ""

    @property
    def key(self) -> str:
        return job_key(self.number)


@dataclass(frozen=True)
class JobDates:
    """The dates of one job; `raw` can be kept as JSON."""

    number: str
    raw: dict[str, str]

    @property
    def key(self) -> str:
        return job_key(self.number)


@dataclass(frozen=True)
class Phase:
    """A phase of a job: `key` tells it from the others of that job, `name` is for people."""

    key: tuple[str, ...]
    name: str
    raw: dict[str, str]


@dataclass(frozen=True)
class Customer:
    """A customer; `taxable` is "Y", "N" or "" where the system does not say."""

    code: str
    name: str
    taxable: str = ""
    active: bool = True


Row = TypeVar("Row")


@dataclass(frozen=True)
class ReadResult(Generic[Row]):
    """What a read showed. Not `complete` where there is more than came back, or may be.

    `damaged` names the rows of which a value could not be read as it was sent, by job number or code.
    """

    rows: list[Row]
    complete: bool = True
    damaged: tuple[str, ...] = ()


@dataclass(frozen=True)
class FieldValue:
    """One value of a request; `source` is project, template, approver or fixed."""

    key: str
    label: str
    value: str
    source: str


@dataclass(frozen=True)
class FormField:
    """A field that a person fills: its key in a form, what it is called, and what it takes.

    `max` counts characters; `choices` is value to word, empty where any text goes. `usual` ones stand on top.
    """

    key: str
    label: str
    max: int
    required: bool = False
    choices: Texts = field(default_factory=dict)
    hint: str = ""
    usual: bool = False


@dataclass(frozen=True)
class Comparison:
    """One value of a project beside the job's, `ours` as the system would hold it. `key` is the project's column."""

    key: str
    label: str
    ours: str
    theirs: str
    differs: bool


@dataclass(frozen=True)
class Service:
    """A part of the system that is called: what is wrong with it, "" when nothing is.

    `without` says what can not be done without it; "" where nothing can be done without it at all.
    """

    name: str
    problem: str = ""
    without: str = ""


@dataclass(frozen=True)
class Learned:
    """What asking the system has shown about it; kept as JSON by `as_json`, and handed to `connect` again.

    `problem` is a sentence that keeps the test from being passed; `doubtful` where a person may say that it is right
    all the same. `jobs` counts by status. `proven`: this installation has shown a created job, which the caller knows.
    """

    about: str  # which address, company and access this is about, as a digest
    style: dict[str, str]
    sentences: tuple[str, ...]
    services: tuple[Service, ...]
    jobs: dict[str, int]
    problem: str = ""
    doubtful: bool = False
    proven: bool = False

    def as_json(self) -> dict[str, Any]:
        services = [[service.name, service.problem, service.without] for service in self.services]
        return {**vars(self), "sentences": list(self.sentences), "services": services}

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> "Learned":
        services = tuple(Service(*service) for service in kept["services"])
        return cls(**{**kept, "sentences": tuple(kept["sentences"]), "services": services})


@dataclass(frozen=True)
class NewSecret:
    """A client secret that replaces the one in use; `until` is an ISO date, "" where it was not said."""

    secret: str = field(repr=False)
    until: str


def freeze(request: Request) -> list[list[str]]:
    """Return a request as JSON keeps it; `Rules.thaw` gives it back."""
    return [[each.key, each.value, each.source] for each in request]


class Rules(Protocol):
    """What can be said of a system without speaking to it. Columns are a project's, `raw` is a job's."""

    name: str
    name_length: int
    accept_fields: tuple[FormField, ...]
    """job_number, job_name, taxable, customer, division, cost_center, price_type: what an approver decides."""
    default_fields: tuple[FormField, ...]
    """What a template may hold a fixed value for; the keys are opaque."""
    update_fields: tuple[FormField, ...]
    """What an update can change of a job, by column; "name" among them."""
    limits: Mapping[str, int]
    """How many characters the system takes of a text column, by column."""
    services: tuple[str, ...]

    def label(self, key: str) -> str:
        """Return what a form's, column's or request's key is called; the key itself where it is unknown."""

    def job_number_problem(self, number: str) -> str | None:
        """Return what keeps a text from being the number of a new job, as a sentence; None when nothing does."""

    def shorten(self, name: str) -> str:
        """Return a name that fits, as a bookkeeper would shorten it; unchanged where it fits."""

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

    def thaw(self, frozen: Sequence[Sequence[str]]) -> list[FieldValue]:
        """Return a request that was kept as JSON, with its labels."""

    def typed(self, request: Request) -> dict[str, str]:
        """Return the values of a request that an approver decides, by form key."""

    def problems(self, request: Request) -> dict[str, str]:
        """Return what the system would refuse of a new job: a sentence by form key, column or default key."""

    def update_problems(self, request: Request) -> dict[str, str]:
        """Return what the system would refuse of an update: a sentence by column."""

    def default_problems(self, defaults: Texts) -> dict[str, str]:
        """Return what the system would refuse of a template's fixed values: a sentence by default key."""

    def job_from_request(self, request: Request) -> ErpJob:
        """Return the job that a request asks for; its number and narrowing values are those to look it up with."""

    def job_from_raw(self, raw: Texts) -> ErpJob:
        """Return the job of which `raw` was kept."""

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

    def add_phase(self, job_number: str, phase: Phase) -> WriteResult:
        """Add a phase of another job to this one, without quantities, hours or dollars. Sent once."""

    def list_jobs(
        self,
        status: str = "open",
        *,
        customer: str = "",
        division: str = "",
        cost_center: str = "",
        second_way: bool = False,
    ) -> ReadResult[ErpJob]:
        """Read jobs."""

    def list_job_dates(
        self, status: str = "open", *, customer: str = "", division: str = "", cost_center: str = ""
    ) -> ReadResult[JobDates]:
        """Read the dates of jobs."""

    def list_phases(self, job_number: str) -> ReadResult[Phase]:
        """Read the phases of one job."""

    def list_customers(self) -> ReadResult[Customer]:
        """Read customers, the inactive ones too."""

    def probe(self, service: str) -> str | None:
        """Return what is wrong with a service in one sentence; None when nothing is."""

    def learn(self) -> Learned:
        """Ask in every way there is, and use from now on what shows jobs. Raises ReadError where nothing answers."""

    def rotate_secret(self) -> NewSecret:
        """Replace the client secret; the caller must keep the new one. Raises ReadError."""


def rules() -> Rules:
    """Return the rules of the system in use."""
    return cast(Rules, import_module(ADAPTERS[SYSTEM]).RULES)


def connect(settings: Mapping[str, Any], learned: Learned | None = None, client_secret: str = "") -> Connection | None:
    """Return a connection as the settings say; None where the system is not set up.

    A `client_secret` beats the one in the settings. `learned` counts only for the same address, company and access.
    """
    return cast(Connection | None, import_module(ADAPTERS[SYSTEM]).connect(settings, learned, client_secret))
