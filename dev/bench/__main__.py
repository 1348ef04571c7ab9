"""`make bench`: measure, and print the README's table in Markdown.

Every page is looked at before it is timed. Then the rounds take turns: the product and the static page of the same
bytes, and the sizes, so that what else the machine does meets all of them alike. What is printed are medians.
"""

import argparse
import itertools
import os
import platform
import sys
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from sqlite3 import sqlite_version
from statistics import median

from dev.bench import growth, load, postgres, servers, side_by_side, workloads
from dev.bench.pages import Page, Visitor, pages_of

SIZES = (100, 10_000, 1_000_000)
ROUNDS = 3
WARMING = 64  # questions ahead of the first round
LINES = 100_000  # of the imported file


@dataclass
class Subject:
    """One page on one database, and the rates that it and its static twin came to."""

    page: Page
    product: load.Address
    ask: Callable[[], bytes]  # makes the request, which may hold what the last answer said
    static: load.Address
    twin: bytes
    status: int = 200
    rates: list[float] = field(default_factory=list)
    twins: list[float] = field(default_factory=list)
    alone: list[float] = field(default_factory=list)  # milliseconds, of one user
    strain: float = 0  # the most of a processor that the load itself took

    def warm_up(self) -> None:
        for address, request in ((self.product, self.ask()), (self.static, self.twin)):
            load.run(address, itertools.repeat(request, WARMING))

    def round(self, seconds: float) -> None:
        """A round each of the product, of the static page, and of one user alone."""
        self.rates.append(self._asked(8, seconds).rate)
        static = load.run(self.static, itertools.repeat(self.twin), 8, seconds)
        self.twins.append(static.rate)
        self.strain = max(self.strain, static.own_seconds / static.seconds)
        self.alone.append(self._asked(1, seconds / 2).milliseconds)

    def _asked(self, connections: int, seconds: float) -> load.Round:
        """A round of which each answer was the right one; a second try, because a new minute makes a new ETag."""
        for _ in range(2):
            found = load.run(self.product, itertools.repeat(self.ask()), connections, seconds)
            if set(found.statuses) == {self.status}:
                return found
        raise SystemExit(f"{self.page.name} was answered {dict(found.statuses)}, not always {self.status}.")

    @property
    def share(self) -> float:
        return median(mine / theirs for mine, theirs in zip(self.rates, self.twins, strict=True))

    def __str__(self) -> str:
        return f"{self.share:.2f} · {median(self.rates):,.0f}/s · {median(self.alone):.1f} ms"


def main() -> int:
    options = _options()
    say("Data sets")
    paths = {size: servers.data_set(size) for size in options.sizes}
    tables = [_side_by_side(options, paths)] if options.peers else []
    if options.only_peers:
        return _print(tables)
    tables += [_pages(options, {size: f"sqlite:///{path}" for size, (path, _) in paths.items()})]
    tables += [_work(options, paths), _growth(paths)]
    if options.postgres and (found := postgres.programs()):
        say("PostgreSQL")
        with postgres.data_set(found, max(options.sizes)) as url:
            tables.append(_pages(options, {max(options.sizes): url}, " on PostgreSQL"))
    return _print(tables)


def _print(tables: list[str]) -> int:
    sys.stdout.write("\n".join([_machine(), "", *tables, ""]))
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m dev.bench", description="The README's performance table.")
    sizes = ",".join(map(str, SIZES))
    parser.add_argument("--sizes", type=lambda text: [int(size) for size in text.split(",")], default=sizes)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each round (%(default)s)")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--exports", type=int, default=1000, help="so many wait (%(default)s)")
    parser.add_argument("--export-seconds", type=float, default=30, help="so long they are watched (%(default)s)")
    parser.add_argument("--no-peers", dest="peers", action="store_false")
    parser.add_argument("--only-peers", action="store_true", help="nothing but the product beside its peers")
    parser.add_argument("--no-postgres", dest="postgres", action="store_false")
    return parser.parse_args()


def say(line: str) -> None:
    sys.stderr.write(f"{line} …\n")


# --- pages ----------------------------------------------------------------------------------------------------------


def _pages(options: argparse.Namespace, databases: dict[int, str], where: str = "") -> str:
    """The table of the pages, by size."""
    captured = servers.KEPT / "pages"
    captured.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        static = servers.serving(next(iter(databases.values())), "dev.bench.static:app", BENCH_PAGES=str(captured))
        twins = stack.enter_context(static)
        started = {size: stack.enter_context(servers.serving(url)) for size, url in databases.items()}
        subjects = {size: _subjects(started[size], twins, url, captured / str(size)) for size, url in databases.items()}
        rows = list(zip(*subjects.values(), strict=True))
        for subject in itertools.chain(*rows):
            subject.warm_up()
        for number in range(options.rounds):
            say(f"Pages{where}, round {number + 1} of {options.rounds}")
            for subject in itertools.chain(*rows):
                subject.round(options.seconds)
        memory = [f"{server.megabytes:.0f} MB" for server in started.values()]
    heading = [f"page{where}", *(f"{size:,} projects" for size in databases)]
    cells = [[row[0].page.name, *map(str, row)] for row in rows]
    ceiling = [f"{median(row.twins):,.0f}/s · load {row.strain:.0%} of a core" for row in rows[0]]
    cells.append(["the static page of the first row", *ceiling])
    return _table(heading, [*cells, ["memory of the web processes", *memory]])


