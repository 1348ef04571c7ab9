"""Whether the database is of this program's version: the revision that it is at, held against those that are here.

It is asked without Alembic, which brings a database to date and which a web server does not load.
"""

import re
from functools import cache
from pathlib import Path

import click
from sqlalchemy import inspect, text

from extensions import db

VERSIONS = Path(__file__).parent / "migrations" / "versions"
OK, EMPTY, OLDER, NEWER = "ok", "empty", "older than the program", "newer than the program"
ADVICE = {
    EMPTY: "Is the address right? A new one is made ready with: flask db upgrade.",
    OLDER: "Bring it to date with: flask db upgrade.",
    NEWER: "Install the version of Countersign that it was brought to.",
}


@cache
def revisions() -> list[str]:
    """The revisions that this program knows, the newest last."""
    found = (re.search(r"^revision = .(\w+)", file.read_text(), re.MULTILINE) for file in VERSIONS.glob("*.py"))
    return sorted(match[1] for match in found if match)


def state() -> str:
    """How the database stands to this program. Raises DatabaseError where it can not be read."""
    with db.engine.connect() as database:
        if not inspect(database).has_table("alembic_version"):
            return EMPTY
        present = database.execute(text("SELECT version_num FROM alembic_version")).scalar()
    if present not in revisions():
        return EMPTY if present is None else NEWER
    return OK if present == revisions()[-1] else OLDER


def sentence(found: str) -> str:
    """What whoever runs the server has to know and to do."""
    return f"The database of DATABASE_URL is {found}. {ADVICE[found]}"


def refuse_other_version() -> None:
    """Raise ClickException where the database is not of this version."""
    if (found := state()) != OK:
        raise click.ClickException(sentence(found))
