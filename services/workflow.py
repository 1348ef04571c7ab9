"""The workflow of a project: what people do with it, and how its export went on.

Each verb checks `TRANSITIONS`, writes the event and sets the status in one transaction, through one private door.
Nothing here talks to Spectrum or SMTP: whatever is to go out is a row with a due time.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import delete as sql_delete
from sqlalchemy import select

from erp import FieldValue, freeze, job_key, rules
from extensions import db, defer_foreign_keys
from models import (
    FAILED,
    IN_PROGRESS,
    INFORMATION,
    TRANSITIONS,
    WAITING,
    Delivery,
    Event,
    Export,
    Job,
    MailKind,
    MailOutcome,
    NotAllowed,
    Person,
    Project,
    Setting,
    Side,
    Status,
    Transition,
    as_text,
    diff,
    utcnow,
)
from services import duplicates, update_form

NOT_COMPARED = (
    "Countersign was restored from a backup. Nothing can be accepted or exported until Spectrum's whole job list "
    "has been read: a project that waits here may be a job already. Refresh the job list."
)
NOT_DELETABLE = (
    "Only a project that was never sent and has no comments can be deleted. To put it aside, uncheck Active Project?."
)
UNDO_FOR = timedelta(seconds=8)  # a rejection; its mail waits as long
OTHER_APPROVER_NEEDED = "You sent this project, so another accounting approver must accept it."
OTHER_APPROVER_LINKS = "You sent this project, so another accounting approver must link it."


# --- the project manager ----------------------------------------------------------------------------------------------


def create(by: Person | None, information: Mapping[str, Any]) -> Project:
    project = Project(created_by=by, status=Status.NOT_SENT, active=True, **information)
    db.session.add(project)
    db.session.flush()  # its line of history names it
    _record(project, "created", by)
    return project


def edit(project: Project, by: Person, information: Mapping[str, Any]) -> None:
    if not project.editable_columns:
        raise NotAllowed(f"The information is locked while the project is {project.status}.")
    information = project.information | {column: information[column] for column in project.editable_columns}
    changes = diff(project.information, information)
    if changes:
        if project.status is Status.SYNCED:
            project.accepted = update_form.accepted_values(project)  # before anything differs from it
        for column, value in information.items():
            setattr(project, column, value)
        _record(project, "edited", by, changes=changes)


def set_active(project: Project, by: Person, active: bool) -> None:
    """Switch Active. A project that waits for accounting is retrieved first, so that nothing inactive waits."""
    if active == project.active:
        return
    if project.status in IN_PROGRESS:
        raise NotAllowed("A project can't be switched on or off while it is being exported.")
    if not active and project.status in WAITING:
        retrieve(project, by)
    project.active = active
    _record(project, "activated" if active else "deactivated", by)


def delete(project: Project, by: Person) -> None:
    """Delete a project that accounting never saw; one line of the company's history keeps what it was."""
    if not project.is_deletable:
        raise NotAllowed(NOT_DELETABLE)
    told = [[INFORMATION[column][0], value, ""] for column, value in as_text(project.information).items() if value]
    db.session.add(Event(person=by, action="deleted a project", comment=project.title, details={"changes": told}))
    db.session.flush()
    defer_foreign_keys()  # an event can be deleted only after its project
    events = [event.id for event in project.events]
    for gone in (Delivery.event_id.in_(events), Project.id == project.id, Event.id.in_(events)):
        db.session.execute(sql_delete(gone.left.table).where(gone))
    db.session.expunge_all()


def send(project: Project, by: Person, note: str = "") -> None:
    """Submit the project to accounting; once it is a job, the changes of that job."""
    if project.status is Status.SYNCED and (problem := update_form.send_problem(project)):
        raise NotAllowed(problem)
    last = project.latest(Transition.SEND)
    information = as_text(project.information)
    changes = diff(last.details["information"], information) if last else []
    _apply(project, Transition.SEND, by, note, information=information, changes=changes)
    project.sent_by, project.sent_at, project.note = by, utcnow(), note


