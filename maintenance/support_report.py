"""One page for support: version, settings without secrets, clock, disk, permissions, port, what runs out."""

import os
import platform
import shutil
import socket
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from flask import current_app
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError

import config
from extensions import db
from lib import database_errors, schema_version
from lib.formatting import format_ago, format_date, local
from lib.version import VERSION
from models import Setting, SettingName, utcnow
from services import expiry, mail_settings

HIDDEN = {*config.SECRETS, "BACKUP_COPY_COMMAND"}  # what people write into a command may hold a password
MOMENTS = {SettingName.HEARTBEAT: "Scheduler", SettingName.BACKED_UP: "Backup"}
GB = 2**30


def lines() -> Iterator[str]:
    """Yield the report line by line; what can't be found out is said in its place."""
    yield f"Countersign {VERSION}, Python {platform.python_version()}, {platform.platform()}"
    yield from _section("Settings", _settings())
    yield from _section("Server", _server())
    try:
        yield from _section("Database", _database())
        yield from _section("Connections", _connections())
        yield from _section("Expirations", _expirations())
    except DatabaseError as error:
        yield f"  {database_errors.unusable(error).message}"


def _section(title: str, facts: Iterator[tuple[str, object]]) -> Iterator[str]:
    yield f"\n{title}"
    for name, value in facts:
        yield f"  {name:<28}{value}"


def _settings() -> Iterator[tuple[str, object]]:
    for name in config.SETTINGS:
        value = current_app.config[name]
        if name == "DIGEST_DAYS":
            value = ",".join(config.DAYS[day] for day in sorted(value))
        yield name, ("set" if value else "not set") if name in HIDDEN else _shown(value)


def _shown(value: object) -> object:
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return "not set" if value in ("", None) else {True: "yes", False: "no"}.get(value, value)  # type: ignore[call-overload]


def _server() -> Iterator[tuple[str, object]]:
    now = utcnow()
    yield "Clock", f"{now:%Y-%m-%d %H:%M:%S} UTC, {local(now):%Y-%m-%d %H:%M:%S %Z} for people"
    folder = Path(current_app.instance_path)
    disk = shutil.disk_usage(folder)
    yield "Disk", f"{disk.free / GB:.1f} GB of {disk.total / GB:.1f} GB free in {folder}"
    yield "Folder", "can be written" if os.access(folder, os.W_OK) else "can't be written by this user"
    yield "Port", f"{current_app.config['PORT']} {'answers' if _answers() else 'does not answer'}"


def _answers() -> bool:
    host = current_app.config["HOST"].strip("[]")
    with suppress(OSError), socket.create_connection((host, current_app.config["PORT"]), 2):
        return True
    return False


def _database() -> Iterator[tuple[str, object]]:
    yield "Address", db.engine.url.render_as_string(hide_password=True)
    yield "Version", schema_version.state()
    if db.engine.dialect.name == "postgresql":
        yield "Server", db.session.scalar(text("SHOW server_version"))
        ahead = db.session.scalar(text("SELECT now()")) - utcnow()
        yield "Its clock", f"{ahead.total_seconds():+.0f} seconds from ours"
    for name, title in MOMENTS.items():
        row = db.session.get(Setting, name)
        yield title, format_ago(row.at) if row else "never"
    copied = Setting.read(SettingName.BACKUP_COPY) or {}
    yield "Backup copy", copied.get("error") or (_ago(copied["at"]) if copied else "never")


def _connections() -> Iterator[tuple[str, object]]:
    contact = Setting.read(SettingName.CONTACT, {})
    yield "Spectrum", _contact(contact) if current_app.config["SPECTRUM_URL"] else "not set up"
    trouble = Setting.read(SettingName.MAIL)
    yield "Mail", ("no mail goes" if trouble else "OK") if mail_settings.is_set_up() else "not set up"
    yield "Company sign-in", current_app.config["OIDC_ISSUER"] or "not set up"
    yield "Exports", "paused" if Setting.exports_held() else "go out"


def _expirations() -> Iterator[tuple[str, object]]:
    for each in expiry.list_expiries():
        good = f"good until {format_date(each.last_day)}" if each.last_day else each.advice
        yield each.name.replace("_", " ").capitalize(), each.heading if each.is_past else good


def _contact(contact: dict[str, str]) -> str:
    if not contact:
        return "no contact yet"
    return f"{'OK' if contact['connected'] else 'not connected'}, last contact {_ago(contact['at'])}"


def _ago(at: str) -> str:
    return format_ago(datetime.fromisoformat(at))
