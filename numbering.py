"""Job numbers: whether one is free, by the job list and by what is under way, and which one comes next.

A pattern says how the company counts, such as `YY-###`: YY or YYYY is the year, the #s are the counter, the rest stands
as it is. It only suggests; what Spectrum takes as a number is `erp.rules`' matter. Nothing here changes anything.
"""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date

from sqlalchemy import select

from erp.fields import job_id_problem, job_key
from extensions import db
from models import Job, Move, Project, Setting, utcnow
from wording import local

TWICE = "Another row has this number too. Enter another one."
_PARTS = re.compile("#+|YYYY|YY|[A-Za-z0-9.-]")


def pattern_problem(pattern: str) -> str | None:
    """What keeps a text from being a pattern, as a sentence; None for a good one and for none at all."""
    if not pattern:
        return None
    if pattern.count("#") == 0 or len(re.findall("#+", pattern)) > 1:
        return "The pattern needs one run of #, the counter, such as in YY-###."
    if "".join(_PARTS.findall(pattern)) != pattern:
        return "The pattern may hold YY or YYYY for the year, # for the counter, letters, digits, dots and dashes."
    if problem := job_id_problem(_number(pattern, date(2026, 1, 1), 1)):
        return f"Its numbers would not do. {problem}"
    return None


def fits(pattern: str, number: str) -> bool:
    """Whether the number is one of the pattern's, of whatever year."""
    of_any_year = {"YYYY": "[0-9]{4}", "YY": "[0-9]{2}"}
    parts = (of_any_year.get(part) or _matching(part, part) for part in _PARTS.findall(pattern))
    return re.fullmatch("".join(parts), job_key(number)) is not None


def next_free(pattern: str, used: Iterable[str], avoid: Iterable[str], today: date) -> str:
    """The number after the highest one used this year, else the lowest gap; "" where the year has no number left.

    What is to be avoided is stepped over, but does not count as used.
    """
    parts = (_matching(part, _written(part, today, 0)) for part in _PARTS.findall(pattern))
    counter, taken = re.compile("".join(parts)), {job_key(number) for number in used}
    counted = [int(match[1]) for match in map(counter.fullmatch, taken) if match]
    blocked = taken | {job_key(number) for number in avoid}
    first, last = max(counted, default=0) + 1, 10 ** pattern.count("#") - 1
    candidates = (_number(pattern, today, count) for span in ((first, last + 1), (1, first)) for count in range(*span))
    return next((number for number in candidates if job_key(number) not in blocked), "")


def _number(pattern: str, today: date, count: int) -> str:
    return "".join(_written(part, today, count) for part in _PARTS.findall(pattern))


def _written(part: str, today: date, count: int) -> str:
    if part.startswith("#"):
        return f"{count:0{len(part)}}"
    return {"YYYY": f"{today:%Y}", "YY": f"{today:%y}"}.get(part, part)


def _matching(part: str, written: str) -> str:
    """A regular expression for the keys of what a part stands for, the counter as a group."""
    return f"([0-9]{{{len(part)}}})" if part.startswith("#") else re.escape(job_key(written))


# --- by what is kept here -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Verdict:
    """Whether a number is free, as a sentence; where not, the next one that is, and Spectrum's job to link to."""

    free: bool
    sentence: str
    next_free: str = ""
    job: Job | None = None


def look_up(number: str, project: Project, given: Collection[str] = ()) -> Verdict:
    """What is known about a number that a project is to get. `given` are the numbers of other rows of the same form."""
    if problem := job_id_problem(number):
        return Verdict(False, problem, suggested(project, given))
    if job_key(number) in map(job_key, given):
        return Verdict(False, TWICE, suggested(project, given))
    holder = db.session.scalar(select(Project).where(Project.job_key == job_key(number), Project.id != project.id))
    if holder:
        sentence = f"{number} is the Spectrum Job ID of {holder.title}, which is {holder.status}. Enter another one."
        return Verdict(False, sentence, suggested(project, given))
    job = Job.by_number(number)
    if job and not job.gone_at:
        linkable = job if project.allows(Move.LINK) else None
        sentence = f"Spectrum already has job {job.title} ({job.status_word}). Enter another Spectrum Job ID."
        return Verdict(False, sentence, suggested(project, given), linkable)
    return Verdict(True, f"{number} is free.")


def suggested(project: Project, given: Iterable[str] = ()) -> str:
    """The company pattern's next number that neither a job has, nor an export holds, nor another project is called.

    `given` are numbers that other rows of the same form got.
    """
    pattern = Setting.read(Setting.PATTERN, "")
    if not pattern:
        return ""
    held = select(Project.job_key).where(Project.job_key.is_not(None))
    used = [*db.session.scalars(select(Job.key)), *db.session.scalars(held), *given]
    others = db.session.scalars(select(Project.number_key).where(Project.id != project.id))
    return next_free(pattern, used, others, local(utcnow()).date())


def begin(project: Project, given: Iterable[str] = ()) -> str:
    """The number that a project's accept form begins with: its own where it will do, else the next by the pattern."""
    own, pattern = project.number.strip(), Setting.read(Setting.PATTERN, "")
    will_do = not job_id_problem(own) and (not pattern or fits(pattern, own))
    return own if will_do else suggested(project, given)
