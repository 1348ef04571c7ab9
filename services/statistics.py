"""Statistics: waiting projects by age, decisions per week, and the median time to decide; as figures and bars.

Two statements in all. A week begins on Monday, on the company's clock.
"""

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from statistics import median

from flask import current_app
from sqlalchemy import func, select
from sqlalchemy.orm import aliased

from extensions import db
from lib.formatting import format_duration, local, plural
from models import Event, Project, Status, Transition, utcnow
from services import project_queries, worklist

WEEKS = 8
HEIGHT = 28  # of the tallest bar, in the drawing's units


@dataclass(frozen=True)
class Bar:
    """One figure: its text, its height, and the parameters of its list's address."""

    label: str
    text: str
    height: int
    address: dict[str, str]
    tone: str = ""


@dataclass(frozen=True)
class Statistics:
    waiting: list[Bar]
    decided: list[Bar]
    durations: list[Bar]


def compute() -> Statistics:
    weeks = _weeks()
    spans = _decided_since(weeks[0])
    counts = [float(len(spans[week])) for week in weeks]
    medians = [median(spans[week]) if spans[week] else 0.0 for week in weeks]
    text = [format_duration(timedelta(seconds=each)) if each else "–" for each in medians]
    return Statistics(
        waiting=_waiting(),
        decided=_bars(weeks, [plural(int(count), "project") for count in counts], counts),
        durations=_bars(weeks, text, medians),
    )


def _waiting() -> list[Bar]:
    now = utcnow()
    columns = [func.count().filter(*each.conditions(**each.params(now))) for each in project_queries.AGES.values()]
    counts = [int(count) for count in db.session.execute(select(*columns).where(Project.status == Status.READY)).one()]
    tops = _heights([float(count) for count in counts])
    return [
        Bar(each.label, plural(count, "project"), top, {"filter": worklist.DEFAULT, "age": name}, each.tone)
        for (name, each), count, top in zip(project_queries.AGES.items(), counts, tops, strict=True)
    ]


def _bars(weeks: list[date], text: list[str], values: list[float]) -> list[Bar]:
    days = [{"action": "decided", "from": f"{week}", "to": f"{week + timedelta(days=6)}"} for week in weeks]
    labels = [f"Week of {week:%b} {week.day}" for week in weeks]
    return [Bar(*each) for each in zip(labels, text, _heights(values), days, strict=True)]


def _heights(values: list[float]) -> list[int]:
    largest = max(*values, 1.0)
    return [max(round(HEIGHT * value / largest), 2 if value else 0) for value in values]


def _weeks() -> list[date]:
    today = local(utcnow()).date()
    monday = today - timedelta(days=today.weekday())
    return [monday - timedelta(weeks=back) for back in reversed(range(WEEKS))]


def _decided_since(day: date) -> dict[date, list[float]]:
    """How long each decision took in seconds, from when the project was sent last, by the Monday of its week."""
    sent = aliased(Event)
    before = (sent.project_id == Event.project_id, sent.action == str(Transition.SEND), sent.id < Event.id)
    sent_at = select(func.max(sent.at)).where(*before).scalar_subquery()
    beginning = datetime.combine(day, time(), current_app.config["TIMEZONE"]).astimezone(UTC)
    decisions = Event.action.in_((str(Transition.ACCEPT), str(Transition.REJECT)))
    spans: dict[date, list[float]] = defaultdict(list)
    for at, sent_last in db.session.execute(select(Event.at, sent_at).where(decisions, Event.at >= beginning)):
        decided = local(at).date()
        if sent_last:
            spans[decided - timedelta(days=decided.weekday())].append((at - sent_last).total_seconds())
    return spans
