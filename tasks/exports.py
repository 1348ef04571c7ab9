"""An export from claim to outcome.

The request was frozen at acceptance. "Sent at" is committed before the job is created, so a crash in between is seen as
an unknown outcome and settled by looking in the accounting system, never by sending blindly again. No transaction is
open while the system is asked, and each one first makes sure that the export is still this worker's.
"""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any, cast

from flask import current_app
from sqlalchemy import update

from erp import Connection, ErpJob, Outcome, ReadError, WriteResult, is_damaged, rules
from extensions import db, writing
from lib.leases import Renewing
from models import Export, Job, LeaseLost, Setting, SettingName, Status, Transition, utcnow
from services import workflow
from tasks import erp_connection, erp_work, phases, updates
from tasks.erp_work import ErpUnavailable, Request, Transaction

CHECKING, CREATING, CONFIRMING = "Checking", "Creating the job", "Confirming"
CHECKS_BEFORE_RESENDING = 2
MORE_THAN_LISTED = "The job was not read back: Spectrum has more jobs like it than it lists at once."
NOT_LISTED_YET = "Spectrum confirmed the job but does not list it yet."

PROVES_NOTHING = (
    " The list showed no job that was known before, or was cut short, so this proves nothing. Refresh the job list, or "
    "look in Spectrum and press It is in Spectrum or It is not in Spectrum."
)


def run_due(
    erp: Connection, report: Callable[[str], object] = lambda line: None, stopping: Callable[[], bool] = lambda: False
) -> None:
    """Carry each due export as far as it goes now; the first that can't be sent ends the round.

    `report` receives a line per project. Once `stopping` says so, no other export is begun.
    """
    while not stopping() and not Setting.exports_held() and (claimed := Export.claim(_lease())):
        export_id, token = claimed
        try:
            transaction = partial(Export.transaction, export_id, token, _lease())
            _process(cast("Connection", Renewing(erp, transaction)), transaction)
        except ErpUnavailable as unavailable:
            _postpone_all(unavailable)
            report(_line(export_id) + (f" {unavailable}" if unavailable.held else ""))
            return
        except LeaseLost:
            continue
        report(_line(export_id))


def _line(export_id: int) -> str:
    export = db.session.get_one(Export, export_id)
    detail = f": {export.error}" if export.error else ""
    return f"{export.project.title}: {export.project.status}{detail}"


def _lease() -> timedelta:
    """A lease lasts for one call; it is renewed with every transaction."""
    return timedelta(seconds=current_app.config["SPECTRUM_DEADLINE"] + 30)


def _postpone_all(unavailable: ErpUnavailable) -> None:
    """Postpone every unsent export at once: 500 must not each wait for a connect timeout.

    What a setting holds is said once, on every page, and not at each project.
    """
    waiting = update(Export).where(Export.due(utcnow()), Export.sent_at.is_(None))
    later = {"due_at": utcnow() + Export.retry_delay(), "token": None, "lease_until": None, "step": ""}
    with writing():
        db.session.execute(waiting.values(**later, error="" if unavailable.held else str(unavailable)))
        if unavailable.held:
            since = (Setting.read(SettingName.HELD) or {}).get("since", utcnow().isoformat())
            Setting.write(SettingName.HELD, {"error": str(unavailable), "since": since})


def _process(erp: Connection, transaction: Transaction) -> None:
    with transaction() as export:
        request, sent, answered = export.lines, export.sent_at, export.created_at
        synced, is_update = export.project.status is Status.SYNCED, export.is_update
        export.step = CONFIRMING if answered else CHECKING
        if not sent:
            export.error = ""
    if synced:
        _complete(erp, transaction, request)
    elif is_update:
        updates.carry_out(erp, transaction)
    elif answered:
        _await_listing(erp, transaction, request)
    elif sent:
        _reconcile(erp, transaction, request)
    else:
        _create(erp, transaction, request)


