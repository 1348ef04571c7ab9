"""Each delivery from claim to outcome.

A delivery goes in four steps: claimed, recipient named, "handing over" committed, text sent and "sent" committed. What
stops before the text went out is tried again; what stops after it may have arrived, and is never sent again by itself.
No transaction is open while the mail server is spoken to.
"""

from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager
from contextvars import copy_context
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from flask import current_app
from sqlalchemy import or_, update

from extensions import db, writing
from lib.formatting import local, today
from models import Delivery, LeaseLost, MailKind, MailOutcome, Setting, SettingName, utcnow
from services import expiry
from services.mail_settings import describe_way, is_set_up, server, uses_graph
from services.outstanding import anything_outstanding, describe_stuck
from tasks import mail_graph, mail_messages, smtp
from tasks.mail_errors import MailError, MailFailure
from tasks.mime import Mail

LEASE = timedelta(seconds=90)
FIRST_PAUSE = timedelta(seconds=30)
PATIENCE = timedelta(days=1)
PROBE_INTERVAL = {False: timedelta(seconds=30), True: timedelta(minutes=1)}  # while no mail goes; by whether it is held
SIDE_BY_SIDE = 5  # so many mails may wait for slow answers
SLOW = 20  # seconds after which the next mail no longer waits for the one before

Claim = tuple[int, str]
Hold = Callable[[], AbstractContextManager[Delivery]]


# --- many deliveries ------------------------------------------------------------------------------------------------


def deliver_due(stopping: Callable[[], bool] = lambda: False) -> None:
    """Each tick: send due mails; while the server takes none, probe with one mail at intervals."""
    if _should_probe():
        deliver(stopping=stopping)


def _should_probe() -> bool:
    trouble = Setting.read(SettingName.MAIL)
    if not trouble:
        return True
    until = trouble.get("until")  # as a server asked for
    if until and utcnow() < datetime.fromisoformat(until) <= utcnow() + PATIENCE:
        return False
    long_ago = utcnow() - PROBE_INTERVAL[trouble["held"]]
    with writing():  # one process takes the turn
        due = or_(Setting.at <= long_ago, Setting.at > utcnow())  # the latter where the clock was set back
        turn = update(Setting).where(Setting.name == SettingName.MAIL, due)
        won: Any = db.session.execute(turn.values(at=utcnow()))
    return bool(won.rowcount)


def deliver(*only: Any, stopping: Callable[[], bool] = lambda: False) -> None:
    """Carry each delivery that is due to its end; the first trouble that is not its own ends the round.

    Once `stopping` says so, no other is begun.
    """
    _Round(only, stopping).run()


class _Round:
    """Deliveries one after the other, each in a thread: one that waits long for an answer does not hold up the next."""

    def __init__(self, only: tuple[Any, ...], stopping: Callable[[], bool]) -> None:
        self._only, self._stopping = only, stopping
        self._app = current_app._get_current_object()  # type: ignore[attr-defined]  # what stands behind the proxy
        self._under_way: dict[Future[bool], Claim] = {}
        self._goes_on = True

    def run(self) -> None:
        with ThreadPoolExecutor(SIDE_BY_SIDE) as threads:
            while True:
                claimed = Delivery.claim(LEASE, *self._only) if self._may_begin() else None
                if claimed:
                    self._under_way[threads.submit(copy_context().run, self._process, claimed)] = claimed
                if not self._under_way:
                    return
                self._wait(SLOW if claimed else 2)

    def _may_begin(self) -> bool:
        if self._stopping() or blocked_reason():
            return False
        room = len(self._under_way) < (1 if Setting.read(SettingName.MAIL) else SIDE_BY_SIDE)
        return room and (self._goes_on or (bool(self._under_way) and _should_probe()))

    def _process(self, claimed: Claim) -> bool:
        with self._app.app_context():
            try:
                return _process(partial(Delivery.transaction, *claimed, LEASE))
            except LeaseLost:
                return True

    def _wait(self, seconds: float) -> None:
        """Wait until one delivery ends, then renew the leases of the others."""
        db.session.rollback()  # no transaction stays open meanwhile
        ended, _ = wait(self._under_way, seconds, FIRST_COMPLETED)
        for each in ended:
            del self._under_way[each]
        if ended:
            self._goes_on = all(each.result() for each in ended)
        for delivery_id, token in self._under_way.values():
            with writing():
                still = (Delivery.id == delivery_id, Delivery.token == token)
                db.session.execute(update(Delivery).where(*still).values(lease_until=utcnow() + LEASE))


