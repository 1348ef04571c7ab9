"""One project before accounting: the facts, accept, reject, take back, and how a Checking ends."""

from typing import Any

from flask import Blueprint, current_app, redirect, render_template, request, url_for
from flask_login import current_user
from sqlalchemy.exc import IntegrityError

from blueprints import comments
from blueprints.approvals.responses import (
    CommentPrompt,
    comment,
    conflict,
    current_project,
    export_begun,
    get_project,
    next_form,
    not_allowed,
    render_project,
    render_row,
    success,
    with_announcement,
)
from extensions import db
from models import FAILED, UPDATE, Level, NotAllowed, Project, Status, TaskKind, TaskRequest, Transition
from permissions import APPROVER, Rule, changes_nothing, requires
from services import accept_form as acceptance
from services import job_numbers, mail_settings, update_form, workflow

blueprint = Blueprint("approvals", __name__, url_prefix="/approvals/<int:project_id>")
blueprint.register_error_handler(NotAllowed, not_allowed)
VIEWER = Rule(erp=Level.READ_ONLY, or_sender=True)
PANELS = ("accept", "reject", "link", "not-ours", "unlink", "absent")
REJECT = CommentPrompt("approvals.reject", "Reject", "It tells the sender what to correct.")
ABSENT = CommentPrompt(
    "approvals.absent", "It is not in Spectrum", "How do you know? The number can be used again afterwards."
)


@blueprint.get("")
@requires(VIEWER)
def project(project_id: int) -> Any:
    """The project; what a button asks for, such as `?accept`, has a page of its own."""
    if asked := next((panel for panel in PANELS if panel in request.args), None):
        return redirect(f"{request.path}/{asked}")
    return render_project(get_project(project_id))


@blueprint.get("/row")
@requires(Rule(erp=Level.READ_ONLY))
def row(project_id: int) -> Any:
    """The row as it is now, for a list that shows the project at work; `was` is the status the list shows."""
    found = get_project(project_id)
    return with_announcement(render_row(found), found)


@blueprint.get("/standing")
@requires(VIEWER)
def standing(project_id: int) -> Any:
    """Render the status card of the project's own page during an export, and the whole page once it ended."""
    found = get_project(project_id)
    if found.in_progress and request.args.get("was") == found.status:
        return render_template("approvals/_status.html", project=found)
    response = with_announcement(render_project(found), found)
    response.headers["HX-Retarget"] = response.headers["HX-Reselect"] = "#whole"
    return response


@blueprint.get("/accept")
@requires(APPROVER)
def accept_form(project_id: int) -> Any:
    found = _acceptable(get_project(project_id))
    form = update_form.initial(found) if found.status in UPDATE else acceptance.initial(found, current_user)
    return render_project(found, panel="accept", form=form)


@blueprint.post("/preview")
@requires(APPROVER)
@changes_nothing
def preview(project_id: int) -> Any:
    """Preview the request while it is being typed; a POST, so that the form's token stays out of addresses."""
    return render_template("approvals/_preview.html", form=acceptance.from_form(get_project(project_id), request.form))


@blueprint.get("/number")
@requires(APPROVER)
def number(project_id: int) -> Any:
    typed = " ".join(request.args.get("job_number", "").split())
    found = get_project(project_id)
    return render_template("approvals/_job_number.html", project=found, number_check=job_numbers.check(typed, found))


@blueprint.post("/accept")
@requires(APPROVER)
def accept(project_id: int) -> Any:
    found = _decidable(current_project(project_id))  # whether this person may is checked once, by what accepts it
    if found.status in UPDATE:
        return _accept_update(found)
    form = acceptance.from_form(found, request.form)
    if "show" in request.form:  # another template was chosen: its values first
        return render_project(found, panel="accept", form=form)
    if not form.check() or form.template is None:
        workflow.refuse_acceptance(found, current_user)  # correcting a field would not help then
        return render_project(found, 422, panel="accept", form=form)
    try:
        workflow.accept(found, current_user, form.lines, form.template, current_app.config["SPECTRUM_COMPANY_CODE"])
        there = next_form(found) if "open_next" in request.form else ""
        return success(found, f"{found.title} {export_begun(found)}", there)
    except IntegrityError:  # someone else took the number between the check and here: it is said at the field now
        db.session.rollback()
        found = get_project(project_id)
        form = acceptance.from_form(found, request.form)
        form.check()
        return render_project(found, 422, panel="accept", form=form)


