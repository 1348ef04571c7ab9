"""Spectrum's jobs as it last listed them, and what accounting decided about them here."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Index, Select, String, and_, func, or_, select, text
from sqlalchemy.orm import Mapped, aliased, defer, mapped_column

from erp import ErpJob, job_key, rules
from extensions import Base, db
from lib.columns import UTCDateTime, utcnow
from lib.text import normalize

STATUS_CODES = {"active": "A", "inactive": "I", "complete": "C"}
CHOICES = 1000  # templates that a form offers at most, while none is marked: more would make it slow
JOB_LIST = text(
    "(CASE WHEN archived THEN 'archived' "
    "WHEN gone_at IS NULL AND status_code <> 'C' AND NOT is_template THEN 'open' END)"
)  # in which of the two lists of jobs it can be
# What those lists are sorted by, as migration 0012 indexes it; a text of any length does not fit into an index
JOB_ORDERS: dict[str, Any] = {
    "job": text("key"),
    "name": text("substr(lower(name), 1, 100)"),
    "customer": text("substr(lower(customer_code), 1, 100)"),
    "division": text("substr(division, 1, 100)"),
}
KNOWN, MARKED = text("gone_at IS NULL"), text("is_template")
CODES = ("customer_code", "division", "cost_center")


class Job(Base):
    """A job as Spectrum last listed it, and what accounting decided about it here."""

    __tablename__ = "job"

    # texts as Spectrum gives them, of any length: one odd row must not keep the whole list out
    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(unique=True)
    number: Mapped[str] = mapped_column()
    name: Mapped[str] = mapped_column(default="")
    status_code: Mapped[str] = mapped_column(default="A")
    customer_code: Mapped[str] = mapped_column(default="")
    division: Mapped[str] = mapped_column(default="")
    cost_center: Mapped[str] = mapped_column(default="")
    search_text: Mapped[str] = mapped_column(default="")  # what a search looks through, case folded
    row: Mapped[dict[str, str]] = mapped_column(JSON, default=dict)  # the whole row as Spectrum gave it
    dates: Mapped[dict[str, str] | None] = mapped_column(JSON(none_as_null=True))  # the same of its dates, once read
    read_at: Mapped[datetime | None] = mapped_column(UTCDateTime)  # alone, with its dates
    first_seen_at: Mapped[datetime] = mapped_column(UTCDateTime, default=utcnow)
    listed: Mapped[bool] = mapped_column(default=False)  # a refresh has seen it; only such a job can be gone
    removed_at: Mapped[datetime | None] = mapped_column("gone_at", UTCDateTime)  # Spectrum no longer lists it
    archived: Mapped[bool] = mapped_column(default=False)
    is_template: Mapped[bool] = mapped_column(default=False)  # offered in Select a Job Template
    taxable: Mapped[str] = mapped_column(String(1), default="")  # of a template: "Y" or "N" remembered, "" asks
    copy_phases: Mapped[bool] = mapped_column(default=False)  # of a template: its phases go to the new job
    defaults: Mapped[dict[str, str]] = mapped_column(
        "fixed", JSON, default=dict
    )  # of a template: other values of a new job, by the system's field

    __table_args__ = (
        *(Index(f"ix_job_{code}", code, sqlite_where=KNOWN) for code in CODES),
        Index("ix_job_template", "key", sqlite_where=MARKED),
    )

    @property
    def title(self) -> str:
        return f"{self.number} {self.name}"

    @property
    def customer_title(self) -> str:
        return rules().job_from_raw(self.row).customer_title if self.row else self.customer_code

    @property
    def status_word(self) -> str:
        return next((word for word, code in STATUS_CODES.items() if code == self.status_code), self.status_code)

    @classmethod
    def by_number(cls, number: str) -> "Job | None":
        return db.session.scalar(select(cls).where(cls.key == job_key(number)))

    @classmethod
    def upsert(cls, listed: ErpJob) -> "Job":
        job = cls.by_number(listed.number) or cls()
        for column, value in cls.columns(listed).items():
            setattr(job, column, value)
        db.session.add(job)
        return job

    @staticmethod
    def columns(listed: ErpJob) -> dict[str, Any]:
        return {
            "key": listed.key,
            "number": listed.number,
            "name": listed.name,
            "search_text": normalize(f"{listed.number} {listed.name} {listed.customer}").casefold(),
            "status_code": STATUS_CODES.get(listed.status, listed.status),
            "customer_code": listed.customer,
            "division": listed.division,
            "cost_center": listed.cost_center,
            "row": listed.raw,
            "removed_at": None,
        }

    @property
    def unavailable_reason(self) -> str:
        if self.removed_at:
            return f"Spectrum no longer lists job {self.number}."
        return f"Spectrum lists job {self.number} as complete." if self.status_code == "C" else ""

    @classmethod
    def marked_templates(cls) -> Select["Job"]:
        return select(cls).where(MARKED)

    @classmethod
    def count_templates(cls) -> int:
        return db.session.scalar(select(func.count()).select_from(cls).where(MARKED)) or 0

    @classmethod
    def offered_templates(cls, limit: int = CHOICES) -> Sequence["Job"]:
        """The jobs of `template_choices` in order; at most some of them, while no template is marked."""
        choice = and_(MARKED, cls.status_code != "C") if cls.count_templates() else cls.status_code == "A"
        offered = select(cls).where(cls.removed_at.is_(None), choice).order_by(cls.key)
        return db.session.scalars(offered.options(defer(cls.row)).limit(limit)).all()

    @classmethod
    def template_choices(cls) -> Select["Job"]:
        marked = select(aliased(cls, name="marked").id).where(text("marked.is_template"))
        while_none_is = and_(~marked.exists(), cls.status_code == "A")
        template = or_(and_(cls.is_template, cls.status_code != "C"), while_none_is)
        return select(cls).where(cls.removed_at.is_(None), template)
