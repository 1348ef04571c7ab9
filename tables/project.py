"""Projects, their exports and their events: columns, and the answers that one row can give.

The three are born together, so they stand together. The verbs are in services/workflow.py.
"""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any, ClassVar, cast

from flask import current_app
from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index, String, Table, func, insert, select, text
from sqlalchemy import event as sa_event
from sqlalchemy.orm import Mapped, mapped_column, relationship, validates

from erp import ErpJob, FieldValue, job_key, rules
from extensions import Base, db
from lib.columns import UTCDateTime, string_enum, utcnow
from lib.leases import Leased
from lib.text import normalize
from tables.job import Job
from tables.person import Person
from tables.status import EDITABLE, UPDATE, ProjectState, Side, Status, Transition

SEARCHED = ("number", "name", "address_1", "city", "state", "spectrum_job_id")  # and who sent it


# What lists are sorted by. All projects are kept in these orders, which a change of status does not touch; what waits
# has orders of its own, because it is what is looked at all day and a small part of all
ORDERS: dict[str, Any] = {"name": text("lower(name)"), "place": text("lower(city)"), "sender": "sender_key"}
OPEN_QUEUE = ORDERS | {"number": "number_key"}
INACTIVE = text("NOT active")
WAITS = text(f"status = '{Status.READY}'")
ASKS = text("question_to IS NOT NULL")


