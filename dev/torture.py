"""`make torture`: kills at random while everything else goes wrong too, and a table of what became of it all.

Not part of `make test`. Half of the kills hit one machine on SQLite, half two machines on one PostgreSQL that sign in
to Spectrum by token, while Spectrum becomes one after another of those that the sandbox can be; beside them the tests
in RUNS inject one fault each. It ends with 1 where a job or a mail is there twice, one is lost without a word, or one
is stuck for longer than its lease and a minute. KILLS and PROJECTS make it shorter, SEED repeats the dice.
"""

import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import httpx
from conftest import (
    CAST,
    CHEAP,
    PASSWORD,
    ROOT,
    at_another_port,
    migrate,
    postgresql_server,
    run_sql,
    sandboxed,
    server_settings,
    wait_until,
)
from sqlalchemy import and_, select, update
from support.fault_injection import Sandbox, Server, accept

from app import create_app
from dev.sandbox.personality import ORDINARY
from extensions import db, writing
from models import (
    Delivery,
    Export,
    MailOutcome,
    Person,
    Project,
    Status,
    TaskKind,
    TaskRequest,
    Transition,
    utcnow,
)
from services import update_form, workflow
from tasks import erp_work

KILLS, PROJECTS = int(os.environ.get("KILLS", "150")), int(os.environ.get("PROJECTS", "200"))
RESULT = {True: "held", False: "BROKEN"}
PATIENCE = timedelta(minutes=3)  # without anything ending: longer than any lease, and a minute
chance = random.Random(int(os.environ.get("SEED", "1")))

NEW_PHONE = "253-555-0199"  # what an update changes
# beside every other kill, the next AddJob or UpdateJob and the next mail meet one of these
SPECTRUM: dict[str, dict[str, Any]] = {
    "Spectrum silent": {"fault": "timeout"},
    "Spectrum silent after it made the job": {"fault": "created-then-timeout"},
    "Spectrum breaks off": {"fault": "reset"},
    "Spectrum breaks off after it made the job": {"fault": "reset", "created": True},
    "Spectrum answers 503": {"fault": "status"},
}
# and before every third kill Spectrum is another one: each setting of it by chance
PERSONALITY: dict[str, tuple[Any, ...]] = {
    "sign_in": ("none", "basic"),
    "guid": ("any", "fresh", "empty"),
    "cut_tail": (0, 2, 4),
    "cut_writes": (False, True),
    "fault_every": (0, 7),
    "damage": ("none", "byte"),
    "missing": ([], ["GetCustomers"], ["GetJobDates"]),
    "success": ("empty", "empty-data", "blank-row", "row-of-spaces", "good"),
    "wrap_errors": (False, True),
    "update_blanks": ("keep", "reset"),
}
HOSTED: dict[str, tuple[Any, ...]] = PERSONALITY | {"sign_in": ("none", "token"), "token_seconds": (2, 3600)}
CLIENT = {"SPECTRUM_CLIENT_ID": "countersign", "SPECTRUM_CLIENT_SECRET": "sandbox-secret"}
BECAME = "Spectrum becomes another one"
MAIL: dict[str, dict[str, Any]] = {
    "mail server silent before the text": {"command": "RCPT", "reply": "silence"},
    "mail server silent after the text": {"command": "TEXT", "reply": "silence", "stored": True},
    "mail server breaks off after the text": {"command": "TEXT", "reply": "drop", "stored": True},
}
# fault, injected how, and which tests do that
RUNS = [
    ("kill -9 at each step of an export", "SQLite; two PostgreSQL machines", r"test_crash\.test_killed(?!\w*decides)"),
    ("kill -9 at each step of an update", "SQLite", r"test_update_crash\."),
    ("kill -9 at each step of a renewal of the client secret", "SQLite", r"test_rotation_crash\."),
    ("kill -9 while somebody decides", "both databases", r"test_crash\.\w*decides"),
    ("SIGTERM, SIGINT, SIGHUP in an export", "while Spectrum is silent or slow", r"test_crash\.test_told"),
    ("kill -9 at each step of a mail", "both databases", r"test_mail_crash\.test_(killed|three)"),
    ("SIGTERM, SIGHUP in a mail", "between DATA and its answer", r"test_mail_crash\.test_told"),
    ("Spectrum gone for a day", "500 accepted meanwhile", "down_for_a_day"),
    ("20 people at once decide on the same 25 projects", "two machines of two processes", "test_concurrency"),
    ("database out of reach", "timetable and pages", r"test_json_log\.\w*(reached|finds_no)"),
    ("disk full, database read-only or locked", "SQLite", r"test_degraded\.\w*(disk|only_be_read|locked)"),
    ("clock set back two hours", "with work under way", r"test_degraded\.\w*clock"),
]
FILES = (
    "reliability/test_crash",
    "reliability/test_update_crash",
    "reliability/test_rotation_crash",
    "reliability/test_mail_crash",
    "reliability/test_degraded",
    "reliability/test_concurrency",
    "lib/test_json_log",
)


