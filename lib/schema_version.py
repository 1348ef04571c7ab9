"""Whether the database can be used: what its driver says, and its revision, held against those that are here.

That is asked without Alembic, which brings a database to date and which a web server does not load.
"""

import re
from functools import cache
from pathlib import Path

import click
from sqlalchemy import inspect, text
from sqlalchemy.exc import DBAPIError

from extensions import db

VERSIONS = Path(__file__).parent.parent / "migrations" / "versions"
OK, EMPTY, OLDER, NEWER = "ok", "empty", "older than the program", "newer than the program"
ADVICE = {
    EMPTY: "Is the address right? A new one is made ready with: flask db upgrade.",
    OLDER: "Bring it to date with: flask db upgrade.",
    NEWER: "Install the version of Countersign that it was brought to.",
}

OUT_OF_USE = {  # what the driver says of a database that stays as it is until somebody does something, and what
    "not a database": "It is none of Countersign: look whether the address is right.",
    "unable to open": "Look whether its folder is there, and let the user that runs Countersign write to both.",
    "readonly|read-only|permission denied": "Let the user that runs Countersign write to it, and to its folder.",
}
BUSY_OR_AWAY = {
    "locked|lock timeout": "Something else holds it: try again when that is done.",
    "": "Look whether the address is right, and whether it is there and its server runs.",
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


def said(error: DBAPIError) -> str:
    """What the database's driver said, in a line."""
    return str(error.orig).partition("\n")[0].rstrip(".")


def is_permanent(error: DBAPIError) -> bool:
    """Whether waiting would not help."""
    return any(re.search(pattern, said(error), re.IGNORECASE) for pattern in OUT_OF_USE)


def unusable(error: DBAPIError) -> click.ClickException:
    """What the driver said, as a sentence with what to do now."""
    advice = (OUT_OF_USE | BUSY_OR_AWAY).items()
    do = next(do for pattern, do in advice if re.search(pattern, said(error), re.IGNORECASE))
    return click.ClickException(f"The database of DATABASE_URL can not be used: {said(error)}. {do}")
