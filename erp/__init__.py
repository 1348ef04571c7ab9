"""The port: what the product may know of an accounting system.

Here are the words in which outcomes are told, and what every accounting system has to offer.
How one is really spoken to stands in `erp.spectrum`; which fields there are, in `erp.fields`.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


class Outcome(enum.StrEnum):
    """How an attempt ended. Only UNKNOWN leaves open whether the job exists."""

    CREATED = "created"
    REFUSED = "refused"  # the values were not accepted; each field says why
    CONFIGURATION = "configuration"  # a setting is wrong; the cause names it
    NOT_SENT = "not sent"  # nothing left this machine; trying later is safe
    UNKNOWN = "unknown"  # the job may exist; only looking can tell


@dataclass(frozen=True)
class Message:
    """One row of a refusal; `element` is "" where it is about no field."""

    element: str
    text: str
    code: str


@dataclass(frozen=True)
class WriteResult:
    """The end of a write. `cause` is one plain sentence for a person, "" when created."""

    outcome: Outcome
    cause: str = ""
    messages: tuple[Message, ...] = ()


@dataclass(frozen=True)
class ReadResult:
    """Rows that were read, values trimmed; not `complete` where there are more than came back."""

    rows: list[dict[str, str]]
    complete: bool


class ReadError(Exception):
    """A read that gave nothing to rely on. Its outcome is never CREATED."""

    def __init__(self, outcome: Outcome, cause: str) -> None:
        super().__init__(cause)
        self.outcome = outcome
        self.cause = cause


class ERP(Protocol):
    """An accounting system. Writes answer; reads return a listing or raise Unreadable.

    A read returns what the filters let through: `status` "" means active and inactive jobs,
    "C" complete ones. Values go by element, as the field tables name them.
    """

    def add_job(self, values: Mapping[str, str]) -> WriteResult:
        """Create one job."""

    def add_phase(self, values: Mapping[str, str]) -> WriteResult:
        """Add one phase to a job, or update it where the job has it."""

    def jobs(self, *, status: str = "", customer: str = "", division: str = "", cost_center: str = "") -> ReadResult:
        """Read jobs with what a job is compared by (phone, price type, contract)."""

    def job_details(
        self, *, status: str = "", customer: str = "", division: str = "", cost_center: str = ""
    ) -> ReadResult:
        """Read jobs with who runs them and how they are taxed."""

    def phases(self, job_number: str) -> ReadResult:
        """Read the phases of one job."""

    def probe(self, service: str) -> str | None:
        """Say what is wrong with a service in one sentence; None when nothing is."""
