"""The exports of a period as a file, for the end of a month: who accepted each, by which template, and how fast."""

from collections.abc import Iterator
from typing import Any

from flask import Blueprint, Response, request, stream_with_context
from sqlalchemy import Select, func, select
from sqlalchemy.orm import aliased

from extensions import db
from lib import csv_safety
from lib.day_range import DayRange
from lib.formatting import local
from models import Event, Export, Job, Level, Person, Project, Transition
from permissions import Rule, requires

blueprint = Blueprint("synced_report", __name__)
COLUMNS = (
    *("project_number", "project_name", "spectrum_job_id", "customer", "template", "sent_by", "sent_at"),
    *("accepted_by", "accepted_at", "exported_at", "hours_to_decide"),
)
EXPORTED = (str(Transition.CREATED), str(Transition.FOUND))


@blueprint.get("/erp/exports.csv")
@requires(Rule(erp=Level.READ_ONLY))
def as_csv() -> Any:
    days = DayRange.from_args(request.args)
    name = f"exports-{days.since or 'first'}-to-{days.until or 'today'}.csv"
    lines = stream_with_context(csv_safety.iter_csv(COLUMNS, _lines(days)))
    return Response(lines, mimetype="text/csv", headers={"Content-Disposition": f'attachment; filename="{name}"'})


def _lines(days: DayRange) -> Iterator[list[str]]:
    for *texts, sent_at, accepted_by, accepted_at, exported_at in db.session.execute(
        _exports(days), execution_options={"yield_per": csv_safety.PIECE}
    ):
        hours = f"{(accepted_at - sent_at).total_seconds() / 3600:.1f}" if sent_at else ""
        moments = [local(at).isoformat(timespec="seconds") if at else "" for at in (sent_at, accepted_at, exported_at)]
        yield [*(text or "" for text in texts), moments[0], accepted_by, *moments[1:], hours]


def _exports(days: DayRange) -> Select[Any]:
    """Each export of the period, by the events that say so, with when its project had been sent last before it."""
    sender, accepter, sent = aliased(Person), aliased(Person), aliased(Event)
    before = (sent.project_id == Project.id, sent.action == str(Transition.SEND), sent.at <= Export.accepted_at)
    sent_at = select(func.max(sent.at)).where(*before).correlate(Project, Export).scalar_subquery()
    of_project = (Project.number, Project.name, Project.spectrum_job_id, Job.customer_code)
    columns: list[Any] = [*of_project, Export.template_number, sender.name, sent_at]
    columns += [accepter.name, Export.accepted_at, Event.at]
    rows = select(*columns).join(Project, Event.project_id == Project.id)
    rows = rows.join(Export, Export.id == _export_of_event())
    rows = rows.join(accepter, Export.accepted_by_id == accepter.id)
    rows = rows.outerjoin(sender, Project.sent_by_id == sender.id).outerjoin(Job, Job.key == Project.job_key)
    return rows.where(Event.action.in_(EXPORTED), *days.conditions(Event.at)).order_by(Event.at, Event.id)


def _export_of_event() -> Any:
    """The id of the export that an event ended: the latest that was accepted before."""
    each = aliased(Export)
    of_event = (each.project_id == Event.project_id, ~each.is_update, each.accepted_at <= Event.at)
    return select(func.max(each.id)).where(*of_event).correlate(Event).scalar_subquery()
