"""An update of a job from claim to outcome, and the reading of a job for the decision about one.

The ticked values were frozen at acceptance. The job is read just before they are sent: what is there already is not
sent, what somebody else changed since the approver saw it is not overwritten, and what the system would otherwise
reset is sent back as it was read. The same update twice changes nothing, so one of unknown outcome is sent again.
"""

from collections.abc import Mapping

from erp import Connection, ErpJob, JobDates, Outcome, ReadError, WriteResult, is_damaged, rules
from extensions import db, writing
from models import INFORMATION, Job, Project, Setting, utcnow
from services import drift, update_form, workflow
from tasks import erp_work
from tasks.erp_work import ErpUnavailable, Request, Transaction

READING, SENDING, CONFIRMING = "Reading the job", "Updating the job", "Confirming"
TRIES = 3
NOT_LISTED = "Spectrum does not list job {}. Look for it there, and refresh the job list."
NO_DATES = "Spectrum does not show the dates of job {}, so the update waits. Countersign looks again by itself."


class DatesUnavailable(Exception):
    """The dates of the job can't be read, so nothing of it may be sent."""


def read_job(erp: Connection, project_id: int) -> tuple[bool, str]:
    """Read a project's job with its dates and keep both; returns whether that worked, and why not. Raises ReadError."""
    project = db.session.get_one(Project, project_id)
    if project.spectrum_job_id is None:
        return False, "The project has no job in Spectrum any more."
    listed = _listed_job(project)
    db.session.rollback()  # no transaction is open while the accounting system is asked
    try:
        job, dates, _ = _read(erp, listed)
    except DatesUnavailable as unavailable:
        return False, str(unavailable)
    if job is None or dates is None:
        return False, NOT_LISTED.format(listed.number)
    with writing():
        _keep(job, dates)
    return True, ""


def carry_out(erp: Connection, transaction: Transaction) -> None:
    """Carry an accepted update as far as it goes now. Raises ErpUnavailable where nothing was sent and all wait."""
    with transaction() as export:
        request, seen, sent, tries = export.lines, export.seen, export.sent_at, export.checks
        error, listed = export.error, _listed_job(export.project)
        export.step = READING
    try:
        job, dates, absent = _read(erp, listed)
    except DatesUnavailable as unavailable:
        _wait(transaction, str(unavailable))
        return
    except ReadError as failure:
        if failure.outcome is Outcome.REFUSED:
            _fail(transaction, WriteResult(failure.outcome, failure.error))
        elif sent:
            _wait(transaction, failure.error)
        else:
            raise ErpUnavailable(failure.error, failure.outcome is Outcome.HELD) from failure
        return
    if job is None or dates is None:
        told = (NO_DATES if job else NOT_LISTED).format(listed.number)
        (_fail(transaction, WriteResult(Outcome.REFUSED, told)) if absent else _wait(transaction, told))
    elif unread := _unread(request, seen, job, dates):
        _wait(transaction, f"Spectrum did not show {unread} of job {listed.number} in full, so the update waits.")
    elif _is_done(request, tries, job, dates):
        _finish(erp, transaction, request, job)
    elif problem := _problem(request, seen, tries, job, dates, error):
        _fail(transaction, WriteResult(Outcome.REFUSED, problem))
    else:
        _send(erp, transaction, request, job, dates)


def _unread(request: Request, seen: Mapping[str, str], job: ErpJob, dates: JobDates) -> str:
    """Return the label of a value that is to be sent or repeated and was not read whole; "" where there is none.

    Without it nobody can tell whether the update is there already, or what it would overwrite.
    """
    there = rules().job_values(job.raw, dates.raw)
    for column in rules().job_values(rules().job_from_request(request).raw):
        now = there.get(column)
        if now is None or (is_damaged(now) and not rules().same_value(column, seen[column], now)):
            return INFORMATION[column][0]
    return rules().unread_value(job.raw, dates.raw)


def _is_done(request: Request, tries: int, job: ErpJob, dates: JobDates) -> bool:
    """Return whether the job has the update; after the last try also in other letters, which may be Spectrum's own."""
    if rules().differences(request, job.raw, dates.raw):
        return False
    wanted, there = rules().job_values(rules().job_from_request(request).raw), rules().job_values(job.raw, dates.raw)
    return tries >= TRIES or all(update_form.is_there(column, value, there[column]) for column, value in wanted.items())