# --- kills at random ------------------------------------------------------------------------------------------------


def people() -> None:
    for name, (erp, projects, directory, can_push) in CAST.items():
        person = Person(email=f"{name}@example.com", name=name.title(), erp=erp, projects=projects)
        person.directory, person.can_push, person.password_hash = directory, can_push, CHEAP.hash(PASSWORD)
        db.session.add(person)
    db.session.commit()


def kill(server: Server) -> str:
    """Without a word: one process of the machine, or all."""
    if chance.random() < 0.2:
        server.kill()
        server.start()
        return "kill -9 of all processes"
    with suppress(ProcessLookupError, IndexError):
        os.kill(chance.choice(sorted(server.workers())), signal.SIGKILL)
    return "kill -9 of one process"


def stop(server: Server) -> str:
    if chance.random() < 0.5:
        server.tell(signal.SIGHUP)
        return "SIGHUP"
    server.tell(signal.SIGTERM)
    server.wait()
    server.kill()
    server.start()
    return "SIGTERM and a start"


def torture(
    sandbox: Sandbox, mailbox: str, machines: list[Server], personality: dict[str, tuple[Any, ...]]
) -> Counter[str]:
    """Half of the kills, with new work before each; how often what happened."""
    tries: Counter[str] = Counter()
    kills, projects = KILLS // 2, PROJECTS // 2
    faults: list[tuple[str, str]] = []
    first = projects // 4  # are jobs before the first kill, to be updated
    for new in range(first):
        accept(f"K26-{new:04}")
    wait_until(lambda: not left(), 300)
    for number in range(kills):
        for new in range(
            first + number * (projects - first) // kills, first + (number + 1) * (projects - first) // kills
        ):
            accept(f"K26-{new:04}")
        update_some()
        if number % 3 == 0:
            become(sandbox, {name: chance.choice(choices) for name, choices in personality.items()})
            tries[BECAME] += 1
        if number % 2:
            faults.append((chance.choice(list(SPECTRUM)), chance.choice(list(MAIL))))
            sandbox.fail(chance.choice(("AddJob", "UpdateJob")), **SPECTRUM[faults[-1][0]])
            httpx.post(f"{mailbox}/sandbox/faults", json=MAIL[faults[-1][1]]).raise_for_status()
        time.sleep(chance.uniform(0.1, 1.5))  # the moment is what is random here
        tries[kill(chance.choice(machines))] += 1
        if number % 6 == 5:
            time.sleep(chance.uniform(0.1, 1.5))
            tries[stop(chance.choice(machines))] += 1
    for address, names in zip((sandbox.address, mailbox), zip(*faults, strict=True), strict=True):
        tries.update(names[: len(names) - faults_left(address)])
    become(sandbox, ORDINARY)
    return tries


