"""What can be said of a project from where it stands: what may be done with it now, and what stands against it.

A whole project says it, and so does its line in a list, which is read as plain columns.
"""

from typing import TYPE_CHECKING

from flask import current_app

from tables.moves import IN_PROGRESS, TRANSITIONS, Status, Transition
from tables.person import Person

if TYPE_CHECKING:
    from models import Export


class ProjectState:
    """Mixed into what has a project's number, name, status and the rest below."""

    if TYPE_CHECKING:
        number: str
        name: str
        city: str
        state: str
        status: Status
        active: bool
        sent_by_id: int | None
        spectrum_job_id: str | None
        suggested_job_key: str | None
        export: Export | None

    @property
    def title(self) -> str:
        return f"{self.number} {self.name}"

    @property
    def place(self) -> str:
        return f"{self.city}, {self.state}" if self.city and self.state else self.city or self.state

    def allows(self, move: Transition) -> bool:
        """Whether the move may be made now; templates and the guard ask the same table."""
        return self.status in TRANSITIONS[move][0] and not self._blocker(move)

    def refusal_reason(self, move: Transition) -> str:
        """Why a move is not allowed now, as a sentence."""
        obstacle = self._blocker(move) if self.status in TRANSITIONS[move][0] else ""
        return obstacle or f"The project is {self.status} now, so it can not be {move}."

    def _blocker(self, move: Transition) -> str:
        """What stands against a move that the status would allow, as a sentence; "" where nothing does."""
        if not self.active and move in (Transition.SEND, Transition.ACCEPT, Transition.RETRY):
            return "The project is inactive. Tick Active Project? and press Update first."
        if move is Transition.TAKE_BACK and self.export is not None and self.export.sent_at:
            return "It can no longer be taken back: it was sent to Spectrum already."
        if move in (Transition.RETRY, Transition.REJECT) and self.conflicting_job:
            return f"Spectrum has another job {self.spectrum_job_id}. Press Link to it instead, or Not ours, first."
        if move is Transition.UNLINK and self.in_progress:
            return "Countersign is still at work on its job in Spectrum. Try again in a minute."
        return ""

    @property
    def conflicting_job(self) -> dict[str, str] | None:
        """The job that Spectrum has under this project's number, until an approver says whose it is."""
        return self.export.found if self.status is Status.FAILED and self.export else None

    @property
    def suggested_job(self) -> str | None:
        """The job that it should rather be linked to than exported: another of its number, or the one that it seems."""
        if self.status is Status.READY:
            return self.suggested_job_key
        return self.spectrum_job_id if self.conflicting_job else None

    @property
    def can_be_settled(self) -> bool:
        """Whether a person may end the Checking, because looking twice did not."""
        return self.status is Status.CHECKING and self.export is not None and self.export.checks >= 2

    @property
    def in_progress(self) -> bool:
        """Whether what a page shows of it will change by itself."""
        return self.status in IN_PROGRESS or (self.export is not None and self.export.due_at is not None)

    def violates_four_eyes(self, person: Person) -> bool:
        """Whether FOUR_EYES is set and this person sent it, so that somebody else must accept it."""
        return bool(current_app.config["FOUR_EYES"]) and self.sent_by_id == person.id
