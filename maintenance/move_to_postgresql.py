"""The move from SQLite to PostgreSQL: every row, in one transaction, into a new database."""

from sqlalchemy import URL, Connection, Table, delete, insert, make_url, select, text
from sqlalchemy.exc import OperationalError

from config import database_url
from extensions import Base, db
from lib.database_errors import driver_message
from lib.schema_version import refuse_other_encoding
from lib.text import clean_all
from maintenance.backup import brought_to_date
from maintenance.dump import BackupError, engine_of
from models import Person

BATCH_SIZE = 1000


def move(address: str) -> int:
    """Copy the present database into the empty one at the address, and return the number of rows.

    Raises BackupError if that cannot be reached, is not PostgreSQL or is in use, ValueError if it is no address.
    """
    url = make_url(database_url(address))
    if url.get_backend_name() != "postgresql":
        raise BackupError("Give the address of a PostgreSQL database, such as postgresql://server/countersign.")
    _refuse_unusable(url)
    with brought_to_date(url):
        if db.session.scalar(select(Person.id).limit(1)):
            raise BackupError("That database is in use already. Make a new, empty one, and move there.")
    tables = Base.metadata.sorted_tables
    with engine_of(url) as there, there.begin() as target:
        for table in reversed(tables):
            target.execute(text(f'ALTER TABLE "{table.name}" DISABLE TRIGGER USER'))
            target.execute(delete(table))  # rows of the migrations
        return sum(_copy(table, target) for table in tables)


def _refuse_unusable(url: URL) -> None:
    try:
        with engine_of(url) as there:
            refuse_other_encoding(there, "ADDRESS")
    except OperationalError as error:
        raise BackupError(f"The database at ADDRESS cannot be reached: {driver_message(error)}.") from None


def _copy(table: Table, target: Connection) -> int:
    rows = 0
    for batch in db.session.execute(select(table)).mappings().partitions(BATCH_SIZE):
        target.execute(insert(table), [clean_all(row) for row in batch])  # PostgreSQL takes no NUL
        rows += len(batch)
    if "id" in table.columns and rows:
        numbers = "SELECT setval(pg_get_serial_sequence(:name, 'id'), (SELECT max(id) FROM \"{}\"))"
        target.execute(text(numbers.format(table.name)), {"name": table.name})
    target.execute(text(f'ALTER TABLE "{table.name}" ENABLE TRIGGER USER'))
    return rows
