"""An export from claim to outcome.

The request was frozen at acceptance; "sent at" is committed before AddJob is called, so a crash in the middle is seen
as an unknown outcome and settled by looking in Spectrum, never by sending blindly again. No transaction is open while
Spectrum is spoken to, and each one first makes sure that the export is still this worker's.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from datetime import timedelta
from functools import partial
from typing import cast

from flask import current_app
from sqlalchemy import update

from erp import ERP, Outcome, ReadError, WriteResult
from erp.spectrum.mapping import differences, job_key
from extensions import db, writing
from lib.leases import Renewing
from models import Export, Job, LeaseLost, Setting, Status, Transition, utcnow
from services import workflow
from tasks import phases

Values = Mapping[str, str]
Hold = Callable[[], AbstractContextManager[Export]]

CHECKING, CREATING, CONFIRMING = "Checking", "Creating the job", "Confirming"
LOOKS_BEFORE_RESENDING = 2
MORE_THAN_LISTED = "It was not read back: Spectrum has more jobs like it than it lists at once."
SLOW_DOWN_AFTER = 6  # after these, an export that stays unclear is looked for ten times less often


class ErpUnavailable(Exception):
    """Spectrum can not be worked with now; nothing was sent, so every export waits."""


def run_due(
    erp: ERP, report: Callable[[str], object] = lambda line: None, stopping: Callable[[], bool] = lambda: False
) -> None:
    """Carry each export that is due as far as it goes now; the first that can not be sent ends the round.

    `report` receives a line per project. Once `stopping` says so, no other export is begun.
    """
    while not stopping() and not Setting.exports_held() and (claimed := Export.claim(_lease())):
        export_id, token = claimed
        try:
            hold = partial(Export.transaction, export_id, token, _lease())
            _process(cast("ERP", Renewing(erp, hold)), hold)
        except ErpUnavailable as reason:
            _postpone_all(str(reason))
            report(_line(export_id))
            return
        except LeaseLost:
            continue
        report(_line(export_id))


def _line(export_id: int) -> str:
    export = db.session.get_one(Export, export_id)
    detail = f": {export.error}" if export.error else ""
    return f"{export.project.title}: {export.project.status}{detail}"


def _lease() -> timedelta:
    """Long enough for one call to Spectrum; it is renewed with every transaction."""
    return timedelta(seconds=current_app.config["SPECTRUM_DEADLINE"] + 30)


def _postpone_all(error: str) -> None:
    """Postpone every unsent export at once: 500 must not each wait for a connect timeout."""
    waiting = update(Export).where(Export.due(utcnow()), Export.sent_at.is_(None))
    with writing():
        db.session.execute(
            waiting.values(due_at=utcnow() + Export.retry_delay(), token=None, lease_until=None, step="", error=error)
        )


def _process(erp: ERP, hold: Hold) -> None:
    with hold() as export:
        values, sent, made, resent = export.values, export.sent_at, export.created_at, export.resent
        export.step = CONFIRMING if made else CHECKING
        if not sent:
            export.error = ""
    if made:
        _complete(erp, hold, values)
    elif sent:
        _reconcile(erp, hold, values, resent)
    else:
        _create(erp, hold, values)


# --- the first time -------------------------------------------------------------------------------------------------


def _create(erp: ERP, hold: Hold, values: Values) -> None:
    try:
        found = _find_existing(erp, values)
    except ReadError as reading:
        if reading.outcome in (Outcome.NOT_SENT, Outcome.UNKNOWN):
            raise ErpUnavailable(reading.cause) from reading
        _failed(hold, WriteResult(reading.outcome, reading.cause))
        return
    if found:
        _another_job(hold, found)
        return
    with hold() as export:
        if Setting.exports_held():  # paused since this round began
            export.step = ""
            export.release(retry_at=utcnow())
            return
        export.step, export.sent_at = CREATING, utcnow()
    _take_answer(erp, hold, values, erp.add_job(values))


def _take_answer(erp: ERP, hold: Hold, values: Values, answer: WriteResult) -> None:
    match answer.outcome:
        case Outcome.CREATED:
            _created(hold, values)
            _complete(erp, hold, values)
        case Outcome.NOT_SENT:
            with hold() as export:
                export.sent_at = None
            raise ErpUnavailable(answer.cause)
        case Outcome.UNKNOWN:
            with hold() as export:
                workflow.mark_unknown(export.project, answer.cause)
                _schedule_check(export, answer.cause)
        case _:
            _failed(hold, answer)


def _created(hold: Hold, values: Values) -> None:
    with hold() as export:
        export.created_at, export.step, export.error = utcnow(), CONFIRMING, ""
        workflow.mark_exported(export.project)
        Job.keep(values)


def _failed(hold: Hold, answer: WriteResult) -> None:
    with hold() as export:
        export.error = answer.cause
        export.field_errors = [[message.element, message.text] for message in answer.messages]
        workflow.mark_failed(export.project, answer.cause)
        export.finish()


def _another_job(hold: Hold, found: Values) -> None:
    with hold() as export:
        export.error = f"Job {found['Job_Number']} already exists in Spectrum and is not this project."
        export.conflicting_job = dict(found)
        workflow.mark_failed(export.project, export.error, keep_job=True)
        export.finish()
        Job.keep(found)


# --- an outcome that is not known -----------------------------------------------------------------------------------


def _reconcile(erp: ERP, hold: Hold, values: Values, resent: bool) -> None:
    with hold() as export:
        if export.project.status is Status.EXPORTING:  # a crash between sending and the answer
            workflow.mark_unknown(export.project, "Countersign was interrupted while Spectrum was creating the job.")
        export.step = CHECKING
    try:
        found, certain = look(erp, values)
    except ReadError as reading:
        with hold() as export:
            _schedule_check(export, reading.cause)
        return
    if found and not differences(values, found):
        _found_ours(hold, found)
        _complete(erp, hold, values)
    elif found:
        _another_job(hold, found)
    else:
        _not_found(erp, hold, values, may_resend=certain and not resent)


def _found_ours(hold: Hold, found: Values) -> None:
    with hold() as export:
        export.created_at, export.step, export.error = utcnow(), CONFIRMING, ""
        workflow.mark_exported(export.project, Transition.FOUND)
        Job.keep(found)


def _not_found(erp: ERP, hold: Hold, values: Values, may_resend: bool) -> None:
    with hold() as export:
        export.checks += 1
        if export.checks < LOOKS_BEFORE_RESENDING or not may_resend or Setting.exports_held():
            _schedule_check(export, f"Job {values['Job_Number']} is not in Spectrum's job list.")
            return
        export.step, export.resent = CREATING, True
    _take_second_answer(erp, hold, values, erp.add_job(values))


def _take_second_answer(erp: ERP, hold: Hold, values: Values, answer: WriteResult) -> None:
    """After a second AddJob only "created" settles it; a duplicate, too, means that the first one may have worked."""
    if answer.outcome is Outcome.CREATED:
        _created(hold, values)
        _complete(erp, hold, values)
        return
    with hold() as export:
        export.resent = answer.outcome is not Outcome.NOT_SENT
        _schedule_check(export, answer.cause)


def _schedule_check(export: Export, cause: str) -> None:
    export.step, export.error = CHECKING, cause
    export.release(retry_at=utcnow() + Export.retry_delay(slow=export.checks >= SLOW_DOWN_AFTER))


# --- the job is there: what is left to do ---------------------------------------------------------------------------


def _complete(erp: ERP, hold: Hold, values: Values) -> None:
    """Copy the template's phases where it asks for them, and read the new job back. What goes wrong is a remark."""
    if phases.copy(erp, hold, values["Job_Number"]):
        with hold() as export:
            export.step = CONFIRMING
    found, warnings = _read_back(erp, values)
    with hold() as export:
        export.warnings = [*export.warnings, *warnings]
        export.finish()
        if found:
            Job.keep(found)


