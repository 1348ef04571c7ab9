"""The status of a project, the transitions between statuses, and the actions that a project allows now.

This is the only state machine of the product. A whole project answers these questions, and so does its row in a list,
which is read as plain columns.
"""

import enum
from typing import Any

from flask import current_app


class Status(enum.StrEnum):
    """The sync status of a project, the end of a sentence about it, and the line that explains it to its manager."""

    ending: str
    explanation: str

    def __new__(cls, text: str, ending: str, explanation: str) -> "Status":
        member = str.__new__(cls, text)
        member._value_, member.ending, member.explanation = text, ending, explanation
        return member

    NOT_SENT = (
        "Not Sent",
        "was not sent to accounting",
        "Accounting has not seen this project. Send to ERP submits it to accounting for approval.",
    )
    READY = (
        "Ready to Export",
        "is waiting for accounting",
        "The information is locked until accounting decides; to change it now, retrieve it.",
    )
    EXPORTING = (
        "Exporting",
        "is being exported",
        "Accounting accepted it. It is being exported to Spectrum, and the information is locked.",
    )
    CHECKING = (
        "Checking",
        "was sent, but Spectrum did not confirm it",
        "Spectrum did not confirm the job, so Countersign is looking for it. The information is locked.",
    )
    SYNCED = (
        "Synced",
        "is now in Spectrum as job {job}",
        "It is a job in Spectrum. To change the job, edit the fields that are open and press Send Update to ERP; "
        "accounting decides.",
    )
    FAILED = (
        "Failed to Export",
        "could not be exported",
        "Spectrum made no job. Accounting can retry or reject it; until then the information is locked.",
    )
    REJECTED = (
        "Rejected",
        "was rejected",
        "Correct it and press Re-send to ERP.",
    )
    RETRIEVED = (
        "Retrieved",
        "was retrieved by its project manager",
        "It was retrieved from ERP. Make your changes and re-send it.",
    )
    READY_TO_UPDATE = (
        "Ready to Update",
        "is waiting with an update of job {job}",
        "The information is locked until accounting decides; to change it now, retrieve it.",
    )
    UPDATING = (
        "Updating",
        "is being updated in Spectrum",
        "Accounting accepted the update. It is being sent to Spectrum, and the information is locked until then.",
    )
    UPDATE_FAILED = (
        "Failed to Update",
        "could not be updated in Spectrum",
        "Spectrum did not change the job. Accounting can retry or reject it; until then the information is locked.",
    )


EDITABLE = frozenset({Status.NOT_SENT, Status.RETRIEVED, Status.REJECTED})
IN_PROGRESS = frozenset({Status.EXPORTING, Status.CHECKING, Status.UPDATING})
WAITING = frozenset({Status.READY, Status.READY_TO_UPDATE})  # for accounting
FAILED = frozenset({Status.FAILED, Status.UPDATE_FAILED})
UPDATE = frozenset({Status.READY_TO_UPDATE, Status.UPDATING, Status.UPDATE_FAILED})
OUTSTANDING = WAITING | FAILED | {Status.CHECKING}  # what the daily summary tells


class Transition(enum.StrEnum):
    SEND = "sent"
    RETRIEVE = "retrieved"
    REJECT = "rejected"
    UNDO = "rejection undone"
    UNDO_OF_FAILED = "rejection of a failed one undone"
    ACCEPT = "accepted"
    TAKE_BACK = "taken back"
    CREATED = "exported"
    UPDATED = "updated"
    FAIL = "failed"
    LOSE_TRACK = "being checked"
    FOUND = "found in Spectrum"
    RETRY = "retried"
    LINK = "linked"
    UNLINK = "unlinked"


def _each(*sources: Status, to: Status) -> dict[Status, Status]:
    return dict.fromkeys(sources, to)


