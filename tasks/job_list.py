"""The job list: read from the accounting system, and brought into the table `job` in one transaction.

Pages work from the kept list, so they work while the accounting system does not. A reading proves which jobs there are.
That a job is gone it proves only where it was complete and did not lose suspiciously many.
"""

from datetime import datetime
from hashlib import sha256
from typing import Any

from sqlalchemy import insert, select, text, update

import models
from erp import Connection, Customer, ErpJob, JobDates, Outcome, ReadError, ReadResult
from extensions import db, writing
from models import Job, Project, Setting, SettingName, utcnow
from services import after_restore, connection_state, drift
from tasks import erp_connection, job_dates, job_list_reader
from tasks.job_list_reader import JobList

FEW = 5  # jobs that may be gone at once without a question; above, a fifth of the list
KEPT = {"customer": Job.customer_code, "division": Job.division, "cost_center": Job.cost_center}


def refresh(erp: Connection) -> str:
    """Read the whole list and save it; returns a sentence with the counts. Raises ReadError."""
    began = utcnow()
    try:
        erp_connection.learn_if_new(erp)
        before = _listed_before()
        reading, doubt = _read(erp, before)
        customers = _read_customers(erp)
        dates = job_dates.read(erp, _jobs_to_date(reading, before))
    except ReadError as failure:
        with writing():
            tried = {"error": failure.error, "tried": utcnow().isoformat()}
            Setting.write(SettingName.JOB_LIST, connection_state.job_list() | tried)
        raise
    return _save(began, reading, doubt, before, customers, dates)


# --- reading --------------------------------------------------------------------------------------------------------


def _read(erp: Connection, before: dict[str, str]) -> tuple[JobList, str]:
    """Read the list, in the other way too where it lost too many; returns the better one, and the doubt about it."""
    known = {name: set(db.session.scalars(select(column).where(column != ""))) for name, column in KEPT.items()}
    db.session.rollback()  # no transaction is open while the accounting system is asked
    try:
        reading = job_list_reader.read(erp, known)
    except ReadError as failure:
        if failure.outcome is not Outcome.HELD:
            raise
        erp_connection.learn(erp)  # the server may want another sign-in by now
        reading = job_list_reader.read(erp, known)
    doubt = _doubt(reading, before)
    db.session.rollback()
    if doubt:
        other = job_list_reader.read(erp, known, second_way=True)
        if len(other.jobs) > len(reading.jobs):
            reading, doubt = other, _doubt(other, before)
        erp_connection.learn(erp)  # so that the next reading begins in the way that shows more
    return reading, doubt


def _listed_before() -> dict[str, str]:
    """Return the status codes of the jobs that were listed before, by key."""
    listed = select(Job.key, Job.status_code).where(Job.listed, Job.removed_at.is_(None))
    return dict(db.session.execute(listed).all())


