"""The rules: projects and their exports. With the tables of `tables/` it is all that the product keeps.

Every change of a project's status goes through one private door, `Project._move`, which asks `MOVES`, writes the
event and sets the status in one transaction. Nothing here talks to Spectrum or SMTP; what is to go out is a row with a
due time.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from flask import current_app
from sqlalchemy import JSON, ForeignKey, Index, String, func, select, text
from sqlalchemy import event as sa_event
from sqlalchemy.orm import Mapped, mapped_column, relationship, validates
from sqlalchemy.orm.attributes import set_committed_value

from erp.spectrum.mapping import FieldValue, job_key, to_project
from extensions import Base, db
from tables.base import Leased, LeaseLost, NotAllowed, Setting, UTCDateTime, string_enum, utcnow
from tables.history import Event
from tables.jobs import Job
from tables.moves import EDITABLE, IN_PROGRESS, TRANSITIONS, Status, Transition
from tables.outbox import Delivery, DigestDay, MailOutcome, TaskRequest
from tables.person import Level, LoginAttempt, Person
from tables.standing import ProjectState
from tables.tally import Counter

__all__ = [
    "EDITABLE",
    "FOUR_EYES",
    "INFORMATION",
    "IN_PROGRESS",
    "TRANSITIONS",
    "Counter",
    "Delivery",
    "DigestDay",
    "Event",
    "Export",
    "Job",
    "LeaseLost",
    "Level",
    "LoginAttempt",
    "MailOutcome",
    "NotAllowed",
    "Person",
    "Project",
    "ProjectState",
    "Setting",
    "Status",
    "TaskRequest",
    "Transition",
    "as_text",
    "changed",
    "search_text",
    "utcnow",
]  # fmt: skip

# A project's information: column, label, and how long it may be here (Spectrum's own limits are told before Send)
INFORMATION: dict[str, tuple[str, int]] = {
    "name": ("Project Name", 120),
    "number": ("Project Number", 30),
    "description": ("Project Description", 2000),
    "address_1": ("Address", 80),
    "address_2": ("Address 2", 80),
    "city": ("City", 60),
    "state": ("State", 30),
    "zip": ("ZIP", 20),
    "phone": ("Phone", 30),
    "start_date": ("Estimated Start Date", 10),
    "completion_date": ("Estimated Completion Date", 10),
}
SEARCHED = ("number", "name", "address_1", "city", "state", "spectrum_job_id")  # and who sent it
FOUR_EYES = "You sent this project, so another accounting approver must accept it."


# What lists are sorted by. All projects are kept in these orders, which a change of status does not touch; what waits
# has orders of its own, because it is what is looked at all day and a small part of all
ORDERS: dict[str, Any] = {"name": text("lower(name)"), "place": text("lower(city)"), "sender": "sender_key"}
OPEN_QUEUE = ORDERS | {"number": "number_key"}
WAITS = text(f"status = '{Status.READY}'")


class Project(ProjectState, Base):
    __tablename__ = "project"

    id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[str] = mapped_column(String(30))
    number_key: Mapped[str] = mapped_column(String(90), unique=True)  # folding makes three letters of some
    name: Mapped[str] = mapped_column(String(120))
    description: Mapped[str] = mapped_column(default="")
    address_1: Mapped[str] = mapped_column(String(80), default="")
    address_2: Mapped[str] = mapped_column(String(80), default="")
    city: Mapped[str] = mapped_column(String(60), default="")
    state: Mapped[str] = mapped_column(String(30), default="")
    zip: Mapped[str] = mapped_column(String(20), default="")
    phone: Mapped[str] = mapped_column(String(30), default="")
    start_date: Mapped[date | None]
    completion_date: Mapped[date | None]
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
        Index("ix_project_job", text("coalesce(job_key, '')"), "id"),
        *(Index(f"ix_project_{name}", key, "id") for name, key in ORDERS.items()),
        *(
            Index(f"ix_project_ready_{name}", "status", key, "id", sqlite_where=WAITS, postgresql_where=WAITS)
            for name, key in OPEN_QUEUE.items()
        ),
    )

    @validates("number")
    def _fold_number(self, _key: str, number: str) -> str:
        self.number_key = job_key(number)
        return number

    @property
    def last_rejection(self) -> "Event | None":
        return self._last(Transition.REJECT)

    @property
    def sent_changes(self) -> list[list[str]]:
        """What was changed between the last two times it was sent, as [label, before, after]."""
        last = self._last(Transition.SEND)
        return last.details["changes"] if last else []

    @property
    def editable(self) -> bool:
        return self.status in EDITABLE

    @property
    def information(self) -> dict[str, Any]:
        """What a person typed about the project, by column; dates as dates."""
        return {column: getattr(self, column) for column in INFORMATION}

    @property
    def sender(self) -> str:
        return self.sent_by.name if self.sent_by else ""

    # what a project manager does

    @classmethod
    def create(cls, by: Person | None, information: Mapping[str, Any]) -> "Project":
        project = cls(created_by=by, status=Status.NOT_SENT, active=True, **information)
        db.session.add(project)
        project._record("created", by)
        return project

    def edit(self, by: Person, information: Mapping[str, Any]) -> None:
        """Take over what was typed, as an event where anything changed."""
        if not self.editable:
            raise NotAllowed(f"The information is locked while the project is {self.status}.")
        changes = changed(self.information, information)
        if changes:
            for column, value in information.items():
                setattr(self, column, value)
            self._record("edited", by, changes=changes)

    def set_active(self, by: Person, active: bool) -> None:
        """Switch Active; a project that waits for accounting is retrieved first, so that nothing inactive waits."""
        if active == self.active:
            return
        if self.status in IN_PROGRESS:
            raise NotAllowed("A project can not be switched on or off while it is being exported.")
        if not active and self.status is Status.READY:
            self.retrieve(by)
        self.active = active
        self._record("activated" if active else "deactivated", by)

    def send(self, by: Person, note: str = "") -> None:
        last = self._last(Transition.SEND)
        self._move(
            Transition.SEND,
            by,
            note,
            information=as_text(self.information),
            changes=changed(last.details["information"], as_text(self.information)) if last else [],
        )
        self.sent_by, self.sent_at, self.note = by, utcnow(), note

    def retrieve(self, by: Person) -> None:
        self._move(Transition.RETRIEVE, by)

    # what an accounting approver does

    def reject(self, by: Person, comment: str) -> None:
        event = self._move(Transition.REJECT, by, comment)
        self._release_job_number()
        for person in {person.id: person for person in (self.sent_by, self.created_by) if person}.values():
            Delivery.queue("rejection", event, person)

    def accept(self, by: Person, lines: Sequence[FieldValue], template: "Job", company_code: str) -> "Export":
        """Freeze what Spectrum will receive, hold the job number, and leave the rest to the timetable.

        Used for a retry too. Raises IntegrityError at the flush where another project holds that number.
        """
        if self.violates_four_eyes(by):
            raise NotAllowed(FOUR_EYES)
        self._supersede_export()
        self._move(
            Transition.RETRY if self.status is Status.FAILED else Transition.ACCEPT, by, template=template.number
        )
        values = {line.element: line.value for line in lines}
        self._reserve_job_number(values["Job_Number"], company_code)
        export = Export(
            project=self,
            accepted_by=by,
            template_number=template.number,
            copy_phases=bool(template.copy_phases),
            request=[[line.element, line.value, line.source] for line in lines],
            due_at=utcnow(),
        )
        db.session.add(export)
        db.session.flush()
        set_committed_value(self, "export", export)
        return export

    def cancel_export(self, by: Person) -> None:
        export = self._lock_export()
        self._move(Transition.TAKE_BACK, by)
        if export:
            export.finish()
        self._supersede_export()
        self._release_job_number()

    # jobs that exist already

    @classmethod
    def from_job(cls, by: Person, job: "Job", company_code: str) -> "Project":
        """A project made from a job, and linked to it. Raises IntegrityError where its number or job is taken."""
        project = cls.create(by, to_project(job.row))
        project.link(by, job, company_code)
        return project

    def link(self, by: Person, job: "Job", company_code: str) -> None:
        """Join it to a job that exists; nothing is written to Spectrum.

        Raises IntegrityError, at the flush at the latest, where another project holds that job.
        """
        event = self._move(Transition.LINK, by, job=job.number)
        self._supersede_export()
        self._reserve_job_number(job.number, company_code)
        if self.sent_by:
            Delivery.queue("export", event, self.sent_by)

    def unlink(self, by: Person, comment: str) -> None:
        """Undo a link that was wrong; the job stays in Spectrum."""
        self._move(Transition.UNLINK, by, comment, job=self.spectrum_job_id)
        self._supersede_export()
        self._release_job_number()
        self.suggested_job_key = None

    def release_other_job(self, by: Person, comment: str) -> None:
        """Say that the job found under its number is not this project's; the number is let go."""
        if not self.conflicting_job or self.export is None:
            raise NotAllowed("There is no other job to tell it apart from.")
        self._record("told apart from another job", by, comment, job=self.spectrum_job_id)
        self.export.found = None
        self._release_job_number()

    # how an export went on

    def created(self, move: Transition = Transition.CREATED, by: Person | None = None, comment: str = "") -> None:
        event = self._move(move, by, comment, job=self.spectrum_job_id)
        if self.sent_by:
            Delivery.queue("export", event, self.sent_by)

    def fail(self, cause: str, keep_job: bool = False, by: Person | None = None, comment: str = "") -> None:
        self._move(Transition.FAIL, by, comment or cause)
        if not keep_job:
            self._release_job_number()

    def mark_unknown(self, cause: str) -> None:
        self._move(Transition.LOSE_TRACK, None, cause)

    def settle(self, by: Person, exists: bool, comment: str = "") -> None:
        """A person says whether the job is in Spectrum; the comment says how they know that it is not."""
        export = self._lock_export()
        if export is None or not self.can_be_settled:
            raise NotAllowed("Countersign still looks for it in Spectrum itself.")
        if export.lease_until and export.lease_until > utcnow():
            raise NotAllowed("Countersign is asking Spectrum at this moment. Try again in a few seconds.")
        if exists:
            export.created_at = utcnow()
            self.created(Transition.FOUND, by)
        else:
            self.fail(export.cause, by=by, comment=comment)
        export.finish()

    def copy_remaining_phases(self, by: Person) -> None:
        """Have the timetable copy the template's phases that the job does not have yet."""
        if self.status is not Status.SYNCED or self.export is None or not self.export.phases_remaining:
            raise NotAllowed("There are no phases left to copy.")
        self._record("asked to copy remaining phases", by)
        self.export.due_at, self.export.finished_at, self.export.warnings = utcnow(), None, []

    # the private doors

    def _move(self, move: Transition, by: Person | None, comment: str = "", **details: Any) -> "Event":
        if not self.allows(move):
            raise NotAllowed(self.refusal_reason(move))
        to = TRANSITIONS[move][1]
        event = self._record(str(move), by, comment, to, **details)
        self.status = to
        return event

    def _record(
        self, action: str, by: Person | None, comment: str = "", to: Status | None = None, **details: Any
    ) -> "Event":
        event = Event(
            project=self,
            person=by,
            action=action,
            from_status=self.status,
            to_status=to or self.status,
            comment=comment,
            details=details,
        )
        db.session.add(event)
        return event

    def _last(self, move: Transition) -> "Event | None":
        latest = select(Event).where(Event.project_id == self.id, Event.action == str(move)).order_by(Event.id.desc())
        return db.session.scalar(latest.limit(1))

    def _reserve_job_number(self, number: str, company_code: str) -> None:
        self.spectrum_job_id, self.job_key, self.company_code = number, job_key(number), company_code

    def _lock_export(self) -> "Export | None":
        """The export as it is now, locked: its worker writes to it at any moment."""
        if self.export:
            db.session.refresh(self.export, with_for_update=True)
        return self.export

    def _supersede_export(self) -> None:
        """The export so far is history: what holds from now on is another acceptance, or a link."""
        if self.export:
            self.export.current = False
            db.session.flush()
            db.session.expire(self, ["export"])

    def _release_job_number(self) -> None:
        self.spectrum_job_id = self.job_key = self.company_code = None


