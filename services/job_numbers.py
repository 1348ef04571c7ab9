"""Job numbers: whether one is free, by the job list and by what is being exported, and which one comes next.

A pattern says how the company counts, such as `YY-###`: YY or YYYY is the year, the #s are the counter, the rest stands
as it is. It only suggests; the port's rules say what Spectrum takes as a number. Nothing here changes anything.
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from functools import cache
from itertools import chain, takewhile
from typing import Any

from sqlalchemy import Select, and_, bindparam, literal, select
from sqlalchemy.orm import outerjoin

from erp import job_key, rules
from extensions import db
from lib.formatting import local
from models import Job, Project, Setting, SettingName, Transition, utcnow
from services import connection_state

TWICE = "Another row has this number too. Enter another one."
_PARTS = re.compile("#+|YYYY|YY|[A-Za-z0-9.-]")


def pattern_problem(pattern: str) -> str | None:
    if not pattern:
        return None
    if pattern.count("#") == 0 or len(re.findall("#+", pattern)) > 1:
        return "The pattern needs one run of #, the counter, such as in YY-###."
    if "".join(_PARTS.findall(pattern)) != pattern:
        return "The pattern may hold YY or YYYY for the year, # for the counter, letters, digits, dots and dashes."
    if problem := rules().job_number_problem(_number(pattern, date(2026, 1, 1), 1)):
        return f"Its numbers would not do. {problem}"
    return None


def matches(pattern: str, number: str) -> bool:
    of_any_year = {"YYYY": "[0-9]{4}", "YY": "[0-9]{2}"}
    parts = (of_any_year.get(part) or _matching(part, part) for part in _PARTS.findall(pattern))
    return re.fullmatch("".join(parts), job_key(number)) is not None


def next_free(pattern: str, today: date, highest: int, find_taken: Callable[[list[str]], set[str]]) -> str:
    """Return the number after the `highest` counter used this year, else the lowest gap; "" where none is left.

    `find_taken` returns those of so many keys that can't be used.
    """
    last = 10 ** pattern.count("#") - 1
    for counters in chain(_slices(range(highest + 1, last + 1)), _slices(range(1, highest))):
        numbers = {job_key(number): number for number in (_number(pattern, today, counter) for counter in counters)}
        taken = find_taken(list(numbers))
        if free := next((number for key, number in numbers.items() if key not in taken), ""):
            return free
    return ""


def _slices(counters: range) -> Iterator[range]:
    """Yield growing slices: mostly the first number is free, and a run of a million must not take as many queries."""
    size = 16
    while counters:
        yield counters[:size]
        counters, size = counters[size:], min(2 * size, 8192)


def _number(pattern: str, today: date, count: int) -> str:
    return "".join(_written(part, today, count) for part in _PARTS.findall(pattern))


def _written(part: str, today: date, count: int) -> str:
    if part.startswith("#"):
        return f"{count:0{len(part)}}"
    return {"YYYY": f"{today:%Y}", "YY": f"{today:%y}"}.get(part, part)


def _matching(part: str, written: str) -> str:
    return f"([0-9]{{{len(part)}}})" if part.startswith("#") else re.escape(job_key(written))


# --- by what is kept here -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class NumberCheck:
    """The result of checking a number: usable or not, why, the next one that is, and Spectrum's job to link to."""

    number: str
    problem: str = ""
    next_free: str = ""
    job: Job | None = None

    @property
    def usable(self) -> bool:
        return not self.problem

    @property
    def sentence(self) -> str:
        return self.problem or f"{self.number} {_availability()}"


