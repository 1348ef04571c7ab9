"""`countersign check --before-upgrade`: may this version serve beside the machines that run another one?"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from sqlalchemy import text

from extensions import db, writing

Run = Callable[..., Any]


@contextmanager
def at_version(version: str) -> Iterator[None]:
    """The database as if another version had prepared it."""
    known = "SELECT version_num FROM alembic_version"
    before = db.session.scalar(text(known))
    set_version(version)
    yield
    set_version(before)


def set_version(version: str) -> None:
    with writing():
        db.session.execute(text("UPDATE alembic_version SET version_num = :version"), {"version": version})


def test_where_the_database_stays_as_it_is_others_may_serve_on(run: Run) -> None:
    answer = run("check", "--before-upgrade")
    assert (answer.exit_code, answer.stdout) == (
        0,
        "The database stays as it is, so other machines may serve on and be upgraded afterwards.\n",
    )


def test_where_it_would_change_under_a_machine_that_serves_it_is_refused_with_the_machines_name(run: Run) -> None:
    if db.engine.dialect.name == "sqlite":
        return  # a file is of one machine
    url = re.sub(r"\+\w+", "", db.engine.url.render_as_string(hide_password=False))
    with at_version("0001"), psycopg.connect(url, application_name="psql"):
        assert run("check", "--before-upgrade").exit_code == 0
        with psycopg.connect(url, application_name="countersign@far"):
            answer = run("check", "--before-upgrade")
    assert answer.exit_code == 1
    assert answer.stderr == (
        "Error: This version updates the database, which is in use on far. Stop Countersign there first"
        " (systemctl stop countersign), then try again. Nothing was changed.\n"
    )


def test_a_database_of_a_newer_version_is_refused(run: Run) -> None:
    with at_version("9999"):
        answer = run("check", "--before-upgrade")
    assert (answer.exit_code, "newer than the program" in answer.stderr) == (1, True)
