"""The database's schema revision, compared with the revisions that this program knows.

It is read without Alembic, which a web server does not load.
"""

import re
from functools import cache
from pathlib import Path

import click
from sqlalchemy import Engine, inspect, text

from extensions import db

VERSIONS = Path(__file__).parent.parent / "migrations" / "versions"
OK, EMPTY, OLDER, NEWER = "ok", "empty", "older than the program", "newer than the program"
ADVICE = {
    EMPTY: "Is the address right? Prepare a new one with: flask db upgrade.",
    OLDER: "Update it with: flask db upgrade.",
    NEWER: "Install the version of Countersign that last updated it.",
}


@cache
def revisions() -> list[str]:
    found = (re.search(r"^revision = .(\w+)", file.read_text(), re.MULTILINE) for file in VERSIONS.glob("*.py"))
    return sorted(match[1] for match in found if match)


def state() -> str:
    """Return OK, EMPTY, OLDER or NEWER. Raises DatabaseError if the database cannot be read."""
    with db.engine.connect() as database:
        if not inspect(database).has_table("alembic_version"):
            return EMPTY
        present = database.execute(text("SELECT version_num FROM alembic_version")).scalar()
    if present not in revisions():
        return EMPTY if present is None else NEWER
    return OK if present == revisions()[-1] else OLDER


def explain(found: str) -> str:
    return f"The database of DATABASE_URL is {found}. {ADVICE[found]}"


def refuse_other_encoding(engine: Engine, setting: str = "DATABASE_URL") -> None:
    """Raise ClickException for a PostgreSQL database that cannot hold every character. Raises DatabaseError."""
    if engine.dialect.name == "sqlite":
        return
    with engine.connect() as database:
        encoding = database.execute(text("SHOW server_encoding")).scalar()
    if encoding != "UTF8":
        raise click.ClickException(
            f"The database of {setting} has the encoding {encoding}. Create one with: "
            "CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0."
        )


def refuse_other_version() -> None:
    """Raise ClickException unless the database is of this version, and can hold every character."""
    refuse_other_encoding(db.engine)
    if (found := state()) != OK:
        raise click.ClickException(explain(found))