def check(number: str, project: Project, taken_in_form: Collection[str] = ()) -> NumberCheck:
    """Check a number for a project. `taken_in_form` are the numbers of other rows of the same form."""
    if problem := rules().job_number_problem(number):
        return NumberCheck(number, problem, suggest(project, taken_in_form))
    if job_key(number) in map(job_key, taken_in_form):
        return NumberCheck(number, TWICE, suggest(project, taken_in_form))
    project_id, job_id = db.session.execute(_holders(), {"key": job_key(number), "own": project.id}).one()
    holder = db.session.get(Project, project_id) if project_id else None
    job = db.session.get(Job, job_id) if job_id else None  # mostly there is neither
    if holder:
        sentence = f"{number} is the Spectrum Job ID of {holder.title}, which is {holder.status}. Enter another one."
        return NumberCheck(number, sentence, suggest(project, taken_in_form))
    if job and not job.removed_at:
        linkable = job if project.allows(Transition.LINK) else None
        sentence = f"Spectrum already has job {job.title} ({job.status_word}). Enter another Spectrum Job ID."
        return NumberCheck(number, sentence, suggest(project, taken_in_form), linkable)
    return NumberCheck(number)


def _availability() -> str:
    """Describe a number that nobody is known to have: only a proven job list shows that it is free."""
    job_list = connection_state.job_list()
    if not job_list.get("at"):
        return "is not used in Countersign. Spectrum's job list hasn't been loaded yet, so a job there may have it."
    if not job_list.get("proven"):
        return "is in no job that Spectrum has listed. The list isn't known to be complete, so a job may still have it."
    return "is free."


@cache
def _holders() -> Select[int, int]:
    project = and_(Project.job_key == bindparam("key"), Project.id != bindparam("own"))
    asked = select(literal(1)).subquery()
    both = outerjoin(outerjoin(asked, Project, project), Job, Job.key == bindparam("key"))
    return select(Project.id, Job.id).select_from(both)


def suggest(project: Project, taken_in_form: Iterable[str] = ()) -> str:
    """The company pattern's next number that neither a job has, nor an export holds, nor another project is called.

    `taken_in_form` are numbers that other rows of the same form got.
    """
    pattern = Setting.read(SettingName.PATTERN, "")
    if not pattern:
        return ""
    today, taken = local(utcnow()).date(), set(map(job_key, taken_in_form))
    counter = re.compile("".join(_matching(part, _written(part, today, 0)) for part in _PARTS.findall(pattern)))
    last_ones = (_last(column, pattern, today, counter) for column in (Job.key, Project.job_key))
    used = [int(match[1]) for match in map(counter.fullmatch, (*last_ones, *taken)) if match]

    def find_taken(keys: list[str]) -> set[str]:
        called = select(Project.number_key).where(Project.number_key.in_(keys), Project.id != project.id)
        held = (select(column).where(column.in_(keys)) for column in (Job.key, Project.job_key))
        return {*db.session.scalars(called.union_all(*held)), *taken}

    return next_free(pattern, today, max(used, default=0), find_taken)


def _last(column: Any, pattern: str, today: date, counter: re.Pattern[str]) -> str:
    """Return the highest key of the pattern this year; "" where there is none. An index answers it."""
    parts = [(part, job_key(_written(part, today, 0))) for part in _PARTS.findall(pattern)]
    if db.engine.dialect.name == "sqlite":
        fits = column.op("GLOB")("".join("[0-9]" * len(part) if part.startswith("#") else key for part, key in parts))
    else:
        beginning = "".join(key for _, key in takewhile(lambda each: not each[0].startswith("#"), parts))
        fits = and_(column.startswith(beginning, autoescape=True), column.regexp_match(f"^{counter.pattern}$"))
    return db.session.scalar(select(column).where(fits).order_by(column.desc()).limit(1)) or ""


def initial(project: Project, taken_in_form: Iterable[str] = ()) -> str:
    """The number that a project's accept form begins with: its own where it will do, else the next by the pattern."""
    own, pattern = project.number.strip(), Setting.read(SettingName.PATTERN, "")
    will_do = not rules().job_number_problem(own) and (not pattern or matches(pattern, own))
    return own if will_do else suggest(project, taken_in_form)
