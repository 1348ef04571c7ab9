"""Typed text is kept in one form, wherever it is typed: no control characters, one kind of line break, one é."""

import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations
from conftest import ROOT, Browser
from flask import Flask
from sqlalchemy import select, text, update

from extensions import db
from lib.schema_version import VERSIONS
from lib.text import clean
from models import Event, Job, Person, Project
from services import workflow

SignIn = Callable[[str], Browser]
MakeProject = Callable[..., Project]
NFD = unicodedata.normalize("NFD", "Café")
FOUL = "A\x00b\x07\x1b\x7f\x9f\ufffe"


def form(project: Project, **changes: object) -> dict[str, object]:
    typed = {column: value or "" for column, value in project.information.items()}
    return typed | {"version": project.version, "active": "yes"} | changes


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        (FOUL, "Ab"),
        ("one\r\ntwo\rthree\u2028four\nfive", "one\ntwo\nthree\nfour\nfive"),
        (NFD, "Café"),
        ("26\u00a0014 of\u202f1\u2009000\u3000m", "26 014 of 1 000 m"),
        ("tab\tstays", "tab\tstays"),
        ("\ud800half a pair", "half a pair"),
        ("emoji 👷🏽\u200d♀️ and 日本", "emoji 👷🏽\u200d♀️ and 日本"),
    ],
)
def test_text_is_kept_in_one_form(typed: str, kept: str) -> None:
    assert clean(typed) == kept == clean(kept)


@pytest.mark.parametrize("column", ["number", "name", "description", "address_1", "address_2", "city", "zip", "note"])
def test_a_project_keeps_no_control_character(column: str, browser: SignIn, make_project: MakeProject) -> None:
    project = make_project()
    answer = browser("manager").post(f"/admin/projects/{project.id}", form(project, **{column: FOUL}))
    assert answer.status_code == 303
    assert getattr(db.session.get_one(Project, project.id), column) == "Ab"


def test_comments_people_and_settings_keep_no_control_character(
    browser: SignIn, make_project: MakeProject, cast: dict[str, Person]
) -> None:
    project = make_project()
    workflow.send(project, cast["manager"])
    db.session.commit()
    reject = {"version": project.version, "comment": FOUL}
    assert browser("approver").post(f"/approvals/{project.id}/reject", reject).status_code == 303
    assert db.session.scalars(select(Event.comment).order_by(Event.id.desc())).first() == "Ab"
    person = {"name": FOUL, "email": "new@exam\x00ple.com", "erp": "none", "projects": "none", "directory": "none"}
    browser("administrator").post("/admin/directory", person)
    assert db.session.scalars(select(Person.name).order_by(Person.id.desc())).first() == "Ab"


@pytest.mark.parametrize(
    "address",
    [
        "/erp/jobs?q={}",
        "/erp/jobs?filter={}&sort={}",
        "/admin/projects?q={}",
        "/erp/settings?q={}",
        "/erp/history?person={}&action={}",
        "/login?next={}",
        "/admin/directory?q={}",
        "/static/{}",
        "/erp/mails/unsubscribe/{}",
    ],
)
def test_no_address_fails_for_a_control_character(address: str, browser: SignIn) -> None:
    foul = address.replace("{}", "a%00%07%C2%85%ED%A0%80b")
    for name in ("controller", "administrator"):
        assert browser(name).get(foul).status_code < 500


def test_sign_in_with_a_nul_is_a_wrong_email(app: Flask, browser: SignIn) -> None:
    client = browser("outsider").client
    answer = client.post("/login", data={"email": "a\x00b@example.com", "password": "x\x00"})
    assert answer.status_code < 500