def become(sandbox: Sandbox, personality: dict[str, Any]) -> None:
    """Make it that Spectrum, and have somebody press Refresh, which learns how that one is spoken to."""
    httpx.post(f"{sandbox.address}/sandbox/personality", json=personality).raise_for_status()
    with writing():
        held = TaskRequest.lease_until.is_not(None)  # by whoever was killed: free, as after a while
        db.session.execute(update(TaskRequest).where(held).values(lease_until=utcnow()))
        approver = Person.by_email("approver@example.com")
        assert approver
        TaskRequest.ask(TaskKind.REFRESH_JOBS, approver)


def update_some() -> None:
    """Send and accept an update of Synced projects that had none."""
    manager, approver = (Person.by_email(f"{name}@example.com") for name in ("manager", "approver"))
    assert manager and approver
    with writing():
        synced = select(Project).where(Project.status == Status.SYNCED, Project.phone != NEW_PHONE).limit(3)
        for project in db.session.scalars(synced).all():
            if project.allows(Transition.SEND):
                workflow.edit(project, manager, project.information | {"phone": NEW_PHONE})
                workflow.send(project, manager)
                form, seen = update_form.initial(project), update_form.accepted_values(project)
                form.ticked = frozenset({"phone"})
                workflow.accept_update(project, approver, form.request, seen)


def faults_left(address: str) -> int:
    listed = httpx.get(f"{address}/sandbox/faults").json()
    httpx.delete(f"{address}/sandbox/faults").raise_for_status()
    return len([fault for fault in listed if fault["times"]])


def left() -> int:
    db.session.rollback()
    waits_for_a_person = and_(Export.resent, Export.checks >= erp_work.SLOW_DOWN_AFTER)
    stuck = select(Export.id).where(Export.due_at.is_not(None), ~waits_for_a_person)
    mails = select(Delivery.id).where(Delivery.due_at.is_not(None))
    return len(db.session.scalars(stuck).all()) + len(db.session.scalars(mails).all())


def stuck() -> int:
    """How many are left of which none has ended for so long."""
    rest, since = left(), utcnow()
    while rest and utcnow() < since + PATIENCE:
        time.sleep(0.5)
        if (now := left()) != rest:
            rest, since = now, utcnow()
    return rest


def verdict(sandbox: Sandbox, mailbox: str) -> tuple[str, bool]:
    """Describe the end of all projects and mails, and tell whether it keeps the promises."""
    waiting = stuck()
    db.session.rollback()
    standing = dict(db.session.execute(select(Project.number, Project.status)).all())
    mails = dict(db.session.execute(select(Delivery.message_id, Delivery.outcome)).all())
    changed = select(Project.job_key).where(Project.status == Status.SYNCED, Project.phone == NEW_PHONE)
    updated = db.session.scalars(changed).all()
    phones = {job["Job_Number"].casefold(): job["Phone"] for job in sandbox.jobs()}
    jobs = Counter(job["Job_Number"] for job in sandbox.jobs() if job["Job_Number"].startswith("K26-"))
    arrived = Counter(mail["message_id"] for mail in httpx.get(f"{mailbox}/sandbox/mails", timeout=120).json())
    twice = sum(count - 1 for count in (sandbox.made() | jobs).values()) + sum(count - 1 for count in arrived.values())
    lost = [number for number, status in standing.items() if status is Status.SYNCED and not jobs[number]]
    lost += [key for key in updated if key and phones.get(key) != NEW_PHONE.replace("-", "")]
    lost += [number for number, outcome in mails.items() if outcome is MailOutcome.SENT and not arrived[number]]
    silent = [
        None for state in (*standing.values(), *mails.values()) if state in (Status.EXPORTING, Status.UPDATING, None)
    ]
    updates = sum(kind == "update" for kind in db.session.scalars(select(Delivery.kind)))
    found = [
        f"{len(standing)} projects ({in_words(standing.values())}), {len(jobs)} jobs, {updates} updates",
        f"{len(mails)} mails ({in_words(mails.values())}), {len(arrived)} arrived",
        f"{twice} twice, {len(lost)} lost, {waiting + len(silent)} stuck",
    ]
    return "; ".join(found), not (twice or lost or waiting or silent)


