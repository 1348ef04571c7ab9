"""Checks of the database before the web server starts its workers; each refusal is a sentence."""

import logging
from collections.abc import Callable

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from extensions import db
from lib import database_errors, schema_version

log = logging.getLogger(__name__)


def refuse_unwritable() -> None:
    """Refuse to start if the database is there but not writable.

    If it is unreachable or locked, start anyway: requests will retry.
    """
    try:
        with db.engine.connect() as database:
            database.execute(text("UPDATE setting SET name = name WHERE name = ''"))
            database.rollback()
    except DBAPIError as error:
        if database_errors.meaning(error).permanent:
            raise database_errors.unusable(error) from None


def refuse_other_database(refuse_other_company: Callable[[], None]) -> None:
    """Refuse a database of another encoding, version or company; an empty one may be prepared while the server runs."""
    try:
        schema_version.refuse_other_encoding(db.engine)
        if schema_version.state() == schema_version.EMPTY:
            log.error(schema_version.explain(schema_version.EMPTY))
            return
        schema_version.refuse_other_version()
        refuse_other_company()
    except SQLAlchemyError:
        log.exception("The database cannot be read, so its version and company are not known.")