def test_a_description_that_fits_without_its_carriage_returns_is_kept_and_changes_nothing_when_saved_again(
    browser: SignIn, make_project: MakeProject
) -> None:
    """A browser sends each line break as two characters. Out: the normalizing in check_information."""
    project, manager = make_project(), browser("manager")
    description = ("1234\n" * 400)[:1999]
    crlf = description.replace("\n", "\r\n")
    for _ in range(2):
        answer = manager.post(f"/admin/projects/{project.id}", form(project, description=crlf))
        assert answer.status_code == 303
        db.session.refresh(project)
        assert project.description == description
    assert [event.action for event in project.events] == ["edited", "created"]


def test_a_description_from_a_file_is_the_same_as_a_typed_one(app: Flask, browser: SignIn, tmp_path: Path) -> None:
    description = ("1234\n" * 400)[:1999]
    crlf = description.replace("\n", "\r\n")
    file = tmp_path / "projects.csv"
    file.write_bytes(f'number,name,description\r\n26-1,{NFD},"{crlf}"\r\n'.encode())
    result = app.test_cli_runner().invoke(args=["projects", "import", str(file)])
    assert result.exit_code == 0, result.output
    db.session.rollback()
    project = db.session.scalars(select(Project)).one()
    assert (project.name, project.description) == ("Café", description)
    browser("manager").post(f"/admin/projects/{project.id}", form(project, description=crlf))
    assert [event.action for event in project.events] == ["created"]


def test_the_same_number_in_composed_and_decomposed_letters_is_one_number(
    browser: SignIn, make_project: MakeProject
) -> None:
    make_project(number="Café-1")
    again = browser("manager").post("/admin/projects", {"number": f"{NFD.upper()}-1", "name": "Again"})
    assert (again.status_code, "has the number" in again.text) == (422, True)


@pytest.mark.parametrize("q", ["café", NFD, "CAFÉ"])
def test_a_search_finds_a_name_however_its_letters_are_composed(
    q: str, browser: SignIn, make_project: MakeProject
) -> None:
    make_project(name=f"{NFD} Depot")  # as an older version kept it
    assert "26-014" in browser("manager").client.get("/admin/projects", query_string={"q": q}).text


def test_an_option_of_a_command_is_cleaned_too(app: Flask) -> None:
    options = ["users", "create", "new@example.com", "--name", f"{NFD}\x07", "--password-stdin"]
    result = app.test_cli_runner().invoke(args=options, input="correct-horse-battery\n")
    assert result.exit_code == 0, result.output
    db.session.rollback()
    assert db.session.scalar(select(Person.name).where(Person.email == "new@example.com")) == "Café"


def test_the_migration_brings_kept_texts_to_the_one_form_and_leaves_a_number_that_is_taken(
    app: Flask, make_project: MakeProject
) -> None:
    kept = [make_project(number=f"26-{number}").id for number in range(3)]
    old = {"name": f"{NFD}\x07", "description": "one\r\ntwo"}
    numbers = [f"{NFD}-1", "Café-1", f"{NFD}-2"]
    for project_id, number in zip(kept, numbers, strict=True):
        raw = old | {"number": number, "number_key": number.casefold()}
        db.session.execute(update(Project).where(Project.id == project_id).values(raw))
    db.session.execute(update(Project).where(Project.id == kept[1]).values(job_key=NFD.casefold()))
    db.session.add(Job(key=NFD.casefold(), number=NFD))
    db.session.commit()
    source = next(VERSIONS.glob("*_normalized_text.py")).read_text()
    module: dict[str, object] = {}
    exec(compile(source, str(ROOT), "exec"), module)
    with db.engine.begin() as connection, Operations.context(MigrationContext.configure(connection)):
        module["upgrade"]()  # type: ignore[operator]
    rows = db.session.execute(text("SELECT name, description, number, number_key, job_key FROM project ORDER BY id"))
    first, second, third = rows.all()
    assert first == ("Café", "one\ntwo", numbers[0], numbers[0].casefold(), None)
    assert second[2:] == ("Café-1", "café-1", "café")
    assert third[2:] == ("Café-2", "café-2", None)
    assert db.session.scalars(select(Job.key)).one() == "café"