def _doubt(reading: JobList, before: dict[str, str]) -> str:
    """Return why a list can't be relied on for what it lacks, as a sentence; "" where it can."""
    lost = before.keys() - reading.jobs.keys()
    missing = len(lost)
    if not reading.jobs and not connection_state.job_list().get("confirmed_empty"):
        return "Spectrum listed no jobs."
    # whether they were complete, of those lost of whose kind nothing is shown
    unshown = {before[key] == "C" for key in lost} - {job.status == "complete" for job in reading.jobs.values()}
    if unshown or (before and missing == len(before)) or missing > max(FEW, len(before) // 5):
        return f"Spectrum did not list {missing} of {len(before)} known jobs."
    return ""


def _read_customers(erp: Connection) -> ReadResult[Customer]:
    try:
        return erp.list_customers()
    except ReadError:
        return ReadResult([], complete=False)


def _jobs_to_date(reading: JobList, before: dict[str, str]) -> list[ErpJob]:
    """Return the jobs of projects, and after a restore the jobs made since: they are compared by their dates too."""
    wanted = set(db.session.scalars(select(Project.job_key).where(Project.status.in_(drift.AS_JOB))))
    if Setting.restore_pending():
        wanted |= reading.jobs.keys() - before
    db.session.rollback()
    return [job for key, job in reading.jobs.items() if key in wanted]


# --- saving ---------------------------------------------------------------------------------------------------------


def _save(
    began: datetime,
    reading: JobList,
    doubt: str,
    before: dict[str, str],
    customers: ReadResult[Customer],
    dates: dict[str, JobDates],
) -> str:
    """Bring the kept list to what was read, in a few statements. What was decided here about a job stays.

    Gone is only a job that was listed `before` the reading began.
    """
    with writing():
        _lock_table()
        last = connection_state.job_list()
        if "began" in last and began < datetime.fromisoformat(last["began"]) <= utcnow():
            return str(last["said"])  # a reading that began later is in already
        doubt = "" if doubt and connection_state.is_confirmed(last, _fingerprint(reading)) else doubt
        proven = reading.complete and not doubt
        new, changed, gone = _update_jobs(reading, set(before) if proven else set())
        drift.mark([*changed, *_save_dates(dates)])
        _save_customers(customers, reading)
        said = " ".join(_sentences(reading, doubt, new, len(changed), gone))
        state: dict[str, Any] = {"began": began.isoformat(), "at": utcnow().isoformat(), "said": said}
        state |= {"calls": reading.calls, "jobs": reading.counts, "customers": len(customers.rows)}
        state |= {"complete": reading.complete, "proven": proven, "doubt": doubt}
        state |= {"reading": _fingerprint(reading), "confirmed_empty": proven and not reading.jobs}
        Setting.write(SettingName.JOB_LIST, state)
        if proven:
            after_restore.compare_jobs()
    return said


def _update_jobs(reading: JobList, can_be_gone: set[str]) -> tuple[int, list[str], int]:
    """Insert, update and mark as removed; returns how many are new, the keys of the changed, how many are gone."""
    kept = {job.key: job for job in db.session.execute(select(Job.id, Job.key, Job.row, Job.listed, Job.removed_at))}
    fresh = {key: Job.columns(job) | {"listed": True} for key, job in reading.jobs.items()}
    new = [fresh[key] for key in fresh.keys() - kept.keys()]
    seen = [job for job in kept.values() if job.key in fresh]
    changed = {job.id for job in seen if job.row != fresh[job.key]["row"] or job.removed_at}
    touched = [fresh[job.key] | {"id": job.id} for job in seen if job.id in changed or not job.listed]
    missed = can_be_gone - fresh.keys()
    gone = [{"id": job.id, "removed_at": utcnow()} for job in kept.values() if job.key in missed]
    for statement, values in ((insert(Job), new), (update(Job), touched), (update(Job), gone)):
        if values:
            db.session.execute(statement, values)
    return len(new), [job.key for job in seen if job.id in changed], len(gone)


def _save_dates(dates: dict[str, JobDates]) -> list[str]:
    if not dates:
        return []
    kept = db.session.execute(select(Job.id, Job.key, Job.dates))
    changed = [job for job in kept if job.key in dates and job.dates != dates[job.key].raw]
    if changed:
        db.session.execute(update(Job), [{"id": job.id, "dates": dates[job.key].raw} for job in changed])
    return [job.key for job in changed]


def _sentences(reading: JobList, doubt: str, new: int, changed: int, gone: int) -> list[str]:
    said = [f"{len(reading.jobs)} jobs read: {new} new, {changed} changed, {gone} gone."]
    if doubt:
        said.append(f"{doubt} The list was kept as it was. If this is right, press This Is Right in the ERP settings.")
    elif not reading.complete:
        said.append("Spectrum has more jobs than it would list; the rest was kept as it was.")
    if reading.damaged:
        named = ", ".join(reading.damaged[:5]) + (" and others" if len(reading.damaged) > 5 else "")
        said.append(f"A character could not be read and was replaced in: {named}. Correct it in Spectrum.")
    return said


def _fingerprint(reading: JobList) -> str:
    return sha256("\n".join(sorted(reading.jobs)).encode()).hexdigest()


def _save_customers(customers: ReadResult[Customer], reading: JobList) -> None:
    rows = [vars(customer) for customer in customers.rows]
    named = {job.customer: job.customer_name for job in reading.jobs.values() if job.customer and job.customer_name}
    models.Customer.take_over(rows or _named_by_jobs(named), complete=bool(rows) and customers.complete)


def _named_by_jobs(named: dict[str, str]) -> list[dict[str, Any]]:
    """Return customers as jobs name them; what a customer list said of one before still holds."""
    kept = {each.code: each for each in db.session.scalars(select(models.Customer))}
    before = {code: (kept[code].taxable, kept[code].active) for code in named if code in kept}
    return [vars(Customer(code, name, *before.get(code, ()))) for code, name in named.items()]


def _lock_table() -> None:
    """SQLite has one writer anyway; on PostgreSQL others that write jobs wait, so that no job comes in twice."""
    if db.engine.dialect.name == "postgresql":
        db.session.execute(text("LOCK TABLE job IN SHARE ROW EXCLUSIVE MODE"))
