"""Projects in and out as CSV, for the command line and the browser. An import is all or nothing.

A cell that a spreadsheet would take for a formula goes out behind an apostrophe, which is taken off on the way in.
"""

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from flask import current_app
from sqlalchemy import Select, and_, insert, select
from sqlalchemy.exc import IntegrityError

from erp import job_key
from extensions import db
from lib.formatting import plural
from models import EDITABLE, INFORMATION, Event, Export, Person, Project, Status, search_text
from services.project_fields import check_information

OWN = ("number", *(column for column in INFORMATION if column != "number"))
COLUMNS = (*OWN, "active", "spectrum_job_id")
TOLD = ("status", "accepted_by", "accepted_at")  # in an export only; an import passes over them
FORMULA = re.compile(r"[=@\t\r]|[+-](?![\d ().-]*$)")
WRITTEN = (
    *(getattr(Project, column) for column in OWN),
    *(Project.active, Project.spectrum_job_id, Project.status, Export.accepted_at, Person.name),
)
BATCH = 10_000  # lines that the database is given at once
MUCH, QUOTED = 20, 3  # problems that are told one by one; values of one fault that are told with it
JOB_NUMBER_LENGTH = 10
SWITCH = {"": True, "yes": True, "no": False}


@dataclass
class Import:
    """A file that was read: a project's values for each good line, and what is wrong with the bad ones."""

    projects: list[dict[str, Any]] = field(default_factory=list)
    problems: list[tuple[int, str, str]] = field(default_factory=list)

    def wrong(self, line: int, sentence: str, value: str = "") -> None:
        """Note what is wrong with a line, and what was found there."""
        self.problems.append((line, sentence, value))

    @property
    def faults(self) -> list[tuple[str, str]]:
        """What is wrong, line by line, such as (“Line 3”, a sentence with the value)."""
        return [(f"Line {line}", sentence + _found([value])) for line, sentence, value in sorted(self.problems)]

    @property
    def summary(self) -> list[tuple[str, str]]:
        """The same, but where that is much, each fault once: all its lines, and a sentence with some of its values."""
        if len(self.problems) <= MUCH:
            return self.faults
        faults: dict[str, dict[int, str]] = {}
        for line, sentence, value in sorted(self.problems):
            faults.setdefault(sentence, {})[line] = value
        return [(_lines_said(list(at)), sentence + _found(at.values())) for sentence, at in faults.items()]


# --- in -------------------------------------------------------------------------------------------------------------


def read(data: bytes) -> Import:
    """Read a CSV file; the header is line 1. Nothing is changed."""
    found = Import()
    try:
        lines = _lines(data.decode("utf-8-sig"))
        header = _header(next(lines, (1, []))[1], found)
        if not found.problems:
            _read_lines(header, lines, found)
            _find_taken(found)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        found.wrong(line, "This is not UTF-8 text. Save the file as “CSV UTF-8” and try again.")
    except _NotCSV as error:
        found.wrong(error.line, f"This is not CSV: {error}.")
    return found


def carry_out(found: Import, by: Person | None, progress: Callable[[str], object] = lambda line: None) -> bool:
    """Make the projects of a file without problems, all or none; False where a number was taken meanwhile.

    They go past the session, which would take a minute for a hundred thousand; `progress` is told how far it is.
    """
    by_id, done, total = by and by.id, 0, len(found.projects)
    try:
        for batch in _batches(found.projects):
            ids = db.session.scalars(insert(Project).returning(Project.id), [_row(line, by_id) for line in batch])
            db.session.execute(insert(Event), [_created(project_id, by_id) for project_id in ids])
            done += len(batch)
            if total > BATCH:
                progress(f"{done:,} of {total:,} projects")
        db.session.commit()
    except IntegrityError:
        db.session.rollback()
        return False
    return True


