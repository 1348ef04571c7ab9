"""Projects in and out as CSV, for the command line and the browser. An import is all or nothing."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from flask import current_app
from sqlalchemy import Select, and_, insert, select
from sqlalchemy.exc import IntegrityError

from erp import job_key, rules
from extensions import db
from lib import csv_reader, csv_safety
from lib.findings import Findings, quote
from lib.formatting import plural
from lib.text import normalize
from models import EDITABLE, INFORMATION, Event, Export, Person, Project, Status, search_text
from services.project_fields import INVISIBLE, check_information

FIELDS = ("number", *(column for column in INFORMATION if column != "number"))
COLUMNS = (*FIELDS, "active", "spectrum_job_id")
EXPORT_ONLY = ("status", "accepted_by", "accepted_at")  # an import ignores them
EXPORTED = (
    *(getattr(Project, column) for column in FIELDS),
    *(Project.active, Project.spectrum_job_id, Project.status, Export.accepted_at, Person.name),
)
BATCH = 10_000  # lines that the database is given at once
SWITCH = {"": True} | dict.fromkeys(("yes", "y", "true", "1"), True) | dict.fromkeys(("no", "n", "false", "0"), False)
JOB_NUMBER_LENGTH = 10
_MONTH = "(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_SPOILED = re.compile(rf"\d{{1,2}}-{_MONTH}(-\d+)?|{_MONTH}-\d+|\d([.,]\d+)?E[+-]\d+|#+|#(N/A|[A-Z/0]+[!?])", re.I)
_DATE = re.compile(r"\d{1,2}/\d{1,2}/(\d{2}|\d{4})")
_SHORT_ZIP = re.compile(r"\d{3,4}(-?\d{4})?")


@dataclass
class Import:
    """A file that was read: a project's values for each line, and what is wrong or doubtful about the lines."""

    text: str = ""
    projects: list[dict[str, Any]] = field(default_factory=list)
    errors: Findings = field(default_factory=Findings)
    warnings: Findings = field(default_factory=Findings)


# --- in -------------------------------------------------------------------------------------------------------------


def read(data: bytes) -> Import:
    result = Import()
    try:
        result.text = csv_reader.decode(data)
        lines = csv_reader.read_lines(result.text, {"number", "name"})
        header = _read_header(next(lines, (1, [])), result)
        if not result.errors.found:
            _read_lines(header, lines, result)
            _find_taken(result)
    except csv_reader.NotCSV as error:
        result.errors.add(error.line, str(error))
    return result


def insert_projects(
    lines: list[dict[str, Any]], by: Person | None, progress: Callable[[str], object] = lambda line: None
) -> bool:
    """Make the projects of a file without errors, all or none; False where a number was taken meanwhile.

    Core inserts: the session would take a minute for a hundred thousand. `progress` gets a line after each batch.
    """
    by_id, done, total = by and by.id, 0, len(lines)
    try:
        for batch in _batches(lines):
            ids = db.session.scalars(insert(Project).returning(Project.id), [_row(line, by_id) for line in batch])
            db.session.execute(insert(Event), [_creation(project_id, by_id) for project_id in ids])
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
    own = {column: line[column] for column in (*INFORMATION, "active")}
    keys = {"number_key": job_key(line["number"]), "suggested_job_key": job_key(line["spectrum_job_id"]) or None}
    return own | keys | {"version": 1, "created_by_id": by_id, "search_text": search_text(own)}


def _creation(project_id: int, by_id: int | None) -> dict[str, Any]:
    statuses = {"from_status": Status.NOT_SENT, "to_status": Status.NOT_SENT}
    return {"project_id": project_id, "person_id": by_id, "action": "created"} | statuses


def _read_header(line: csv_reader.Line, result: Import) -> list[str]:
    number, cells = line
    header = [cell.casefold() for cell in cells]
    named = [cell for cell in header if cell]
    if missing := [column for column in ("number", "name") if column not in header]:
        result.errors.add(number, f"The header must have the column {' and '.join(missing)}.")
    if unknown := [cell for cell in named if cell not in (*COLUMNS, *EXPORT_ONLY)]:
        result.errors.add(number, f"There is no column {', '.join(unknown)}. There are: {', '.join(COLUMNS)}.")
    if len(set(named)) < len(named):
        result.errors.add(number, "A column is there twice.")
    return header


