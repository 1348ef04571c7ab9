"""Copying a template's phases to the job that was made from it.

Only phases that the new job does not have, and never quantities, hours or dollars. The new job itself says what is left
to do, so a stop in the middle goes on where it was.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager

from erp import ERP, Outcome, ReadError
from models import Export, Setting

Hold = Callable[[], AbstractContextManager[Export]]
Phase = Mapping[str, str]

COPYING = "Copying phases"
PAUSED = "Exports were paused before all phases were copied."
COPIED = ("Phase_Code", "Cost_Type", "Description", "Unit_of_Measure", "Status_Code")


def copy(erp: ERP, hold: Hold, job_number: str) -> bool:
    """Copy what the new job lacks; False where the export asks for nothing. What could not be copied is a remark."""
    with hold() as export:
        template = export.template_number
        if not export.phases_remaining:
            return False
        export.step = COPYING
    try:
        wanted, missing = _missing(erp, template, job_number)
    except ReadError as reading:
        _remark(hold, f"The phases of {template} could not be copied. {reading.cause}")
        return True
    with hold() as export:
        export.phases_done, export.phases_total = wanted - len(missing), wanted
        export.copy_phases = wanted > 0
    for phase in missing:
        if not _copy_one(erp, hold, job_number, phase):
            break
    return True


def _missing(erp: ERP, template: str, job_number: str) -> tuple[int, list[Phase]]:
    """How many phases the template has, and those that the job lacks. Raises Unreadable, also for half a list."""
    there, here = erp.phases(template), erp.phases(job_number)
    if not (there.complete and here.complete):
        raise ReadError(Outcome.UNKNOWN, "Spectrum lists more phases than it returns at once; copy them in Spectrum.")
    known = {_key(phase) for phase in here.rows}
    return len(there.rows), [phase for phase in there.rows if _key(phase) not in known]


def _key(phase: Phase) -> tuple[str, str]:
    return phase["Phase_Code"], phase["Cost_Type"]


def _copy_one(erp: ERP, hold: Hold, job_number: str, phase: Phase) -> bool:
    """Copy one phase; False where going on makes no sense now."""
    values = {"Job_Number": job_number, "Price_Method_Code": "J", "Phase_Cost_Center": phase.get("Cost_Center", "")}
    answer = erp.add_phase(values | {element: phase.get(element, "") for element in COPIED})
    if answer.outcome is Outcome.CREATED:
        with hold() as export:
            export.phases_done += 1
            paused = Setting.exports_held() and export.phases_remaining
            export.warnings = [*export.warnings, *[PAUSED] * paused]
        return not paused
    name = f"Phase {phase['Phase_Code']} {phase['Cost_Type']}"
    _remark(hold, f"{name} was not copied. {answer.cause}")
    return answer.outcome is Outcome.REFUSED


def _remark(hold: Hold, sentence: str) -> None:
    with hold() as export:
        export.warnings = [*export.warnings, sentence]