def retrieve(project: Project, by: Person) -> None:
    _apply(project, Transition.RETRIEVE, by)
    _forget_restoring(project)


def take_over(project: Project, by: Person, column: str) -> None:
    job = _drifted_job(project)
    value = rules().project_from_job(job.row, job.dates)[column]
    edit(project, by, project.information | {column: value})
    there = rules().job_values(job.row, job.dates)[column]
    ours = update_form.settled(column, rules().update_values(project.information)[column], there)
    name = {update_form.PROJECT_NAME: project.name} if column == "name" else {}
    project.accepted = update_form.accepted_values(project) | {column: ours} | name


def send_back(project: Project, by: Person, column: str) -> None:
    _drifted_job(project)
    project.accepted = update_form.accepted_values(project) | {update_form.RESTORE + column: "yes"}
    send(project, by)


def leave(project: Project, by: Person, column: str) -> None:
    """Let the project and its job differ in a value as they do now."""
    job = _drifted_job(project)
    there = rules().job_values(job.row, job.dates)[column]
    project.accepted = update_form.accepted_values(project) | {update_form.LEFT + column: there}
    _record(project, "left a difference", by, changes=[[INFORMATION[column][0], str(getattr(project, column)), there]])


def _drifted_job(project: Project) -> Job:
    if project.status is not Status.SYNCED or project.job is None:
        raise NotAllowed(f"The project's status is {project.status}.")
    return project.job


# --- the accounting approver ------------------------------------------------------------------------------------------


def reject(project: Project, by: Person, comment: str, wait: timedelta = timedelta(0)) -> None:
    """Give the project back, and queue the mail that says why; it goes out after `wait`."""
    before = {"question_to": project.question_to, "accepted": project.accepted}
    event_id = _apply(
        project, Transition.REJECT, by, comment, before={name: value for name, value in before.items() if value}
    )
    _forget_restoring(project)
    if project.status is Status.REJECTED:
        _release_job_number(project)
    for person in _notified_of_rejection(project):
        Delivery.queue(MailKind.REJECTION, event_id, person, wait)


def undo_rejection(project: Project, by: Person) -> None:
    """Make a project that was just rejected what it was before; the mail about the rejection is never sent."""
    rejection, mails = _last_event(project), _rejection_mails(project, lock=True)
    if not _is_undoable(rejection, mails):
        raise NotAllowed("The rejection can no longer be undone: the sender is being notified.")
    for mail in mails:
        mail.end(MailOutcome.SKIPPED, "The rejection was undone.")
    _apply(project, Transition.UNDO_OF_FAILED if rejection.from_status in FAILED else Transition.UNDO, by)
    before = rejection.details["before"]
    project.accepted = before.get("accepted", project.accepted)
    project.question_to = Side(before["question_to"]) if "question_to" in before else None


def can_undo_rejection(project: Project) -> bool:
    if project.status not in TRANSITIONS[Transition.UNDO]:
        return False
    return _is_undoable(_last_event(project), _rejection_mails(project))


def _is_undoable(last: Event, mails: Sequence[Delivery]) -> bool:
    just_now = last.action == Transition.REJECT and utcnow() - last.at < UNDO_FOR
    return just_now and not any(mail.token or mail.tries or mail.outcome for mail in mails)


def undoable_rejections(ids: Sequence[int]) -> Sequence[Project]:
    """Return those of the projects that were rejected just now; undoing checks each again."""
    just_now = (Event.action == Transition.REJECT, Event.at > utcnow() - UNDO_FOR, Event.project_id.in_(ids))
    rejected = Project.id.in_(select(Event.project_id).where(*just_now))
    return db.session.scalars(select(Project).where(rejected, Project.status.in_(TRANSITIONS[Transition.UNDO]))).all()


def _last_event(project: Project) -> Event:
    events = select(Event).where(Event.project_id == project.id).order_by(Event.id.desc())
    return db.session.scalars(events.limit(1)).one()