# --- the first time -------------------------------------------------------------------------------------------------


def _create(erp: Connection, transaction: Transaction, request: Request) -> None:
    try:
        existing = erp_work.pick(erp.list_jobs(**_filters(request)).rows, rules().job_from_request(request))
    except ReadError as failure:
        if failure.outcome is not Outcome.REFUSED:
            raise ErpUnavailable(failure.error, failure.outcome is Outcome.HELD) from failure
        _mark_failed(transaction, WriteResult(failure.outcome, failure.error))
        return
    if existing:
        _mark_conflict(transaction, existing)
        return
    with transaction() as export:
        if Setting.exports_held():  # paused since this round began
            export.step = ""
            export.release(retry_at=utcnow())
            return
        export.step, export.sent_at = CREATING, utcnow()
    _take_result(erp, transaction, request, erp.create_job(request))


def _take_result(erp: Connection, transaction: Transaction, request: Request, result: WriteResult) -> None:
    erp_work.end_hold(result)
    match result.outcome:
        case Outcome.CREATED:
            _take_confirmation(erp, transaction, request, result)
        case Outcome.NOT_SENT | Outcome.HELD:
            with transaction() as export:
                export.sent_at = None
            raise ErpUnavailable(result.error, result.outcome is Outcome.HELD)
        case Outcome.UNKNOWN:
            with transaction() as export:
                workflow.mark_unknown(export.project, result.error)
                _schedule_check(export, result.error)
        case _:
            _mark_failed(transaction, result)


def _take_confirmation(erp: Connection, transaction: Transaction, request: Request, result: WriteResult) -> None:
    """Take a whole “created” reply at its word once this installation has listed such a job."""
    proven = erp_connection.is_proven()
    with transaction() as export:
        export.created_at, export.step, export.error = utcnow(), CONFIRMING, ""
        if proven:
            workflow.mark_exported(export.project)
            Job.upsert(rules().job_from_request(request))
    if proven:
        _complete(erp, transaction, request)
    else:
        _await_listing(erp, transaction, request, result.reply)


def _await_listing(erp: Connection, transaction: Transaction, request: Request, reply: str = "") -> None:
    """Mark the project Synced only once the job is listed: no confirmation was ever verified here."""
    try:
        found, _ = find_job(erp, request)
        error = NOT_LISTED_YET
    except ReadError as failure:
        found, error = None, f"{NOT_LISTED_YET} {failure.error}"
    if found is None:
        with transaction() as export:
            if export.project.status is Status.EXPORTING:
                workflow.mark_unknown(export.project, error)
            export.checks += 1
            _schedule_check(export, error)
        return
    with transaction() as export:
        export.step, export.error = CONFIRMING, ""
        workflow.mark_exported(export.project)
        Job.upsert(found)
        erp_connection.note_proof(reply)
    _complete(erp, transaction, request)


def _mark_failed(transaction: Transaction, result: WriteResult) -> None:
    with transaction() as export:
        export.error = result.error
        export.field_errors = [[message.field, message.text] for message in result.messages]
        workflow.mark_failed(export.project, result.error)
        export.finish()


def _mark_conflict(transaction: Transaction, found: ErpJob) -> None:
    with transaction() as export:
        export.error = f"Job {found.number} already exists in Spectrum and is not this project."
        export.conflicting_job = found.raw
        workflow.mark_failed(export.project, export.error, keep_job=True)
        export.finish()
        Job.upsert(found)


# --- an outcome that is not known -----------------------------------------------------------------------------------


def _reconcile(erp: Connection, transaction: Transaction, request: Request) -> None:
    with transaction() as export:
        if export.project.status is Status.EXPORTING:  # a crash between sending and the answer
            workflow.mark_unknown(export.project, "Countersign was interrupted while Spectrum was creating the job.")
        export.step = CHECKING
    try:
        found, absent = find_job(erp, request)
    except ReadError as failure:
        with transaction() as export:
            _schedule_check(export, failure.error)
        return
    if found and all(is_damaged(line.value) for line in rules().differences(request, found.raw)):
        _mark_found(transaction, found)
        _complete(erp, transaction, request)
    elif found:
        _mark_conflict(transaction, found)
    else:
        _take_absence(erp, transaction, request, absent)


