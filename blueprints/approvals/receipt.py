"""The receipt of an export: one page to print, with each value sent beside Spectrum's."""

from typing import Any

from flask import Blueprint, render_template

from blueprints.approvals.decisions import VIEWER
from blueprints.approvals.responses import get_project, render_project
from models import Status
from permissions import requires
from services import receipt

blueprint = Blueprint("receipt", __name__)


@blueprint.get("/approvals/<int:project_id>/receipt")
@requires(VIEWER)
def show(project_id: int) -> Any:
    project = get_project(project_id)
    if project.status is not Status.SYNCED or project.export is None:
        return render_project(project, 409, conflict="A receipt is there once the job is in Spectrum.")
    return render_template("approvals/receipt.html", project=project, lines=receipt.compare(project))