def _rejection_mails(project: Project, lock: bool = False) -> Sequence[Delivery]:
    rejection, people = _last_event(project), _notified_of_rejection(project)
    keys = [Delivery.event_key(MailKind.REJECTION, rejection.id, person) for person in people]
    mails = select(Delivery).where(Delivery.key.in_(keys)).execution_options(populate_existing=lock)
    return db.session.scalars(mails.with_for_update() if lock else mails).all()


def _notified_of_rejection(project: Project) -> list[Person]:
    return list({person.id: person for person in (project.sent_by, project.created_by) if person}.values())


def accept(project: Project, by: Person, lines: Sequence[FieldValue], template: Job, company_code: str) -> None:
    """Freeze the request to Spectrum, reserve the job number, and leave the rest to the scheduler.

    Used for a retry too. Raises IntegrityError where another project holds that number.
    """
    refuse_acceptance(project, by)
    _supersede_export(project)
    transition = Transition.RETRY if project.status is Status.FAILED else Transition.ACCEPT
    _apply(project, transition, by, template=template.number)
    _reserve_job_number(project, rules().job_from_request(lines).number, company_code)
    _queue_export(project, by, lines, template_number=template.number, copy_phases=bool(template.copy_phases))


def accept_update(project: Project, by: Person, lines: Sequence[FieldValue], seen: Mapping[str, str]) -> None:
    refuse_acceptance(project, by)
    before, project.accepted = project.export, update_form.accepted_values(project)
    _supersede_export(project)
    transition = Transition.RETRY if project.status is Status.UPDATE_FAILED else Transition.ACCEPT
    _apply(project, transition, by, job=project.spectrum_job_id)
    of_template = ("template_number", "copy_phases", "phases_done", "phases_total")  # phases can still be copied
    kept = {name: getattr(before, name) for name in of_template} if before else {"template_number": ""}
    _queue_export(project, by, lines, is_update=True, seen=dict(seen), **kept)


def _queue_export(project: Project, by: Person, lines: Sequence[FieldValue], **facts: Any) -> None:
    db.session.flush()  # the project first: its job number may be taken
    row = {"project_id": project.id, "accepted_by_id": by.id, "request": freeze(lines), "due_at": utcnow()}
    db.session.execute(Export.INSERT, row | facts)
    db.session.expire(project, ["export"])


def refuse_acceptance(project: Project, by: Person) -> None:
    """Raise NotAllowed if this person can't accept the project now, whatever its status."""
    if Setting.restore_pending():
        raise NotAllowed(NOT_COMPARED)
    if project.violates_four_eyes(by.id):
        raise NotAllowed(OTHER_APPROVER_NEEDED)


def cancel_export(project: Project, by: Person) -> None:
    export = _lock_export(project)
    _apply(project, Transition.TAKE_BACK, by)
    if export:
        export.finish()
    if project.status is Status.READY:
        _supersede_export(project)
        _release_job_number(project)


def tell_apart(project: Project, by: Person, other: str) -> None:
    """Record that the project is not the other project or job that looks like it."""
    _record(project, duplicates.TOLD_APART, by, other=other[:80])


# --- jobs that exist already ------------------------------------------------------------------------------------------


def create_from_job(by: Person, job: Job, company_code: str) -> Project:
    """Add a project for a job, linked to it. Raises IntegrityError where its number or job is taken."""
    project = create(by, rules().project_from_job(job.row, job.dates))
    link(project, by, job, company_code)
    return project


def link(project: Project, by: Person, job: Job, company_code: str) -> None:
    """Join the project to a job that exists; nothing is written to Spectrum.

    Raises IntegrityError, at the flush at the latest, where another project holds that job.
    """
    if project.violates_four_eyes(by.id):
        raise NotAllowed(OTHER_APPROVER_LINKS)
    event_id = _apply(project, Transition.LINK, by, job=job.number)
    _supersede_export(project)
    _reserve_job_number(project, job.number, company_code)
    project.accepted = update_form.job_values(project, job) | {update_form.PROJECT_NAME: project.name}
    project.drifted = False
    if project.sent_by:
        Delivery.queue(MailKind.EXPORT, event_id, project.sent_by)