def _mark_found(transaction: Transaction, found: ErpJob) -> None:
    with transaction() as export:
        export.created_at, export.step, export.error = utcnow(), CONFIRMING, ""
        workflow.mark_exported(export.project, Transition.FOUND)
        Job.upsert(found)


def _take_absence(erp: Connection, transaction: Transaction, request: Request, proven: bool) -> None:
    """Send once more after two checks that proved the job absent; a list that proves nothing never leads to that."""
    number = rules().job_from_request(request).number
    error = f"Job {number} is not in Spectrum's job list."
    if not proven:
        error += PROVES_NOTHING
    with transaction() as export:
        export.checks += 1
        export.absences += proven
        enough = proven and not export.resent and export.absences >= CHECKS_BEFORE_RESENDING
        if not enough or Setting.exports_held():
            _schedule_check(export, error)
            return
        export.step, export.resent = CREATING, True
    _take_second_result(erp, transaction, request, erp.create_job(request))


def _take_second_result(erp: Connection, transaction: Transaction, request: Request, result: WriteResult) -> None:
    """After a second try only "created" settles it; a duplicate, too, means that the first one may have worked."""
    if result.outcome is Outcome.CREATED:
        _take_confirmation(erp, transaction, request, result)
        return
    with transaction() as export:
        export.resent = result.outcome not in (Outcome.NOT_SENT, Outcome.HELD)
        _schedule_check(export, result.error)


def _schedule_check(export: Export, error: str) -> None:
    erp_work.schedule_check(export, CHECKING, error)


# --- the job is there: what is left to do ---------------------------------------------------------------------------


def _complete(erp: Connection, transaction: Transaction, request: Request) -> None:
    """Copy the template's phases where it asks for them, and read the new job back. Trouble is a warning."""
    if phases.copy(erp, transaction, rules().job_from_request(request).number):
        with transaction() as export:
            export.step = CONFIRMING
    found, dates, warnings = _read_back(erp, request)
    with transaction() as export:
        export.warnings = [*export.warnings, *warnings]
        export.finish()
        if found:
            Job.upsert(found).dates = dates


def _read_back(erp: Connection, request: Request) -> tuple[ErpJob | None, dict[str, str] | None, list[str]]:
    """The new job as it is listed, if it is, its dates, and what there is to warn of."""
    try:
        listing = erp.list_jobs(**_filters(request))
        found = erp_work.pick(listing.rows, rules().job_from_request(request))
        if not found and not listing.complete:  # nor would it be found in a list that is less narrow
            return None, None, [MORE_THAN_LISTED]
        found = found or find_job(erp, request)[0]
    except ReadError as failure:
        return None, None, [f"The new job could not be read back. {failure.error}"]
    if found is None:
        return None, None, [NOT_LISTED_YET]
    sent, dates = {line.key: line.value for line in request}, _read_dates(erp, request)
    differing = rules().differences(request, found.raw, dates)
    return found, dates, [erp_work.difference_warning(line, sent.get(line.key, "")) for line in differing]


def _read_dates(erp: Connection, request: Request) -> dict[str, str] | None:
    """The new job's dates, where the system can tell them: the service is optional."""
    try:
        dates = erp_work.pick(erp.list_job_dates(**_filters(request)).rows, rules().job_from_request(request))
    except ReadError:
        return None
    return dates.raw if dates else None


def find_job(erp: Connection, request: Request) -> tuple[ErpJob | None, bool]:
    return erp_work.find(erp.list_jobs, rules().job_from_request(request))


def _filters(request: Request) -> dict[str, Any]:
    return erp_work.filters(rules().job_from_request(request))
