"""What each of Spectrum's answers means, and the sentence that says so. For `erp.spectrum` only.

What is no answer to rely on is an Unreadable, of writes too; `erp.spectrum` turns it into theirs.
"""

import re
from collections.abc import Mapping

from erp import Message, Outcome, ReadError, ReadResult, WriteResult
from erp.spectrum.fields import LABELS, parameters, returns

REFUSALS = frozenset("AIME")  # abort or not authorized, invalid, missing, error
GOOD = frozenset(["", "G", "S"])  # nothing to say, good with information, successful

UNCLEAR = "Spectrum's answer could not be understood."

DEED = {
    "AddJob": "create the job",
    "AddPhase": "add the phase",
    "GetJob": "list its jobs",
    "GetJobMain": "list its jobs",
    "GetPhase": "list the phases",
}


def written(service: str, rows: list[dict[str, str]]) -> WriteResult:
    """Return what the rows of a write mean: one refusal refuses all, and only good ones create."""
    for row in rows:
        known = {"error_code"} <= row.keys() <= {"error_code", "desc", "column"}
        if not known or row["error_code"] not in GOOD | REFUSALS or (not row["error_code"] and any(row.values())):
            raise ReadError(Outcome.UNKNOWN, UNCLEAR)
    messages = tuple(
        Message(row.get("column", ""), row.get("desc", ""), row["error_code"])
        for row in rows
        if row["error_code"] in REFUSALS
    )
    if not messages:
        return WriteResult(Outcome.CREATED)
    told = "; ".join(f"{LABELS.get(m.element, m.element)}: {m.text}".removeprefix(": ") for m in messages)
    return WriteResult(Outcome.REFUSED, _refused(service, told), messages)


def listed(service: str, rows: list[dict[str, str]]) -> ReadResult:
    """Return what the rows of a read mean: records, and W where there are more than came."""
    records, complete = [], True
    for row in rows:
        code = row.get("Error_Code") or row.get("error_code", "")
        if code in REFUSALS:
            raise _not_shown(service, row.get("Error_Description") or row.get("desc", ""))
        if code not in GOOD | {"W"} or not (code or row.get("Job_Number")):
            raise ReadError(Outcome.UNKNOWN, UNCLEAR)
        complete = complete and code != "W"
        if row.get("Job_Number"):
            records.append({element: row.get(element, "") for element in returns(service)})
    return ReadResult(records, complete)


def _not_shown(service: str, told: str) -> ReadError:
    if "authoriz" in told.casefold():
        advice = "Ask IT to check SPECTRUM_AUTHORIZATION_ID and SPECTRUM_COMPANY_CODE."
        return ReadError(Outcome.CONFIGURATION, f"{_refused(service, told)} {advice}")
    return ReadError(Outcome.REFUSED, _refused(service, told))


def _refused(service: str, told: str) -> str:
    return f"Spectrum refused to {DEED[service]}: {told.rstrip('.')}."


def faulted(service: str, code: str, told: str) -> ReadError:
    """Return what a SOAP fault means: Client is about how we call, anything else leaves all open."""
    if code == "Client":
        advice = "Ask IT to check SPECTRUM_URL and whether Spectrum's Data Exchange offers this service."
        return ReadError(Outcome.CONFIGURATION, f"Spectrum did not take {service}: {told.rstrip('.')}. {advice}")
    return ReadError(Outcome.UNKNOWN, f"Spectrum broke off when asked to {DEED[service]}: {told.rstrip('.')}.")


def check_status(status: int, service: str) -> None:
    """Let the statuses pass that SOAP comes with: 200, and 500 with a fault. Raises Unreadable."""
    if status in (401, 403):
        cause = f"Spectrum did not let Countersign in (HTTP {status})."
        raise ReadError(Outcome.CONFIGURATION, f"{cause} Ask IT to check SPECTRUM_AUTHORIZATION_ID and the token.")
    if status == 404:
        cause = f"There is no {service} at Spectrum's address (HTTP 404)."
        raise ReadError(Outcome.CONFIGURATION, f"{cause} Ask IT to check SPECTRUM_URL.")
    if status not in (200, 500):
        raise ReadError(Outcome.UNKNOWN, f"Spectrum's server answered with HTTP {status} instead of a result.")


def unlike(service: str, theirs: list[str]) -> str | None:
    """Say how the fields that the service takes differ from our table; None when they do not."""
    ours = [field.element for field in parameters(service)]
    missing = ", ".join(element for element in ours if element not in theirs)
    new = ", ".join(element for element in theirs if element not in ours)
    if missing or new:
        known = " and ".join(filter(None, (missing and f"does not know {missing}", new and f"wants {new}")))
        return f"Spectrum's {service} {known}: other fields than Countersign sends."
    return None if theirs == ours else f"Spectrum's {service} takes its fields in another order than Countersign sends."


def masked(row: Mapping[str, str], secrets: list[str]) -> dict[str, str]:
    """Return the row without the secrets in the texts that may quote our own call, in any letter case."""
    longest_first = sorted(filter(None, secrets), key=len, reverse=True)
    pattern = re.compile("|".join(map(re.escape, longest_first)), re.IGNORECASE)
    quoting = {"desc", "column", "Error_Description", "Error_Column"} & row.keys()
    return {**row, **{element: pattern.sub("•••", row[element]) for element in quoting}}
