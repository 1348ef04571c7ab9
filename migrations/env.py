"""How migrations run: with the app's own engine, and on SQLite without foreign keys, which are checked at the end.

SQLite alters a table by making it anew; with foreign keys on, dropping the old one would fail.
"""

from alembic import context
from flask import current_app
from sqlalchemy.exc import DatabaseError, IntegrityError, ProgrammingError

from lib.database_errors import unusable
from lib.schema_version import refuse_other_encoding

db = current_app.extensions["migrate"].db


def render_item(kind, item, autogen_context):
    """Write our own column types as what the database sees."""
    if kind == "type" and type(item).__module__ == "lib.columns":
        return "sa.DateTime(timezone=True)"
    return False


def include_name(name, kind, _parents):
    """What the search looks through is made by hand, and no model stands for it: on SQLite a table, else an index.

    So are the orders of the lists of jobs, an expression that PostgreSQL writes otherwise.
    """
    by_hand = ("project_search", "ix_project_ready_search", "ix_project_search_all", "ix_job_list_")
    return kind not in ("table", "index") or not name.startswith(by_hand)


def include_object(_item, name, kind, _reflected, _compare_to):
    """One constraint can wait for the end of a transaction on PostgreSQL alone: SQLite can't alter it, nor needs to."""
    return kind != "foreign_key_constraint" or name != "fk_event_project_id"


def complete_partial_indexes() -> None:
    """Give PostgreSQL the conditions of indexes that models name for SQLite alone.

    With both names in the models every server would load PostgreSQL's dialect, whatever its database is.
    """
    for table in db.metadata.tables.values():
        for index in table.indexes:
            if (condition := index.dialect_kwargs.get("sqlite_where")) is not None:
                index.dialect_kwargs["postgresql_where"] = condition


def run() -> None:
    refuse_other_encoding(db.engine)
    complete_partial_indexes()
    with db.engine.connect() as connection:
        sqlite = connection.dialect.name == "sqlite"
        if sqlite:
            _foreign_keys(connection, "OFF")
        context.configure(
            connection=connection,
            target_metadata=db.metadata,
            render_as_batch=True,
            render_item=render_item,
            include_name=include_name,
            include_object=include_object,
            compare_type=False,
        )
        with context.begin_transaction():
            context.run_migrations()
        if sqlite:
            _check_foreign_keys(connection)
            _foreign_keys(connection, "ON")


def _foreign_keys(connection, state) -> None:
    """The pragma does nothing inside a transaction, so it goes to the driver itself."""
    connection.connection.driver_connection.execute(f"PRAGMA foreign_keys={state}")


def _check_foreign_keys(connection) -> None:
    broken = connection.connection.driver_connection.execute("PRAGMA foreign_key_check").fetchall()
    if broken:
        raise RuntimeError(f"The migration left references to rows that are not there: {broken[:5]}")


try:
    run()
except (IntegrityError, ProgrammingError):  # of what a migration said
    raise
except DatabaseError as error:
    raise unusable(error) from None
