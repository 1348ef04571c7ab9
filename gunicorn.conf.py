"""The production server: a few processes with threads, each with the scheduler beside the pages."""

import gc
import os
import shutil
import sys
import tempfile

import click

from config import load

gc.disable()  # until a worker serves: objects made at the start stay
try:
    _settings = load(os.environ)
except click.ClickException as problem:
    sys.exit(f"Error: {problem.message}")

bind = f"{_settings['HOST']}:{_settings['PORT']}"
workers = 2
worker_class = "gthread"
threads = 4
limit_request_line = 8190  # gunicorn's maximum; pages ignore parameters that are too long
timeout = 60
graceful_timeout = 25
control_socket_disable = True
proc_name = "countersign"


def on_starting(server):
    """Refuse an unusable database, or one of another Spectrum company, before any worker starts."""
    # known before anything counts a request: lib/request_metrics.py
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp(prefix="countersign-metrics-")
    from extensions import db
    from maintenance import startup_checks

    app = _make_app(server)
    for remark in app.config["MAIL_REMARKS"] + app.config["SPECTRUM_REMARKS"]:
        app.logger.warning(remark)
    with app.app_context():
        try:
            startup_checks.refuse_unwritable()
            startup_checks.refuse_other_database()
        except click.ClickException as problem:
            on_exit(server)
            sys.exit(f"Error: {problem.message}")
        finally:
            db.session.remove()
            db.engine.dispose()  # workers must not share its connections
    _load_libraries()
    gc.freeze()  # objects that are never collected stay shared with the workers


def on_reload(server):
    """Make the app anew, because a setting may stand in a file that was changed."""
    gc.unfreeze()
    _make_app(server)
    gc.collect()
    gc.freeze()


def _make_app(server):
    """Make the app, which the workers share. Where dev/bench serves another one by this file, they load that."""
    from app import create_app

    app = create_app()
    if server.app.app_uri == "app:create_app()":
        server.app.callable = app
    return app


def _load_libraries():
    """Load what these settings ask for, so that the workers share that as well."""
    if _settings["OIDC_ISSUER"]:
        from lib import id_token  # noqa: F401
    if _settings["RUN_SCHEDULER"]:
        import scheduler  # noqa: F401
    if _settings["RUN_SCHEDULER"] and _settings["SPECTRUM_CLIENT_ID"]:
        import cryptography.fernet  # noqa: F401
    if _settings["RUN_SCHEDULER"] and _settings["SPECTRUM_URL"]:
        import erp

        erp.load()


def post_worker_init(worker):
    """Start the scheduler in the worker, unless a process of its own runs it."""
    import scheduler
    from lib import json_log

    gc.enable()
    json_log.configure()
    if _settings["RUN_SCHEDULER"]:
        scheduler.start(worker.wsgi)


def worker_exit(_server, _worker):
    import scheduler

    scheduler.stop()


def on_exit(_server):
    shutil.rmtree(os.environ["PROMETHEUS_MULTIPROC_DIR"], ignore_errors=True)