def in_words(states: Iterable[object]) -> str:
    return ", ".join(f"{count} {state}" for state, count in Counter(map(str, states)).most_common())


def at_random(
    place: Path, name: str, url: str, machines: int, hosted: bool = False
) -> tuple[Counter[str], list[str], bool]:
    """A half of the run on one database: how often what was done, the row that tells the end, whether it holds."""
    migrate(url)
    quick = {"EXPORT_CHECK_SECONDS": "1", "SPECTRUM_READ_TIMEOUT": "2", "SPECTRUM_DEADLINE": "3"}
    with sandboxed(place / name) as found:
        quick |= {"SPECTRUM_REFRESH": "never"} | (CLIENT if hosted else {})
        settings = server_settings(url, found["spectrum"], found["smtp"], **quick)
        servers = [Server(settings | {"DIGEST_TIME": "23:59"} | at_another_port()) for _ in range(machines)]
        sandbox = Sandbox(found["spectrum"])
        sandbox.fail("*", "slow", milliseconds=200, times=None)
        with create_app(settings, instance_path=str(place)).app_context():
            people()
            try:
                for server in servers:
                    server.start()
                tries = torture(sandbox, found["mailbox"], servers, HOSTED if hosted else PERSONALITY)
                said, holds = verdict(sandbox, found["mailbox"])
            finally:
                for server in servers:
                    server.kill()
    return tries, ["all of the above together", name, str(KILLS // 2), said], holds


def kills_at_random(place: Path) -> tuple[list[list[str]], bool]:
    halves = [at_random(place, "SQLite", f"sqlite:///{place / 'torture.db'}", 1)]
    with postgresql_server() as address:
        run_sql(address, "CREATE DATABASE torture")
        halves.append(at_random(place, "two machines on PostgreSQL", f"{address}/torture", 2, hosted=True))
    tries, holds = halves[0][0] + halves[1][0], all(half[2] for half in halves)
    rows = [[what, "at random", str(count), RESULT[holds]] for what, count in sorted(tries.items())]
    return [*rows, *(half[1] for half in halves)], holds


# --- one fault each -------------------------------------------------------------------------------------------------


def one_fault_each(place: Path) -> tuple[list[list[str]], bool]:
    """Run the tests; a row for each of RUNS."""
    report = place / "report.xml"
    files = [ROOT / "tests" / f"{name}.py" for name in FILES]
    subprocess.run([sys.executable, "-m", "pytest", "--junitxml", report, *files], cwd=ROOT, stdout=sys.stderr)
    cases = {f"{case.get('classname')}.{case.get('name')}": case for case in ElementTree.parse(report).iter("testcase")}
    ended = {name: [part.tag for part in case if part.tag != "properties"] for name, case in cases.items()}
    rows, holds = [], True
    for fault, how, which in RUNS:
        ran = [not trouble for name, trouble in ended.items() if re.search(which, name) and trouble != ["skipped"]]
        holds = holds and all(ran) and bool(ran)
        rows.append([fault, how, str(len(ran)), RESULT[all(ran) and bool(ran)]])
    return rows, holds


def main() -> int:
    show([["fault", "injected how", "tries", "result"], ["---"] * 4])
    with tempfile.TemporaryDirectory(prefix="countersign-torture-") as place:
        return 0 if all([show(*kills_at_random(Path(place))), show(*one_fault_each(Path(place)))]) else 1


def show(rows: list[list[str]], holds: bool = True) -> bool:
    sys.stdout.write("".join(f"| {' | '.join(row)} |\n" for row in rows))
    sys.stdout.flush()
    return holds


if __name__ == "__main__":
    sys.exit(main())
