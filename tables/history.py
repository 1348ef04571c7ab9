"""What happened: one line each, never changed. The database itself refuses anything else."""

from datetime import datetime
from typing import TYPE_CHECKING, Any, Optional

from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from extensions import Base
from lib.columns import UTCDateTime, string_enum, utcnow
from tables.status import Status, Transition

if TYPE_CHECKING:
    from tables.people import Person
    from tables.project import Project


DEEDS = {
    str(Transition.TAKE_BACK): "took it back",
    str(Transition.FAIL): "could not export it",
    str(Transition.LOSE_TRACK): "began to look for it in Spectrum",
    str(Transition.FOUND): "found it in Spectrum",
}


class Event(Base):
    """One line of history: who, when, from, to, comment. Never changed, never deleted."""

    __tablename__ = "event"
    __table_args__ = (
        CheckConstraint(
            "to_status <> 'Rejected' OR from_status = to_status OR trim(comment) <> ''", "rejection_has_comment"
        ),
        Index("ix_event_action_at", "action", "at"),
        Index("ix_event_subject_at", "subject_id", "at", "id"),  # of nobody: the company's history, latest first
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(UTCDateTime, default=utcnow, index=True)
    project_id: Mapped[int | None] = mapped_column(ForeignKey("project.id"), index=True)
    subject_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"))  # whom it is about
    person_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"))  # who did it; None: Countersign itself
    action: Mapped[str] = mapped_column(String(40))
    from_status: Mapped[Status | None] = mapped_column(string_enum(Status))
    to_status: Mapped[Status | None] = mapped_column(string_enum(Status))
    comment: Mapped[str] = mapped_column(default="")
    details: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)

    project: Mapped[Optional["Project"]] = relationship(back_populates="events")
    person: Mapped[Optional["Person"]] = relationship(foreign_keys=[person_id])
    subject: Mapped[Optional["Person"]] = relationship(foreign_keys=[subject_id], back_populates="events")

    @property
    def who(self) -> str:
        return self.person.name if self.person else "Countersign"

    @property
    def deed(self) -> str:
        """What the person, or Countersign, did, to be read after their name."""
        if self.action == Transition.FAIL and self.person_id:
            return "did not find it in Spectrum"
        return DEEDS.get(self.action, self.action)
