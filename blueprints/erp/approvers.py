"""The people who can accept, and warnings where there is none, only one, or none subscribed to the digest."""

from typing import Any

from flask import Blueprint, render_template
from flask_login import current_user
from sqlalchemy import func, select

from extensions import db
from lib.formatting import plural
from models import Person, Project, Status
from permissions import ERP_ADMIN, requires, who_can_grant
from services.cache import cached

blueprint = Blueprint("approvers", __name__)
ONLY_YOU = "You are the only approver. Add a second one so that work doesn't stop when you are away."


@blueprint.get("/erp/approvers")
@requires(ERP_ADMIN)
def report() -> Any:
    holders = select(Person).where(Person.can_push | Person.approvers()).order_by(Person.active.desc(), Person.name)
    return render_template("erp/approvers.html", people=db.session.scalars(holders).all())


@blueprint.app_template_global()
def approver_alerts() -> list[tuple[str, str]]:
    only, alerts = cached("approver alerts", _alerts)
    return [("warning", ONLY_YOU), *alerts[1:]] if only == current_user.id else alerts


def _alerts() -> tuple[int | None, list[tuple[str, str]]]:
    """The id of who is the only approver, and the warnings, each as ("alarm" or "warning", sentence)."""
    able = db.session.scalars(select(Person).where(Person.approvers(), Person.can_sign_in(), ~Person.away())).all()
    if not able:
        return None, [_nobody(db.session.scalar(select(func.count()).where(Project.status == Status.READY)) or 0)]
    alerts = []
    only = able[0] if len(able) == 1 else None
    if only:
        sentence = f"Only {only.name} can accept projects. Work stops when {only.name} is away: add a second approver."
        alerts.append(("warning", f"{sentence} {who_can_grant(True)}"))
    if not any(person.subscribed for person in able):
        sentence = "No accounting approver is subscribed to the digest, so nobody gets the daily summary."
        alerts.append(("warning", f"{sentence} Approvers can subscribe on their own account page."))
    return only and only.id, alerts


def _nobody(waiting: int) -> tuple[str, str]:
    needs = f"It takes ERP Integrations Standard or more and Can Push to Accounting. {who_can_grant(True)}"
    if waiting:
        return "alarm", f"Nobody can accept the {plural(waiting, 'project')} waiting. {needs}"
    return "warning", f"Nobody can accept projects. {needs}"
