"""How the production server runs: a few processes with threads, each with the timetable beside the pages."""

import gc
import os
import sys

import click
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from config import load

gc.disable()  # until a worker serves: what a start makes stays
try:
    _settings = load(os.environ)
except click.ClickException as problem:
    sys.exit(f"Error: {problem.message}")

bind = f"{_settings['HOST']}:{_settings['PORT']}"
workers = 2
worker_class = "gthread"
threads = 4
limit_request_line = 8190  # the most that gunicorn takes: what is too long to make sense is ignored by the page
timeout = 60
graceful_timeout = 25
control_socket_disable = True
proc_name = "countersign"


def on_starting(_server):
    """A database that can not be written to or is not ours to write to is refused before any worker starts."""
    from app import create_app

    app = create_app()
    for remark in app.config["MAIL_REMARKS"]:
        app.logger.warning(remark)
    with app.app_context():
        try:
            _refuse_unwritable()
            _refuse_other_database(app)
        except click.ClickException as problem:
            sys.exit(f"Error: {problem.message}")
    if _settings["RUN_SCHEDULER"]:
        import scheduler  # noqa: F401 - here, so that the workers share it
    gc.freeze()  # what a process collects no more, it does not copy either


def _refuse_unwritable():
    """What is only away or busy is waited for by whoever needs it; what is there has to take a change."""
    from extensions import db
    from lib import schema_version

    try:
        with db.engine.connect() as database:
            database.execute(text("UPDATE setting SET name = name WHERE name = ''"))
            database.rollback()
    except DBAPIError as error:
        if schema_version.is_permanent(error):
            raise schema_version.unusable(error) from None


def _refuse_other_database(app):
    """One of another version, or of another Spectrum company; an empty one may be made ready while the server runs."""
    from extensions import db
    from lib import schema_version
    from tasks import erp_connection

    try:
        if schema_version.state() == schema_version.EMPTY:
            app.logger.error(schema_version.sentence(schema_version.EMPTY))
            return
        schema_version.refuse_other_version()
        erp_connection.refuse_other_company()
    except SQLAlchemyError:
        app.logger.exception("the database can not be read, so nobody knows whose it is")
    finally:
        db.engine.dispose()


def post_worker_init(worker):
    """The timetable starts where the app serves, unless a process of its own runs it."""
    import scheduler
    from lib import json_log

    gc.enable()
    json_log.set_up()
    if _settings["RUN_SCHEDULER"]:
        scheduler.start(worker.wsgi)


def worker_exit(_server, _worker):
    import scheduler

    scheduler.stop()