def _batches(lines: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    return (lines[start : start + BATCH] for start in range(0, len(lines), BATCH))


def _row(line: Mapping[str, Any], by_id: int | None) -> dict[str, Any]:
    """A new project, as `Project.create` would have kept it."""
    own = {column: line[column] for column in (*INFORMATION, "active")}
    keys = {"number_key": job_key(line["number"]), "suggested_job_key": job_key(line["spectrum_job_id"]) or None}
    return own | keys | {"version": 1, "created_by_id": by_id, "search_text": search_text(own)}


def _created(project_id: int, by_id: int | None) -> dict[str, Any]:
    there = {"from_status": Status.NOT_SENT, "to_status": Status.NOT_SENT}
    return {"project_id": project_id, "person_id": by_id, "action": "created"} | there


class _NotCSV(Exception):
    def __init__(self, line: int, what: str) -> None:
        super().__init__(what)
        self.line = line


def _lines(text: str) -> Iterator[tuple[int, list[str]]]:
    """Each record with the number of the line that it begins on; blank lines are none."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    while True:
        begins = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise _NotCSV(begins, str(error)) from None
        if any(cell.strip() for cell in cells):
            yield begins, [_unguarded(cell.strip()) for cell in cells]


def _header(cells: list[str], found: Import) -> list[str]:
    header = [cell.casefold() for cell in cells]
    missing = [column for column in ("number", "name") if column not in header]
    strange = [cell for cell in header if cell and cell not in (*COLUMNS, *TOLD)]
    if len(header) == 1 and ";" in header[0]:
        found.wrong(1, "The columns must be separated by commas, not by semicolons.")
        return header
    if missing:
        found.wrong(1, f"The header must have the column {' and '.join(missing)}.")
    if strange:
        found.wrong(1, f"There is no column {', '.join(strange)}. There are: {', '.join(COLUMNS)}.")
    if "" in header:
        found.wrong(1, "A column has no name.")
    if len(set(header)) < len(header):
        found.wrong(1, "A column is there twice.")
    return header


def _read_lines(header: list[str], lines: Iterable[tuple[int, list[str]]], found: Import) -> None:
    before: dict[tuple[str, str], int] = {}
    for number, cells in lines:
        if len(cells) != len(header):
            counted = f"This line has {plural(len(cells), 'value')}; {len(header)} are expected."
            found.wrong(number, counted)
            continue
        typed = dict.fromkeys(COLUMNS, "") | dict(zip(header, cells, strict=True))
        values, problems = _read_line(typed)
        for column in ("number", "spectrum_job_id"):
            if typed[column] and (first := before.setdefault((column, job_key(typed[column])), number)) != number:
                problems.append((f"{column} is already used further up.", f"{_quote(typed[column])} in line {first}"))
        for sentence, value in problems:
            found.wrong(number, sentence, value)
        found.projects.append(values | {"line": number})


def _read_line(typed: Mapping[str, str]) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    values, errors = check_information({column: typed[column] for column in INFORMATION})
    if typed["active"].casefold() not in SWITCH:
        errors["active"] = "active must be yes or no."
    if len(typed["spectrum_job_id"]) > JOB_NUMBER_LENGTH:  # any other text may be the number of an old job
        errors["spectrum_job_id"] = f"A Spectrum Job ID has at most {JOB_NUMBER_LENGTH} characters."
    problems = [(sentence, _quote(typed[column])) for column, sentence in errors.items()]
    active = SWITCH.get(typed["active"].casefold())
    return values | {"active": active, "spectrum_job_id": typed["spectrum_job_id"]}, problems


def _find_taken(found: Import) -> None:
    for batch in _batches(found.projects):
        keys = [job_key(line["number"]) for line in batch]
        taken = set(db.session.scalars(select(Project.number_key).where(Project.number_key.in_(keys))))
        for line, key in zip(batch, keys, strict=True):
            if key in taken:
                found.wrong(line["line"], "Another project has this number already.", _quote(line["number"]))


def _lines_said(lines: list[int]) -> str:
    """Such as “Lines 3, 7 to 12 and 40”; the lines are in order."""
    runs = [[line for _, line in run] for _, run in groupby(enumerate(lines), lambda pair: pair[1] - pair[0])]
    said = [str(run[0]) if len(run) == 1 else f"{run[0]} to {run[-1]}" for run in runs]
    return f"{'Line' if len(lines) == 1 else 'Lines'} {_listed(said)}"


def _found(values: Iterable[str]) -> str:
    """Such as “ Found: “a”, “b”, “c” and 14 others.”; empty where no value says more than its sentence."""
    different = [value for value in dict.fromkeys(values) if value]
    said, rest = different[:QUOTED], len(different) - QUOTED
    return f" Found: {_listed([*said, plural(rest, 'other')] if rest > 0 else said)}." if said else ""


def _listed(words: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def _quote(value: str) -> str:
    """The value's beginning in quotation marks, all of it to be seen; empty where there is none."""
    seen = "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in value)
    return f"“{seen[:40]}{'…' if len(seen) > 40 else ''}”" if value else ""


# --- out ------------------------------------------------------------------------------------------------------------


def pieces(found: Select[Any]) -> Iterator[str]:
    """The projects that a statement finds as CSV, header first, a thousand lines at a time: never all in memory."""
    yield _csv([[*COLUMNS, *TOLD]])
    accepted = and_(Export.project_id == Project.id, Export.current)
    told = found.with_only_columns(*WRITTEN).outerjoin(Export, accepted).outerjoin(Export.accepted_by)
    for rows in db.session.execute(told, execution_options={"yield_per": 1000}).partitions():
        yield _csv(map(_cells, rows))


def _cells(row: Any) -> list[str]:
    *own, active, job, status, at, by = row
    cells = ["" if value is None else str(value) for value in own]
    cells += ["yes" if active else "no", job or "", status]
    if at is None or status in {*EDITABLE, Status.READY}:
        return [*cells, "", ""]
    return [*cells, by, at.astimezone(current_app.config["TIMEZONE"]).isoformat(timespec="seconds")]


def _csv(lines: Iterable[Iterable[str]]) -> str:
    text = io.StringIO(newline="")
    csv.writer(text).writerows([escape_formula(cell) for cell in line] for line in lines)
    return text.getvalue()


def escape_formula(cell: str) -> str:
    """The cell as a spreadsheet takes it for text, never for a formula."""
    return f"'{cell}" if FORMULA.match(cell) else cell


def _unguarded(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and FORMULA.match(cell[1:]) else cell
