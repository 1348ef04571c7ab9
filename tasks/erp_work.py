"""Steps that exports and updates share: finding a job by its number, and postponing."""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import Any, TypeVar

from sqlalchemy import select

from erp import ErpJob, FieldValue, JobDates, Outcome, ReadResult, WriteResult
from extensions import db, writing
from models import Export, Job, Setting, SettingName, utcnow

Request = list[FieldValue]
Listed = TypeVar("Listed", ErpJob, JobDates)
Transaction = Callable[[], AbstractContextManager[Export]]

SLOW_DOWN_AFTER = 6  # checks; an export that stays unclear is then looked for ten times less often


class ErpUnavailable(Exception):
    """The accounting system can't be worked with now; nothing was sent, so every export waits."""

    def __init__(self, error: str, held: bool) -> None:
        super().__init__(error)
        self.held = held  # until a setting is fixed


def end_hold(result: WriteResult) -> None:
    """Record that the setting which held every export is fixed, where a write got through."""
    if result.outcome not in (Outcome.NOT_SENT, Outcome.HELD) and Setting.read(SettingName.HELD):
        with writing():
            Setting.write(SettingName.HELD, None)


def schedule_check(export: Export, step: str, error: str) -> None:
    export.step, export.error = step, error
    export.release(retry_at=utcnow() + Export.retry_delay(slow=export.checks >= SLOW_DOWN_AFTER))


def find(list_rows: Callable[..., ReadResult[Listed]], job: ErpJob) -> tuple[Listed | None, bool]:
    """The row of a job, or None; and whether its absence is proven.

    Complete jobs are looked through too; a list that was cut short is narrowed. Absence is proven only where each list
    was read to its end, and each showed a job that was known before, if one of its kind was. Raises ReadError.
    """
    complete, proofs = True, []
    for status in ("open", "complete"):
        shown = set[str]()
        for narrowed in ({}, filters(job)):
            listing = list_rows(status, **narrowed)
            if found := pick(listing.rows, job):
                return found, False
            shown |= {row.key for row in listing.rows}
            if listing.complete:
                break
        complete = complete and listing.complete
        proofs.append(_shows_known(status, shown))
    return None, complete and any(proofs) and None not in proofs


def _shows_known(status: str, shown: set[str]) -> bool | None:
    """Tell whether a list showed a known job; None where it shows none although it had one, so it proves nothing."""
    known = dict(db.session.execute(select(Job.key, Job.status_code).where(Job.listed, Job.removed_at.is_(None))).all())
    db.session.rollback()
    if not known.keys().isdisjoint(shown):
        return True
    had_one = any((code == "C") is (status == "complete") for code in known.values())
    return None if had_one else False


def filters(job: ErpJob) -> dict[str, Any]:
    return {"customer": job.customer, "division": job.division, "cost_center": job.cost_center}


def pick(rows: Iterable[Listed], job: ErpJob) -> Listed | None:
    return next((row for row in rows if row.key == job.key), None)


def difference_warning(line: FieldValue, sent: str) -> str:
    """Say that a value was not kept as it was sent; `line` has it as it is in Spectrum."""
    if not line.value:
        return f"Spectrum did not keep {line.label} ({sent})."
    return f"{line.label} was sent as “{sent}” and is “{line.value}” in Spectrum."
