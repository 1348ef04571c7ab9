"""One table of the errors that a database's driver reports: how /readyz, a page and the command line put each."""

import re
from dataclasses import dataclass

import click
from sqlalchemy.exc import DBAPIError

ASK_OPERATOR = (
    "Your last change was not saved. Try again in a minute. If this continues, tell whoever runs Countersign."
)


@dataclass(frozen=True)
class Meaning:
    """An error that a driver reports in words like these; permanent where waiting would not help."""

    pattern: str
    state: str
    sentence: str
    advice: str
    permanent: bool = False


MEANINGS = (
    Meaning("is full|no space left", "disk is full", "The server's disk is full.", "Make room on its disk."),
    Meaning(
        "readonly|read-only|permission denied",
        "can only be read",
        "The database can only be read, not written to.",
        "Let the user that runs Countersign write to it, and to its folder.",
        permanent=True,
    ),
    Meaning(
        "locked|lock timeout|did not answer in time",
        "not reachable",
        "The database was busy for too long.",
        "Something else is using it. Try again when that has finished.",
    ),
    Meaning(
        "not a database",
        "not reachable",
        "The database cannot be reached.",
        "It is not a Countersign database. Check the address.",
        permanent=True,
    ),
    Meaning(
        "unable to open",
        "not reachable",
        "The database cannot be reached.",
        "Check that its folder exists, and that the user that runs Countersign can write to both.",
        permanent=True,
    ),
    Meaning(
        "",
        "not reachable",
        "The database cannot be reached.",
        "Check the address, and that the database and its server are running.",
    ),
)


def meaning(error: DBAPIError) -> Meaning:
    """Return the first meaning whose words the driver used; the last one fits anything."""
    said = str(error.orig)
    return next(each for each in MEANINGS if re.search(each.pattern, said, re.IGNORECASE))


def driver_message(error: DBAPIError) -> str:
    return str(error.orig).partition("\n")[0].rstrip(".")


def unusable(error: DBAPIError) -> click.ClickException:
    """Return the error for the command line: the driver's message and what to do now."""
    return click.ClickException(
        f"The database of DATABASE_URL cannot be used: {driver_message(error)}. {meaning(error).advice}"
    )
