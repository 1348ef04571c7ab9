"""Outstanding work: projects that wait for accounting, exports that failed or are being checked, and what is stuck."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import ColumnElement, Select, func, select

from extensions import db
from lib.formatting import plural
from models import IN_PROGRESS, OUTSTANDING, WAITING, Delivery, Export, MailKind, Project, Status, utcnow

LISTED = 50  # a summary names so many projects and counts the rest
TROUBLES = OUTSTANDING - WAITING
STUCK_AFTER = timedelta(minutes=30)


@dataclass(frozen=True)
class Summary:
    """The daily summary's content: the oldest projects that wait, in trouble or with a question, and their counts."""

    waiting: Sequence[Project]
    waiting_count: int
    troubled: Sequence[Project]
    troubled_count: int
    questions: Sequence[Project]
    question_count: int
    troubles: Sequence[Status]  # the statuses among the troubled ones, listed or not: each has a list of its own

    @classmethod
    def now(cls) -> "Summary":
        troubles = select(Project.status).where(Project.status.in_(TROUBLES)).distinct()
        asked = Project.question_to.is_not(None)
        return cls(*_oldest(_in(WAITING)), *_oldest(_in(TROUBLES)), *_oldest(asked), db.session.scalars(troubles).all())


def _in(statuses: Collection[Status]) -> ColumnElement[bool]:
    return Project.status.in_(statuses)


def _oldest(standing: ColumnElement[bool]) -> tuple[Sequence[Project], int]:
    rows = select(Project).where(standing).order_by(Project.sent_at, Project.id).limit(LISTED)
    count = db.session.scalar(select(func.count()).select_from(Project).where(standing)) or 0
    return db.session.scalars(rows).all(), count


def anything_outstanding() -> bool:
    standing = Project.status.in_(OUTSTANDING)
    return db.session.scalar(select(Project.id).where(standing).limit(1)) is not None


def stuck_projects() -> Select[Project]:
    overdue = (Export.due_at.is_not(None), Export.current, Export.accepted_at < utcnow() - STUCK_AFTER)
    projects = select(Project).join(Export, Export.project_id == Project.id)
    return projects.where(*overdue, Project.status.in_(IN_PROGRESS)).order_by(Export.accepted_at, Export.id)


def describe_stuck() -> str:
    old = Delivery.created_at < utcnow() - STUCK_AFTER
    mails = select(Delivery.id).where(Delivery.outcome.is_(None), old, Delivery.kind != MailKind.ALERT)
    rows = ((stuck_projects().with_only_columns(Project.id), "export"), (mails, "mail"))
    counts = [(len(db.session.scalars(each).all()), noun) for each, noun in rows]
    return " and ".join(plural(count, noun) for count, noun in counts if count)
