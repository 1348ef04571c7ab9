"""From SQLite to PostgreSQL: every row arrives, and what is new gets the next number."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import ENVIRON, run_sql
from flask import Flask
from sqlalchemy import func, select, text
from support.fault_injection import accept

from app import create_app
from extensions import Base, db
from models import Person, Project
from services import workflow

ON_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def new_database(postgresql: str) -> Any:
    run_sql(postgresql, "CREATE DATABASE moved_to")
    yield f"{postgresql}/moved_to"
    run_sql(postgresql, "DROP DATABASE moved_to WITH (FORCE)")


def contents() -> dict[str, list[Any]]:
    """Every row of every table, by its key."""
    db.session.rollback()
    tables = Base.metadata.sorted_tables
    return {table.name: [*db.session.execute(select(table).order_by(*table.primary_key))] for table in tables}


def move(app: Flask, address: str) -> Any:
    db.session.rollback()
    return app.test_cli_runner().invoke(args=["move", address])


@ON_SQLITE
def test_every_row_is_moved_and_the_next_project_gets_the_next_number(
    app: Flask, make_project: Callable[..., Project], new_database: str
) -> None:
    accept("26-014")
    make_project(number="26-900")
    before = contents()
    result = move(app, new_database)
    assert result.exit_code == 0, result.output
    moved = create_app(ENVIRON | {"DATABASE_URL": new_database}, instance_path=app.instance_path)
    with moved.app_context():
        assert contents() == before
        waiting = db.session.scalar(text("SELECT n FROM tally WHERE name = 'Not Sent'"))
        project = workflow.create(db.session.scalars(select(Person)).first(), {"number": "26-901", "name": "New"})
        db.session.commit()
        assert project.id == db.session.scalar(select(func.max(Project.id)))
        assert db.session.scalar(text("SELECT n FROM tally WHERE name = 'Not Sent'")) == waiting + 1
        db.session.remove()
        db.engine.dispose()


@ON_SQLITE
def test_a_nul_that_an_older_version_kept_does_not_keep_a_database_from_moving(
    app: Flask, make_project: Callable[..., Project], new_database: str
) -> None:
    project = make_project()
    workflow.send(project, project.created_by, "Note\x00")  # type: ignore[arg-type]  # the manager made it
    project.name = "Depot\x00"
    db.session.commit()
    result = move(app, new_database)
    assert result.exit_code == 0, result.output


@ON_SQLITE
def test_a_database_with_people_in_it_is_not_moved_into(app: Flask, new_database: str) -> None:
    assert move(app, new_database).exit_code == 0
    result = move(app, new_database)
    assert (result.exit_code, "is in use already" in result.output) == (1, True)


@ON_SQLITE
def test_an_address_of_no_database_is_refused_in_a_sentence(app: Flask) -> None:
    result = move(app, "https://somewhere")
    assert (result.exit_code, "ADDRESS must begin with" in result.output) == (1, True)


@ON_SQLITE
def test_no_database_is_moved_into_a_file(app: Flask, tmp_path: Path) -> None:
    result = move(app, f"sqlite:///{tmp_path / 'new.db'}")
    assert (result.exit_code, "address of a PostgreSQL database" in result.output) == (1, True)
    assert not (tmp_path / "new.db").exists()


def test_a_database_that_is_not_there_is_said_to_be_the_one_at_the_address(app: Flask) -> None:
    result = move(app, "postgresql://nobody@127.0.0.1:1/none")
    assert result.exit_code == 1
    assert result.output.startswith("Error: The database at ADDRESS cannot be reached: ")
