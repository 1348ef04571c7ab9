"""Two machines and PostgreSQL behind nginx, as docs/administration.md sets them up, and their upgrade in the day.

The machines are two servers on loopback that differ in their port and in the name that PostgreSQL knows them by.
"""

import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
from conftest import ROOT, ReusedDatabase, free_port, wait_until
from support.mail_server import Postbox
from support.proxy import Front, fronted

from app import create_app
from extensions import db, writing
from lib.schema_version import revisions
from lib.version import VERSION
from models import MailKind, Person
from services import accounts

BIN = Path(sys.executable).parent
NEXT = "99.0.0"
MIGRATION = f'revision = "9999"\ndown_revision = "{revisions()[-1]}"\n'
Process = subprocess.Popen[bytes]


def newer_code(place: Path) -> Path:
    """The product as a later version with the same database."""
    leave = shutil.ignore_patterns(".*", "instance", "tests", "docs", "__pycache__")
    shutil.copytree(ROOT, place, ignore=leave)
    version = place / "lib/version.py"
    version.write_text(version.read_text().replace(VERSION, NEXT))
    return place


def begin(ending: ExitStack, code: Path, environ: dict[str, str], logged: Path) -> Process:
    """A machine that answers well."""
    command = [BIN / "gunicorn", "--config", "gunicorn.conf.py", "app:create_app()"]
    with logged.open("wb") as log:
        process = subprocess.Popen(command, cwd=code, env=os.environ | environ, stdout=log, stderr=log)
    ending.callback(end, process)
    wait_until(lambda: ask(environ, "/readyz").is_success)
    return process


def end(process: Process) -> None:
    process.terminate()
    process.wait()


def ask(environ: dict[str, str], path: str) -> httpx.Response:
    host = {"Host": environ["BASE_URL"].removeprefix("https://")}
    try:
        return httpx.get(f"http://127.0.0.1:{environ['PORT']}{path}", headers=host)
    except httpx.TransportError:
        return httpx.Response(503)


def version_of(environ: dict[str, str]) -> str:
    return str(re.findall(r'countersign_info{version="([^"]+)"}', ask(environ, "/metrics").text)[0])


@contextmanager
def visited(front: Front) -> Iterator[list[int]]:
    """How somebody is answered who asks again and again by way of nginx."""
    answers: list[int] = []
    leaving = threading.Event()

    def visit() -> None:
        with front.client() as client:
            while not leaving.wait(0.05):
                answers.append(client.get("/login").status_code)

    visitor = threading.Thread(target=visit)
    visitor.start()
    try:
        yield answers
    finally:
        leaving.set()
        visitor.join()


def invite(environ: dict[str, str], people: list[str]) -> None:
    """Add people, each of whom is to get one mail."""
    app = create_app({name: value for name, value in environ.items() if name != "PGAPPNAME"})
    with app.app_context():
        with writing():
            for email in people:
                db.session.add(person := Person(email=email, name=email, password_hash=""))
                db.session.flush()
                accounts.send_link(person, MailKind.RESET, None)
        db.engine.dispose()


def test_two_machines_are_upgraded_one_by_one_while_people_are_answered_and_each_mail_goes_once(
    reused_database: ReusedDatabase, post: Postbox, tmp_path: Path
) -> None:
    newer = newer_code(tmp_path / "newer")
    port = str(free_port())
    (tmp_path / "servers.conf").write_text(f"server 127.0.0.1:{port} fail_timeout=2s;")
    settings = {"PGAPPNAME": "countersign@machine-1", "MAIL_PORT": str(post.port)}
    people = [f"person-{number}@example.com" for number in range(20)]

    def upgrade(machine: dict[str, str], process: Process, to_invite: list[str]) -> None:
        log = tmp_path / f"{machine['PORT']}.log"
        assert version_of(machine) == VERSION
        invite(machine, to_invite[:5])
        end(process)
        invite(machine, to_invite[5:])
        begin(ending, newer, machine, log)
        wait_until(lambda: "/login" in log.read_text())  # nginx sends people there again
        assert version_of(machine) == NEXT

    with reused_database as url, fronted(url, tmp_path, **settings) as front, ExitStack() as ending:
        one, two = front.environ, front.environ | {"PGAPPNAME": "countersign@machine-2", "PORT": port}
        second = begin(ending, ROOT, two, tmp_path / "older.log")
        with visited(front) as answers:
            upgrade(two, second, people[:10])
            assert all(ask(machine, "/readyz").is_success for machine in (one, two))
            upgrade(one, front.server, people[10:])
            wait_until(lambda: len(post.arrived) >= len(people))
        assert set(answers) == {200}
        assert len(answers) > 50
        assert sorted(post.recipients) == sorted(people)
        refused = check_later_migration(newer, one)
        assert refused.returncode == 1
        assert "in use on machine-2. Stop Countersign there first" in refused.stderr


def check_later_migration(code: Path, environ: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    (code / "migrations/versions/9999_later.py").write_text(MIGRATION)
    command = [BIN / "flask", "--app", "app", "check", "--before-upgrade"]
    return subprocess.run(command, cwd=code, env=os.environ | environ, capture_output=True, text=True, check=False)
