"""`make torture`: 150 kills at random over 200 exports and 200 mails, and a table of what became of them.

Not part of `make test`. It ends with 1 where a job or a mail is there twice, one is lost without a word, or one is
stuck for longer than its lease and a minute. `SEED` repeats a run; `KILLS` and `EXPORTS` make it shorter.
"""

import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import httpx
from conftest import CAST, CHEAP, PASSWORD, migrate, sandboxed, server_settings
from crashing import Sandbox, Server, accept
from sqlalchemy import func, select

from app import create_app
from extensions import db
from models import Delivery, Export, MailOutcome, Person, Project, Status

KILLS, EXPORTS = int(os.environ.get("KILLS", "150")), int(os.environ.get("EXPORTS", "200"))
PATIENCE = 90 + 60  # seconds: the longest lease, and a minute
chance = random.Random(int(os.environ.get("SEED", "1")))
SPECTRUM = ["", "", "created-then-timeout", "timeout", "reset"]
MAILS = ["", "", "silence after the text", "silence before the text"]


def people() -> None:
    for name, (erp, projects, directory, can_push) in CAST.items():
        person = Person(email=f"{name}@example.com", name=name.title(), erp=erp, projects=projects)
        person.directory, person.can_push, person.password_hash = directory, can_push, CHEAP.hash(PASSWORD)
        db.session.add(person)
    db.session.commit()


def inject(sandbox: Sandbox, mailbox: str) -> str:
    """Something that goes wrong beside the kill, so that the kill comes while an answer is owed."""
    fault, mail = chance.choice(SPECTRUM), chance.choice(MAILS)
    if fault:
        sandbox.fail("AddJob", fault, **({"created": chance.random() < 0.5} if fault == "reset" else {}))
    if mail:
        command, stored = ("TEXT", True) if "after" in mail else ("RCPT", False)
        silence = {"command": command, "reply": "silence", "stored": stored}
        httpx.post(f"{mailbox}/sandbox/faults", json=silence).raise_for_status()
    return f"{fault or 'none'} / {mail or 'none'}"


def kill_one(server: Server) -> str:
    """One process of the server, or all of them, without a word."""
    if chance.random() < 0.2:
        server.kill()
        server.start()
        return "all processes"
    with suppress(ProcessLookupError, IndexError):
        os.kill(chance.choice(sorted(server.workers())), signal.SIGKILL)
    return "one worker"


def unsettled() -> tuple[int, int]:
    """How many exports and mails are still to come to an end."""
    db.session.rollback()
    exports = select(func.count()).select_from(Export).where(Export.due_at.is_not(None))
    mails = select(func.count()).select_from(Delivery).where(Delivery.outcome.is_(None))
    return db.session.scalar(exports) or 0, db.session.scalar(mails) or 0


def wait_for_the_end() -> bool:
    deadline = time.monotonic() + PATIENCE
    while any(unsettled()) and time.monotonic() < deadline:
        time.sleep(1)
    return not any(unsettled())


def torture(sandbox: Sandbox, mailbox: str, server: Server) -> Counter[tuple[str, str]]:
    tries: Counter[tuple[str, str]] = Counter()
    server.start()
    for _ in range(KILLS):
        fault = inject(sandbox, mailbox)
        time.sleep(chance.uniform(0.2, 1.6))  # the moment is what is random here
        tries[fault, kill_one(server)] += 1
    for address in (sandbox.address, mailbox):
        httpx.delete(f"{address}/sandbox/faults").raise_for_status()
    return tries


def verdicts(sandbox: Sandbox, mailbox: str, ended: bool) -> dict[str, tuple[str, bool]]:
    """What was promised: what was found, and whether it holds."""
    db.session.rollback()
    numbers = Counter(job["Job_Number"] for job in sandbox.jobs() if job["Job_Number"].startswith("K26-"))
    made = sandbox.made()
    arrived = Counter(mail["message_id"] for mail in httpx.get(f"{mailbox}/sandbox/mails", timeout=120).json())
    projects, mails = list(db.session.scalars(select(Project))), list(db.session.scalars(select(Delivery)))
    standing = Counter(str(project.status) for project in projects)
    outcomes = Counter(str(mail.outcome) for mail in mails)
    lost = [p.number for p in projects if p.status is Status.SYNCED and not numbers[p.number]]
    unsent = [mail.id for mail in mails if mail.outcome is MailOutcome.SENT and not arrived[mail.message_id]]
    return {
        "no job twice": (f"{len(numbers)} jobs", max((made | numbers).values()) == 1),
        "each project says how it ended": (f"{dict(standing)}", not lost and "Exporting" not in standing),
        "no mail twice": (f"{len(arrived)} mails", max(arrived.values()) == 1),
        "each mail says how it ended": (f"{dict(outcomes)}", not unsent),
        "nothing is stuck": (f"{unsettled()} exports and mails left", ended),
    }


def main() -> int:
    place = Path(tempfile.mkdtemp(prefix="countersign-torture-"))
    url = f"sqlite:///{place / 'torture.db'}"
    migrate(url)
    with sandboxed(place / "sandbox") as found:
        quick = {"EXPORT_CHECK_SECONDS": "1", "SPECTRUM_READ_TIMEOUT": "2", "SPECTRUM_DEADLINE": "3"}
        environ = server_settings(url, found["spectrum"], found["smtp"], **quick, SPECTRUM_REFRESH="never")
        sandbox, server = Sandbox(found["spectrum"]), Server(environ | {"DIGEST_TIME": "23:59"})
        sandbox.fail("*", "slow", milliseconds=200, times=None)
        with create_app(environ).app_context():
            people()
            for number in range(EXPORTS):
                accept(f"K26-{number:04}")
            try:
                tries = torture(sandbox, found["mailbox"], server)
                results = verdicts(sandbox, found["mailbox"], wait_for_the_end())
            finally:
                server.kill()
    lines = ["| fault (Spectrum / mail) | injected how | tries |", "|---|---|---|"]
    lines += [f"| {fault} | kill -9, {how} | {count} |" for (fault, how), count in sorted(tries.items())]
    lines += ["", "| promise | found | result |", "|---|---|---|"]
    lines += [f"| {name} | {said} | {'holds' if holds else 'BROKEN'} |" for name, (said, holds) in results.items()]
    sys.stdout.write("\n".join(lines) + "\n")
    return 0 if all(holds for _, holds in results.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
