"""Checks of the database before the web server starts its workers; each refusal is a sentence."""

import logging

from flask import current_app
from sqlalchemy import and_, or_, select, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from config import SettingsError
from extensions import db
from lib import database_errors, schema_version
from models import Project

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


def refuse_other_database() -> None:
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


def refuse_other_company() -> None:
    ours = current_app.config["SPECTRUM_COMPANY_CODE"]
    held = Project.company_code  # on either side of ours, which an index finds at once among a million
    others = or_(and_(held > "", held < ours), held > ours)
    other = ours and db.session.scalar(select(held).where(others).limit(1))
    if other:
        raise SettingsError(
            f"SPECTRUM_COMPANY_CODE is {ours}, but this database holds projects that are jobs of Spectrum company"
            f" {other}. Set SPECTRUM_COMPANY_CODE to {other}, or DATABASE_URL to the database of {ours}."
        )
