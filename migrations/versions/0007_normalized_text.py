"""Texts as lib/text.py keeps them from now on: letters composed, line feeds alone, no control characters.

A project or job whose number would then be another's stays as it is, for a person to tell the two apart. Events are
never changed.
"""

import re
import unicodedata

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

LINE_BREAKS = re.compile("\r\n|[\r\x85\u2028\u2029]")
CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffe\uffff]")
TEXTS = {
    "person": ("name",),
    "job": ("name", "search_text"),
    "project": (
        *("name", "description", "address_1", "address_2", "city", "state", "zip", "phone", "note"),
        *("search_text", "sender_key"),
    ),
}
KEYS = {"project": ("number", "number_key"), "job": ("number", "key")}
ROWS = 500


def upgrade():
    for table, columns in TEXTS.items():
        for row in odd_rows(table, columns):
            change(table, row, {column: clean(row[column]) for column in columns})
    for table, (number, key) in KEYS.items():
        for row in odd_rows(table, (number, key)):
            fresh = {number: clean(row[number]), key: fold(row[number])}
            if not is_taken(table, row["id"], key, fresh[key]):
                change(table, row, fresh)
                follow(table, row[key], fresh[key])


def downgrade():
    """The texts are good for the older version, too."""


def odd_rows(table, columns):
    """The rows with anything but plain ASCII in these columns, a batch at a time."""
    on_sqlite = op.get_bind().dialect.name == "sqlite"
    odd = "{0} GLOB '*[^ -~]*' OR instr({0}, char(0)) > 0" if on_sqlite else "{0} ~ '[^ -~]'"
    condition = " OR ".join(odd.format(column) for column in columns)
    query = f"SELECT id, {', '.join(columns)} FROM {table} WHERE id > :last AND ({condition}) ORDER BY id LIMIT {ROWS}"  # noqa: S608
    rows = [{"id": 0}]
    while rows:
        rows = op.get_bind().execute(sa.text(query), {"last": rows[-1]["id"]}).mappings().all()
        yield from rows


def change(table, row, values):
    changed = {column: value for column, value in values.items() if value != row[column]}
    if changed:
        columns = ", ".join(f"{column} = :{column}" for column in changed)
        op.get_bind().execute(sa.text(f"UPDATE {table} SET {columns} WHERE id = :id"), changed | {"id": row["id"]})  # noqa: S608


def is_taken(table, row_id, key, value):
    found = sa.text(f"SELECT 1 FROM {table} WHERE {key} = :value AND id <> :id")  # noqa: S608
    return op.get_bind().execute(found, {"value": value, "id": row_id}).first() is not None


def follow(table, before, after):
    """Keep projects tied to a job whose key was changed."""
    if table == "job":
        for column in ("job_key", "presumed_job_key"):
            update = sa.text(f"UPDATE project SET {column} = :after WHERE {column} = :before")  # noqa: S608
            op.get_bind().execute(update, {"before": before, "after": after})


def clean(text):
    return CONTROLS.sub("", unicodedata.normalize("NFC", LINE_BREAKS.sub("\n", text)))


def fold(number):
    return unicodedata.normalize("NFC", clean(number).strip().casefold())
