"""How the production server runs: a few processes with threads, each with the timetable beside the pages."""

import os
import sys

import click
from sqlalchemy.exc import SQLAlchemyError

from config import load

try:
    _settings = load(os.environ)
except click.ClickException as problem:
    sys.exit(f"Error: {problem.message}")

bind = f"{_settings['HOST']}:{_settings['PORT']}"
workers = 2
worker_class = "gthread"
threads = 4
timeout = 60
graceful_timeout = 25
control_socket_disable = True
proc_name = "countersign"


def on_starting(_server):
    """A database of another Spectrum company is refused before any worker starts."""
    import connection
    from app import create_app
    from extensions import db

    app = create_app()
    with app.app_context():
        try:
            connection.refuse_other_company()
        except click.ClickException as problem:
            sys.exit(f"Error: {problem.message}")
        except SQLAlchemyError:
            app.logger.exception("the database can not be read, so nobody knows whose it is")
        db.engine.dispose()


def post_worker_init(worker):
    """The timetable starts where the app serves, unless a process of its own runs it."""
    import logs
    import timetable

    logs.set_up()
    if _settings["RUN_SCHEDULER"]:
        timetable.start(worker.wsgi)


def worker_exit(_server, _worker):
    import timetable

    timetable.stop()
