"""A large company of N projects, the same every time, to measure and to try out.

5 % wait in Ready to Export, 90 % are Synced, the rest is spread over the other statuses. Of those waiting, each owner
has 2 %, and RARE has one in five thousand. Events and exports are inserted by SQL, which makes a million bearable.
"""

import itertools
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from functools import cache
from typing import Any

from sqlalchemy import JSON, Integer, String, case, column, func, insert, literal, select, values

from dev.demo.bulk_insert import insert_rows, without_indexes
from extensions import db
from models import UPDATE, Event, Export, Person, Project, Status, Transition, search_text

STEP = 100_000  # projects between two lines of progress
BEGINNING = date(2020, 1, 6)
TIMES = [f"{hour:02}:{minute:02}:00.000000" for hour in range(24) for minute in range(0, 60, 2)]
A_DAY = len(TIMES)  # projects
REST = [status for status in Status if status not in (Status.READY, Status.SYNCED)]
# of each hundred projects
HUNDRED = [Status.READY] * 5 + [Status.SYNCED] * 90
PLACES = ["Tacoma", "Puyallup", "Sumner", "Orting", "Lakewood", "Fife", "Auburn", "Olympia", "Lacey", "Graham"]
WORKS = ["Reroof", "Lobby Remodel", "Storm Drain", "Gym Floor", "Dock Repair", "Trail", "Dental Suite", "Yard", "Annex"]
OWNERS = [
    *("Harbor", "Cascade", "Rainier", "Meridian", "Stadium", "Proctor", "Alder", "Glacier", "Summit", "Nisqually"),
    *("Cedar", "Juniper", "Madrona", "Hemlock", "Larkspur", "Foxglove", "Trillium", "Camas", "Salmonberry", "Willow"),
    *("Osprey", "Heron", "Kestrel", "Sandpiper", "Cormorant", "Plover", "Otter", "Beacon", "Anchor", "Compass"),
    *("Keel", "Mainsail", "Sextant", "Windlass", "Granite", "Basalt", "Obsidian", "Agate", "Quartz", "Cobble"),
    *("Prairie", "Meadow", "Orchard", "Vineyard", "Millrace", "Foundry", "Cooper", "Chandler", "Mason", "Tannery"),
]
RARE = "Quillfeather"
ACCEPTED = [Status.EXPORTING, Status.CHECKING, Status.SYNCED, Status.FAILED, *UPDATE]
FINISHED_EXPORT: dict[str, Any] = {
    **{"current": True, "template_number": "T-COMM", "step": "", "copy_phases": False},
    **{"phases_done": 0, "phases_total": 0, "looks": 2, "resent": True, "cause": "", "messages": [], "remarks": []},
}
SENT_AS: dict[str, Any] = {"information": {}, "changes": []}
# the shortest history of a project by its status: action, from, to, comment
Step = tuple[str, Status, Status, str]
SENT: list[Step] = [(Transition.SEND, Status.NOT_SENT, Status.READY, "")]
TAKEN: list[Step] = [*SENT, (Transition.ACCEPT, Status.READY, Status.EXPORTING, "")]
MADE: list[Step] = [*TAKEN, (Transition.CREATED, Status.EXPORTING, Status.SYNCED, "")]
UPDATE_SENT: list[Step] = [*MADE, (Transition.SEND, Status.SYNCED, Status.READY_TO_UPDATE, "")]
UPDATE_TAKEN: list[Step] = [*UPDATE_SENT, (Transition.ACCEPT, Status.READY_TO_UPDATE, Status.UPDATING, "")]
HISTORIES: dict[Status, list[Step]] = {
    Status.NOT_SENT: [("created", Status.NOT_SENT, Status.NOT_SENT, "")],
    Status.READY: SENT,
    Status.RETRIEVED: [*SENT, (Transition.RETRIEVE, Status.READY, Status.RETRIEVED, "")],
    Status.REJECTED: [
        *SENT,
        (Transition.REJECT, Status.READY, Status.REJECTED, "The owner differs from the contract's."),
    ],
    Status.EXPORTING: TAKEN,
    Status.CHECKING: [
        *TAKEN,
        (Transition.LOSE_TRACK, Status.EXPORTING, Status.CHECKING, "Spectrum did not answer in time."),
    ],
    Status.SYNCED: MADE,
    Status.READY_TO_UPDATE: UPDATE_SENT,
    Status.UPDATING: UPDATE_TAKEN,
    Status.UPDATE_FAILED: [
        *UPDATE_TAKEN,
        (Transition.FAIL, Status.UPDATING, Status.UPDATE_FAILED, "Spectrum did not accept the update."),
    ],
    Status.FAILED: [*TAKEN, (Transition.FAIL, Status.EXPORTING, Status.FAILED, "Spectrum did not accept the job.")],
}