def _read_back(erp: ERP, values: Values) -> tuple[Values | None, list[str]]:
    """The new job as Spectrum lists it, if it does, and what there is to remark."""
    try:
        listing = erp.jobs(**_filters(values))
        found = _pick(listing.rows, values)
        if not found and not listing.complete:  # nor would it be found in a list that is less narrow
            return None, [MORE_THAN_LISTED]
        found = found or look(erp, values)[0]
    except ReadError as reading:
        return None, [f"The new job could not be read back. {reading.cause}"]
    if found is None:
        return None, ["Spectrum does not list the new job yet."]
    differing = differences(values, found)
    return found, [f"{label} was sent as “{sent}” and is “{read}” in Spectrum." for label, sent, read in differing]


def look(erp: ERP, values: Values) -> tuple[Values | None, bool]:
    """The job of that number as Spectrum lists it, or None; and whether its absence is certain.

    Raises Unreadable. Complete jobs are looked through too; a list that was cut short is narrowed by what was sent.
    """
    certain = True
    for status in ("", "C"):
        listing = erp.jobs(status=status)
        found = _pick(listing.rows, values)
        if not found and not listing.complete:
            listing = erp.jobs(status=status, **_filters(values))
            found = _pick(listing.rows, values)
        if found:
            return found, True
        certain = certain and listing.complete
    return None, certain


def _find_existing(erp: ERP, values: Values) -> Values | None:
    return _pick(erp.jobs(**_filters(values)).rows, values)


def _filters(values: Values) -> dict[str, str]:
    filters = {"customer": "Customer_Code", "division": "Division", "cost_center": "Cost_Center"}
    return {name: values.get(element, "") for name, element in filters.items()}


def _pick(rows: list[dict[str, str]], values: Values) -> Values | None:
    wanted = job_key(values["Job_Number"])
    return next((row for row in rows if job_key(row["Job_Number"]) == wanted), None)
