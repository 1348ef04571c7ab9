"""The receipt of an export and its updates: each value as it was sent, and as the job had it when it was last read."""

from dataclasses import dataclass

from sqlalchemy import select

from erp import FieldValue, rules
from extensions import db
from models import Export, Project


@dataclass(frozen=True)
class ReceiptLine:
    """One value; `now` is None where Spectrum does not show it."""

    label: str
    sent: str
    now: str | None
    differs: bool


def compare(project: Project) -> list[ReceiptLine]:
    request, job = _sent(project), project.job
    if not request:
        return []
    asked = rules().job_from_request(request).raw
    row = (job.dates or {}) | job.row if job and job.row != asked else {}  # what was sent is kept until it is read
    differing = {line.key: line.value for line in rules().differences(request, row)}
    return [
        ReceiptLine(
            line.label,
            line.value,
            differing.get(line.key, line.value) if line.key in row else None,
            line.key in differing,
        )
        for line in request
    ]


def _sent(project: Project) -> list[FieldValue]:
    own = select(Export).where(Export.project_id == project.id, Export.created_at.is_not(None)).order_by(Export.id)
    lines = dict[str, FieldValue]()
    for export in db.session.scalars(own):
        lines = (lines if export.is_update else {}) | {line.key: line for line in export.lines}
    return list(lines.values())
