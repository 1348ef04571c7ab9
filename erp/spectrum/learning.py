"""Learning how a Spectrum server is asked, by trying every way there is. For `erp.spectrum` only.

Jobs are read, because an answer proves only what it shows: the way in which jobs are shown is the way to call.
"""

import hashlib
from collections import Counter
from collections.abc import Sequence
from typing import Protocol

from erp import Learned, ReadError, Service, job_key
from erp.spectrum.answers import Listing, NotLetIn
from erp.spectrum.fields import SERVICES, STATUSES

HTTP = {
    "none": "Spectrum takes calls without a sign-in to its web server.",
    "basic": "Spectrum's web server takes calls with HTTP Basic: the company code and the Authorization ID.",
    "token": "Spectrum takes calls with a token.",
}
NO_JOBS = "Spectrum lists no job at all, neither with a new GUID in each call nor with an empty one."
# What is read of each other service, to see whether the Authorization ID grants it, and what names its rows.
READS = {
    "GetJob": ({}, "Job_Number"),
    "GetJobDates": ({}, "Job_Number"),
    "GetCustomers": ({"pStatus": "ALL"}, "Customer_Code"),
}


class Client(Protocol):
    """The part of the client that learning uses."""

    def use(self, style: dict[str, str]) -> None: ...
    def read(self, service: str, filters: dict[str, str], named_by: str, guid: str = "") -> Listing: ...
    def probe(self, service: str) -> str | None: ...


def digest(*parts: str) -> str:
    """Return a text that tells one installation and access from another, and gives none of it away."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def learn(client: Client, about: str, http_styles: Sequence[str], guids: Sequence[str], proven: bool) -> Learned:
    """Ask, and leave the client calling in the best way. Raises ReadError where nothing answers.

    Of the GUID styles that show the same the first is kept.
    """
    http = _sign_in(client, http_styles, guids[0])
    looks = _look(client, guids)
    best = max(guids, key=lambda guid: len(_keys(looks.get(guid))))
    style = {"http": http, "guid": best}
    client.use(style)
    complete = client.read("GetJobMain", {"pStatus_Code": "C"}, "Job_Number")
    listings = [*looks.values(), complete]
    jobs = _count(looks[best].rows, complete.rows)
    services = _services(client, looks[best])
    cut = any(listing.cut for listing in listings)
    sentences = (
        HTTP[http],
        _about_guids({guid: _keys(look) for guid, look in looks.items()}, best),
        "The ends of its replies are cut off; their rows are whole." if cut else "Its replies come whole.",
        _about_jobs(jobs, looks[best].complete and complete.complete),
    )
    problem = _problem(services)
    doubtful = not problem and not any(jobs.values())
    style["cut"] = "yes" if cut else "no"
    return Learned(about, style, sentences, services, jobs, NO_JOBS if doubtful else problem, doubtful, proven)


def _sign_in(client: Client, styles: Sequence[str], guid: str) -> str:
    """Return the first sign-in style that is let in, and leave the client with it. Basic is tried only after a 401."""
    *others, last = styles
    for http in others:
        client.use({"http": http})
        try:
            client.read("GetJobMain", {}, "Job_Number", guid)
        except NotLetIn:
            continue
        except ReadError:
            pass  # it was let in; what else is wrong is told below
        return http
    client.use({"http": last})
    return last


def _look(client: Client, guids: Sequence[str]) -> dict[str, Listing]:
    looks, failures = {}, []
    for guid in guids:
        try:
            looks[guid] = client.read("GetJobMain", {}, "Job_Number", guid)
        except ReadError as failure:
            failures.append(failure)
    if failures and not any(look.rows for look in looks.values()):
        raise failures[0]  # a list without jobs does not speak for the way that got no answer
    return looks


def _keys(look: Listing | None) -> set[str]:
    return {job_key(row["Job_Number"]) for row in look.rows} if look else set()


def _count(*listings: list[dict[str, str]]) -> dict[str, int]:
    rows = {job_key(row["Job_Number"]): row.get("Status_Code") or "A" for rows in listings for row in rows}
    found = Counter(rows.values())
    return {word: found[code] for code, word in STATUSES.items()}


def _services(client: Client, look: Listing) -> tuple[Service, ...]:
    job = look.rows[0]["Job_Number"] if look.rows else ""
    reads = READS | {"GetPhase": ({"pJob_Number": job}, "Job_Number")}
    return tuple(
        Service(name, client.probe(name) or (_tried(client, name, *reads[name]) if name in reads else ""), without)
        for name, without in SERVICES.items()
    )


def _tried(client: Client, service: str, filters: dict[str, str], named_by: str) -> str:
    try:
        client.read(service, filters, named_by)
    except ReadError as failure:
        return failure.error
    return ""


def _problem(services: Sequence[Service]) -> str:
    failed = [service for service in services if service.problem and not service.without]
    if not failed:
        return ""
    return f"{len(failed)} of Spectrum's {len(services)} services can't be used as they are."


def _about_guids(keys: dict[str, set[str]], best: str) -> str:
    words = {"fresh": "a new GUID in each call", "empty": "an empty GUID"}
    shown = [f"{len(found)} with {words[guid]}" for guid, found in keys.items()]
    if len(keys) == 2 and keys["fresh"] == keys["empty"]:
        return f"It shows the same {len(keys[best])} open jobs with a new GUID in each call and with an empty one."
    return f"Of its open jobs it shows {' and '.join(shown)}; Countersign calls with {words[best]}."


def _about_jobs(jobs: dict[str, int], whole: bool) -> str:
    counts = [f"{count} {status}" for status, count in jobs.items()]
    return f"It lists {', '.join(counts[:-1])} and {counts[-1]} jobs{'' if whole else ', and has more'}."