class Project(ProjectState, Base):
    """A project, as its project manager describes it and as accounting decides about it.

    A column with a label is information that a person types; Spectrum's own limits are told before Send.
    """

    __tablename__ = "project"

    id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[str] = mapped_column(String(30), info={"label": "Project Number"})
    number_key: Mapped[str] = mapped_column(String(90), unique=True)  # folding makes three letters of some
    name: Mapped[str] = mapped_column(String(120), info={"label": "Project Name"})
    description: Mapped[str] = mapped_column(default="", info={"label": "Project Description", "max": 2000})
    address_1: Mapped[str] = mapped_column(String(80), default="", info={"label": "Address"})
    address_2: Mapped[str] = mapped_column(String(80), default="", info={"label": "Address 2"})
    city: Mapped[str] = mapped_column(String(60), default="", info={"label": "City"})
    state: Mapped[str] = mapped_column(String(30), default="", info={"label": "State"})
    zip: Mapped[str] = mapped_column(String(20), default="", info={"label": "ZIP"})
    phone: Mapped[str] = mapped_column(String(30), default="", info={"label": "Phone"})
    start_date: Mapped[date | None] = mapped_column(info={"label": "Estimated Start Date"})
    completion_date: Mapped[date | None] = mapped_column(info={"label": "Estimated Completion Date"})
    active: Mapped[bool] = mapped_column(default=True)
    status: Mapped[Status] = mapped_column(string_enum(Status), default=Status.NOT_SENT)
    version: Mapped[int] = mapped_column()
    note: Mapped[str] = mapped_column(default="")  # goes with Send
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=utcnow)
    created_by_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    sent_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    sent_by_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    spectrum_job_id: Mapped[str | None] = mapped_column(String(10))  # held from acceptance or linking on
    job_key: Mapped[str | None] = mapped_column(String(30), unique=True)
    company_code: Mapped[str | None] = mapped_column(String(3), index=True)  # the Spectrum company of that job
    # what accounting accepted last of what an update can change, by column, and PROJECT_NAME; None: see `export`
    accepted: Mapped[dict[str, str] | None] = mapped_column(JSON(none_as_null=True))
    drifted: Mapped[bool] = mapped_column(default=False)  # its job was changed in Spectrum since
    question_to: Mapped[Side | None] = mapped_column(string_enum(Side))  # a comment waits for their answer
    # the job that it seems to be already, offered for linking
    suggested_job_key: Mapped[str | None] = mapped_column("presumed_job_key", String(30), index=True)
    # What lists are ordered by and search through, as it was when the project was written last: who is called otherwise
    # since is found under the old name until then, because a new name must not wait for everything that was ever sent
    sender_key: Mapped[str] = mapped_column(default="")
    search_text: Mapped[str] = mapped_column(default="")

    created_by: Mapped[Person | None] = relationship(foreign_keys=[created_by_id])
    sent_by: Mapped[Person | None] = relationship(foreign_keys=[sent_by_id])
    export: Mapped["Export | None"] = relationship(
        primaryjoin="and_(Export.project_id == Project.id, Export.current)", viewonly=True
    )
    job: Mapped["Job | None"] = relationship(primaryjoin="foreign(Project.job_key) == Job.key", viewonly=True)
    events: Mapped[list["Event"]] = relationship(back_populates="project", order_by="Event.id.desc()")

    __mapper_args__ = {"version_id_col": version}
    __table_args__ = (
        Index("ix_project_listed", "status", func.coalesce(sent_at, created_at), "id"),
        Index("ix_project_status", "status", "id"),
        Index("ix_project_created_by", "created_by_id", "id"),
        Index("ix_project_sent_by", "sent_by_id", "id"),
        Index("ix_project_inactive", "id", sqlite_where=INACTIVE),
        Index("ix_project_job", text("coalesce(job_key, '')"), "id"),
        Index("ix_project_question", "question_to", "id", sqlite_where=ASKS),
        *(Index(f"ix_project_{name}", key, "id") for name, key in ORDERS.items()),
        *(
            Index(f"ix_project_ready_{name}", "status", key, "id", sqlite_where=WAITS)
            for name, key in OPEN_QUEUE.items()
        ),
    )

    @validates("number")
    def _fold_number(self, _key: str, number: str) -> str:
        self.number_key = job_key(number)
        return number

    @property
    def last_rejection(self) -> "Event | None":
        return self.latest(Transition.REJECT)

    @property
    def sent_changes(self) -> list[list[str]]:
        """The changes between the last two times it was sent, as [label, before, after]."""
        last = self.latest(Transition.SEND)
        return last.details["changes"] if last else []

    @property
    def editable(self) -> bool:
        return self.status in EDITABLE

    @property
    def editable_columns(self) -> frozenset[str]:
        """The information that can be edited now: while it is a job, what an update can change."""
        if self.status is Status.SYNCED:
            return frozenset(each.key for each in rules().update_fields)
        return frozenset(INFORMATION if self.editable else ())

    @property
    def information(self) -> dict[str, Any]:
        return {column: getattr(self, column) for column in INFORMATION}

    @property
    def is_deletable(self) -> bool:
        untouched = self.status is Status.NOT_SENT and self.sent_at is None
        kept = (event for event in self.events if event.from_status != event.to_status or event.action == COMMENTED)
        return untouched and not any(kept)

    @property
    def sender(self) -> str:
        return self.sent_by.name if self.sent_by else ""

    @property
    def last_change(self) -> "Event":
        return next(event for event in self.events if event.action != COMMENTED)

    def latest(self, transition: Transition) -> "Event | None":
        of_it = select(Event).where(Event.project_id == self.id, Event.action == str(transition))
        return db.session.scalar(of_it.order_by(Event.id.desc()).limit(1))


_typed = [column for column in Project.__table__.columns if "label" in column.info]
ISO_DATE = 10  # characters
# A project's information in the order of its form: column, label, and the most characters
INFORMATION: dict[str, tuple[str, int]] = {
    column.key: (column.info["label"], column.info.get("max") or getattr(column.type, "length", ISO_DATE))
    for column in sorted(_typed, key=lambda column: column.key != "name")  # the name, then as the columns stand
}


@sa_event.listens_for(Project, "before_insert")
@sa_event.listens_for(Project, "before_update")
def _keep_search_text(_mapper: Any, _connection: Any, project: Project) -> None:
    own = {column: getattr(project, column) for column in SEARCHED}
    project.search_text = search_text(own, project.sender)
    project.sender_key = project.sender.casefold()


