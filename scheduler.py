"""The whole timetable on one screen: APScheduler, in-process, only where the app serves.

It remembers nothing. Each entry asks the database what is due, so restarts, several workers and several machines
change nothing.
"""

import logging
import os
import threading
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.interval import IntervalTrigger
from flask import Flask, current_app

from erp import Connection, ReadError
from extensions import db, writing
from lib import json_log
from models import MailKind, Person, Setting, SettingName, TaskKind, TaskRequest, utcnow
from services import accounts, connection_state
from tasks import alerts, client_secret, digest, erp_connection, expiry, exports, job_list, mail_delivery, updates

NOT_SET_UP = "Spectrum is not set up: SPECTRUM_URL is missing."
TASK_LEASE = timedelta(minutes=15)
STEP = timedelta(seconds=0.1)  # between the first turns: all at once, each would have a thread and a connection
PATIENCE = 10.0  # seconds that what is under way has to finish; gunicorn ends a worker after 25
REFRESH_EVERY = {"hourly": timedelta(hours=1), "every-4-hours": timedelta(hours=4), "daily": timedelta(days=1)}

_scheduler: BackgroundScheduler | None = None
_stopping = threading.Event()
log = logging.getLogger(__name__)


def start(app: Flask) -> None:
    global _scheduler
    refrain = json_log.RateLimitedLog()
    logging.getLogger("apscheduler").setLevel(logging.ERROR)  # a tick that waits for the one before it is no news
    _scheduler = BackgroundScheduler(timezone="UTC", job_defaults={"coalesce": True, "misfire_grace_time": None})
    for place, (work, seconds) in enumerate(TIMETABLE):
        every, first = IntervalTrigger(seconds=seconds, timezone=UTC), utcnow() + place * STEP
        _scheduler.add_job(_in_app(app, work, refrain), every, next_run_time=first)
    _scheduler.start()


def stop() -> None:
    """Begin nothing new, and let what is under way finish.

    What still hangs after PATIENCE ends with the process; its row is free for others when its lease is over.
    """
    if not (_scheduler and _scheduler.running):
        return
    _stopping.set()
    ending = threading.Thread(target=_scheduler.shutdown, daemon=True)
    ending.start()
    ending.join(PATIENCE)
    if ending.is_alive():
        log.warning("stopped in the middle of work, which goes on elsewhere when its lease is over")
        os._exit(0)  # the interpreter itself would wait for the thread that hangs
    _stopping.clear()


def _in_app(app: Flask, work: Callable[[], None], refrain: json_log.RateLimitedLog) -> Callable[[], None]:
    def run() -> None:
        json_log.request_id.set(uuid.uuid4().hex[:12])
        with app.app_context():
            try:
                work()
            except Exception as error:  # noqa: BLE001 - the next tick tries again, whatever it was
                refrain.failed(work.__name__, error)
            else:
                refrain.succeeded(work.__name__)

    return run


def run_exports() -> None:
    if erp := erp_connection.connect():
        exports.run_due(erp, stopping=_stopping.is_set)


def deliver_mails() -> None:
    mail_delivery.deliver_due(_stopping.is_set)


def run_task_requests() -> None:
    while not _stopping.is_set() and (claimed := TaskRequest.claim(TASK_LEASE)):
        errand_id, token = claimed
        asked = db.session.get_one(TaskRequest, errand_id)
        succeeded, answer = TASKS[TaskKind(asked.kind)](asked.subject)
        with TaskRequest.transaction(errand_id, token, TASK_LEASE) as errand:
            errand.succeeded, errand.answer = succeeded, answer
            errand.release()
            if errand.asked_by_id is None:  # nobody waits to see the answer
                db.session.delete(errand)


def refresh_job_list() -> tuple[bool, str]:
    return _ask_erp(lambda erp: (True, job_list.refresh(erp)))


def test_connection() -> tuple[bool, str]:
    def test(erp: Connection) -> tuple[bool, str]:
        tested = erp_connection.test(erp)
        return tested.passed, "\n".join([tested.sentence, *tested.lines])

    return _ask_erp(test)


def _ask_erp(ask: Callable[[Connection], tuple[bool, str]]) -> tuple[bool, str]:
    erp = erp_connection.connect()
    if erp is None:
        return False, NOT_SET_UP
    try:
        return ask(erp)
    except ReadError as failure:
        return False, failure.error


def mail_password_link(email: str) -> tuple[bool, str]:
    with writing():
        person = Person.by_email(email)
        if person and person.active:
            accounts.send_link(person, MailKind.RESET, None)
    return True, ""


TASKS: dict[TaskKind, Callable[[str], tuple[bool, str]]] = {
    TaskKind.REFRESH_JOBS: lambda _subject: refresh_job_list(),
    TaskKind.TEST_CONNECTION: lambda _subject: test_connection(),
    TaskKind.TEST_MAIL: mail_delivery.send_test,
    TaskKind.PASSWORD_LINK: mail_password_link,
    TaskKind.READ_JOB: lambda subject: _ask_erp(lambda erp: updates.read_job(erp, int(subject))),
}


def refresh_when_old() -> None:
    """Read the job list when the schedule says so, again soon where that failed, and once where exports are held.

    That is because a refresh learns how the server is spoken to, which a write never does.
    """
    every = REFRESH_EVERY.get(current_app.config["SPECTRUM_REFRESH"])
    last, held = connection_state.job_list(), Setting.read(SettingName.HELD)
    read, tried = (_moment(last.get(name)) for name in ("at", "tried"))
    unread = held and not any(moment and moment > datetime.fromisoformat(held["since"]) for moment in (read, tried))
    due = unread or last.get("error") or (every and not _within(read, every))
    if due and not _within(tried, timedelta(minutes=5)):
        refresh_job_list()


def rotate_secret_when_due() -> None:
    """Replace the client secret at half of its time; a failure is tried again an hour later."""
    if erp := erp_connection.connect():
        client_secret.rotate_when_due(erp)


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _within(moment: datetime | None, span: timedelta) -> bool:
    return moment is not None and abs(utcnow() - moment) < span


def beat() -> None:
    with writing():
        Setting.write(SettingName.HEARTBEAT, None)


TIMETABLE: list[tuple[Callable[[], None], float]] = [
    (run_exports, 1),
    (run_task_requests, 1),
    (deliver_mails, 2),
    (digest.open_due_day, 60),
    (alerts.raise_alarm, 60),
    (expiry.look_at_certificates, 60),
    (expiry.queue_mails, 60),
    (refresh_when_old, 60),
    (rotate_secret_when_due, 3600),
    (beat, 60),
]
