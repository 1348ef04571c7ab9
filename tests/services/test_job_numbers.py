"""Job numbers: the company's pattern, the next free number, and whether one is free."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import time_machine
from sqlalchemy import event
from support.jobs import keep_job

from extensions import db
from models import Job, Person, Project, Setting, SettingName
from services import accept_form, job_numbers, workflow

ProjectMaker = Callable[..., Project]


def set_pattern(pattern: str) -> None:
    Setting.write(SettingName.PATTERN, pattern)
    db.session.commit()


@pytest.fixture(autouse=True)
def today() -> Iterator[None]:
    with time_machine.travel(datetime(2026, 3, 9, 17, tzinfo=UTC)):
        yield


@pytest.fixture
def depot(cast: dict[str, Person]) -> Job:
    """A job that somebody made in Spectrum itself."""
    job = keep_job({"Job_Number": "26-014", "Job_Description": "Depot", "Status_Code": "A"})
    db.session.commit()
    return job


@pytest.mark.parametrize("pattern", ["", "YY-###", "YYYY-####", "J###", "YY.####", "###-YY"])
def test_a_pattern_of_year_counter_and_fixed_characters_is_good(pattern: str) -> None:
    assert job_numbers.pattern_problem(pattern) is None


@pytest.mark.parametrize(
    ("pattern", "sentence"),
    [
        ("YY-", "needs one run of #"),
        ("##-YY-##", "needs one run of #"),
        ("YY/###", "may hold YY or YYYY"),
        ("YYYY-PROJECT-###", "characters long; Spectrum takes 10"),
        ("-###", "must begin with a letter or a digit"),
    ],
)
def test_a_pattern_whose_numbers_spectrum_would_refuse_is_refused_with_a_sentence(pattern: str, sentence: str) -> None:
    assert sentence in (job_numbers.pattern_problem(pattern) or "")


@pytest.mark.parametrize(
    ("pattern", "used", "expected"),
    [
        ("YY-###", [], "26-001"),
        ("YY-###", ["26-014", "26-013", "25-900", "26-ABC", "26-0150"], "26-015"),
        ("YYYY-###", ["2026-099"], "2026-100"),
        ("j###", ["J007"], "j008"),
        ("#", ["1", "2", "9", "4"], "3"),
        ("#", list("123456789"), ""),
    ],
)
def test_the_next_number_follows_the_highest_of_this_year(
    make_project: ProjectMaker, pattern: str, used: list[str], expected: str
) -> None:
    set_pattern(pattern)
    for number in used:
        keep_job({"Job_Number": number})
    assert job_numbers.suggest(make_project(number="P-2")) == expected


def test_the_next_number_steps_over_those_that_other_projects_are_called(
    make_project: ProjectMaker, depot: Job
) -> None:
    set_pattern("YY-###")
    for number in ("26-400", *(f"26-0{counter}" for counter in range(15, 60))):
        make_project(number=number)
    assert job_numbers.suggest(make_project(number="P-2"), taken_in_form=["26-060", "P-7"]) == "26-061"


@pytest.mark.parametrize(
    ("number", "fits"), [("26-014", True), ("25-014", True), ("26-14", False), ("P-1001", False), ("26-0144", False)]
)
def test_a_number_fits_the_pattern_in_whatever_year(number: str, fits: bool) -> None:
    assert job_numbers.matches("YY-###", number) is fits


def test_a_project_whose_number_does_not_fit_is_offered_the_next_free_one(
    make_project: ProjectMaker, depot: Job
) -> None:
    set_pattern("YY-###")
    assert accept_form.initial(make_project(number="P 1001/b")).typed["job_number"] == "26-015"
    assert accept_form.initial(make_project(number="P-1001")).typed["job_number"] == "26-015"


def test_a_project_whose_number_fits_begins_with_it(make_project: ProjectMaker, depot: Job) -> None:
    set_pattern("YY-###")
    assert accept_form.initial(make_project(number="25-333")).typed["job_number"] == "25-333"


def test_without_a_pattern_nothing_is_suggested(make_project: ProjectMaker, depot: Job) -> None:
    assert accept_form.initial(make_project(number="P 1001/b")).typed["job_number"] == ""
    assert accept_form.initial(make_project(number="P-1001")).typed["job_number"] == "P-1001"


def test_a_number_held_by_an_export_under_way_is_not_offered_again(
    make_project: ProjectMaker, cast: dict[str, Person], template: Job, depot: Job
) -> None:
    set_pattern("YY-###")
    other = make_project(number="P-1", name="Elm Street Reroof")
    workflow.send(other, cast["manager"])
    form = accept_form.AcceptForm(other, template, {**dict.fromkeys(accept_form.FIELDS, ""), "job_number": "26-015"})
    workflow.accept(other, cast["approver"], form.lines, template, "HB")
    db.session.commit()
    verdict = job_numbers.check("26-015", make_project(number="P-2"))
    assert not verdict.usable
    assert "P-1 Elm Street Reroof, which is Exporting" in verdict.sentence
    assert verdict.next_free == "26-016"
    assert verdict.job is None


def test_a_number_taken_in_spectrum_names_the_job_its_status_the_next_number_and_the_link(
    make_project: ProjectMaker, cast: dict[str, Person], depot: Job
) -> None:
    set_pattern("YY-###")
    depot.status_code = "C"
    project = make_project(number="P-2")
    workflow.send(project, cast["manager"])
    db.session.commit()
    verdict = job_numbers.check(f" {depot.number} ".strip(), project)
    assert verdict.sentence.startswith(f"Spectrum already has job {depot.number} Depot (complete).")
    assert verdict.next_free == "26-015"
    assert verdict.job == depot


def test_a_number_that_differs_in_case_only_is_taken(make_project: ProjectMaker, template: Job) -> None:
    assert not job_numbers.check("t-comm", make_project()).usable


@pytest.mark.parametrize(
    ("job_list", "said"),
    [
        ({"at": "2026-03-09T00:00:00+00:00", "proven": True}, "26-900 is free."),
        ({"at": "2026-03-09T00:00:00+00:00", "proven": False}, "isn't known to be complete"),
        ({}, "hasn't been loaded yet"),
    ],
)
def test_a_number_is_called_free_only_where_the_job_list_is_proven(
    make_project: ProjectMaker, job_list: dict[str, object], said: str
) -> None:
    Setting.write(SettingName.JOB_LIST, job_list)
    found = job_numbers.check("26-900", make_project())
    assert found.usable
    assert said in found.sentence
    assert ("free" in found.sentence) == bool(job_list.get("proven"))


def test_a_number_that_spectrum_no_longer_lists_is_free_but_never_suggested(
    make_project: ProjectMaker, depot: Job
) -> None:
    set_pattern("YY-###")
    depot.removed_at = job_numbers.utcnow()
    db.session.commit()
    project = make_project(number="P-2")
    assert job_numbers.check(depot.number, project).usable
    assert job_numbers.suggest(project) == "26-015"


def test_a_text_that_is_no_job_number_is_said_to_be_none(make_project: ProjectMaker) -> None:
    assert "only letters" in job_numbers.check("26/014", make_project()).sentence


def test_the_next_number_is_looked_for_among_those_of_the_year_only(make_project: ProjectMaker, depot: Job) -> None:
    """By the database's own plan: the last keys of jobs and of projects, each by its index."""
    on_sqlite = db.engine.dialect.name == "sqlite"  # PostgreSQL plans by the size of tables, which are empty here
    project = make_project(number="P-2")
    make_project(number="26-015")
    set_pattern("YY-###")
    plans: list[str] = []

    def explain(connection: Any, _cursor: object, statement: str, parameters: Any, *_: object) -> None:
        if "GLOB" in statement:
            driver = connection.connection.driver_connection
            written = statement.replace("?", f"'{parameters[0]}'", 1)
            plans.extend(row[3] for row in driver.execute(f"EXPLAIN QUERY PLAN {written}", parameters[1:]))

    event.listen(db.engine, "before_cursor_execute", explain)
    assert job_numbers.suggest(project) == "26-016"
    event.remove(db.engine, "before_cursor_execute", explain)
    assert len(plans) == (2 if on_sqlite else 0)
    assert all(step.startswith("SEARCH") for step in plans), plans