def unlink(project: Project, by: Person, comment: str) -> None:
    _apply(project, Transition.UNLINK, by, comment, job=project.spectrum_job_id)
    _supersede_export(project)
    _release_job_number(project)
    project.suggested_job_key = project.accepted = None


def release_other_job(project: Project, by: Person, comment: str) -> None:
    if not project.conflicting_job or project.export is None:
        raise NotAllowed("There is no other job to tell it apart from.")
    _record(project, "told apart from another job", by, comment, job=project.spectrum_job_id)
    project.export.conflicting_job = project.suggested_job_key = None
    _release_job_number(project)


# --- how an export went on --------------------------------------------------------------------------------------------


def mark_exported(
    project: Project, transition: Transition = Transition.CREATED, by: Person | None = None, comment: str = ""
) -> None:
    event_id = _apply(project, transition, by, comment, job=project.spectrum_job_id)
    if project.sent_by:
        Delivery.queue(MailKind.EXPORT, event_id, project.sent_by)


def mark_updated(project: Project) -> None:
    event_id = _apply(project, Transition.UPDATED, None, job=project.spectrum_job_id)
    sent = rules().job_values(project.export.requested_job.raw) if project.export else {}
    name = {update_form.PROJECT_NAME: project.name} if "name" in sent else {}
    project.accepted = update_form.accepted_values(project) | sent | name
    _forget_restoring(project)
    if project.sent_by:
        Delivery.queue(MailKind.UPDATE, event_id, project.sent_by)


def mark_failed(
    project: Project, error: str, keep_job: bool = False, by: Person | None = None, comment: str = ""
) -> None:
    """Record that Spectrum certainly did not do it. `keep_job` keeps the number of a failed export reserved."""
    _apply(project, Transition.FAIL, by, comment or error)
    if project.status is Status.FAILED and not keep_job:
        _release_job_number(project)


def mark_unknown(project: Project, error: str) -> None:
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
    export = project.export
    if project.status is not Status.SYNCED or export is None or not export.phases_remaining:
        raise NotAllowed("There are no phases left to copy.")
    _record(project, "asked to copy remaining phases", by)
    export.due_at, export.finished_at, export.warnings = utcnow(), None, []


# --- the private doors ------------------------------------------------------------------------------------------------


def _apply(project: Project, transition: Transition, by: Person | None, comment: str = "", **details: Any) -> int:
    """Check the transition, write its event and set the status: the only place that does. Returns the event's id."""
    if not project.allows(transition):
        raise NotAllowed(project.refusal_reason(transition))
    to = TRANSITIONS[transition][project.status]
    event_id = _record(project, str(transition), by, comment, to, **details)
    project.status = to
    if by:
        _settle_question(project, transition)
    return event_id


def _settle_question(project: Project, transition: Transition) -> None:
    """End open questions at a decision; one by the project manager outlives their own sending."""
    if project.question_to is Side.SENDER or transition not in (Transition.SEND, Transition.RETRIEVE):
        project.question_to = None


def _record(
    project: Project,
    action: str,
    by: Person | None,
    comment: str = "",
    to: Status | None = None,
    **details: Any,
) -> int:
    row = {
        "project_id": project.id,
        "person_id": by.id if by else None,
        "action": action,
        "from_status": project.status,
        "to_status": to or project.status,
        "comment": comment,
        "details": details,
    }
    db.session.expire(project, ["events"])
    return Event.write(row)


def _forget_restoring(project: Project) -> None:
    if project.accepted:
        kept = {key: value for key, value in project.accepted.items() if not key.startswith(update_form.RESTORE)}
        project.accepted = kept


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
