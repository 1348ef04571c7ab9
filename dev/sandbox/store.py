"""The sandbox Spectrum's records in a SQLite file: jobs, phases, codes, and the log of calls.

Values are kept as given; the rules are in `rules`, the starting data in `seed`.
"""

import json
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from threading import RLock

COMPANY_CODE = "HB"  # the company whose records these are

SCHEMA = """
create table if not exists jobs (
    id integer primary key, key text unique not null, fields text not null,
    hidden integer not null, origin text not null, arrived_at text not null);
create table if not exists phases (
    job text not null, code text not null, cost_type text not null, fields text not null,
    primary key (job, code, cost_type));
create table if not exists master_data (
    kind text not null, key text not null, fields text not null, primary key (kind, key));
create table if not exists calls (
    id integer primary key, at text not null, service text not null, job_number text not null,
    outcome text not null, fault text);
"""


def key(text: str) -> str:
    return text.strip().upper()


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


@dataclass(frozen=True)
class Job:
    """A job: `fields` as received by AddJob element; `origin` is seed, AddJob or control."""

    fields: dict[str, str]
    hidden: bool
    origin: str
    arrived_at: str

    def value(self, element: str) -> str:
        return self.fields.get(element, "").strip()

    @property
    def number(self) -> str:
        return self.value("Job_Number")

    @property
    def status(self) -> str:
        return self.value("Status_Code") or "A"

    @property
    def create_date(self) -> str:
        """The date that was sent, or the day on which the job arrived."""
        arrived = datetime.fromisoformat(self.arrived_at).astimezone()
        return self.value("Create_Date") or f"{arrived:%m/%d/%Y}"

    @cached_property
    def record(self) -> dict[str, str]:
        own = {"Company_Code": COMPANY_CODE, "Status_Code": self.status, "Create_Date": self.create_date}
        return self.fields | own | {"Certified_Flag": self.value("Certified_Flag") or "N"}

    @property
    def status_in_words(self) -> str:
        """The status for a page, and whether the reads leave the job out."""
        word = {"A": "Active", "I": "Inactive", "C": "Complete"}.get(self.status, self.status)
        return f"{word}, hidden" if self.hidden else word


@dataclass(frozen=True)
class Code:
    """A customer, division or cost center that exists; the other fields are a customer's."""

    kind: str
    code: str
    name: str
    on_hold: bool = False
    cost_center: str = ""
    taxable: str = ""
    active: bool = True


class Store:
    """One connection, shared by all threads. Hold `lock` to look and write without anyone in between."""

    def __init__(self, path: Path) -> None:
        self.lock = RLock()
        self.round = 0  # how often everything was forgotten
        self._known: list[Job] | None = None  # the jobs, once read; reading ten thousand takes a third of a second
        self._by_number: list[Job] | None = None
        self._codes: dict[str, dict[str, Code]] | None = None
        self._db = sqlite3.connect(path, check_same_thread=False)
        self._db.executescript(f"pragma journal_mode = wal; pragma synchronous = off; {SCHEMA}")

    def jobs(self) -> list[Job]:
        with self.lock:
            if self._known is None:
                self._known = [_job(row) for row in self._rows("select * from jobs order by id desc")]
            return self._known

    def visible_jobs(self) -> list[Job]:
        with self.lock:
            if self._by_number is None:
                shown = (job for job in self.jobs() if not job.hidden)
                self._by_number = sorted(shown, key=lambda job: key(job.number).rjust(10))
            return self._by_number

    def job(self, number: str) -> Job | None:
        return next((_job(row) for row in self._rows("select * from jobs where key = ?", key(number))), None)

    def save_job(self, fields: Mapping[str, str], *, origin: str, hidden: bool = False) -> None:
        """Add a job, or change the one of that number; origin and arrival stay those of the first time."""
        self.save_jobs([Job(dict(fields), hidden, origin, now())])

    def save_jobs(self, jobs: Iterable[Job]) -> None:
        self._write_jobs(
            "insert into jobs (key, fields, hidden, origin, arrived_at) values (?, ?, ?, ?, ?)"
            " on conflict (key) do update set fields = excluded.fields, hidden = excluded.hidden",
            ((key(job.number), json.dumps(job.fields), job.hidden, job.origin, job.arrived_at) for job in jobs),
        )

    def delete_job(self, number: str) -> None:
        self._write_jobs("delete from jobs where key = ?", [(key(number),)])
        self._write_many("delete from phases where job = ?", [(key(number),)])

    def phases(self, number: str) -> list[dict[str, str]]:
        rows = self._rows("select fields from phases where job = ? order by code, cost_type", key(number))
        return [json.loads(row["fields"]) for row in rows]

    def save_phases(self, phases: Iterable[Mapping[str, str]]) -> None:
        identity = ("Job_Number", "Phase_Code", "Cost_Type")
        self._write_many(
            "insert or replace into phases values (?, ?, ?, ?)",
            ((*(key(phase[element]) for element in identity), json.dumps(phase)) for phase in phases),
        )

    def codes(self, kind: str) -> list[Code]:
        return sorted(self._all_codes().get(kind, {}).values(), key=lambda code: key(code.code))

    def code(self, kind: str, code: str) -> Code | None:
        return self._all_codes().get(kind, {}).get(key(code))

    def save_codes(self, codes: Iterable[Code]) -> None:
        with self.lock:
            rows = ((code.kind, key(code.code), json.dumps(asdict(code))) for code in codes)
            self._write_many("insert or replace into master_data values (?, ?, ?)", rows)
            self._codes = None

    def _all_codes(self) -> dict[str, dict[str, Code]]:
        with self.lock:
            if self._codes is None:
                self._codes = {}
                for row in self._rows("select kind, key, fields from master_data"):
                    self._codes.setdefault(row["kind"], {})[row["key"]] = Code(**json.loads(row["fields"]))
            return self._codes

    def is_empty(self) -> bool:
        """Tell whether nothing was ever put in: a store in use has codes even without a job."""
        return not self._rows("select 1 from master_data limit 1")

    def log_call(self, service: str, job_number: str, outcome: str, fault: str | None) -> None:
        self._write_many(
            "insert into calls (at, service, job_number, outcome, fault) values (?, ?, ?, ?, ?)",
            [(now(), service, job_number, outcome, fault)],
        )

    def calls(self) -> list[dict[str, object]]:
        return [dict(row) for row in self._rows("select * from calls order by id")]

    def clear(self) -> None:
        self.round += 1
        for statement in ("delete from jobs", "delete from phases", "delete from master_data", "delete from calls"):
            self._write_jobs(statement, [()])
        self._codes = None

    def _rows(self, sql: str, *values: str) -> list[sqlite3.Row]:
        with self.lock:
            cursor = self._db.execute(sql, values)
            cursor.row_factory = sqlite3.Row
            return cursor.fetchall()

    def _write_many(self, sql: str, rows: Iterable[tuple[object, ...]]) -> None:
        with self.lock, self._db:
            self._db.executemany(sql, rows)

    def _write_jobs(self, sql: str, rows: Iterable[tuple[object, ...]]) -> None:
        with self.lock:
            self._write_many(sql, rows)
            self._known = self._by_number = None


def _job(row: sqlite3.Row) -> Job:
    return Job(json.loads(row["fields"]), bool(row["hidden"]), row["origin"], row["arrived_at"])
