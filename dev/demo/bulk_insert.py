"""Bulk inserts straight through the driver, past the ORM."""

import itertools
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from sqlalchemy import text

from extensions import db

# the results of the triggers on projects, for all new projects at once
TRIGGER_RESULTS = (
    "INSERT INTO tally SELECT status, count(*) FROM project WHERE true GROUP BY status"
    " ON CONFLICT (name) DO UPDATE SET n = excluded.n",
    "INSERT INTO project_search (rowid, text) SELECT id, search_text FROM project"
    " WHERE status = 'Ready to Export' AND id NOT IN (SELECT rowid FROM project_search)",
    "INSERT INTO project_search_all (project_search_all) VALUES ('rebuild')",
)


def bypass_wal() -> None:
    """Have SQLite write straight into its file, not into its log first; unless another connection is open."""
    if db.engine.dialect.name == "sqlite":
        with db.engine.raw_connection() as connection, suppress(sqlite3.OperationalError):
            connection.execute("PRAGMA journal_mode=DELETE")


def insert_rows(table: str, rows: Iterator[dict[str, Any]]) -> None:
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
def without_indexes() -> Iterator[None]:
    """Drop SQLite's indexes and triggers of projects for now: one by one, they take longer than the rows.

    PostgreSQL calls its triggers once per statement.
    """
    if db.engine.dialect.name != "sqlite":
        yield
        return
    selection = text(
        "SELECT type, name, sql FROM sqlite_master WHERE tbl_name = 'project' AND type <> 'table' AND sql <> ''"
    )
    dropped = db.session.execute(selection).all()
    for kind, name, _ in dropped:
        db.session.execute(text(f"DROP {kind} {name}"))
    yield
    for statement in (*TRIGGER_RESULTS, *(sql for _, _, sql in dropped)):
        db.session.connection().exec_driver_sql(statement)
