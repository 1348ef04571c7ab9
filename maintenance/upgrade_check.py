"""The check ahead of an upgrade: may this version serve beside the machines that still run another one?"""

import click
from sqlalchemy import text

from extensions import PROGRAM, db
from lib import schema_version
from lib.schema_version import EMPTY, NEWER, OK

OTHERS = """
SELECT DISTINCT application_name FROM pg_stat_activity
WHERE datname = current_database() AND application_name LIKE :ours
AND application_name <> current_setting('application_name') ORDER BY 1
"""
STAYS = {
    OK: "The database stays as it is, so other machines may serve on and be upgraded afterwards.",
    EMPTY: "The database is new.",
}
CHANGED = "The database is going to be updated. No other machine uses it."


def refuse_beside_others() -> str:
    """Return a sentence on the database. Raise ClickException where it would change under a machine that serves."""
    found = schema_version.state()
    if found == NEWER:
        raise click.ClickException(schema_version.explain(found))
    if found in STAYS:
        return STAYS[found]
    if machines := _other_machines():
        raise click.ClickException(
            f"This version updates the database, which is in use on {', '.join(machines)}. Stop Countersign there first"
            " (systemctl stop countersign), then try again. Nothing was changed."
        )
    return CHANGED


def _other_machines() -> list[str]:
    if db.engine.dialect.name == "sqlite":
        return []
    names = db.session.scalars(text(OTHERS), {"ours": f"{PROGRAM}@%"})
    return [name.removeprefix(f"{PROGRAM}@") for name in names]
