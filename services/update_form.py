"""The update form: the changes of a job, for an approver to decide about.

What accounting accepted last is known from the frozen request of the last export or update, never from a job list.
Nothing here changes anything or speaks to the accounting system: the job is read in the background for the form.
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property

from erp import FieldValue, rules
from lib.formatting import format_date
from models import INFORMATION, Job, Project, TaskKind, TaskRequest, Transition, utcnow

COLUMNS = tuple(each.key for each in rules().update_fields)
DATES = ("start_date", "completion_date")
LEFT, RESTORE = "left ", "restore "  # before a column in `Project.accepted`: see services/drift.py
PROJECT_NAME = "project name"  # in `Project.accepted`: the whole name, of which the job's may be a short form
FRESH = timedelta(minutes=5)  # as long as a job that was read for a decision is shown without reading it again
COMPLETE = "Job {} is complete in Spectrum, so it can't be updated."
EMPTIED = "Emptied here. An update can't empty a value; empty it in Spectrum by hand."
CHANGED = "Changed in Spectrum since it was accepted."
THERE = "Spectrum has this value already."


@dataclass(frozen=True)
class Change:
    """One value of a project that differs from what accounting accepted last."""

    column: str
    accepted: str
    value: str  # as it would be sent; "" where it was emptied

    @property
    def label(self) -> str:
        return INFORMATION[self.column][0]

    @property
    def sentence(self) -> str:
        if not self.accepted:
            return "Accounting last accepted this empty."
        by_hand = "" if self.value else " An update can't empty it; accounting does that in Spectrum by hand."
        return f"Accounting last accepted “{readable(self.column, self.accepted)}”.{by_hand}"


def accepted_values(project: Project) -> dict[str, str]:
    """Return the values that accounting accepted last, by column, as the accounting system holds them.

    Of a project of which no request was kept it is what the project says before its first edit.
    """
    if project.accepted is not None:
        return project.accepted
    if project.export is None or not project.export.request:
        return rules().update_values(project.information) | {PROJECT_NAME: project.name}
    frozen, sent = rules().job_values(project.export.requested_job.raw), project.latest(Transition.SEND)
    name = sent.details["information"].get("name") if sent else None
    return dict.fromkeys(COLUMNS, "") | frozen | {PROJECT_NAME: name or project.name}


def job_values(project: Project, job: Job) -> dict[str, str]:
    """Return the values that count as accepted when a project is linked to a job: the job's."""
    ours, theirs = rules().update_values(project.information), rules().job_values(job.row, job.dates)
    return {column: settled(column, ours[column], value) for column, value in theirs.items()}


def settled(column: str, ours: str, theirs: str) -> str:
    """Return the job's value, written our way where both mean the same."""
    return ours if rules().same_value(column, ours, theirs) else theirs


def is_there(column: str, value: str, there: str) -> bool:
    """Return whether a job has a value, in the same letters: who corrects FIFE to Fife wants it so."""
    other_case = value != there and value.casefold() == there.casefold()
    return rules().same_value(column, value, there) and not other_case


def changes(project: Project) -> list[Change]:
    ours, accepted = rules().update_values(project.information), accepted_values(project)
    found = [Change(each, accepted.get(each, ""), ours[each]) for each in INFORMATION if each in COLUMNS]
    same_name = accepted.get(PROJECT_NAME) == project.name
    return [
        each
        for each in found
        if RESTORE + each.column in accepted
        or (each.accepted != each.value and not (each.column == "name" and same_name))
    ]


def send_problem(project: Project) -> str:
    differing = changes(project)
    if project.job and project.job.unavailable_reason:
        return f"{project.job.unavailable_reason} So it can't be updated."
    if not differing:
        return "Nothing differs from what accounting last accepted, so there is no update to send."
    if not any(each.value for each in differing):
        return "You only emptied values. An update can't empty a value in Spectrum; ask accounting to do it there."
    return ""


def readable(column: str, value: str) -> str:
    """A value as people read it: a phone number has its dashes, a date its month in words."""
    if column in DATES and re.fullmatch(r"\d\d/\d\d/\d{4}", value):
        with suppress(ValueError):  # whoever keeps such a day in Spectrum sees it as it is there
            return format_date(datetime.strptime(value, "%m/%d/%Y"))
    return re.sub(r"^(\d{3})(\d{3})(\d{4})$", r"\1-\2-\3", value) if column == "phone" else value


# --- the form -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Line:
    """One line of the form: the accepted value, the job's present one, and the one to be sent."""

    change: Change
    there: str
    note: str

    @property
    def can_be_ticked(self) -> bool:
        return bool(self.change.value)

    @property
    def opens_ticked(self) -> bool:
        return self.can_be_ticked and not self.note


@dataclass
class UpdateForm:
    """The decision about one update: which lines are ticked, the name, and what is wrong, by column.

    `seen` is what the form showed of the job, by column. Its fields' names end in `-<project id>`.
    """

    project: Project
    ticked: frozenset[str] = frozenset()
    job_name: str = ""
    seen: Mapping[str, str] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)

    @cached_property
    def reading(self) -> TaskRequest | None:
        return TaskRequest.last(TaskKind.READ_JOB, str(self.project.id))

    @property
    def is_reading(self) -> bool:
        return self.reading is not None and self.reading.due_at is not None

    @property
    def is_fresh(self) -> bool:
        job = self.project.job
        return bool(job and job.read_at and abs(utcnow() - job.read_at) < FRESH)

    @property
    def failure(self) -> str:
        """Return the reason why the job can't be updated, or could not be read just now; "" where it can."""
        if self.is_fresh and self.project.job and self.project.job.status_code == "C":
            return COMPLETE.format(self.project.spectrum_job_id)
        asked = self.reading
        recent = asked is not None and asked.succeeded is False and utcnow() - asked.asked_at < FRESH
        return asked.answer if asked and recent and not self.is_fresh else ""

    @cached_property
    def lines(self) -> list[Line]:
        job = self.project.job
        there = rules().job_values(job.row, job.dates) if job else {}
        return [_line(each, there.get(each.column, "")) for each in changes(self.project)]

    @property
    def values(self) -> dict[str, str]:
        chosen = {each.change.column: each.change.value for each in self.lines if each.change.column in self.ticked}
        return chosen | ({"name": self.job_name} if "name" in chosen else {})

    @property
    def request(self) -> list[FieldValue]:
        return rules().build_update(self.project.spectrum_job_id or "", self.values)

    def check(self) -> bool:
        self.errors = rules().update_problems(self.request)
        if not self.values:
            self.errors["lines"] = "Check at least one value to send, or reject the update."
        if "name" in self.ticked and not self.job_name:
            self.errors["name"] = "Enter a name for the job."
        return not self.errors


def _line(change: Change, there: str) -> Line:
    if not change.value:
        return Line(change, there, EMPTIED)
    if is_there(change.column, change.value, there):
        return Line(change, there, THERE)
    untouched = rules().same_value(change.column, change.accepted, there)
    return Line(change, there, "" if untouched else CHANGED)


def initial(project: Project) -> UpdateForm:
    form = UpdateForm(project, job_name=rules().update_values(project.information)["name"])
    form.ticked = frozenset(line.change.column for line in form.lines if line.opens_ticked)
    return form


def from_form(project: Project, form: Mapping[str, str]) -> UpdateForm:
    end = f"-{project.id}"
    ticked = frozenset(column for column in COLUMNS if f"send-{column}{end}" in form)
    seen = {column: form.get(f"seen-{column}{end}", "") for column in ticked}
    return UpdateForm(project, ticked, " ".join(form.get(f"job_name{end}", "").split()), seen)