def _problem(request: Request, seen: Mapping[str, str], tries: int, job: ErpJob, dates: JobDates, error: str) -> str:
    """Return what keeps the update from being sent, as a sentence; "" where nothing does."""
    if job.status == "complete":
        return update_form.COMPLETE.format(job.number)
    wanted, there = rules().job_values(rules().job_from_request(request).raw), rules().job_values(job.raw, dates.raw)
    for column, value in wanted.items():
        now = there[column]
        if not any(rules().same_value(column, expected, now) for expected in (value, seen[column])):
            label = INFORMATION[column][0]
            return f"{label} was changed in Spectrum to “{now}” after the update was accepted. Retry to decide again."
    if tries >= TRIES:
        return f"The update was sent {tries} times, and job {job.number} does not have it. {error}".strip()
    return ""


def _send(erp: Connection, transaction: Transaction, request: Request, job: ErpJob, dates: JobDates) -> None:
    with transaction() as export:
        sent_before = export.sent_at
        if Setting.exports_held():  # paused since this round began
            export.step = ""
            export.release(retry_at=utcnow())
            return
        export.step, export.sent_at, export.checks = SENDING, utcnow(), export.checks + 1
    result = erp.update_job(request, job, dates)
    if result.outcome is Outcome.NOT_SENT or result.outcome is Outcome.HELD:
        with transaction() as export:
            export.sent_at, export.checks = sent_before, export.checks - 1
        if result.outcome is Outcome.NOT_SENT and sent_before is None:
            raise ErpUnavailable(result.error, held=False)
    erp_work.end_hold(result)
    match result.outcome:
        case Outcome.CREATED:
            _finish(erp, transaction, request, job)
        case Outcome.REFUSED:
            _fail(transaction, result)
        case _:  # what holds updates alone does not hold exports
            _wait(transaction, result.error)


def _finish(erp: Connection, transaction: Transaction, request: Request, listed: ErpJob) -> None:
    with transaction() as export:
        export.created_at, export.step, export.error = utcnow(), CONFIRMING, ""
        workflow.mark_updated(export.project)
    _read_back(erp, transaction, request, listed)


def _read_back(erp: Connection, transaction: Transaction, request: Request, listed: ErpJob) -> None:
    try:
        job, dates, _ = _read(erp, listed)
        warnings = [] if job and dates else ["The job could not be read back: Spectrum does not list it."]
    except (ReadError, DatesUnavailable) as failure:
        job, dates, warnings = None, None, [f"The job could not be read back. {failure}"]
    with transaction() as export:
        if job and dates:
            sent = {line.key: line.value for line in request}
            differing = rules().differences(request, job.raw, dates.raw)
            warnings = [erp_work.difference_warning(line, sent[line.key]) for line in differing]
            _keep(job, dates)
            drift.mark_one(export.project)
        export.warnings = warnings
        export.finish()


def _read(erp: Connection, listed: ErpJob) -> tuple[ErpJob | None, JobDates | None, bool]:
    """The job and its dates as they are now, and whether the job is proven absent."""
    job, absent = erp_work.find(erp.list_jobs, listed)
    if job is None:
        return None, None, absent
    try:
        return job, erp_work.find(erp.list_job_dates, job)[0], False
    except ReadError as failure:
        if failure.outcome is not Outcome.HELD:
            raise
        said = f"Spectrum's service GetJobDates is missing or not allowed, so no update can be sent. {failure.error}"
        raise DatesUnavailable(said) from failure


def _listed_job(project: Project) -> ErpJob:
    return rules().job_from_raw(project.job.row) if project.job else ErpJob(project.spectrum_job_id or "")


def _keep(job: ErpJob, dates: JobDates) -> None:
    kept = Job.upsert(job)
    kept.dates, kept.read_at = dates.raw, utcnow()


def _wait(transaction: Transaction, error: str) -> None:
    with transaction() as export:
        erp_work.schedule_check(export, "", error)


def _fail(transaction: Transaction, result: WriteResult) -> None:
    with transaction() as export:
        export.error = result.error
        export.field_errors = [[message.field, message.text] for message in result.messages]
        workflow.mark_failed(export.project, result.error)
        export.finish()
