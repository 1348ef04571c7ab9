"""The connection to Spectrum: how the last contact ended, its test service by service, and whose database this is.

Every accounting system that `joblist.spectrum()` hands out is watched here; what is said to it stands elsewhere.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta

from flask import current_app
from sqlalchemy import and_, or_, select
from sqlalchemy.exc import SQLAlchemyError

from config import SettingsError
from erp import ERP, Outcome, ReadError, ReadResult, WriteResult
from erp.spectrum.fields import SERVICES
from extensions import db, writing
from models import Job, Project, Setting, utcnow

log = logging.getLogger(__name__)


class MonitoredERP:
    """An accounting system, and a note of how each contact with it ended."""

    def __init__(self, erp: ERP) -> None:
        self._erp = erp

    def add_job(self, values: Mapping[str, str]) -> WriteResult:
        return _written(self._erp.add_job(values))

    def add_phase(self, values: Mapping[str, str]) -> WriteResult:
        return _written(self._erp.add_phase(values))

    def jobs(self, *, status: str = "", customer: str = "", division: str = "", cost_center: str = "") -> ReadResult:
        return _read(
            lambda: self._erp.jobs(status=status, customer=customer, division=division, cost_center=cost_center)
        )

    def job_details(
        self, *, status: str = "", customer: str = "", division: str = "", cost_center: str = ""
    ) -> ReadResult:
        return _read(
            lambda: self._erp.job_details(status=status, customer=customer, division=division, cost_center=cost_center)
        )

    def phases(self, job_number: str) -> ReadResult:
        return _read(lambda: self._erp.phases(job_number))

    def probe(self, service: str) -> str | None:
        return self._erp.probe(service)  # a description proves nothing, so it is no contact


def _written(answer: WriteResult) -> WriteResult:
    _note(answer.outcome, answer.cause)
    return answer


def _read(call: Callable[[], ReadResult]) -> ReadResult:
    try:
        listing = call()
    except ReadError as reading:
        _note(reading.outcome, reading.cause)
        raise
    _note(Outcome.CREATED)
    return listing


def _note(outcome: Outcome, cause: str = "") -> None:
    """Keep how a contact ended; a refusal is an answer. Failing to keep it never disturbs the contact itself."""
    connected, now = outcome in (Outcome.CREATED, Outcome.REFUSED), utcnow().isoformat()
    try:
        last = Setting.read(Setting.CONTACT, {})
        if connected and last.get("connected") and now < _a_minute_after(last.get("at", "")):
            db.session.rollback()  # nothing to write, and no transaction stays open between two contacts
            return
        error = {} if connected else {"error": cause, "error_at": now}
        since = {} if last.get("connected") is connected else {"since": now}
        with writing():
            Setting.write(Setting.CONTACT, last | {"connected": connected, "at": now} | since | error)
    except SQLAlchemyError:
        db.session.rollback()
        log.exception("how the last contact with Spectrum ended could not be kept")


def _a_minute_after(moment: str) -> str:
    return (datetime.fromisoformat(moment) + timedelta(minutes=1)).isoformat() if moment else ""


# --- the test -------------------------------------------------------------------------------------------------------


READS: dict[str, Callable[[ERP], object]] = {
    "GetJob": lambda erp: erp.job_details(),
    "GetJobMain": lambda erp: erp.jobs(),
    "GetPhase": lambda erp: erp.phases(_some_job()),
}


def test(erp: ERP) -> Iterator[tuple[str, str | None]]:
    """Each service with what is wrong with it; None where it is there, takes our fields and, if it reads, answers.

    The services that write are not called, because that would write. Jobs are read even where the service is not
    described as it should be: whether Spectrum can be reached is known afterwards.
    """
    jobs = _tried(erp, "GetJobMain")
    for service in SERVICES:
        yield service, erp.probe(service) or (jobs if service == "GetJobMain" else _tried(erp, service))


def _tried(erp: ERP, service: str) -> str | None:
    try:
        if service in READS:
            READS[service](erp)
    except ReadError as reading:
        return reading.cause
    return None


def _some_job() -> str:
    """A job to read the phases of; "" while none is known here, which reads those of all jobs."""
    return db.session.scalar(select(Job.number).where(Job.removed_at.is_(None)).order_by(Job.id).limit(1)) or ""


def line(service: str, problem: str | None) -> str:
    """A finding of the test, as people read it."""
    fine = "in order." if service in READS else "described as it should be; not called, because that would write."
    return f"{service}: {problem or fine}"


def verdict(problems: Iterable[str | None]) -> tuple[bool, str]:
    """Whether the test is passed, and a sentence that says so."""
    failed = sum(problem is not None for problem in problems)
    if failed:
        return False, f"{failed} of Spectrum's {len(SERVICES)} services can not be used as they are."
    return True, "Each of Spectrum's services can be used."


# --- whose database it is -------------------------------------------------------------------------------------------


def refuse_other_company() -> None:
    """Raise SettingsError where projects here hold jobs of another Spectrum company than the settings name."""
    ours = current_app.config["SPECTRUM_COMPANY_CODE"]
    held = Project.company_code  # on either side of ours, which an index finds at once among a million
    others = or_(and_(held > "", held < ours), held > ours)
    other = ours and db.session.scalar(select(held).where(others).limit(1))
    if other:
        raise SettingsError(
            f"SPECTRUM_COMPANY_CODE is {ours}, but this database holds projects that are jobs of Spectrum company"
            f" {other}. Set SPECTRUM_COMPANY_CODE to {other}, or DATABASE_URL to the database of {ours}."
        )
