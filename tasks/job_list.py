"""Spectrum's jobs: read past the row limit, and kept here.

The product's pages work from the kept list, so that they work while Spectrum does not.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import combinations

from flask import current_app
from sqlalchemy import insert, select, text, update

from erp import ERP, ReadError, ReadResult
from erp.spectrum.client import Spectrum
from erp.spectrum.mapping import job_key
from extensions import db, writing
from models import Job, Setting, utcnow
from services import after_restore
from tasks.erp_connection import MonitoredERP

LAST = "job list"  # the setting that says when the list was last read, and how that went
NARROWING = {"customer": "Customer_Code", "division": "Division", "cost_center": "Cost_Center"}
CUT_SHORT = ("division", "cost_center", "customer")  # how a part is narrowed: by what has few values first
KEPT = {"customer": Job.customer_code, "division": Job.division, "cost_center": Job.cost_center}

Rows = dict[str, dict[str, str]]  # jobs by job_key


def spectrum() -> ERP | None:
    """Spectrum as the settings say, made once, because it reads the certificate store; None where it is not set up."""
    if not current_app.config["SPECTRUM_URL"]:
        return None
    erp: ERP = current_app.extensions.get("spectrum") or current_app.extensions.setdefault("spectrum", _connected())
    return erp


def _connected() -> ERP:
    settings = current_app.config
    client = (settings["SPECTRUM_CLIENT_ID"], settings["SPECTRUM_CLIENT_SECRET"])
    erp = Spectrum(
        settings["SPECTRUM_URL"],
        settings["SPECTRUM_COMPANY_CODE"],
        settings["SPECTRUM_AUTHORIZATION_ID"],
        ca_file=settings["SPECTRUM_CA_FILE"] or None,
        connect_timeout=settings["SPECTRUM_CONNECT_TIMEOUT"],
        read_timeout=settings["SPECTRUM_READ_TIMEOUT"],
        deadline=settings["SPECTRUM_DEADLINE"],
        token_client=client if client[0] else None,
    )
    return MonitoredERP(erp)


def refresh(erp: ERP) -> str:
    """Read the whole list and take it over; returns what was found, as a sentence. Raises Unreadable."""
    began = utcnow()
    open_before = set(db.session.scalars(select(Job.key).where(Job.removed_at.is_(None))))
    learnt = {name: set(db.session.scalars(select(column).where(column != ""))) for name, column in KEPT.items()}
    db.session.rollback()  # no transaction is open while Spectrum is spoken to
    try:
        active = read_whole(erp, "", learnt)
        complete = read_whole(erp, "C", learnt)
    except ReadError as reading:
        with writing():
            Setting.write(LAST, (Setting.read(LAST) or {}) | {"error": reading.cause, "tried": utcnow().isoformat()})
        raise
    rows = {job_key(row["Job_Number"]): row for row in [*active.rows, *complete.rows]}
    return _save(began, rows, open_before, active.complete and complete.complete)


# --- reading --------------------------------------------------------------------------------------------------------


def read_whole(erp: ERP, status: str, learnt: dict[str, set[str]]) -> ReadResult:
    """One status of the list, past the row limit. `learnt` holds the values to narrow by, by filter, and grows.

    A list that was cut short is asked for again customer by customer, division by division and cost center by cost
    center, and what is still cut short by the other two. A way misses jobs with no such value, or with one that nothing
    has shown yet. So the list counts as whole only when two ways that rely on different filters show the same jobs,
    and every job that was shown at all.
    """
    reading = _Reading(erp, status, learnt)
    if reading.ask({}).complete:
        return ReadResult(list(reading.rows.values()), complete=True)
    before = 0
    while before < len(reading.rows):  # what one way shows, another can ask for
        before = len(reading.rows)
        ways = [reading.by(name, {}) for name in NARROWING]
    whole = [way for way in ways if way and way.found >= reading.rows.keys()]
    agree = any(one.relied_on.isdisjoint(other.relied_on) for one, other in combinations(whole, 2))
    return ReadResult(list(reading.rows.values()), complete=agree)


@dataclass(frozen=True)
class _Way:
    """Jobs read value by value to their end, and the filters whose values had to be known for that."""

    found: set[str]
    relied_on: set[str]


class _Reading:
    """The questions that one status of the list takes, none asked twice, and the rows that came."""

    def __init__(self, erp: ERP, status: str, learnt: dict[str, set[str]]) -> None:
        self.rows: Rows = {}
        self._erp, self._status, self._learnt = erp, status, learnt
        self._answers: dict[frozenset[tuple[str, str]], ReadResult] = {}

    def ask(self, filters: Mapping[str, str]) -> ReadResult:
        question = frozenset(filters.items())
        if question not in self._answers:
            asked = {
                name: value if name == "cost_center" else _escape_wildcards(value) for name, value in filters.items()
            }
            self._answers[question] = answer = self._erp.jobs(status=self._status, **asked)
            for row in answer.rows:
                self.rows[job_key(row["Job_Number"])] = row
                for name, element in NARROWING.items():
                    self._learnt[name] |= {row[element]} - {""}
        return self._answers[question]

    def by(self, name: str, filters: Mapping[str, str]) -> _Way | None:
        """The jobs behind all known values of one filter; None where some could not be read to the end."""
        ways = [self._through({**filters, name: value}) for value in sorted(self._learnt[name])]
        read = [way for way in ways if way]
        if len(read) < len(ways):
            return None
        return _Way(set().union(*(way.found for way in read)), {name}.union(*(way.relied_on for way in read)))

    def _through(self, filters: Mapping[str, str]) -> _Way | None:
        answer = self.ask(filters)
        if answer.complete:
            return _Way({job_key(row["Job_Number"]) for row in answer.rows}, set())
        narrower = (self.by(name, filters) for name in CUT_SHORT if name not in filters)
        return next((way for way in narrower if way and way.found >= self._shown(filters)), None)

    def _shown(self, filters: Mapping[str, str]) -> set[str]:
        """The jobs behind these values that any answer has shown."""
        wanted = {(NARROWING[name], job_key(value)) for name, value in filters.items()}
        return {key for key, row in self.rows.items() if all(job_key(row[name]) == value for name, value in wanted)}


def _escape_wildcards(value: str) -> str:
    """A code as a filter that takes operators: each of their letters is asked for as “any one letter”."""
    return "AL?" if job_key(value) == "all" else re.sub(r"[*,/#]", "?", value)


# --- keeping --------------------------------------------------------------------------------------------------------


def _save(began: datetime, rows: Rows, open_before: set[str], complete: bool) -> str:
    """Bring the kept list to what was read, in a few statements. What was decided here about a job stays.

    Gone is only what the list has shown before, was there when the reading began, and a complete reading misses.
    """
    with writing():
        _lock_table()
        last = Setting.read(LAST, {})
        if "began" in last and datetime.fromisoformat(last["began"]) > began:
            return str(last["said"])  # a reading that began later is in already
        columns = select(Job.id, Job.key, Job.row, Job.listed, Job.removed_at)
        kept = {job.key: job for job in db.session.execute(columns)}
        fresh = {key: Job.columns(row) | {"listed": True} for key, row in rows.items()}
        new = [fresh[key] for key in fresh.keys() - kept.keys()]
        seen = [job for job in kept.values() if job.key in rows]
        changed = {job.id for job in seen if job.row != rows[job.key] or job.removed_at}
        touched = [fresh[job.key] | {"id": job.id} for job in seen if job.id in changed or not job.listed]
        missed = open_before - rows.keys() if complete else set()
        gone = [{"id": job.id, "removed_at": utcnow()} for job in kept.values() if job.key in missed and job.listed]
        for statement, values in ((insert(Job), new), (update(Job), touched), (update(Job), gone)):
            if values:
                db.session.execute(statement, values)
        said = f"{len(rows)} jobs read: {len(new)} new, {len(changed)} changed, {len(gone)} gone."
        if not complete:
            said += " Spectrum has more jobs than it would list; the rest was kept as it was."
        times = {"began": began.isoformat(), "at": utcnow().isoformat()}
        Setting.write(LAST, times | {"said": said, "complete": complete})
        if complete:
            after_restore.compare_jobs()
    return said


def _lock_table() -> None:
    """SQLite has one writer anyway; on PostgreSQL others that write jobs wait, so that no job comes in twice."""
    if db.engine.dialect.name == "postgresql":
        db.session.execute(text("LOCK TABLE job IN SHARE ROW EXCLUSIVE MODE"))
