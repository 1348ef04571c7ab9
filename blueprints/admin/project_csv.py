"""CSV in the browser: choose a file, preview it, import it; download the list."""

from typing import Any

from flask import Blueprint, Response, flash, redirect, render_template, request, stream_with_context, url_for
from flask_login import current_user

from lib.formatting import plural
from models import Level
from permissions import PROJECT_ADMIN, Rule, requires
from services import project_csv, worklist

blueprint = Blueprint("project_csv", __name__)
LARGEST = 400_000  # bytes; the previewed file comes back in a form field, which may not be larger


@blueprint.get("/admin/projects.csv")
@requires(Rule(projects=Level.READ_ONLY))
def export() -> Any:
    args = request.args
    found = worklist.every_project(worklist.read_params(args), worklist.managed_filter(args), current_user.id)
    lines = stream_with_context(project_csv.iter_csv(found))
    return Response(lines, mimetype="text/csv", headers={"Content-Disposition": 'attachment; filename="projects.csv"'})


@blueprint.get("/admin/projects/import")
@requires(PROJECT_ADMIN)
def choose() -> Any:
    return render_template("admin/project_import.html")


@blueprint.post("/admin/projects/import")
@requires(PROJECT_ADMIN)
def preview() -> Any:
    upload = request.files.get("file")
    data = upload.read(LARGEST + 1) if upload and upload.filename else b""
    if not data.strip():
        return render_template("admin/project_import.html", error="Choose a CSV file that is not empty."), 422
    if len(data) > LARGEST:
        large = f"The file is larger than {LARGEST // 1000} kB. Import it on the server: flask projects import."
        return render_template("admin/project_import.html", error=large), 422
    return _render_preview(data)


@blueprint.post("/admin/projects/import/confirm")
@requires(PROJECT_ADMIN)
def confirm() -> Any:
    data = request.form.get("text", "").encode()
    found = project_csv.read(data)
    if found.errors.found or not project_csv.insert_projects(found.projects, current_user):
        return _render_preview(data)
    flash(f"Imported {plural(len(found.projects), 'project')}.")
    return redirect(url_for("projects.index"), 303)


def _render_preview(data: bytes) -> Any:
    found = project_csv.read(data)
    if not found.projects and not found.errors.found:
        return render_template("admin/project_import.html", error="The file has no projects below its header."), 422
    return render_template("admin/project_import.html", found=found), 422 if found.errors.found else 200
