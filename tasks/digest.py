"""The daily summary: which local day is due, who gets it, and each day once."""

from collections.abc import Callable
from datetime import date, datetime

from flask import current_app
from sqlalchemy import not_, or_, select, update
from sqlalchemy.exc import IntegrityError

from extensions import db, writing
from lib.formatting import format_date, local
from models import Delivery, DigestDay, Person, utcnow
from services.outstanding import anything_outstanding
from tasks.mail_delivery import deliver


def due_day(now: datetime) -> date | None:
    """The date whose summary is due at `now` on the company's clock; None before DIGEST_TIME and on other days."""
    settings = current_app.config
    due = now.time() >= settings["DIGEST_TIME"] and now.weekday() in settings["DIGEST_DAYS"]
    return now.date() if due else None


def open_due_day() -> None:
    """Each minute: insert the day and its deliveries, at the first tick past DIGEST_TIME."""
    day = due_day(local(utcnow()))
    if day and not db.session.get(DigestDay, day):
        open_day(day)


def open_day(day: date) -> bool:
    """Insert a day with its deliveries, in one transaction; False where it was dealt with before.

    A day that has not come yet is not inserted: it keeps its own summary, and gets an early one, once, beside it.
    """
    is_early = day > local(utcnow()).date()
    try:
        with writing():
            if not is_early:
                db.session.add(DigestDay(day=day))
            db.session.flush()
            for person in _recipients(day) if anything_outstanding() else ():
                Delivery.queue_digest(day, person, is_early)
    except IntegrityError:  # it is there: a date is inserted once
        return False
    return True


def _recipients(day: date) -> list[Person]:
    entitled = Person.approvers(day), Person.subscribed, not_(Person.away(day))
    return list(db.session.scalars(select(Person).where(*entitled).order_by(Person.name)))


def send_day(now: datetime, report: Callable[[str], object]) -> None:
    """Send the summary that is due at `now` on the company's clock in the foreground, a line per recipient."""
    day = due_day(now)
    if day is None:
        report(f"No daily summary is due on {format_date(now.date())} at {now:%H:%M}.")
        return
    is_new = open_day(day)
    tried = _make_due(day)
    deliver(Delivery.day == day)
    for delivery_id in tried:
        report(_describe(db.session.get_one(Delivery, delivery_id, populate_existing=True)))
    if not tried:
        report(f"The daily summary of {format_date(day)}: {_why_nothing(is_new)}; nothing was sent.")


def _make_due(day: date) -> list[int]:
    """Have the day's deliveries tried now, whatever pause they are in; their ids."""
    now = utcnow()
    waiting = (Delivery.day == day, Delivery.outcome.is_(None))
    free = or_(Delivery.lease_until.is_(None), Delivery.lease_until <= now)
    with writing():
        ids = list(db.session.scalars(select(Delivery.id).where(*waiting).order_by(Delivery.id)))
        db.session.execute(update(Delivery).where(*waiting, free).values(due_at=now))
    return ids


def _describe(delivery: Delivery) -> str:
    detail = f": {delivery.error}" if delivery.error else ""
    return f"{delivery.person.name} <{delivery.address or delivery.person.email}>: {delivery.state}{detail}"


def _why_nothing(is_new: bool) -> str:
    if not is_new:
        return "it was dealt with before"
    return "nobody is to get it" if anything_outstanding() else "nothing waits"