def seed_many(count: int, manager: Person, approver: Person, company_code: str, progress: Callable[[str], Any]) -> None:
    """Add `count` projects with exports and events, in the running transaction; `progress` is told how far it is."""
    db.session.flush()
    before = db.session.scalar(select(func.max(Project.id))) or 0
    rows = _projects(manager, company_code, "" if db.engine.dialect.name == "sqlite" else "+00")
    with without_indexes():
        for done in range(0, count, STEP):
            insert_rows(Project.__tablename__, itertools.islice(rows, min(STEP, count - done)))
            progress(f"{min(done + STEP, count):,} projects")
        _add_events(manager.id, approver.id, Project.id > before)
        progress("their history")
        _add_exports(approver.id, Project.id > before)
        progress("their exports")


def _projects(manager: Person, company_code: str, zone: str) -> Iterator[dict[str, Any]]:
    """Without end; moments are texts in UTC, because a million of them are made, and end with `zone`."""
    for index in itertools.count():
        hundred, slot = divmod(index, 100)
        status = HUNDRED[slot] if slot < len(HUNDRED) else REST[(hundred + slot) % len(REST)]
        owner = RARE if index % STEP == 2 else OWNERS[(5 * hundred + slot) % len(OWNERS)]
        place, work = PLACES[(hundred + slot) % len(PLACES)], WORKS[index % len(WORKS)]
        number, key = f"M{index:07}", f"m{index:07}"
        name, address = f"{owner} {place} {work} {index:07}", f"{100 + index % 9900} {owner} Ave"
        sent, has_job = status is not Status.NOT_SENT, status in ACCEPTED and status is not Status.FAILED
        row = {
            "number": number,
            "number_key": key,
            "name": name,
            "description": "",
            "address_1": address,
            "address_2": "",
            "city": place,
            "state": "WA",
            "zip": f"98{index % 1000:03}",
            "phone": "253-555-0100",
            "active": True,
            "status": status.value,
            "version": 1,
            "note": "",
            "created_at": _moment(index, zone),
            "created_by_id": manager.id,
            "sent_at": _moment(index + A_DAY, zone) if sent else None,
            "sent_by_id": manager.id if sent else None,
            "spectrum_job_id": number if has_job else None,
            "job_key": key if has_job else None,
            "company_code": company_code if has_job else None,
        }
        sender = manager.name if sent else ""
        yield row | {"sender_key": sender.casefold(), "search_text": search_text(row, sender)}


def _moment(index: int, zone: str) -> str:
    return f"{_day(index // A_DAY)} {TIMES[index % A_DAY]}{zone}"


@cache
def _day(number: int) -> str:
    return str(BEGINNING + timedelta(days=number))


def _add_events(manager_id: int, approver_id: int, new: Any) -> None:
    kinds = {"standing": Project.status.type, "step": Integer(), "person_id": Integer(), "action": String()}
    kinds |= {"from_status": Project.status.type, "to_status": Project.status.type, "comment": String()}
    lives = values(*(column(name, kind) for name, kind in kinds.items())).data(_steps(manager_id, approver_id))
    life = lives.cte("life").columns
    told: dict[str, Any] = {name: life[name] for name in ("person_id", "action", "from_status", "to_status", "comment")}
    told |= {"project_id": Project.id, "at": func.coalesce(Project.sent_at, Project.created_at)}
    told |= {"details": case((life.action == Transition.SEND, literal(SENT_AS, JSON)), else_=literal({}, JSON))}
    rows = select(*told.values()).join_from(Project, life.standing.table, Project.status == life.standing)
    db.session.execute(insert(Event).from_select(list(told), rows.where(new).order_by(Project.id, life.step)))


def _steps(manager_id: int, approver_id: int) -> list[tuple[Any, ...]]:
    """Return each step of HISTORIES: final status, position, person, action, from, to, comment."""
    return [
        (status, number, approver_id if number else manager_id, str(action), *rest)
        for status, life in HISTORIES.items()
        for number, (action, *rest) in enumerate(life)
    ]


def _add_exports(approver_id: int, new: Any) -> None:
    """A finished export for each accepted project; of its request, the job's number."""
    values_of = {
        "project_id": Project.id,
        "accepted_at": Project.sent_at,
        "sent_at": Project.sent_at,
        "created_at": Project.sent_at,
        "finished_at": Project.sent_at,
    } | {name: literal(value, Export.__table__.c[name].type) for name, value in FINISHED_EXPORT.items()}
    values_of["request"] = _array(_array(literal("Job_Number"), Project.number, literal("project")))
    rows = select(literal(approver_id), *values_of.values()).where(Project.status.in_(ACCEPTED), new)
    db.session.execute(insert(Export).from_select(["accepted_by_id", *values_of], rows.order_by(Project.id)))


def _array(*items: Any) -> Any:
    function = func.json_array if db.engine.dialect.name == "sqlite" else func.json_build_array
    return function(*items)
