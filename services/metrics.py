"""Counts from the database, for Prometheus."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import String, case, cast, func, select

from extensions import db
from lib.leases import Leased
from lib.version import VERSION
from models import WAITING, Counter, Delivery, Export, Project, Setting, SettingName, Status, TaskRequest, utcnow
from services import expiry
from services.cache import cached
from services.connection_state import job_list

QUEUES: dict[str, type[Leased]] = {"exports": Export, "mails": Delivery, "tasks": TaskRequest}
UNDER_WAY = "under way"
Numbers = dict[tuple[str, ...], float]


class DatabaseCollector(Collector):
    """The facts of the moment, read from the database when a scrape asks for them."""

    def collect(self) -> Iterator[Metric]:
        yield InfoMetricFamily("countersign", "The version that runs", {"version": VERSION})
        counts = Counter.read()
        projects: Numbers = {(str(status),): counts.get(status, 0) for status in Status}
        yield _gauge("projects", "Projects by status", projects, "status")
        yield _gauge("oldest_waiting_seconds", "Age of the project that waits longest for accounting", _oldest())
        yield _gauge(
            "exports", "Exports and updates by outcome", cached("exports", _exports, max_stale=60), "kind", "outcome"
        )
        yield _gauge("mails", "Mails by kind and outcome", cached("mails", _mails, max_stale=60), "kind", "outcome")
        yield _gauge("queue_length", "Rows that are due", _queues(), "queue")
        yield _gauge("paused", "1 while exports and mails are paused", float(Setting.exports_held()))
        yield _gauge("mail_held", "1 while the mail server takes no mail", float(bool(Setting.read(SettingName.MAIL))))
        days: Numbers = {(each.name,): each.days_left for each in expiry.list_expiries() if each.days_left is not None}
        yield _gauge("days_left", "Days until each of these expires, negative once it has", days, "item")
        yield _gauge("last_timestamp_seconds", "When each of these last happened", _moments(), "what")


def _gauge(name: str, meaning: str, value: float | Numbers, *labels: str) -> Metric:
    family = GaugeMetricFamily(f"countersign_{name}", meaning, labels=labels)
    for words, number in value.items() if isinstance(value, dict) else [((), value)]:
        family.add_metric(words, number)
    return family


def _oldest() -> float:
    sent = db.session.scalar(select(func.min(Project.sent_at)).where(Project.status.in_(WAITING)))
    return max((utcnow() - sent).total_seconds(), 0) if sent else 0


def _exports() -> Numbers:
    done = case((Export.created_at.is_not(None), "done"), else_="failed")
    outcome = case((Export.due_at.is_not(None), UNDER_WAY), else_=done)
    kind = case((Export.is_update, "update"), else_="export")
    return _count(kind, outcome)


def _mails() -> Numbers:
    return _count(Delivery.kind, func.coalesce(cast(Delivery.outcome, String), UNDER_WAY))


def _count(kind: Any, outcome: Any) -> Numbers:
    labeled = cast(kind, String).label("of_kind"), outcome.label("ended")  # names that no column has
    rows = db.session.execute(select(*labeled, func.count()).group_by("of_kind", "ended"))
    return {(str(kind), str(outcome).lower()): n for kind, outcome, n in rows}


def _queues() -> Numbers:
    now = utcnow()
    due = {name: select(func.count()).select_from(row).where(row.due(now)) for name, row in QUEUES.items()}
    return {(name,): db.session.scalar(statement) or 0 for name, statement in due.items()}


def _moments() -> Numbers:
    """Seconds since 1970; what never happened has no value."""
    backed_up, beat = (db.session.get(Setting, name) for name in (SettingName.BACKED_UP, SettingName.HEARTBEAT))
    moments = {"backup": backed_up and backed_up.at, "timetable": beat and beat.at}
    texts = {"job list": job_list().get("at"), "backup copy": (Setting.read(SettingName.BACKUP_COPY) or {}).get("at")}
    moments |= {name: datetime.fromisoformat(text) for name, text in texts.items() if text}
    return {(name,): at.timestamp() for name, at in moments.items() if at}