@sa_event.listens_for(Project, "before_insert")
@sa_event.listens_for(Project, "before_update")
def _keep_search_text(_mapper: Any, _connection: Any, project: Project) -> None:
    own = {column: getattr(project, column) for column in SEARCHED}
    project.search_text = search_text(own, project.sender)
    project.sender_key = project.sender.casefold()


def search_text(values: Mapping[str, Any], sender: str = "") -> str:
    """What the search field looks through, case folded; `values` by column. What it says twice, it holds once."""
    parts = dict.fromkeys([*(values.get(column) for column in SEARCHED), sender])
    return " ".join(part for part in parts if part).casefold()


def as_text(information: Mapping[str, Any]) -> dict[str, str]:
    return {column: "" if value is None else str(value) for column, value in information.items()}


def changed(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[list[str]]:
    """What differs between two informations, as [label, before, after]."""
    before, after = as_text(old), as_text(new)
    return [
        [INFORMATION[column][0], before[column], after[column]] for column in after if before[column] != after[column]
    ]


# --- exports --------------------------------------------------------------------------------------------------------


class Export(Leased, Base):
    """One acceptance's way to Spectrum: facts only. What it means is the project's status."""

    __tablename__ = "export"
    __table_args__ = (
        Index(
            "uq_export_current",
            "project_id",
            unique=True,
            sqlite_where=text("current"),
            postgresql_where=text("current"),
        ),
        Index("ix_export_accepted_by", "accepted_by_id", "id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"), index=True)
    current: Mapped[bool] = mapped_column(default=True)  # the project's latest; the database allows one
    accepted_by_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    accepted_at: Mapped[datetime] = mapped_column(UTCDateTime, default=utcnow)
    template_number: Mapped[str] = mapped_column(String(10))
    request: Mapped[list[list[str]]] = mapped_column(JSON)  # frozen: [element, value, source] in wire order
    step: Mapped[str] = mapped_column(String(40), default="")
    sent_at: Mapped[datetime | None] = mapped_column(UTCDateTime)  # committed before AddJob is called
    created_at: Mapped[datetime | None] = mapped_column(UTCDateTime)  # AddJob was answered "created", or it was found
    copy_phases: Mapped[bool] = mapped_column(default=False)
    phases_done: Mapped[int] = mapped_column(default=0)
    phases_total: Mapped[int] = mapped_column(default=0)
    checks: Mapped[int] = mapped_column("looks", default=0)  # how often it was looked for in Spectrum and not found
    resent: Mapped[bool] = mapped_column(default=False)
    cause: Mapped[str] = mapped_column(default="")
    messages: Mapped[list[list[str]]] = mapped_column(JSON, default=list)  # Spectrum's [element, text]
    warnings: Mapped[list[str]] = mapped_column("remarks", JSON, default=list)
    found: Mapped[dict[str, str] | None] = mapped_column(JSON)  # another job of that number, as Spectrum lists it
    finished_at: Mapped[datetime | None] = mapped_column(UTCDateTime)

    project: Mapped[Project] = relationship()
    accepted_by: Mapped[Person] = relationship()

    @classmethod
    def lock_parent(cls, row_id: int) -> "Project | None":
        """Whoever decides about a project locks it before its export; so does a worker."""
        above = select(cls.project_id).where(cls.id == row_id).scalar_subquery()
        project = select(Project).where(Project.id == above).with_for_update()
        return db.session.scalar(project, execution_options={"populate_existing": True})

    @classmethod
    def template_last_used(cls, by: Person) -> str:
        """The number of the job template that this approver used last; "" where there is none."""
        used = select(cls.template_number).where(cls.accepted_by_id == by.id).order_by(cls.id.desc())
        return db.session.scalar(used.limit(1)) or ""

    @classmethod
    def pause(cls, patient: bool = False) -> timedelta:
        """Between two looks; ten times as long where many looks did not help."""
        return timedelta(seconds=current_app.config["EXPORT_CHECK_SECONDS"]) * (10 if patient else 1)

    @classmethod
    def max_delay(cls) -> timedelta:
        return max(cls.pause(patient=True), timedelta(hours=1))

    @property
    def state(self) -> str:
        return f"{self.project.status}: {self.step or super().state}"

    @property
    def values(self) -> dict[str, str]:
        """What AddJob receives, by element."""
        return {element: value for element, value, _source in self.request}

    @property
    def phases_remaining(self) -> bool:
        return self.copy_phases and (not self.phases_total or self.phases_done < self.phases_total)

    def finish(self) -> None:
        self.done()
        self.step, self.finished_at = "", utcnow()
