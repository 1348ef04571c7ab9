"""The company's history: every event of every project and of the settings, filtered, paged, and as CSV.

Events about a person are on that person's page in the Company Directory.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Response, render_template, request, stream_with_context
from sqlalchemy import Select, select, text, true
from sqlalchemy.orm import joinedload

from extensions import db
from lib import csv_safety, pagination
from lib.day_range import DayRange
from lib.distinct import distinct_values
from lib.formatting import local
from models import Event, Level, Person, Project
from permissions import LARGEST_ID, Rule, requires
from services import project_queries
from services.statistics import DECIDED, undone_rejections

blueprint = Blueprint("history", __name__)
COLUMNS = ("at", "person", "project_number", "project_name", "action", "from_status", "to_status", "comment")

LOADED = (joinedload(Event.project), joinedload(Event.person))
LATEST_FIRST = pagination.Order(Event.at, Event.id, Event.__table__, up=False)


@dataclass(frozen=True)
class HistoryFilter:
    """The parameters of the address; one that makes no sense is ignored. Days are the company's."""

    person: int | None
    action: str
    days: DayRange
    project: str  # its number, or words of it

    @classmethod
    def from_args(cls, args: Mapping[str, str]) -> "HistoryFilter":
        person = args.get("person", "")
        known = person.isascii() and person.isdecimal() and len(person) < 11 and int(person) <= LARGEST_ID
        known_person = int(person) if known else None
        project = args.get("project", "").strip()[:100]
        return cls(known_person, args.get("action", "")[:40], DayRange.from_args(args), project)

    @property
    def is_short(self) -> bool:
        return project_queries.is_short(project_queries.split_words(self.project))

    @property
    def address(self) -> dict[str, Any]:
        wanted = {"person": self.person, "action": self.action, "from": self.days.since, "to": self.days.until}
        return {name: str(value) for name, value in {**wanted, "project": self.project}.items() if value}

    def events(self) -> Select[Any]:
        rows = select(Event)
        if self.person is not None:
            rows = rows.where(Event.person_id == (self.person or None))
        if self.action == "decided":
            rows = rows.where(Event.action.in_(DECIDED), Event.id.not_in(undone_rejections()))
        elif self.action:
            rows = rows.where(Event.action == self.action)
        of_company: Any = Event.subject_id.is_(None)
        if self.project:
            projects, few = project_queries.ids_of(self.project)
            rows = rows.where(Event.project_id.in_(projects))
            of_company = text("+event.subject_id IS NULL") if few else of_company  # so that their own index is used
        return rows.where(of_company, *self.days.conditions(Event.at))


@blueprint.get("/erp/history")
@requires(Rule(erp=Level.READ_ONLY))
def index() -> Any:
    asked = HistoryFilter.from_args(request.args)
    # found and sorted by itself before anything is joined to it
    found = pagination.PagedQuery(asked.events(), LATEST_FIRST, parts=(true(),))
    page = found.page(pagination.ListParams.from_args(request.args), found.count({}), pagination.objects(*LOADED), {})
    people = [(person.id, person.name) for person in db.session.scalars(select(Person).order_by(Person.name))]
    return render_template("erp/history.html", asked=asked, page=page, people=people, actions=_actions())


@blueprint.get("/erp/history.csv")
@requires(Rule(erp=Level.READ_ONLY))
def as_csv() -> Any:
    lines = stream_with_context(csv_safety.iter_csv(COLUMNS, _lines(HistoryFilter.from_args(request.args))))
    return Response(lines, mimetype="text/csv", headers={"Content-Disposition": 'attachment; filename="history.csv"'})


def _lines(asked: HistoryFilter) -> Iterator[list[str]]:
    columns = (Event.at, Person.name, Project.number, Project.name, Event.action)
    events = asked.events().with_only_columns(*columns, Event.from_status, Event.to_status, Event.comment)
    events = events.outerjoin(Event.person).outerjoin(Event.project).order_by(*LATEST_FIRST.by(forwards=True))
    for at, person, *rest in db.session.execute(events, execution_options={"yield_per": csv_safety.PIECE}):
        yield [local(at).isoformat(timespec="seconds"), person or "Countersign", *(text or "" for text in rest)]


def _actions() -> list[tuple[str, str]]:
    return [(action, action) for action in distinct_values(Event.action, Event.subject_id.is_(None))]
