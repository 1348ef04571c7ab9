"""The peers: what a developer would set up in a day on the same data, each with its own framework's admin pages.

They run in a virtual environment of their own, from requirements.txt beside this, and import nothing of the product.
Their gunicorn has the product's processes and threads; their database its projects, WAL, an index for the list, and a
sync at each commit.
"""

import hashlib
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dev.bench import servers
from dev.bench.pages import Visitor

PLACE = Path(__file__).parent
SETTINGS = re.compile(r'^(workers|worker_class|threads|timeout) = "?(\w+)"?$', re.MULTILINE)
TABLES = """
CREATE TABLE project (
    id INTEGER PRIMARY KEY, number VARCHAR(30) NOT NULL UNIQUE, name VARCHAR(120) NOT NULL, city VARCHAR(60) NOT NULL,
    state VARCHAR(30) NOT NULL, status VARCHAR(30) NOT NULL, sender VARCHAR(120) NOT NULL, sent_at DATETIME,
    search_text TEXT NOT NULL, job_number VARCHAR(10) NOT NULL DEFAULT ''
);
CREATE TABLE change (
    id INTEGER PRIMARY KEY, project_id INTEGER NOT NULL REFERENCES project, user_id INTEGER NOT NULL,
    at DATETIME NOT NULL, status VARCHAR(30) NOT NULL
);
INSERT INTO project SELECT id, number, name, city, state, status, sender_key, sent_at, search_text,
    coalesce(spectrum_job_id, '') FROM source.project ORDER BY id;
CREATE INDEX ix_project_waits ON project (status, sent_at, id);
CREATE INDEX ix_change_project ON change (project_id, id);
ANALYZE;
"""
ADD_WAITING = """
WITH RECURSIVE counter (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM counter WHERE n < ? - 1)
INSERT INTO project (number, name, city, state, status, sender, sent_at, search_text)
SELECT printf('A%06d', n), 'Wharf ' || n, 'Tacoma', 'WA', 'Ready to Export', 'kari iversen',
       '2026-01-05 08:00:00.000000', printf('a%06d wharf %d', n, n) FROM counter
RETURNING id, number, name
"""


@dataclass(frozen=True)
class Peer:
    """One framework's admin pages: the addresses of the list and of the form, and how it calls things."""

    name: str
    module: str
    list_path: str
    page: str
    first_page: int
    search: str
    form_path: str
    token_field: str

    def page_path(self, index: int) -> str:
        return f"{self.list_path}{self.page}={index + self.first_page}"

    def search_path(self, word: str) -> str:
        return f"{self.list_path}{self.search}={word}"


PEERS = (
    Peer("Flask-Admin", "flask_admin_peer", "/admin/project/?", "page", 0, "search",
         "/admin/project/edit/?id={}", "csrf_token"),
    Peer("Django admin", "django_admin_peer", "/admin/django_admin_peer/project/?", "p", 1, "q",
         "/admin/django_admin_peer/project/{}/change/", "csrfmiddlewaretoken"),
)  # fmt: skip


class PeerVisitor(Visitor):
    """The user who is signed in at a peer."""

    def __init__(self, server: servers.Server, peer: Peer, project: int) -> None:
        self._peer, self._project = peer, project
        super().__init__(server)

    def sign_in(self) -> str:
        assert self.client.get("/sign-in").status_code == 302
        form = self.client.get(self._peer.form_path.format(self._project)).text
        field = rf'name="{self._peer.token_field}"[^>]* value="([^"]+)"'
        return str(re.findall(field, form)[0])


def environment() -> Path:
    """The programs of the peers' virtual environment, made once for each version of their requirements."""
    requirements = PLACE / "requirements.txt"
    place = servers.KEPT / f"peers-{hashlib.sha256(requirements.read_bytes()).hexdigest()[:8]}"
    if not (place / "complete").exists():
        shutil.rmtree(place, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", place], check=True)
        install: list[str | Path] = [place / "bin/pip", "install", "--quiet", "--requirement", requirements]
        subprocess.run(install, check=True, stdout=sys.stderr)
        (place / "complete").touch()
    return place / "bin"


@contextmanager
def data_set(source: Path) -> Iterator[Path]:
    """A database of the projects of a data set, which is gone afterwards."""
    path = servers.KEPT / f"copy-for-peers-{source.name}"
    _remove(path)
    try:
        create: list[str | Path] = [
            environment() / "python",
            "-c",
            "import django_admin_peer; django_admin_peer.create()",
        ]
        subprocess.run(create, check=True, cwd=PLACE, env={"PEERS_DATABASE": str(path)})
        with sqlite3.connect(path) as connection:
            connection.execute("ATTACH ? AS source", [str(source)])
            connection.executescript(TABLES)
        yield path
    finally:
        _remove(path)


def _remove(path: Path) -> None:
    for each in path.parent.glob(f"{path.name}*"):
        each.unlink()


def add_waiting(path: Path, count: int) -> list[tuple[int, str, str]]:
    """Further projects that wait, as id, number and name."""
    with sqlite3.connect(path) as connection:
        return connection.execute(ADD_WAITING, [count]).fetchall()


def first_waiting(path: Path) -> int:
    return _number(path, "SELECT min(id) FROM project WHERE status = 'Ready to Export'")


def count_accepted(path: Path) -> int:
    return _number(path, "SELECT count(*) FROM project WHERE number LIKE 'A%' AND status = 'Exporting'")


def _number(path: Path, statement: str) -> int:
    with sqlite3.connect(path) as connection:
        return int(connection.execute(statement).fetchone()[0])


@contextmanager
def serving(peer: Peer, database: Path) -> Iterator[servers.Server]:
    port = servers.free_port()
    settings = dict(SETTINGS.findall((servers.ROOT / "gunicorn.conf.py").read_text()))
    options = [text for name, value in settings.items() for text in (f"--{name.replace('_', '-')}", value)]
    command = [environment() / "gunicorn", "--preload", *options, "--bind", f"127.0.0.1:{port}", f"{peer.module}:app"]
    with servers.running(port, command, PLACE, {"PEERS_DATABASE": str(database)}) as server:
        yield server
