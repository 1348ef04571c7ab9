"""Copying a template's phases to the job that was made from it.

Only phases that the new job does not have, and never quantities, hours or dollars. The new job itself says what is left
to do, so a stop in the middle goes on where it was.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager

from erp import Connection, Outcome, Phase, ReadError
from models import Export, Setting

Transaction = Callable[[], AbstractContextManager[Export]]

COPYING = "Copying phases"
PAUSED = "Exports were paused before all phases were copied."


def copy(erp: Connection, transaction: Transaction, job_number: str) -> bool:
    """Copy the phases that the new job lacks; False where the export asks for none. A phase that fails is a warning."""
    with transaction() as export:
        template = export.template_number
        if not export.phases_remaining:
            return False
        export.step = COPYING
    try:
        wanted, missing = _find_missing(erp, template, job_number)
    except ReadError as failure:
        _warn(transaction, f"The phases of {template} could not be copied. {failure.error}")
        return True
    with transaction() as export:
        export.phases_done, export.phases_total = wanted - len(missing), wanted
        if _is_paused(export):
            return True
    for phase in missing:
        if not _copy_one(erp, transaction, job_number, phase):
            break
    return True


def _find_missing(erp: Connection, template: str, job_number: str) -> tuple[int, list[Phase]]:
    """Return the number of the template's phases, and those that the job lacks. Raises ReadError, also for half a list.

    No phases at all prove nothing; and only where the template's were shown does their absence in the job.
    """
    there, here = erp.list_phases(template), erp.list_phases(job_number)
    if not there.rows:
        raise ReadError(Outcome.UNKNOWN, f"Spectrum showed no phases of {template}. Check it there, then try again.")
    if not (there.complete and here.complete):
        raise ReadError(Outcome.UNKNOWN, "Spectrum lists more phases than it returns at once; copy them in Spectrum.")
    known = {phase.key for phase in here.rows}
    return len(there.rows), [phase for phase in there.rows if phase.key not in known]


def _copy_one(erp: Connection, transaction: Transaction, job_number: str, phase: Phase) -> bool:
    result = erp.add_phase(job_number, phase)
    if result.outcome is Outcome.CREATED:
        with transaction() as export:
            export.phases_done += 1
            return not _is_paused(export)
    _warn(transaction, f"Phase {phase.name} was not copied. {result.error}")
    return result.outcome is Outcome.REFUSED


def _is_paused(export: Export) -> bool:
    """Tell whether phases are left and exports are held since, and note it on the export."""
    paused = bool(Setting.exports_held() and export.phases_remaining)
    export.warnings = [*export.warnings, *[PAUSED] * paused]
    return paused


def _warn(transaction: Transaction, sentence: str) -> None:
    with transaction() as export:
        export.warnings = [*export.warnings, sentence]