def blocked_reason() -> str:
    """Return the reason why no mail may go out at all, as a sentence; empty where it may."""
    if not is_set_up():
        return "Mail is not set up: MAIL_SERVER is missing."
    db.session.rollback()  # read what stands there now
    paused = "Exports and mails are paused. Press Resume in the ERP settings first."
    return paused if Setting.read(SettingName.PAUSED) else ""


# --- one delivery ---------------------------------------------------------------------------------------------------


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
            message = mail_messages.compose(delivery)
            message.is_patient = delivery.tries > 0
            return message
    return None


def _expired(delivery: Delivery, at: datetime | None = None) -> bool:
    """A summary goes on the day it was made or not at all, unless somebody presses Send again."""
    bound = delivery.kind == MailKind.DIGEST and not delivery.again_at
    return bound and local(at or utcnow()).date() > local(delivery.created_at).date()


def _skip_reason(delivery: Delivery) -> str:
    """Return the reason why this person no longer gets the mail, asked at each try; empty where they do."""
    person = delivery.person
    if not person.active:
        return f"{person.name} is disabled."
    if delivery.kind == MailKind.ALERT:
        return "" if describe_stuck() else "Nothing is stuck any more."
    if delivery.kind == MailKind.EXPIRY:
        return "" if expiry.find(delivery.subject) else "It was renewed, or a later mail tells of it."
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


def _connect(is_patient: bool = False, report: smtp.Report = lambda _: None) -> Any:
    """A connection the way that is set, with `send_envelope` and `send_data`. Raises MailError."""
    return (mail_graph if uses_graph() else smtp).connection(is_patient, report)


def _hand_over(hold: Hold, message: Mail) -> None:
    with _connect(message.is_patient) as connection:
        connection.send_envelope(message)
        with hold() as delivery:
            if Setting.read(SettingName.PAUSED):  # since this round began
                _reschedule(delivery, utcnow())
                return
            delivery.handing_over_at = utcnow()
        connection.send_data(message)
        with hold() as delivery:
            delivery.sent_at = utcnow()
            delivery.end(MailOutcome.SENT)
            _close_incident()


def _close_incident() -> None:
    if Setting.read(SettingName.MAIL):
        Setting.write(SettingName.MAIL, None)


def _record_failure(hold: Hold, error: MailError) -> None:
    with hold() as delivery:
        is_own = error.may_be_own and delivery.error == error.cause and not Setting.read(SettingName.MAIL)
        delivery.error = error.cause
        match MailFailure.PERMANENT if is_own else error.failure:  # own: others went since it was refused before
            case MailFailure.UNKNOWN:
                delivery.end(MailOutcome.UNKNOWN, f"{error.cause} It may have arrived.")
            case MailFailure.PERMANENT:
                delivery.end(MailOutcome.FAILED, error.cause)
            case MailFailure.MISCONFIGURED:
                _open_incident(error, held=True)
                _reschedule(delivery, utcnow())
            case MailFailure.UNREACHABLE:
                _open_incident(error, held=False)
                _try_later(delivery)
            case MailFailure.TEMPORARY:
                _try_later(delivery)


def _open_incident(error: MailError, held: bool) -> None:
    before = Setting.read(SettingName.MAIL) or {"held": False, "since": utcnow().isoformat()}
    until = (utcnow() + error.wait).isoformat() if error.wait else None
    Setting.write(SettingName.MAIL, before | {"cause": error.cause, "held": held or before["held"], "until": until})


def _try_later(delivery: Delivery) -> None:
    """Try again after a pause that grows, for a day; a summary on its day only."""
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


def send_test(address: str, report: smtp.Report = lambda _: None) -> tuple[bool, str]:
    """Send a test mail now; whether it went, and a sentence about it. `report` is told the way and each step."""
    if reason := blocked_reason():
        return False, reason
    db.session.rollback()
    report(f"{describe_way()}.")
    try:
        message = mail_messages.test(address)
        with _connect(report=report) as connection:
            connection.send_envelope(message)
            report("Handing the mail over.")
            connection.send_data(message)
    except MailError as error:
        return False, error.cause
    with writing():
        _close_incident()
    return True, f"{server()} took a test mail to {address}."
