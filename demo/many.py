"""A large company: N projects, the same every time, for measuring and for trying out what size does.

5 % wait in Ready to Export, 90 % are Synced, the rest is spread over the other statuses. What can be said of all of
them at once (events, exports) is said in SQL, which is what makes a million bearable.
"""

import itertools
import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import JSON, func, insert, literal, select

from extensions import db
from models import Event, Export, Move, Person, Project, Status

BATCH = 10_000
BEGINNING = datetime(2020, 1, 6, 16, tzinfo=UTC)
REST = [status for status in Status if status not in (Status.READY, Status.SYNCED)]
# of each hundred projects
HUNDRED = [Status.READY] * 5 + [Status.SYNCED] * 90
PLACES = ["Tacoma", "Puyallup", "Sumner", "Orting", "Lakewood", "Fife", "Auburn", "Olympia", "Lacey", "Graham"]
OWNERS = ["Harbor", "Cascade", "Rainier", "Meridian", "Stadium", "Proctor", "Alder", "Glacier", "Summit", "Nisqually"]
WORKS = ["Reroof", "Lobby Remodel", "Storm Drain", "Gym Floor", "Dock Repair", "Trail", "Dental Suite", "Yard", "Annex"]
# the events of a project's life, and the statuses that it has passed through when it is there
SENT: list[Status] = [status for status in Status if status is not Status.NOT_SENT]
ACCEPTED: list[Status] = [Status.EXPORTING, Status.CHECKING, Status.SYNCED, Status.FAILED]
LIVES: list[tuple[str, Status, Status, list[Status], str]] = [
    ("created", Status.NOT_SENT, Status.NOT_SENT, list(Status), ""),
    (str(Move.SEND), Status.NOT_SENT, Status.READY, SENT, ""),
    (str(Move.RETRIEVE), Status.READY, Status.RETRIEVED, [Status.RETRIEVED], ""),
    (str(Move.REJECT), Status.READY, Status.REJECTED, [Status.REJECTED], "The owner's name differs from the contract."),
    (str(Move.ACCEPT), Status.READY, Status.EXPORTING, ACCEPTED, ""),
    (str(Move.CREATED), Status.EXPORTING, Status.SYNCED, [Status.SYNCED], ""),
    (str(Move.FAIL), Status.EXPORTING, Status.FAILED, [Status.FAILED], "Spectrum did not accept the job."),
    (str(Move.LOSE_TRACK), Status.EXPORTING, Status.CHECKING, [Status.CHECKING], "Spectrum did not answer in time."),
]


def seed_many(count: int, manager: Person, approver: Person, company_code: str, progress: Callable[[int], Any]) -> None:
    """Add `count` projects with exports and events, in the running transaction; `progress` is told how many so far."""
    db.session.flush()
    rows = _projects(count, manager.id, company_code)
    for done in range(0, count, BATCH):
        db.session.execute(insert(Project), list(itertools.islice(rows, BATCH)))
        progress(min(done + BATCH, count))
    _tell_lives(manager.id, approver.id)
    _add_exports(approver.id)


def _projects(count: int, manager_id: int, company_code: str) -> Iterator[dict[str, Any]]:
    chance = random.Random(8482)  # noqa: S311 - the same every time  # nosec B311
    for index in range(count):
        place, owner, work = chance.choice(PLACES), chance.choice(OWNERS), chance.choice(WORKS)
        slot = index % 100
        status = HUNDRED[slot] if slot < len(HUNDRED) else REST[(index // 100 + slot) % len(REST)]
        number, name = f"M{index:07}", f"{owner} {place} {work} {index:07}"
        has_job = status in ACCEPTED and status is not Status.FAILED
        created = BEGINNING + timedelta(minutes=2 * index)
        yield {
            "number": number,
            "number_key": number.casefold(),
            "name": name,
            "address_1": f"{100 + index % 9900} {owner} Ave",
            "city": place,
            "state": "WA",
            "zip": f"98{index % 1000:03}",
            "phone": "253-555-0100",
            "status": status,
            "version": 1,
            "created_at": created,
            "created_by_id": manager_id,
            "sent_at": created + timedelta(days=1) if status in SENT else None,
            "sent_by_id": manager_id if status in SENT else None,
            "spectrum_job_id": number if has_job else None,
            "job_key": number.casefold() if has_job else None,
            "company_code": company_code if has_job else None,
            "search_text": f"{number} {name} {place} wa kari iversen".casefold(),
        }


def _tell_lives(manager_id: int, approver_id: int) -> None:
    columns = ["at", "project_id", "person_id", "action", "from_status", "to_status", "comment", "details"]
    for action, before, after, statuses, comment in LIVES:
        by = approver_id if before is not Status.NOT_SENT else manager_id
        details: dict[str, object] = {"information": {}, "changes": []} if action == Move.SEND else {}
        told = select(
            func.coalesce(Project.sent_at, Project.created_at),
            Project.id,
            literal(by),
            literal(str(action)),
            literal(before, Event.from_status.type),
            literal(after, Event.to_status.type),
            literal(comment),
            literal(details, JSON),
        ).where(Project.status.in_(statuses), ~Project.events.any(Event.action == str(action)))
        db.session.execute(insert(Event).from_select(columns, told))


def _add_exports(approver_id: int) -> None:
    """What was accepted has an export that is over; what it sent is left out."""
    columns = ["project_id", "current", "accepted_by_id", "accepted_at", "template_number", "request", "step"]
    columns += ["sent_at", "created_at", "copy_phases", "phases_done", "phases_total", "looks", "resent", "cause"]
    columns += ["messages", "remarks", "finished_at"]
    nothing, no, none = literal("", Project.name.type), literal(False), literal(0)
    values = [
        Project.id,
        literal(True),
        literal(approver_id),
        Project.sent_at,
        literal("T-COMM"),
        literal([], JSON),
        nothing,
    ]
    values += [Project.sent_at, Project.sent_at, no, none, none, literal(2), literal(True), nothing]
    values += [literal([], JSON), literal([], JSON), Project.sent_at]
    accepted = select(*values).where(Project.status.in_(ACCEPTED), Project.export == None)  # noqa: E711 - SQL
    db.session.execute(insert(Export).from_select(columns, accepted))
