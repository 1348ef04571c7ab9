"""The workflow of a project: what people do with it, and how its export went on.

Each verb checks `TRANSITIONS`, writes the event and sets the status in one transaction, through one private door.
Nothing here talks to Spectrum or SMTP: whatever is to go out is a row with a due time.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy.orm.attributes import set_committed_value

from erp import FieldValue, freeze, job_key, rules
from extensions import db
from models import (
    IN_PROGRESS,
    TRANSITIONS,
    Delivery,
    Event,
    Export,
    Job,
    NotAllowed,
    Person,
    Project,
    Setting,
    Status,
    Transition,
    as_text,
    diff,
    utcnow,
)

NOT_COMPARED = (
    "Countersign was restored from a backup. Nothing can be accepted or exported until Spectrum's whole job list "
    "has been read: a project that waits here may be a job already. Refresh the job list."
)
OTHER_APPROVER_NEEDED = "You sent this project, so another accounting approver must accept it."
OTHER_APPROVER_LINKS = "You sent this project, so another accounting approver must link it."


# --- the project manager ----------------------------------------------------------------------------------------------


def create(by: Person | None, information: Mapping[str, Any]) -> Project:
    """Add a project that is Not Sent."""
    project = Project(created_by=by, status=Status.NOT_SENT, active=True, **information)
    db.session.add(project)
    _record(project, "created", by)
    return project


def edit(project: Project, by: Person, information: Mapping[str, Any]) -> None:
    """Change the information, with an event if anything differs."""
    if not project.editable:
        raise NotAllowed(f"The information is locked while the project is {project.status}.")
    changes = diff(project.information, information)
    if changes:
        for column, value in information.items():
            setattr(project, column, value)
        _record(project, "edited", by, changes=changes)


def set_active(project: Project, by: Person, active: bool) -> None:
    """Switch Active. A project that waits for accounting is retrieved first, so that nothing inactive waits."""
    if active == project.active:
        return
    if project.status in IN_PROGRESS:
        raise NotAllowed("A project can't be switched on or off while it is being exported.")
    if not active and project.status is Status.READY:
        retrieve(project, by)
    project.active = active
    _record(project, "activated" if active else "deactivated", by)


def send(project: Project, by: Person, note: str = "") -> None:
    """Submit the project to accounting."""
    last = project.latest(Transition.SEND)
    information = as_text(project.information)
    changes = diff(last.details["information"], information) if last else []
    _apply(project, Transition.SEND, by, note, information=information, changes=changes)
    project.sent_by, project.sent_at, project.note = by, utcnow(), note


def retrieve(project: Project, by: Person) -> None:
    """Take a waiting project back from accounting."""
    _apply(project, Transition.RETRIEVE, by)


# --- the accounting approver ------------------------------------------------------------------------------------------


def reject(project: Project, by: Person, comment: str) -> None:
    """Give the project back, and queue the mail that says why."""
    event = _apply(project, Transition.REJECT, by, comment)
    _release_job_number(project)
    for person in {person.id: person for person in (project.sent_by, project.created_by) if person}.values():
        Delivery.queue("rejection", event, person)


def accept(project: Project, by: Person, lines: Sequence[FieldValue], template: Job, company_code: str) -> Export:
    """Freeze the request to Spectrum, reserve the job number, and leave the rest to the scheduler.

    Used for a retry too. Raises IntegrityError at the flush where another project holds that number.
    """
    refuse_acceptance(project, by)
    _supersede_export(project)
    transition = Transition.RETRY if project.status is Status.FAILED else Transition.ACCEPT
    _apply(project, transition, by, template=template.number)
    _reserve_job_number(project, rules().job_from_request(lines).number, company_code)
    export = Export(
        project=project,
        accepted_by=by,
        template_number=template.number,
        copy_phases=bool(template.copy_phases),
        request=freeze(lines),
        due_at=utcnow(),
    )
    db.session.add(export)
    db.session.flush()
    set_committed_value(project, "export", export)
    return export


def refuse_acceptance(project: Project, by: Person) -> None:
    """Raise NotAllowed if this person can't accept the project now, whatever its status."""
    if Setting.restore_pending():
        raise NotAllowed(NOT_COMPARED)
    if project.violates_four_eyes(by.id):
        raise NotAllowed(OTHER_APPROVER_NEEDED)


def cancel_export(project: Project, by: Person) -> None:
    """Take back an acceptance of which nothing was sent yet."""
    export = _lock_export(project)
    _apply(project, Transition.TAKE_BACK, by)
    if export:
        export.finish()
    _supersede_export(project)
    _release_job_number(project)


# --- jobs that exist already ------------------------------------------------------------------------------------------


def create_from_job(by: Person, job: Job, company_code: str) -> Project:
    """Add a project for a job, linked to it. Raises IntegrityError where its number or job is taken."""
    project = create(by, rules().project_from_job(job.row))
    link(project, by, job, company_code)
    return project


