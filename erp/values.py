"""The words in which the product and an accounting system speak: outcomes, jobs, requests, and what was learned."""

import enum
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

Project = Mapping[str, object]  # a project's information, by column
Texts = Mapping[str, str]
Request = Sequence["FieldValue"]


def job_key(number: str) -> str:
    """Return a job number as numbers are compared: two with the same key are the same job."""
    composed = unicodedata.normalize("NFC", number.strip())
    return unicodedata.normalize("NFC", composed.casefold())


class Outcome(enum.StrEnum):
    """The end of an attempt. Only UNKNOWN leaves open whether the job exists."""

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

    @property
    def customer_title(self) -> str:
        return f"{self.customer} {self.customer_name}".strip()


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
    """The rows that a read showed. Not `complete` where there are more, or may be.

    `damaged` names the rows of which a value could not be read as it was sent, by job number or code.
    """

    rows: list[Row]
    complete: bool = True
    damaged: tuple[str, ...] = ()


def is_damaged(value: str) -> bool:
    """Return whether a character of a value could not be read; such a value proves nothing."""
    return "\N{REPLACEMENT CHARACTER}" in value


@dataclass(frozen=True)
class FieldValue:
    """One value of a request; `source` is project, template, approver or fixed."""

    key: str
    label: str
    value: str
    source: str


@dataclass(frozen=True)
class FormField:
    """A field that a person fills: its key in a form, its label, and its values.

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

    `without` says what can't be done without it; "" where nothing can be done without it at all.
    """

    name: str
    problem: str = ""
    without: str = ""


@dataclass(frozen=True)
class Learned:
    """The findings about a server; kept as JSON by `as_json`, and handed to `connect` again.

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
    return [[each.key, each.value, each.source] for each in request]