# For each transition, the statuses it may start from and the status that each leads to.
TRANSITIONS: dict[Transition, dict[Status, Status]] = {
    Transition.SEND: _each(*EDITABLE, to=Status.READY) | {Status.SYNCED: Status.READY_TO_UPDATE},
    Transition.LINK: _each(*EDITABLE, Status.READY, Status.FAILED, to=Status.SYNCED),
    Transition.RETRIEVE: {Status.READY: Status.RETRIEVED, Status.READY_TO_UPDATE: Status.SYNCED},
    Transition.REJECT: _each(Status.READY, Status.FAILED, to=Status.REJECTED)
    | _each(Status.READY_TO_UPDATE, Status.UPDATE_FAILED, to=Status.SYNCED),
    Transition.UNDO: {Status.REJECTED: Status.READY, Status.SYNCED: Status.READY_TO_UPDATE},
    Transition.UNDO_OF_FAILED: {Status.REJECTED: Status.FAILED, Status.SYNCED: Status.UPDATE_FAILED},
    Transition.ACCEPT: {Status.READY: Status.EXPORTING, Status.READY_TO_UPDATE: Status.UPDATING},
    Transition.TAKE_BACK: {Status.EXPORTING: Status.READY, Status.UPDATING: Status.READY_TO_UPDATE},
    Transition.CREATED: _each(Status.EXPORTING, Status.CHECKING, to=Status.SYNCED),
    Transition.UPDATED: {Status.UPDATING: Status.SYNCED},
    Transition.FAIL: _each(Status.EXPORTING, Status.CHECKING, to=Status.FAILED)
    | {Status.UPDATING: Status.UPDATE_FAILED},
    Transition.LOSE_TRACK: {Status.EXPORTING: Status.CHECKING},
    Transition.FOUND: {Status.CHECKING: Status.SYNCED},
    Transition.RETRY: {Status.FAILED: Status.EXPORTING, Status.UPDATE_FAILED: Status.UPDATING},
    Transition.UNLINK: {Status.SYNCED: Status.NOT_SENT},
}


class Side(enum.StrEnum):
    """The side whose answer a comment waits for."""

    ACCOUNTING = "accounting"
    SENDER = "sender"


class NotAllowed(Exception):
    """A change that the rules do not allow now; the message is a sentence for the person who tried."""


class ProjectState:
    """Answers to be mixed into a class with a project's number, name, status and so on.

    `export` has an Export's sent_at, due_at, checks and found, or is None.
    """

    number: Any
    name: Any
    city: Any
    state: Any
    status: Any
    active: Any
    sent_by_id: Any
    spectrum_job_id: Any
    suggested_job_key: Any
    question_to: Any
    sender: Any
    export: Any

    @property
    def title(self) -> str:
        return f"{self.number} {self.name}"

    @property
    def place(self) -> str:
        return f"{self.city}, {self.state}" if self.city and self.state else self.city or self.state

    @property
    def question_for(self) -> str:
        """The side that must answer a comment, in words; empty where none waits."""
        if self.question_to is Side.SENDER:
            return self.sender or "the project manager"
        return str(self.question_to or "")

    def allows(self, transition: Transition) -> bool:
        """Tell whether the transition may be made now. Templates and the workflow ask the same table."""
        return self.status in TRANSITIONS[transition] and not self._blocker(transition)

    def refusal_reason(self, transition: Transition) -> str:
        blocker = self._blocker(transition) if self.status in TRANSITIONS[transition] else ""
        return blocker or f"The project's status is {self.status}, so it can't be {transition}."

    def _blocker(self, transition: Transition) -> str:
        if not self.active and transition in (Transition.SEND, Transition.ACCEPT, Transition.RETRY):
            return "The project is inactive. Check Active Project? and press Update first."
        if transition is Transition.TAKE_BACK and self.export is not None and self.export.sent_at:
            return "It can no longer be taken back: it was sent to Spectrum already."
        if transition in (Transition.RETRY, Transition.REJECT) and self.conflicting_job:
            return f"Spectrum has another job {self.suggested_job}. Press Link to it instead, or Not ours, first."
        if transition in (Transition.UNLINK, Transition.SEND) and self.in_progress:
            return "Countersign is still at work on its job in Spectrum. Try again in a minute."
        return ""

    @property
    def conflicting_job(self) -> dict[str, str] | None:
        """The job that Spectrum has under this project's number, until an approver says whose it is."""
        return self.export.conflicting_job if self.status is Status.FAILED and self.export else None

    @property
    def suggested_job(self) -> str | None:
        asked = self.status is Status.READY or self.conflicting_job
        conflict = self.spectrum_job_id if self.conflicting_job else None
        number: str | None = (self.suggested_job_key or conflict) if asked else None
        return number

    @property
    def can_be_resolved(self) -> bool:
        """Tell whether a person may end the Checking, because two checks did not."""
        return self.status is Status.CHECKING and self.export is not None and self.export.checks >= 2

    @property
    def in_progress(self) -> bool:
        return self.status in IN_PROGRESS or (self.export is not None and self.export.due_at is not None)

    def violates_four_eyes(self, person_id: int) -> bool:
        """Tell whether FOUR_EYES is set and this person sent the project."""
        return bool(current_app.config["FOUR_EYES"]) and self.sent_by_id == person_id
