"""The alert: a mail to each ERP Admin, once a day, where exports or mails are stuck."""

from sqlalchemy import select

from extensions import db, writing
from lib.formatting import local
from models import Delivery, Level, MailKind, Person, utcnow
from services.outstanding import describe_stuck
from tasks.mail_delivery import blocked_reason


def raise_alarm() -> None:
    """Each minute: queue today's alert for each ERP Admin who has none yet, where something is stuck."""
    if blocked_reason() or not describe_stuck():
        return
    today = local(utcnow()).date()
    known = select(Delivery.person_id).where(Delivery.key.startswith(f"{MailKind.ALERT}:{today}:"))
    to = select(Person).where(Person.active, Person.erp == Level.ADMIN, Person.id.not_in(known))
    with writing():
        for person in db.session.scalars(to).all():
            Delivery.queue_alarm(today, person)
