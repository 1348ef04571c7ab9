"""The meaning of each of Spectrum's answers, and the sentence for it. For `erp.spectrum` only.

An answer that proves nothing is a ReadError, of writes too; the client turns that into a WriteResult.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from erp import Message, Outcome, ReadError, WriteResult
from erp.spectrum import soap
from erp.spectrum.fields import LABELS, parameters
from erp.spectrum.http import Passing, Reply
from erp.spectrum.salvage import LOST, Row

Redact = Callable[[str], str]

REFUSALS = frozenset("AIME")  # abort or not authorized, invalid, missing, error
GOOD = frozenset(["", "G", "S"])  # nothing to say, good with information, successful
PASSING_STATUSES = (502, 503, 504)
OURS_TO_SET = ("Authorization_ID", "Company_Code", "pCompany_Code")  # columns that no approver can correct


class NotLetIn(ReadError):
    """The web server itself wants a sign-in, or another one (HTTP 401)."""


UNCLEAR = "Spectrum's answer could not be understood."
ASK_ACCESS = "Ask IT to check SPECTRUM_AUTHORIZATION_ID and SPECTRUM_COMPANY_CODE."

DEED = {
    "AddJob": "create the job",
    "UpdateJob": "change the job",
    "AddPhase": "add the phase",
    "GetJob": "list its jobs",
    "GetJobMain": "list its jobs",
    "GetJobDates": "list the dates of its jobs",
    "GetPhase": "list the phases",
    "GetCustomers": "list its customers",
}


# --- writes ---------------------------------------------------------------------------------------------------------


def parse_write(service: str, reply: Reply, redact: Redact) -> WriteResult:
    """Return what a reply to a write means: one refusal refuses all, and only a whole reply may say created."""
    check_status(reply.status, service)
    try:
        rows, whole = soap.parse_strict(service, reply.body, reply.charset), not reply.broken
    except soap.Fault as fault:
        raise from_fault(service, fault, redact) from None
    except soap.Unparsable:
        rows, whole = _left_over(service, reply), False
    if reply.status != 200 or any(_code(row) not in GOOD | REFUSALS for row in rows):
        raise ReadError(Outcome.UNKNOWN, UNCLEAR)
    if refused := _refusal(service, rows, redact):
        return refused
    if not whole or not all(map(_is_good, rows)):
        raise ReadError(Outcome.UNKNOWN, reply.broken or UNCLEAR)
    return WriteResult(Outcome.CREATED, reply=_described(rows, redact))


def _left_over(service: str, reply: Reply) -> list[dict[str, str]]:
    """Return the whole rows of a reply that is none: they may refuse, and never create."""
    try:
        return [row.values for row in soap.parse_tolerant(service, reply.body, reply.charset).rows]
    except (soap.Unparsable, soap.Fault):
        return []


def _refusal(service: str, rows: list[dict[str, str]], redact: Redact) -> WriteResult | None:
    told = [_message(row, redact) for row in rows if _code(row) in REFUSALS]
    for message in told:
        if is_about_access(message.field, message.text):
            return WriteResult(Outcome.HELD, f"{_refused(service, message.text)} {ASK_ACCESS}")
    if not told:
        return None
    texts = "; ".join(f"{LABELS.get(each.field, each.field)}: {each.text}".removeprefix(": ") for each in told)
    return WriteResult(Outcome.REFUSED, _refused(service, texts), tuple(told))


def _message(row: dict[str, str], redact: Redact) -> Message:
    text = row.get("desc") or row.get("Error_Description", "")
    return Message(redact(row.get("column") or row.get("Error_Column", "")), redact(text), _code(row))


def _code(row: dict[str, str]) -> str:
    return row.get("error_code") or row.get("Error_Code", "")


def _is_good(row: dict[str, str]) -> bool:
    """A row without a code must be blank: with anything else in it, nobody knows what it says."""
    return _code(row) in GOOD and "error_code" in row and (bool(_code(row)) or not any(row.values()))


def _described(rows: list[dict[str, str]], redact: Redact) -> str:
    """Return what an answer that says created consists of, for the first one that an installation gives."""
    said = [redact(" ".join(filter(None, row.values()))) for row in rows]
    if not said:
        return "Spectrum answered with no row."
    return (
        f"Spectrum answered with {len(said)} row{'s'[: len(said) > 1]}: {'; '.join(each or 'blank' for each in said)}."
    )


# --- reads ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Listing:
    """The rows of a read by element, the names of the damaged ones, and whether there can be no others.

    `partial` where asking again may bring more; `cut` where the reply does not end as it should.
    """

    rows: list[dict[str, str]]
    damaged: tuple[str, ...]
    complete: bool
    partial: bool
    cut: bool


def parse_read(service: str, reply: Reply, named_by: str, redact: Redact) -> Listing:
    """Return the rows of a read, as far as they came; `named_by` is the element that tells them apart."""
    check_status(reply.status, service)
    try:
        answer = soap.parse_tolerant(service, reply.body, reply.charset)
    except soap.Fault as fault:
        raise from_fault(service, fault, redact) from None
    except soap.Unparsable:
        raise Passing(Outcome.UNKNOWN, reply.broken or UNCLEAR) from None
    kept = [row for row in answer.rows if _is_record(service, row, named_by, redact)]
    damaged = tuple(row.values[named_by] for row in answer.rows if row.damaged and row.values.get(named_by))
    complete = answer.complete and len(kept) == len(answer.rows)
    return Listing([row.values for row in kept], damaged, complete, not answer.complete, answer.cut)


def _is_record(service: str, row: Row, named_by: str, redact: Redact) -> bool:
    """Return whether the row is one of those asked for. One that is not makes the list incomplete: W, and blank ones.

    A row whose name is damaged is not either: it would come in under a name that nothing has.
    """
    code, name = _code(row.values), row.values.get(named_by, "")
    if code in REFUSALS:
        raise _not_shown(service, _message(row.values, redact))
    if code not in GOOD | {"W"} and not row.damaged:
        raise ReadError(Outcome.UNKNOWN, UNCLEAR)
    return bool(name) and not (row.damaged and LOST in name)


def _not_shown(service: str, message: Message) -> ReadError:
    if is_about_access(message.field, message.text):
        return ReadError(Outcome.HELD, f"{_refused(service, message.text)} {ASK_ACCESS}")
    return ReadError(Outcome.REFUSED, _refused(service, message.text))


# --- both -----------------------------------------------------------------------------------------------------------


def is_about_access(column: str, text: str) -> bool:
    """Return whether a row is about who calls, and so about our settings."""
    told = text.casefold()
    return column in OURS_TO_SET or "authorization id" in told or "service is not authorized" in told


def _refused(service: str, told: str) -> str:
    return f"Spectrum refused to {DEED[service]}: {told.rstrip('.')}."


def from_fault(service: str, fault: soap.Fault, redact: Redact) -> ReadError:
    """Return what a SOAP fault means: Client is about how we call, anything else leaves all open."""
    told = redact(without_class_names(fault.text)).rstrip(".")
    if fault.code == "Client":
        advice = "Ask IT to check SPECTRUM_URL and whether Spectrum's Data Exchange offers this service."
        return ReadError(Outcome.HELD, f"Spectrum did not take {service}: {told}. {advice}")
    kind = Passing if fault.code == "Server" else ReadError
    return kind(Outcome.UNKNOWN, f"Spectrum broke off when asked to {DEED[service]}: {told}.")


def without_class_names(text: str) -> str:
    return re.sub(r"(?:\bclass )?\b(?:[a-z]\w*\.)+[A-Z][\w$]*(?:: ?)?", "", text)


def check_status(status: int, service: str) -> None:
    """Let the statuses pass that SOAP comes with: 200, and 500 with a fault. Raises ReadError."""
    if status in (401, 403):
        told = f"Spectrum did not let Countersign in (HTTP {status})."
        advice = (
            "Ask IT to check SPECTRUM_AUTHORIZATION_ID, SPECTRUM_AUTH and, where Spectrum is hosted, the client secret."
        )
        raise (NotLetIn if status == 401 else ReadError)(Outcome.HELD, f"{told} {advice}")
    if status == 404:
        raise ReadError(Outcome.HELD, missing_service(service, alone=False))
    if status not in (200, 500):
        kind = Passing if status in PASSING_STATUSES else ReadError
        raise kind(Outcome.UNKNOWN, f"Spectrum's server answered with HTTP {status} instead of a result.")


def missing_service(service: str, alone: bool) -> str:
    told = f"There is no {service} at Spectrum's address (HTTP 404)."
    if alone:
        return f"{told} Its other services are there; ask IT whether Spectrum's Data Exchange offers this one."
    return f"{told} Ask IT to check SPECTRUM_URL."


def compare_wsdl(service: str, theirs: list[str]) -> str | None:
    """Say how the fields that the service takes differ from our table; None when they do not."""
    ours = [field.element for field in parameters(service)]
    missing = ", ".join(element for element in ours if element not in theirs)
    new = ", ".join(element for element in theirs if element not in ours)
    if missing or new:
        known = " and ".join(filter(None, (missing and f"does not know {missing}", new and f"wants {new}")))
        return f"Spectrum's {service} {known}: other fields than Countersign sends."
    return None if theirs == ours else f"Spectrum's {service} takes its fields in another order than Countersign sends."


def redactor(secrets: list[str]) -> Redact:
    """Return what takes the secrets out of a text that may quote our own call, in any letter case."""
    longest_first = sorted(filter(None, secrets), key=len, reverse=True)
    pattern = re.compile("|".join(map(re.escape, longest_first)) or "(?!)", re.IGNORECASE)
    return lambda text: pattern.sub("•••", text)
