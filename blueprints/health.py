"""/healthz, /readyz and /metrics, for monitoring: the process answers, it does its work, and how much."""

import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

from flask import Blueprint, Response, abort, current_app, request
from prometheus_client import CONTENT_TYPE_LATEST
from sqlalchemy import func, select, update
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from extensions import db
from lib import database_errors, request_metrics, schema_version
from models import Delivery, Export, Setting, SettingName, utcnow
from permissions import public
from services import expiry, mail_settings
from services.metrics import DatabaseCollector

blueprint = Blueprint("health", __name__)
STALE = timedelta(minutes=3)
SPARE = 32 * 1024 * 1024  # bytes; with less, SQLite's next checkpoint may not fit


@blueprint.get("/healthz")
@public
def healthz() -> Any:
    return {"status": "ok"}


@blueprint.get("/readyz")
@public
def readyz() -> Any:
    """Answer 200 only while database and scheduler work; Spectrum and mail are reported without changing that."""
    report: dict[str, Any] = {"database": _database(), "scheduler": _scheduler()}
    ready = all(state == "ok" for state in report.values())
    if report["database"] == "ok":
        report |= {"mail": _mail(), "spectrum": _spectrum()} | _moments()
        report["days_left"] = {each.name: each.days_left for each in expiry.list_expiries()}
    return report, 200 if ready else 503


@blueprint.get(request_metrics.PATH)
@public
def metrics() -> Any:
    if not request_metrics.is_local(request.environ):
        abort(404)
    return Response(request_metrics.render(DatabaseCollector()), content_type=CONTENT_TYPE_LATEST)


def _database() -> str:
    """Return "ok" if the database is of this version and takes a change, which is rolled back; else its state."""
    try:
        if (found := schema_version.state()) != schema_version.OK:
            return found
        with db.engine.connect() as connection:
            connection.execute(
                update(Setting).where(Setting.name == SettingName.HEARTBEAT).values(name=SettingName.HEARTBEAT)
            )
            connection.rollback()
    except DBAPIError as error:
        db.session.rollback()
        return database_errors.meaning(error).state
    return _file()


def _file() -> str:
    """Return the state of SQLite's file: a deleted one still takes changes while it is open, and then loses them."""
    address = db.engine.url
    if address.drivername != "sqlite":
        return "ok"
    file = Path(address.database or "")
    if not file.exists():
        return "its file is gone"
    return "disk is full" if shutil.disk_usage(file.parent).free < SPARE else "ok"


def _spectrum() -> str:
    if not current_app.config["SPECTRUM_URL"]:
        return "not set up"
    contact = Setting.read(SettingName.CONTACT, {})
    return "no contact yet" if not contact else "ok" if contact["connected"] else "not connected"


def _moments() -> dict[str, str | None]:
    beat, now = db.session.get(Setting, SettingName.HEARTBEAT), utcnow()
    moments = {
        "last_tick": beat and beat.at,
        "last_mail": db.session.scalar(select(func.max(Delivery.sent_at))),
        "oldest_due_export": db.session.scalar(select(func.min(Export.due_at)).where(Export.due(now))),
    }
    contact = Setting.read(SettingName.CONTACT, {}).get("at")
    return {"last_contact_with_spectrum": contact} | {name: at and at.isoformat() for name, at in moments.items()}


def _mail() -> str:
    if not mail_settings.is_set_up():
        return "not set up"
    trouble = Setting.read(SettingName.MAIL)
    return ("held" if trouble["held"] else "no answer") if trouble else "ok"


def _scheduler() -> str:
    if not current_app.config["RUN_SCHEDULER"]:
        return "ok"
    try:
        beat = db.session.get(Setting, SettingName.HEARTBEAT)
    except SQLAlchemyError:
        return "unknown"
    return "ok" if beat and abs(utcnow() - beat.at) < STALE else "no heartbeat"
