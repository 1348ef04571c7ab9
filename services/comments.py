"""Comments on a project: their readers, their mails, and the question that waits for an answer.

A comment changes neither the project's status nor its version, so a form that somebody has open stays good.
"""

from sqlalchemy import select, update

from extensions import db
from lib.formatting import plural
from models import COMMENTED, Delivery, Event, MailKind, Person, Project, Side, Transition
from services import mail_settings

LONGEST = 2000  # characters
# What accounting does with a project, beside commenting
DECISIONS = (
    *(Transition.ACCEPT, Transition.REJECT, Transition.RETRY, Transition.TAKE_BACK, Transition.LINK),
    *(Transition.UNLINK, Transition.FOUND, Transition.FAIL),
)


def problem(text: str) -> str:
    if not text:
        return "Enter a comment."
    return f"The comment is {len(text):,} characters long; it can hold {LONGEST:,}." if len(text) > LONGEST else ""


def add(project: Project, by: Person, text: str, form: str, answer_needed: bool) -> list[Person]:
    """Record a comment once for each form, and queue its mails; returns who gets one."""
    db.session.flush()  # refreshing forgets what is not written yet
    db.session.refresh(project, with_for_update=True)  # until this comment is committed
    readers = find_readers(project, by)
    if _is_repeated(project, by, text, form):
        return readers
    status = {"from_status": project.status, "to_status": project.status}
    told = {"action": COMMENTED, "comment": text, "details": {"form": form[:20]}}
    event_id = Event.write({"project_id": project.id, "person_id": by.id} | status | told)
    asked = _next_question(project, side_of(project, by), text, answer_needed)
    db.session.execute(update(Project).where(Project.id == project.id).values(question_to=asked))
    for person in readers:
        Delivery.queue(MailKind.COMMENT, event_id, person)
    db.session.flush()
    db.session.expire(project, ["events"])
    return readers


def side_of(project: Project, person: Person) -> Side:
    """Return the side for which a person speaks: who sent the project is no accounting in it."""
    return Side.ACCOUNTING if person.is_approver and person.id != project.sent_by_id else Side.SENDER


def find_readers(project: Project, by: Person) -> list[Person]:
    if side_of(project, by) is Side.ACCOUNTING:
        sender = project.sent_by or project.created_by
        people = [sender] if sender and sender.active else []
    else:
        at_work = select(Event.person_id).where(
            Event.project_id == project.id, Event.action.in_([COMMENTED, *DECISIONS])
        )
        rows = select(Person).where(Person.approvers(), Person.id.in_(at_work)).order_by(Person.name)
        people = list(db.session.scalars(rows))
    return [person for person in people if person.id != by.id]


def latest(project: Project) -> Event:
    return next(event for event in project.events if event.action == COMMENTED)


def describe_readers(readers: list[Person]) -> str:
    if not readers or not mail_settings.is_set_up():
        return ""
    names = readers[0].name if len(readers) == 1 else f"{readers[0].name} and {plural(len(readers) - 1, 'other')}"
    return f"{names} {'is' if len(readers) == 1 else 'are'} notified by email."


def _next_question(project: Project, side: Side, text: str, answer_needed: bool) -> Side | None:
    """Return the side that must answer after a comment: an answer ends the question, unless it asks back."""
    other = Side.SENDER if side is Side.ACCOUNTING else Side.ACCOUNTING
    if project.question_to is side:
        return other if "?" in text else None
    return other if answer_needed else project.question_to


def _is_repeated(project: Project, by: Person, text: str, form: str) -> bool:
    own = Event.project_id == project.id, Event.person_id == by.id, Event.action == COMMENTED
    last = db.session.scalar(select(Event).where(*own).order_by(Event.id.desc()).limit(1))
    return last is not None and (last.comment, last.details.get("form")) == (text, form[:20])
