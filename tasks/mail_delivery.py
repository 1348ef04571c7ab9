"""Each delivery from claim to outcome.

A delivery goes in four steps: claimed, recipient named, "handing over" committed, text sent and "sent" committed. What
stops before the text went out is tried again; what stops after it may have arrived, and is never sent again by itself.
No transaction is open while the mail server is spoken to.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from flask import current_app
from sqlalchemy import or_, update

from extensions import db, writing
from lib.formatting import local, today
from models import Delivery, LeaseLost, MailKind, MailOutcome, Setting, utcnow
from services.outstanding import anything_outstanding, describe_stuck
from tasks import mail_messages, smtp
from tasks.mail_messages import Mail
from tasks.smtp import MailError, MailFailure

LEASE = timedelta(seconds=90)
FIRST_PAUSE = timedelta(seconds=30)
PATIENCE = timedelta(days=1)
PROBE_INTERVAL = {False: timedelta(seconds=30), True: timedelta(minutes=1)}  # while no mail goes; by whether it is held

Hold = Callable[[], AbstractContextManager[Delivery]]


# --- each delivery --------------------------------------------------------------------------------------------------


def deliver_due(stopping: Callable[[], bool] = lambda: False) -> None:
    """Each tick: send what is due; while no mail goes, one mail every now and then tries whether it goes again."""
    if _should_probe():
        deliver(stopping=stopping)


def _should_probe() -> bool:
    trouble = Setting.read(Setting.MAIL)
    if not trouble:
        return True
    long_ago = utcnow() - PROBE_INTERVAL[trouble["held"]]
    with writing():  # one process takes the turn
        due = or_(Setting.at <= long_ago, Setting.at > utcnow())  # the latter where the clock was set back
        turn = update(Setting).where(Setting.name == Setting.MAIL, due)
        won: Any = db.session.execute(turn.values(at=utcnow()))
    return bool(won.rowcount)


def deliver(*only: Any, stopping: Callable[[], bool] = lambda: False) -> None:
    """Carry each delivery that is due to its end; the first trouble that is not its own ends the round.

    Once `stopping` says so, no other is begun.
    """
    while not stopping() and not blocked_reason() and (claimed := Delivery.claim(LEASE, *only)):
        try:
            if not _process(partial(Delivery.transaction, *claimed, LEASE)):
                return
        except LeaseLost:
            continue


def blocked_reason() -> str:
    """Why no mail may go out at all, as a sentence; empty where it may."""
    if not current_app.config["MAIL_SERVER"]:
        return "Mail is not set up: MAIL_SERVER is missing."
    db.session.rollback()  # read what stands there now
    return (
        "Exports and mails are paused. Press Resume in the ERP settings first." if Setting.read(Setting.PAUSED) else ""
    )


def _process(hold: Hold) -> bool:
    """One delivery as far as it goes now; False where no other mail would go either."""
    try:
        message = _prepare(hold)
        if message:
            _hand_over(hold, message)
    except MailError as error:
        _record_failure(hold, error)
        return error.failure not in (MailFailure.UNREACHABLE, MailFailure.MISCONFIGURED)
    return True


def _prepare(hold: Hold) -> Mail | None:
    """The mail to be sent; None where it is no longer wanted, or may have gone already."""
    with hold() as delivery:
        if delivery.handing_over_at:
            error = "Countersign was interrupted while it handed the mail over. It may have arrived."
            delivery.end(MailOutcome.UNKNOWN, error)
        elif _expired(delivery):
            delivery.end(MailOutcome.FAILED, f"It could not go out on its day. {delivery.error}".strip())
        elif reason := _skip_reason(delivery):
            delivery.end(MailOutcome.SKIPPED, reason)
        else:
            delivery.address = delivery.person.email
            return mail_messages.compose(delivery)
    return None


def _expired(delivery: Delivery, at: datetime | None = None) -> bool:
    """A summary goes on the day it was made or not at all, unless somebody presses Send again."""
    bound = delivery.kind == MailKind.DIGEST and not delivery.again_at
    return bound and local(at or utcnow()).date() > local(delivery.created_at).date()


def _skip_reason(delivery: Delivery) -> str:
    """Why the mail is no longer for this person, asked at each try; empty where it is."""
    person = delivery.person
    if not person.active:
        return f"{person.name} is disabled."
    if delivery.kind == MailKind.ALERT:
        return "" if describe_stuck() else "Nothing is stuck any more."
    if delivery.kind != MailKind.DIGEST:
        return ""
    day = delivery.day or today()
    if not person.is_approver_on(day):
        return f"{person.name} no longer decides about projects."
    if not person.subscribed:
        return f"{person.name} unsubscribed."
    if person.is_away_on(day):
        return f"{person.name} is away."
    return "" if anything_outstanding() else "Nothing waits any more."


def _hand_over(hold: Hold, message: Mail) -> None:
    with smtp.connection() as connection:
        smtp.send_envelope(connection, message)
        with hold() as delivery:
            delivery.handing_over_at = utcnow()
        smtp.send_data(connection, message)
        with hold() as delivery:
            delivery.sent_at = utcnow()
            delivery.end(MailOutcome.SENT)
            _close_incident()


def _close_incident() -> None:
    """A mail went, so whatever held the others is over."""
    if Setting.read(Setting.MAIL):
        Setting.write(Setting.MAIL, None)


def _record_failure(hold: Hold, error: MailError) -> None:
    with hold() as delivery:
        delivery.error = error.cause
        match error.failure:
            case MailFailure.UNKNOWN:
                delivery.end(MailOutcome.UNKNOWN, f"{error.cause} It may have arrived.")
            case MailFailure.PERMANENT:
                delivery.end(MailOutcome.FAILED, error.cause)
            case MailFailure.MISCONFIGURED:
                _open_incident(error.cause, held=True)
                _reschedule(delivery, utcnow())
            case MailFailure.UNREACHABLE:
                _open_incident(error.cause, held=False)
                _try_later(delivery)
            case MailFailure.TEMPORARY:
                _try_later(delivery)


def _open_incident(cause: str, held: bool) -> None:
    before = Setting.read(Setting.MAIL) or {"held": False, "since": utcnow().isoformat()}
    Setting.write(Setting.MAIL, before | {"cause": cause, "held": held or before["held"]})


def _try_later(delivery: Delivery) -> None:
    """Again after a pause that grows, as long as it makes sense: for a day, and a summary on its day only."""
    again_at = utcnow() + min(FIRST_PAUSE * 2 ** min(delivery.tries, 10), Delivery.max_delay())
    delivery.tries += 1
    delivery.failing_since = delivery.failing_since or utcnow()
    if _expired(delivery, again_at) or again_at > delivery.failing_since + PATIENCE:
        delivery.end(MailOutcome.FAILED, f"Given up after {delivery.tries} tries. {delivery.error}")
    else:
        _reschedule(delivery, again_at)


def _reschedule(delivery: Delivery, again_at: datetime) -> None:
    delivery.handing_over_at = None
    delivery.release(retry_at=again_at)


# --- the test mail --------------------------------------------------------------------------------------------------


def send_test(address: str) -> tuple[bool, str]:
    """Send a test mail now; whether it went, and a sentence about it."""
    if closed := blocked_reason():
        return False, closed
    db.session.rollback()
    try:
        message = mail_messages.test(address)
        with smtp.connection() as connection:
            smtp.send_envelope(connection, message)
            smtp.send_data(connection, message)
    except MailError as error:
        return False, error.cause
    with writing():
        _close_incident()
    return True, f"{smtp.server()} took a test mail to {address}."