def _read_lines(header: list[str], lines: Iterable[csv_reader.Line], result: Import) -> None:
    first_lines: dict[tuple[str, str], int] = {}
    for number, cells in lines:
        if sentence := _misfit(header, cells):
            result.errors.add(number, sentence)
            continue
        values = {column: normalize(cell) for column, cell in zip(header, cells, strict=False) if column}
        typed = dict.fromkeys(COLUMNS, "") | values
        information, problems = _read_line(typed)
        for column in ("number", "spectrum_job_id"):
            if typed[column] and (first := first_lines.setdefault((column, job_key(typed[column])), number)) != number:
                problems.append((f"{column} is already used further up.", f"{quote(typed[column])} in line {first}"))
        for sentence, value in problems:
            result.errors.add(number, sentence, value)
        for column, sentence in ({} if problems else _doubts(information)).items():
            result.warnings.add(number, sentence, quote(typed[column]))
        result.projects.append(information | {"line": number})


def _misfit(header: list[str], cells: list[str]) -> str:
    extra = [cell for column, cell in zip(header, cells, strict=False) if cell and not column]
    if not extra and not any(cells[len(header) :]):
        return ""
    if extra:
        return f"{quote(extra[0])} stands in a column without a name. Name the column in the header, or empty it."
    counts = f"This line has {plural(len(cells), 'value')}; {len(header)} are expected."
    return f"{counts} A value with a comma in it needs quotation marks around it."


def _read_line(typed: Mapping[str, str]) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    values, errors = check_information({column: typed[column] for column in INFORMATION})
    active = SWITCH.get(typed["active"].casefold())
    if active is None:
        errors["active"] = "active must be yes or no."
    if problem := _job_number_problem(typed["spectrum_job_id"]):
        errors["spectrum_job_id"] = problem
    problems = [(sentence, quote(typed[column])) for column, sentence in errors.items()]
    return values | {"active": active, "spectrum_job_id": typed["spectrum_job_id"]}, problems


def _job_number_problem(number: str) -> str:
    """The job may have any number that Spectrum lists, also one that Countersign would not give."""
    if job_key(number) == "all":
        return "ALL means every job in Spectrum; enter another Spectrum Job ID."
    if len(number) > JOB_NUMBER_LENGTH or INVISIBLE.search(number):
        return f"Spectrum Job ID must be at most {JOB_NUMBER_LENGTH} visible characters."
    return ""


def _doubts(values: Mapping[str, Any]) -> dict[str, str]:
    """A sentence by column where Spectrum holds less, or where a spreadsheet seems to have changed the value."""
    labels = {column: label for column, (label, _) in INFORMATION.items()} | {"spectrum_job_id": "Spectrum Job ID"}
    texts = {column: values[column] for column in labels if isinstance(values[column], str)}
    limits = {**rules().limits, "name": rules().name_length, "number": JOB_NUMBER_LENGTH}
    long = {column: limit for column, limit in limits.items() if len(texts.get(column, "")) > limit}
    spoiled = [column for column, text in texts.items() if _SPOILED.fullmatch(text)]
    spoiled += [column for column in ("number", "spectrum_job_id") if _DATE.fullmatch(texts[column])]
    doubts = rules().project_problems(values)
    doubts |= {column: f"{labels[column]} is longer than the {most} Spectrum holds." for column, most in long.items()}
    if _SHORT_ZIP.fullmatch(texts["zip"]):
        doubts["zip"] = "A ZIP has five digits. A spreadsheet may have dropped the zero in front."
    fix = "seems to be changed by a spreadsheet. Format its column as Text, and enter it again."
    return doubts | {column: f"{labels[column]} {fix}" for column in spoiled}


def _find_taken(result: Import) -> None:
    for batch in _batches(result.projects):
        keys = [job_key(line["number"]) for line in batch]
        taken = set(db.session.scalars(select(Project.number_key).where(Project.number_key.in_(keys))))
        for line, key in zip(batch, keys, strict=True):
            if key in taken:
                result.errors.add(line["line"], "Another project already has this number.", quote(line["number"]))


# --- out ------------------------------------------------------------------------------------------------------------


def iter_csv(projects: Select[Any]) -> Iterator[str]:
    """The projects that a statement selects as CSV, in pieces: never all in memory.

    The statement is executed with the first piece: PostgreSQL's cursor lives in the stream's transaction only.
    """
    accepted = and_(Export.project_id == Project.id, Export.current)
    rows = projects.with_only_columns(*EXPORTED).outerjoin(Export, accepted).outerjoin(Export.accepted_by)
    found = db.session.execute(rows, execution_options={"yield_per": csv_safety.PIECE})
    yield from csv_safety.iter_csv((*COLUMNS, *EXPORT_ONLY), map(_cells, found))


def _cells(row: Any) -> list[str]:
    *own, active, job, status, at, by = row
    cells = ["" if value is None else str(value) for value in own]
    cells += ["yes" if active else "no", job or "", status]
    if at is None or status in {*EDITABLE, Status.READY}:
        return [*cells, "", ""]
    return [*cells, by, at.astimezone(current_app.config["TIMEZONE"]).isoformat(timespec="seconds")]
