"""Statistics: waiting projects by age, decisions per week, and the median time to decide; as figures and as plots.

Two statements in all. A week begins on Monday, on the company's clock.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import count
from statistics import median
from typing import Any

from flask import current_app
from sqlalchemy import Select, func, select
from sqlalchemy.orm import aliased

from extensions import db
from lib.formatting import format_duration, local, plural, short_duration
from models import Event, Project, Status, Transition, utcnow
from services import project_queries, worklist

WEEKS = 8
HEIGHT = 120  # of a plot, in the drawing's units
DECIDED = (str(Transition.ACCEPT), str(Transition.REJECT))
UNDONE = (str(Transition.UNDO), str(Transition.UNDO_OF_FAILED))
HOUR, DAY = 3600, 24 * 3600  # seconds
Span = dict[date, list[float]]  # how long each decision of a week took, in seconds


@dataclass(frozen=True)
class Bar:
    """One figure: its text, its height, and the parameters of its list's address."""

    label: str
    short: str
    text: str
    height: int
    address: dict[str, str]
    tone: str = ""


@dataclass(frozen=True)
class Plot:
    """Bars over a scale: each tick is its height from the top, and its label."""

    title: str
    axis: str
    bars: list[Bar]
    ticks: list[tuple[int, str]]
    height: int = HEIGHT


@dataclass(frozen=True)
class Statistics:
    """The plots, and their latest figures in words, each with the page that it leads to and that page's parameters."""

    summary: list[tuple[str, str, dict[str, str]]]
    waiting: Plot
    decided: Plot
    durations: Plot


def compute() -> Statistics:
    weeks = _weeks()
    counts, oldest = _count_waiting()
    spans = _decided_since(weeks[0])
    return Statistics(
        _summary(sum(counts), oldest, weeks[-1], spans[weeks[-1]]),
        _plot_waiting(counts),
        _plot_decided(weeks, spans),
        _plot_durations(weeks, spans),
    )


def _summary(
    waiting: int, oldest: datetime | None, week: date, spans: list[float]
) -> list[tuple[str, str, dict[str, str]]]:
    age = f", oldest {format_duration(utcnow() - oldest)}" if oldest else ""
    of_week = [("history.index", _address_of(week))] * 2
    told = [f"{waiting:,} waiting{age}", f"{len(spans) or 'none'} decided this week"]
    if spans:
        told.append(f"median {short_duration(timedelta(seconds=median(spans)))}")
    pages = [("erp.jobs", {"filter": worklist.DEFAULT, "sort": "sent"}), *of_week]
    return [(text, *page) for text, page in zip(told, pages, strict=False)]


# --- what waits -----------------------------------------------------------------------------------------------------


def _count_waiting() -> tuple[list[int], datetime | None]:
    """The number of waiting projects by age, each counted in a range of the index; and when the oldest was sent."""
    now, since = utcnow(), project_queries.waiting_since
    waiting = select(func.count()).where(Project.status == Status.READY)
    counts = [waiting.where(*each.conditions(**each.params(now))) for each in project_queries.AGES.values()]
    oldest = select(since).where(Project.status == Status.READY).order_by(since).limit(1)
    *found, first = db.session.execute(select(*(each.scalar_subquery() for each in (*counts, oldest)))).one()
    return found, first


def _plot_waiting(counts: Sequence[int]) -> Plot:
    top = _round_up(max(counts))
    bars = [
        Bar(each.label, each.label, plural(count, "project"), _height(count, top), _waiting_for(name), each.tone)
        for (name, each), count in zip(project_queries.AGES.items(), counts, strict=True)
    ]
    return Plot("Waiting, by age", "Projects, by how long they have waited", bars, _ticks(top))


def _waiting_for(age: str) -> dict[str, str]:
    return {"filter": worklist.DEFAULT, "age": age}


# --- what was decided -----------------------------------------------------------------------------------------------


def _plot_decided(weeks: list[date], spans: Span) -> Plot:
    counts = [len(spans[week]) for week in weeks]
    top = _round_up(max(counts))
    bars = [
        _bar(week, plural(count, "project"), _height(count, top)) for week, count in zip(weeks, counts, strict=True)
    ]
    return Plot("Decided per week", "Projects, by the week that begins on", bars, _ticks(top))


def _plot_durations(weeks: list[date], spans: Span) -> Plot:
    medians = [median(spans[week]) if spans[week] else 0.0 for week in weeks]
    unit, name = (HOUR, "Hours") if max(medians) < 2 * DAY else (DAY, "Days")
    top = _round_up(max(medians) / unit)
    texts = [format_duration(timedelta(seconds=each)) if each else "–" for each in medians]
    heights = [_height(value / unit, top) for value in medians]
    bars = [_bar(*each) for each in zip(weeks, texts, heights, strict=True)]
    return Plot("Median time to decide", f"{name}, by the week that begins on", bars, _ticks(top))


def _bar(week: date, text: str, height: int) -> Bar:
    day = f"{week:%b} {week.day}"
    return Bar(f"Week of {day}", day, text, height, _address_of(week))


def _address_of(week: date) -> dict[str, str]:
    return {"action": "decided", "from": f"{week}", "to": f"{week + timedelta(days=6)}"}


def _weeks() -> list[date]:
    """The Mondays of the last weeks, in order."""
    today = local(utcnow()).date()
    monday = today - timedelta(days=today.weekday())
    return [monday - timedelta(weeks=back) for back in reversed(range(WEEKS))]


def _decided_since(day: date) -> Span:
    """Return the seconds that each decision took, from when the project was sent last, by the Monday of its week."""
    sent = aliased(Event)
    before = (sent.project_id == Event.project_id, sent.action == str(Transition.SEND), sent.id < Event.id)
    sent_at = select(func.max(sent.at)).where(*before).scalar_subquery()
    beginning = datetime.combine(day, time(), current_app.config["TIMEZONE"]).astimezone(UTC)
    decisions = (Event.action.in_(DECIDED), Event.id.not_in(undone_rejections()))
    spans: Span = defaultdict(list)
    for at, sent_last in db.session.execute(select(Event.at, sent_at).where(*decisions, Event.at >= beginning)):
        decided = local(at).date()
        if sent_last:
            spans[decided - timedelta(days=decided.weekday())].append((at - sent_last).total_seconds())
    return spans


def undone_rejections() -> Select[Any]:
    """The ids of rejections that were undone within seconds: nobody was told, so they count as no decision."""
    undo, rejection = aliased(Event), aliased(Event)
    undone = (rejection.project_id == undo.project_id, rejection.action == str(Transition.REJECT))
    last = select(func.max(rejection.id)).where(*undone, rejection.id < undo.id).scalar_subquery()
    return select(last).where(undo.subject_id.is_(None), undo.action.in_(UNDONE), last.is_not(None))


# --- the scale ------------------------------------------------------------------------------------------------------


def _round_up(value: float) -> int:
    """The top of a scale: 2, 4, 6, 10, 20, 40 and so on, so that its middle is a whole number."""
    return next(top for power in count() for step in (2, 4, 6, 10) if value <= (top := step * int(10**power)))


def _ticks(top: int) -> list[tuple[int, str]]:
    return [(0, f"{top:,}"), (HEIGHT // 2, f"{top // 2:,}"), (HEIGHT, "0")]


def _height(value: float, top: int) -> int:
    return max(round(HEIGHT * value / top), 2 if value else 0)
