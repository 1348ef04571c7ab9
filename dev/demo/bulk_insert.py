"""Rows by the hundred thousand, given to the driver as they are, past the ORM. What the rows are stands in `many`."""

import itertools
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from sqlalchemy import text

from extensions import db

# what the triggers on projects keep, said at once for the projects that it lacks
KEPT_BY_TRIGGERS = (
    "INSERT INTO tally SELECT status, count(*) FROM project WHERE true GROUP BY status"
    " ON CONFLICT (name) DO UPDATE SET n = excluded.n",
    "INSERT INTO project_search (rowid, text) SELECT id, search_text FROM project"
    " WHERE status = 'Ready to Export' AND id NOT IN (SELECT rowid FROM project_search)",
    "INSERT INTO project_search_all (project_search_all) VALUES ('rebuild')",
)


def past_the_log() -> None:
    """Have SQLite write what comes into its file at once, not into its log first; other connections use the log again.

    Where somebody else has the database open, everything stays as it is.
    """
    if db.engine.dialect.name == "sqlite":
        with db.engine.raw_connection() as connection, suppress(sqlite3.OperationalError):
            connection.execute("PRAGMA journal_mode=DELETE")


def pour(table: str, rows: Iterator[dict[str, Any]]) -> None:
    """Insert rows that all have the same columns, in the running transaction."""
    connection = db.session.connection()
    driver: Any = connection.connection.driver_connection
    first = next(rows)
    columns, cells = ", ".join(first), (tuple(row.values()) for row in itertools.chain([first], rows))
    if connection.dialect.name == "sqlite":
        statement = ["INSERT INTO", table, f"({columns})", "VALUES", f"({', '.join('?' * len(first))})"]
        driver.executemany(" ".join(statement), cells)
        return
    with driver.cursor() as cursor, cursor.copy(f"COPY {table} ({columns}) FROM STDIN") as copy:
        for row in cells:
            copy.write_row(row)


@contextmanager
def bare_projects() -> Iterator[None]:
    """SQLite keeps the indexes and triggers of projects row by row, which takes longer than the rows: only at the end.

    PostgreSQL's triggers are called once for each statement.
    """
    if db.engine.dialect.name != "sqlite":
        yield
        return
    made = text(
        "SELECT type, name, sql FROM sqlite_master WHERE tbl_name = 'project' AND type <> 'table' AND sql <> ''"
    )
    kept = db.session.execute(made).all()
    for kind, name, _ in kept:
        db.session.execute(text(f"DROP {kind} {name}"))
    yield
    for statement in (*KEPT_BY_TRIGGERS, *(sql for _, _, sql in kept)):
        db.session.connection().exec_driver_sql(statement)
