"""The receipt of an export: each value as it was sent, and as Spectrum had it when the job was last read."""

from dataclasses import dataclass

from erp import rules
from models import Export


@dataclass(frozen=True)
class ReceiptLine:
    """One value; `now` is None where Spectrum does not show it."""

    label: str
    sent: str
    now: str | None
    differs: bool


def compare(export: Export) -> list[ReceiptLine]:
    """Return every value of an export beside the job's."""
    job = export.project.job
    row = job.row if job and job.row != export.requested_job.raw else {}  # what was sent is kept until it is read
    differing = {line.key: line.value for line in rules().differences(export.lines, row)}
    return [
        ReceiptLine(
            line.label,
            line.value,
            differing.get(line.key, line.value) if line.key in row else None,
            line.key in differing,
        )
        for line in export.lines
    ]