def link(project: Project, by: Person, job: Job, company_code: str) -> None:
    """Join the project to a job that exists; nothing is written to Spectrum.

    Raises IntegrityError, at the flush at the latest, where another project holds that job.
    """
    if project.violates_four_eyes(by.id):
        raise NotAllowed(OTHER_APPROVER_LINKS)
    event = _apply(project, Transition.LINK, by, job=job.number)
    _supersede_export(project)
    _reserve_job_number(project, job.number, company_code)
    if project.sent_by:
        Delivery.queue("export", event, project.sent_by)


def unlink(project: Project, by: Person, comment: str) -> None:
    """Undo a link that was wrong; the job stays in Spectrum."""
    _apply(project, Transition.UNLINK, by, comment, job=project.spectrum_job_id)
    _supersede_export(project)
    _release_job_number(project)
    project.suggested_job_key = None


def release_other_job(project: Project, by: Person, comment: str) -> None:
    """Record that the job found under this number is not the project's, and free the number."""
    if not project.conflicting_job or project.export is None:
        raise NotAllowed("There is no other job to tell it apart from.")
    _record(project, "told apart from another job", by, comment, job=project.spectrum_job_id)
    project.export.conflicting_job = project.suggested_job_key = None
    _release_job_number(project)


# --- how an export went on --------------------------------------------------------------------------------------------


def mark_exported(
    project: Project, transition: Transition = Transition.CREATED, by: Person | None = None, comment: str = ""
) -> None:
    """Record that the job is in Spectrum, and queue the mail to the sender."""
    event = _apply(project, transition, by, comment, job=project.spectrum_job_id)
    if project.sent_by:
        Delivery.queue("export", event, project.sent_by)


def mark_failed(
    project: Project, error: str, keep_job: bool = False, by: Person | None = None, comment: str = ""
) -> None:
    """Record that Spectrum certainly made no job of this project. `keep_job` keeps the number reserved."""
    _apply(project, Transition.FAIL, by, comment or error)
    if not keep_job:
        _release_job_number(project)


def mark_unknown(project: Project, error: str) -> None:
    """Record that the job may exist, because Spectrum did not confirm it."""
    _apply(project, Transition.LOSE_TRACK, None, error)


def resolve(project: Project, by: Person, exists: bool, comment: str = "") -> None:
    """End the Checking on a person's word; the comment says how they know that the job is not in Spectrum."""
    export = _lock_export(project)
    if export is None or not project.can_be_resolved:
        raise NotAllowed("Countersign is still looking for it in Spectrum.")
    if export.lease_until and export.lease_until > utcnow():
        raise NotAllowed("Countersign is asking Spectrum right now. Try again in a few seconds.")
    if exists:
        export.created_at = utcnow()
        mark_exported(project, Transition.FOUND, by)
    else:
        mark_failed(project, export.error, by=by, comment=comment)
    export.finish()


def copy_remaining_phases(project: Project, by: Person) -> None:
    """Have the scheduler copy the template's phases that the job does not have yet."""
    export = project.export
    if project.status is not Status.SYNCED or export is None or not export.phases_remaining:
        raise NotAllowed("There are no phases left to copy.")
    _record(project, "asked to copy remaining phases", by)
    export.due_at, export.finished_at, export.warnings = utcnow(), None, []


# --- the private doors ------------------------------------------------------------------------------------------------


def _apply(project: Project, transition: Transition, by: Person | None, comment: str = "", **details: Any) -> Event:
    """Check the transition, write its event and set the status: the only place that does."""
    if not project.allows(transition):
        raise NotAllowed(project.refusal_reason(transition))
    to = TRANSITIONS[transition][1]
    event = _record(project, str(transition), by, comment, to, **details)
    project.status = to
    return event


def _record(
    project: Project,
    action: str,
    by: Person | None,
    comment: str = "",
    to: Status | None = None,
    **details: Any,
) -> Event:
    event = Event(
        project=project,
        person=by,
        action=action,
        from_status=project.status,
        to_status=to or project.status,
        comment=comment,
        details=details,
    )
    db.session.add(event)
    return event


def _reserve_job_number(project: Project, number: str, company_code: str) -> None:
    project.spectrum_job_id, project.job_key, project.company_code = number, job_key(number), company_code


def _release_job_number(project: Project) -> None:
    project.spectrum_job_id = project.job_key = project.company_code = None


def _lock_export(project: Project) -> Export | None:
    """Read the export anew and lock it: its worker may write to it at any moment."""
    if project.export:
        db.session.refresh(project.export, with_for_update=True)
    return project.export


def _supersede_export(project: Project) -> None:
    """Make the present export history: another acceptance or a link replaces it."""
    if project.export:
        project.export.current = False
        db.session.flush()
        db.session.expire(project, ["export"])