def _accept_update(found: Project) -> Any:
    form = update_form.from_form(found, request.form)
    if not form.check():
        workflow.refuse_acceptance(found, current_user)
        return render_project(found, 422, panel="accept", form=form)
    workflow.accept_update(found, current_user, form.request, form.seen)
    return success(found, f"The update of {found.title} is being sent to Spectrum.")


@blueprint.post("/read-job")
@requires(APPROVER)
def read_job(project_id: int) -> Any:
    found = _acceptable(get_project(project_id))
    TaskRequest.ask(TaskKind.READ_JOB, current_user, str(found.id))
    db.session.commit()
    return redirect(url_for(".accept_form", project_id=project_id), 303)


@blueprint.post("/it-is-another")
@requires(APPROVER)
def tell_apart(project_id: int) -> Any:
    """Keep that it is not the project or job that looks like it, and go on with the acceptance."""
    found = _acceptable(current_project(project_id))
    workflow.tell_apart(found, current_user, request.form.get("other", ""))
    db.session.commit()
    return redirect(url_for(".accept_form", project_id=project_id), 303)


@blueprint.get("/reject")
@requires(APPROVER)
def reject_form(project_id: int) -> Any:
    found = get_project(project_id)
    if not found.allows(Transition.REJECT):
        return conflict(found, found.refusal_reason(Transition.REJECT))
    return REJECT.ask(found)


@blueprint.post("/reject")
@requires(APPROVER)
def reject(project_id: int) -> Any:
    found = current_project(project_id)
    if found.allows(Transition.REJECT) and not comment():
        return REJECT.ask_again(found)
    workflow.reject(found, current_user, comment(), workflow.UNDO_FOR)
    reaches = found.sent_by and found.sent_by.active and mail_settings.is_set_up()
    told = ", and the sender is notified by email" if reaches else ""
    if found.status is Status.SYNCED:
        return success(found, f"The update of {found.title} was rejected{told}.")
    return success(found, f"{found.title} was rejected. It is editable again{told}.")


@blueprint.post("/undo-rejection")
@requires(APPROVER)
def undo_rejection(project_id: int) -> Any:
    found = current_project(project_id)
    workflow.undo_rejection(found, current_user)
    return success(found, f"The rejection of {found.title} was undone. It waits as before, and nobody was notified.")


@blueprint.post("/take-back")
@requires(APPROVER)
def cancel_export(project_id: int) -> Any:
    found = current_project(project_id)
    workflow.cancel_export(found, current_user)
    return success(found, f"{found.title} was taken back and waits again.")


@blueprint.post("/present")
@requires(APPROVER)
def present(project_id: int) -> Any:
    """“It is in Spectrum”: a person has seen the job there."""
    found = current_project(project_id)
    workflow.resolve(found, current_user, exists=True)
    return success(found, f"{found.title} is job {found.spectrum_job_id} in Spectrum.")


@blueprint.get("/absent")
@requires(APPROVER)
def absent_form(project_id: int) -> Any:
    found = get_project(project_id)
    return ABSENT.ask(found) if found.can_be_resolved else conflict(found, "")


@blueprint.post("/absent")
@requires(APPROVER)
def absent(project_id: int) -> Any:
    """“It is not in Spectrum”: a person has looked, and says how."""
    found = current_project(project_id)
    if found.can_be_resolved and not comment():
        return ABSENT.ask_again(found)
    workflow.resolve(found, current_user, exists=False, comment=comment())
    return success(found, f"{found.title} is not in Spectrum. Retry it or reject it.")


@blueprint.post("/copy-phases")
@requires(APPROVER)
def copy_phases(project_id: int) -> Any:
    found = current_project(project_id)
    workflow.copy_remaining_phases(found, current_user)
    return success(found, f"The remaining phases of {found.title} are being copied.")


@blueprint.post("/comment")
@requires(VIEWER)
def add_comment(project_id: int) -> Any:
    return comments.add(get_project(project_id), url_for(".project", project_id=project_id), render_project)


def _acceptable(found: Project) -> Project:
    """The project, if this person can accept or retry it now. Raises NotAllowed."""
    workflow.refuse_acceptance(_decidable(found), current_user)
    return found


def _decidable(found: Project) -> Project:
    if not (found.allows(Transition.ACCEPT) or found.allows(Transition.RETRY)):
        raise NotAllowed(found.refusal_reason(Transition.RETRY if found.status in FAILED else Transition.ACCEPT))
    if found.violates_four_eyes(current_user.id):
        raise NotAllowed(workflow.OTHER_APPROVER_NEEDED)
    return found