def search_text(values: Mapping[str, Any], sender: str = "") -> str:
    """Return the text that searches look through, case folded; `values` by column, each text once."""
    parts = dict.fromkeys([*(values.get(column) for column in SEARCHED), sender])
    return normalize(" ".join(part for part in parts if part)).casefold()


def as_text(information: Mapping[str, Any]) -> dict[str, str]:
    return {column: "" if value is None else normalize(str(value)) for column, value in information.items()}


def diff(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[list[str]]:
    """Return the differences between two informations, as [label, before, after]."""
    before, after = as_text(old), as_text(new)
    return [
        [INFORMATION[column][0], before[column], after[column]] for column in after if before[column] != after[column]
    ]


# --- exports --------------------------------------------------------------------------------------------------------


class Export(Leased, Base):
    """One acceptance's way to Spectrum: facts only. What it means is the project's status.

    An update's is the same: its request holds what was ticked, and `seen` what Spectrum had then, by column.
    """

    __tablename__ = "export"
    __table_args__ = (
        Index("uq_export_current", "project_id", unique=True, sqlite_where=text("current")),
        Index("ix_export_accepted_by", "accepted_by_id", "id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"), index=True)
    current: Mapped[bool] = mapped_column(default=True)  # the project's latest; the database allows one
    accepted_by_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    accepted_at: Mapped[datetime] = mapped_column(UTCDateTime, default=utcnow)
    template_number: Mapped[str] = mapped_column(String(10))
    request: Mapped[list[list[str]]] = mapped_column(JSON)  # frozen: [element, value, source] in wire order
    is_update: Mapped[bool] = mapped_column(default=False)
    seen: Mapped[dict[str, str]] = mapped_column(JSON, default=dict)
    step: Mapped[str] = mapped_column(String(40), default="")
    sent_at: Mapped[datetime | None] = mapped_column(UTCDateTime)  # committed before it is sent
    created_at: Mapped[datetime | None] = mapped_column(UTCDateTime)  # AddJob was answered "created", or it was found
    copy_phases: Mapped[bool] = mapped_column(default=False)
    phases_done: Mapped[int] = mapped_column(default=0)
    phases_total: Mapped[int] = mapped_column(default=0)
    checks: Mapped[int] = mapped_column("looks", default=0)  # how often it was looked for in Spectrum and not found
    absences: Mapped[int] = mapped_column(default=0)  # checks in which its absence was proven
    resent: Mapped[bool] = mapped_column(default=False)
    error: Mapped[str] = mapped_column("cause", default="")
    field_errors: Mapped[list[list[str]]] = mapped_column("messages", JSON, default=list)  # Spectrum's [element, text]
    warnings: Mapped[list[str]] = mapped_column("remarks", JSON, default=list)
    conflicting_job: Mapped[dict[str, str] | None] = mapped_column(
        "found", JSON
    )  # another job of that number, as Spectrum lists it
    finished_at: Mapped[datetime | None] = mapped_column(UTCDateTime)

    project: Mapped[Project] = relationship()
    accepted_by: Mapped[Person] = relationship()

    INSERT: ClassVar[Any]  # as an event's

    @classmethod
    def lock_parent(cls, row_id: int) -> "Project | None":
        """Lock the project: decisions lock it before its export, and so must workers."""
        above = select(cls.project_id).where(cls.id == row_id).scalar_subquery()
        project = select(Project).where(Project.id == above).with_for_update()
        return db.session.scalar(project, execution_options={"populate_existing": True})

    @classmethod
    def templates_used(cls, by: Person) -> list[str]:
        """The numbers of the job templates in this approver's latest exports, the last one first."""
        used = select(cls.template_number).where(cls.accepted_by_id == by.id, cls.template_number != "")
        return list(dict.fromkeys(db.session.scalars(used.order_by(cls.id.desc()).limit(20))))

    @classmethod
    def retry_delay(cls, slow: bool = False) -> timedelta:
        """Between two looks; ten times as long where many looks did not help."""
        return timedelta(seconds=current_app.config["EXPORT_CHECK_SECONDS"]) * (10 if slow else 1)

    @classmethod
    def max_delay(cls) -> timedelta:
        return max(cls.retry_delay(slow=True), timedelta(hours=1))

    @property
    def state(self) -> str:
        return f"{self.project.status}: {self.step or super().state}"

    @property
    def lines(self) -> list[FieldValue]:
        return rules().thaw(self.request)

    @property
    def requested_job(self) -> ErpJob:
        return rules().job_from_request(self.lines)

    @property
    def phases_remaining(self) -> bool:
        return self.copy_phases and (not self.phases_total or self.phases_done < self.phases_total)

    def finish(self) -> None:
        self.release()
        self.step, self.finished_at = "", utcnow()


# --- history --------------------------------------------------------------------------------------------------------


COMMENTED = "commented"
PARTICIPLES = (
    "created", "edited", "activated", "deactivated", "sent", "retrieved", "rejected", "accepted", "exported", "updated",
    "retried", "linked", "unlinked",
)  # fmt: skip
DEEDS = {action: f"{action} it" for action in PARTICIPLES} | {
    str(Transition.SEND): "sent it to accounting",
    str(Transition.TAKE_BACK): "took it back",
    str(Transition.UNDO): "undid the rejection",
    str(Transition.UNDO_OF_FAILED): "undid the rejection",
    str(Transition.FAIL): "could not export it",
    str(Transition.LOSE_TRACK): "began to look for it in Spectrum",
    str(Transition.FOUND): "found it in Spectrum",
}
UPDATE_DEEDS = DEEDS | {
    str(Transition.SEND): "sent an update",
    str(Transition.ACCEPT): "accepted the update",
    str(Transition.RETRY): "retried the update",
    str(Transition.FAIL): "could not update the job",
}


class Event(Base):
    """One line of history: who, when, from, to, comment. Never changed, never deleted."""

    __tablename__ = "event"
    __table_args__ = (
        CheckConstraint(
            "to_status <> 'Rejected' OR from_status = to_status OR trim(comment) <> ''", "rejection_has_comment"
        ),
        CheckConstraint("action <> 'rejected' OR trim(comment) <> ''", "update_rejection_has_comment"),
        # the company's history is about nobody; latest first, of all or by who did what
        Index("ix_event_subject_at", "subject_id", "at", "id"),
        Index("ix_event_subject_action", "subject_id", "action", "at", "id"),
        Index("ix_event_subject_person", "subject_id", "person_id", "at", "id"),
        Index("ix_event_subject_deed", "subject_id", "person_id", "action", "at", "id"),
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

    project: Mapped["Project | None"] = relationship(back_populates="events")
    person: Mapped[Person | None] = relationship(foreign_keys=[person_id])
    subject: Mapped[Person | None] = relationship(foreign_keys=[subject_id])

    INSERT: ClassVar[Any]  # the statement, which takes a third of the time that the session takes for a row

    @classmethod
    def write(cls, row: dict[str, Any]) -> int:
        """Insert a line, and return its id."""
        return int(db.session.execute(cls.INSERT, row).scalar_one())

    @classmethod
    def about(cls, person: Person) -> list["Event"]:
        return list(db.session.scalars(select(cls).where(cls.subject_id == person.id).order_by(cls.id.desc())))

    @property
    def who(self) -> str:
        return self.person.name if self.person else "Countersign"

    @property
    def participle(self) -> str:
        """The action, if a sentence about the project can have it after “was”."""
        return self.action if self.action in PARTICIPLES and self.to_status not in UPDATE else ""

    @property
    def deed(self) -> str:
        if self.to_status in UPDATE:
            return UPDATE_DEEDS.get(self.action, self.action)
        if self.action == Transition.FAIL and self.person_id:
            return "did not find it in Spectrum"
        return DEEDS.get(self.action, self.action)


Event.INSERT = insert(cast("Table", Event.__table__)).returning(Event.__table__.c.id)
Export.INSERT = insert(cast("Table", Export.__table__))
