"""The growth table: every page once right after a write, and again, in milliseconds of one user."""

import itertools
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from dev.bench import load, servers
from dev.bench.pages import Visitor

TIMES = 5
VIEWS = 48  # of each page, ahead of the measurement of memory
JOBS = 10  # projects to a job of Spectrum; half of the jobs have one
PAGES = {
    "Ready to Export": "/erp/jobs",
    "search for two letters without a hit": "/erp/jobs?q=zz",
    "Synced, two letters without a hit": "/erp/jobs?filter=synced&q=zz",
    "Ready to Import": "/erp/jobs?filter=ready-to-import",
    "Ready to Import, a search without a hit": "/erp/jobs?filter=ready-to-import&q=zzzz",
    "Ready to Import, by customer": "/erp/jobs?filter=ready-to-import&sort=customer",
    "Exporting": "/erp/jobs?filter=exporting",
    "Failed to Export": "/erp/jobs?filter=failed-to-export",
    "Projects": "/admin/projects",
    "Projects, Waiting": "/admin/projects?show=waiting",
    "Projects, two letters without a hit": "/admin/projects?q=zz",
    "a project": "/admin/projects/{waiting}",
    "a project before accounting": "/approvals/{waiting}",
    "a project that is a job": "/approvals/{synced}",
    "the accept form": "/approvals/{waiting}/accept",
    "the check of a job number": "/approvals/{waiting}/number?job_number=26-00001",
    "figures": "/erp/figures",
    "history": "/erp/history",
    "history of a person": "/erp/history?person={approver}",
    "history by person and action": "/erp/history?person={approver}&action=sent",
    "history of an owner's projects": "/erp/history?project=cascade",
    "approvers": "/erp/approvers",
}
FACTS = (
    "SELECT (SELECT min(id) FROM project WHERE status = 'Ready to Export'),"
    " (SELECT min(id) FROM project WHERE status = 'Synced'), (SELECT id FROM person WHERE name = 'Dana Whitfield')"
)
TOUCH = "UPDATE tally SET n = abs(random()) WHERE name = 'revision'"
ADD_JOBS = """
WITH RECURSIVE counter (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM counter WHERE n < :count - 1)
INSERT INTO job (key, number, name, status_code, customer_code, division, cost_center, search_text, row, first_seen_at,
                 listed, archived, is_template, taxable, copy_phases, fixed)
SELECT lower(number), number, 'Job ' || n, 'A', 'C' || n % 1500, n % 9 + 1, n % 40, lower(number) || ' job ' || n,
       json_object('Job_Number', number, 'Job_Description', 'Job ' || n), '2026-01-05 08:00:00.000000',
       1, 0, n = 0, '', 0, '{}'
FROM (SELECT n, iif(n % 2, printf('M%07d', 2 * n), printf('26-%05d', n)) AS number FROM counter)
"""


def measure(path: Path, size: int) -> list[tuple[str, str]]:
    """Each page's name, and its milliseconds right after a write · once more."""
    with (
        _with_jobs(path, size) as (copy, pages),
        servers.serving(f"sqlite:///{copy}") as server,
        sqlite3.connect(copy, isolation_level=None) as connection,
    ):
        visitor = Visitor(server)
        return [(name, _both(visitor, connection, page)) for name, page in pages.items()]


def memory(path: Path, size: int) -> float:
    """Megabytes of all processes with the scheduler, after every page was seen by eight at once."""
    with (
        _with_jobs(path, size) as (copy, pages),
        servers.serving(f"sqlite:///{copy}", RUN_SCHEDULER="yes") as server,
    ):
        visitor = Visitor(server)
        for page in pages.values():
            load.run(server.address, itertools.repeat(visitor.request(page), VIEWS))
        return server.megabytes


@contextmanager
def _with_jobs(path: Path, size: int) -> Iterator[tuple[Path, dict[str, str]]]:
    """A copy of a data set that has Spectrum's jobs as well, and the addresses of its pages."""
    with servers.copy_of(path) as copy:
        with sqlite3.connect(copy) as connection:
            connection.execute(ADD_JOBS, {"count": max(size // JOBS, 10)})
            facts = dict(zip(("waiting", "synced", "approver"), connection.execute(FACTS).fetchone(), strict=True))
        yield copy, {name: page.format(**facts) for name, page in PAGES.items()}


def _both(visitor: Visitor, connection: sqlite3.Connection, page: str) -> str:
    first, again = [], []
    _ask(visitor, page)
    for _ in range(TIMES):
        connection.execute(TOUCH)
        first.append(_ask(visitor, page))
        again.append(_ask(visitor, page))
    return f"{max(first):.0f} · {median(again):.0f} ms"


def _ask(visitor: Visitor, page: str) -> float:
    begun = time.perf_counter()
    _, answer = visitor.fetch(page, {})
    assert answer.status_code == 200, f"{page} answered {answer.status_code}"
    return 1000 * (time.perf_counter() - begun)