def _subjects(server: servers.Server, twins: servers.Server, database: str, captured: Path) -> list[Subject]:
    """Each page of a database, seen to be right, with its static twin; and the list when nothing has changed."""
    visitor, found = Visitor(server), []
    for number, page in enumerate(pages_of(database)):
        name = f"{captured.name}-{number}{'.gz' if page.headers else ''}"
        captured.with_name(name).write_bytes(visitor.capture(page)[0])
        twin = f"GET /{name} HTTP/1.1\r\nHost: {twins.host}\r\n\r\n".encode()
        request = visitor.request(page.path, **page.headers)
        found.append(Subject(page, server.address, partial(bytes, request), twins.address, twin))
        if not number:
            unchanged = replace(page, name="the same, unchanged: 304")
            found.append(Subject(unchanged, server.address, partial(_again, visitor, page), twins.address, twin, 304))
    return found


def _again(visitor: Visitor, page: Page) -> bytes:
    return visitor.request(page.path, **page.headers, **{"If-None-Match": visitor.capture(page)[1]})


# --- everything else ------------------------------------------------------------------------------------------------


def _work(options: argparse.Namespace, paths: dict[int, tuple[Path, float]]) -> str:
    largest, seeded = max(paths), paths[max(paths)][1]
    path = paths[largest][0]
    rows: list[list[str]] = []
    for size, (each, _) in paths.items():
        say(f"Accepting, {size:,} projects")
        alone, together = workloads.accepts(each)
        what = f"accepts, {size:,} projects, one after another · eight at a time, slowest hundredth"
        rows.append([what, f"{alone.rate:.0f}/s · {together.rate:.0f}/s, {together.slowest_hundredth:.0f} ms"])
    say("The first load, and starts")
    with servers.serving(f"sqlite:///{path}") as server:
        plain, packed, everything, requests = workloads.first_load(Visitor(server))
    rows.append(["the list's HTML: goal 6 kB packed", f"{plain / 1000:.1f} kB · {packed / 1000:.1f} kB"])
    rows.append(
        ["first load, all files, packed: goal 28 kB in 6 requests", f"{everything / 1000:.1f} kB in {requests}"]
    )
    rows.append(["start of the server to its first answer: goal 0.5 s", f"{workloads.starts(path):.2f} s"])
    what = "an accept to its job in a Spectrum that answers at once, the slowest of eight: goal 2 s"
    rows.append([what, f"{workloads.wait_for_jobs(path):.1f} s"])
    say(f"Exporting for {options.export_seconds:g} s")
    first, last = workloads.measure_exports(path, options.exports, options.export_seconds)
    what = f"exports per worker thread, 50 ms a call, {options.exports:,} waiting: first third · last third; goal 5/s"
    rows.append([what, f"{first:.1f}/s · {last:.1f}/s"])
    rows.append([f"`demo seed --projects {largest}`: goal 60 s for a million", f"{seeded:.0f} s"])
    say("CSV, in and out")
    rows.append([f"import of a CSV file of {LINES:,} lines: goal 30 s", f"{workloads.import_of(LINES):.0f} s"])
    rows.append([f"export of {largest:,} projects into a CSV file", f"{workloads.export_of(path):.0f} s"])
    return _table(["work", "measured"], rows)


def _side_by_side(options: argparse.Namespace, paths: dict[int, tuple[Path, float]]) -> str:
    columns = []
    for size, (path, _) in paths.items():
        say(f"Side by side, {size:,} projects")
        columns.append(side_by_side.compare(path, size, options.rounds, options.seconds))
    rows = [[row, side_by_side.GOALS[row], *(column[row] for column in columns)] for row in columns[0]]
    heading = ["Countersign · Flask-Admin · Django admin", "goal", *(f"{size:,} projects" for size in paths)]
    return _table(heading, rows)


def _growth(paths: dict[int, tuple[Path, float]]) -> str:
    columns = []
    for size, (path, _) in paths.items():
        say(f"Every page, {size:,} projects")
        columns.append(growth.measure(path, size))
    rows = [[row[0][0], *(cell for _, cell in row)] for row in zip(*columns, strict=True)]
    return _table(["page, the slowest right after a write · again", *(f"{size:,} projects" for size in paths)], rows)


def _table(heading: list[str], rows: Iterable[list[str]]) -> str:
    lines = [heading, ["---"] * len(heading), *rows]
    return "\n".join([*(f"| {' | '.join(line)} |" for line in lines), ""])


def _machine() -> str:
    processor = next(line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name"))
    versions = [f"{name} {version(name)}" for name in ("flask", "sqlalchemy", "gunicorn")]
    return (
        f"{os.cpu_count()} × {processor.partition(': ')[2]}, Linux {platform.release().partition('-')[0]},"
        f" Python {platform.python_version()}, {', '.join(versions)}, SQLite {sqlite_version};"
        " 2 processes of 4 threads, 8 connections from the same machine."
    )


if __name__ == "__main__":
    sys.exit(main())
