"""Backups of the database while the app runs, the ones that are kept each night, and restoring one.

A copy is read back before it replaces an older one. A backup to be restored is first validated, upgraded and paused in
a scratch database beside the present one. How each kind of database is copied stands in dump.py.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
from flask import Flask, current_app
from flask_migrate import upgrade
from sqlalchemy import URL, inspect, or_, select, text, update
from sqlalchemy.exc import DatabaseError, DBAPIError

from extensions import db, writing
from lib import schema_version
from lib.atomic_file import atomic_write
from lib.formatting import local
from maintenance.dump import BackupError, backend_for, engine_of
from maintenance.migrate import migrate
from maintenance.seal import refuse_altered, seal
from models import Delivery, DigestDay, Event, Export, MailOutcome, Person, Setting, SettingName, TaskRequest, utcnow

OURS = {"alembic_version", "project", "export", "event", "setting"}
BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)
MOMENTS = ((Event, Event.at), (Export, Export.sent_at), (Delivery, Delivery.handing_over_at))
BY = "The restore of a backup"
MAY_HAVE_GONE = "Countersign was restored from a backup made before this mail was finished. It may have arrived."


def save(file: Path) -> None:
    """Write a backup to the file, whole or not at all, and record when. Raises BackupError.

    A database that takes no changes can still be backed up: a missing record is only reported.
    """
    _write_copy(file)
    try:
        with writing():
            Setting.write(SettingName.BACKED_UP, str(file))
    except DBAPIError:
        click.echo(f"{file} is good, but the database could not record when it was made.", err=True)


def keep(directory: Path, count: int) -> Path:
    """Write a backup named after the moment, then delete all but the newest `count`. Raises BackupError."""
    file = directory / f"countersign-{utcnow():%Y%m%d-%H%M%S}.backup"
    save(file)
    for old in sorted(directory.glob("countersign-*.backup"))[:-count]:
        old.unlink()
    return file


def restore(file: Path) -> Path | None:
    """Replace the database by a backup; return the file with the replaced one, or None if there was none.

    Raises BackupError, and then the present database is as it was.
    """
    url, backend = _url(), backend_for(_url())
    with scratch_copy(file) as scratch:
        with brought_to_date(scratch):
            pause_after_restore()
        kept = _save_present(file, url)
        db.engine.dispose()
        backend.put_in_place(scratch, url)
    return kept


def undo_upgrade(file: Path) -> None:
    """Restore the file exactly, without a pause. Raises BackupError.

    For an upgrade that is undone: the file was made by the same database right before. Where another machine went on
    with that database, it is left as it is.
    """
    if _went_on():
        raise BackupError("The database was changed after that backup, as by another machine, so nothing was restored.")
    refuse_altered(file)
    db.engine.dispose()
    backend_for(_url()).undo_upgrade(file, _url())


def _went_on() -> bool:
    """Tell whether a person or a scheduler did something after the last backup was recorded."""
    since = select(Setting.at).where(Setting.name == SettingName.BACKED_UP).scalar_subquery()
    later = [select(model.id).where(moment > since).exists() for model, moment in MOMENTS]
    try:
        return bool(db.session.scalar(select(or_(*later, select(Setting.name).where(Setting.at > since).exists()))))
    except DatabaseError:  # the new version's schema, which this program does not know
        return False
    finally:
        db.session.rollback()


@contextmanager
def scratch_copy(file: Path) -> Iterator[URL]:
    """Yield a validated backup as a database of its own, gone afterwards. Raises BackupError."""
    _refuse_other_files(file)
    with backend_for(_url()).beside(_url(), file) as scratch:
        _validate(file, scratch)
        yield scratch


@contextmanager
def brought_to_date(url: URL) -> Iterator[None]:
    """Upgrade the schema of another database; inside, `db` means that one."""
    app = Flask(current_app.import_name)
    app.config |= current_app.config | {"SQLALCHEMY_DATABASE_URI": url}
    db.init_app(app)
    migrate.init_app(app, db)
    with app.app_context():
        try:
            upgrade()
            yield
        finally:
            db.session.remove()
            db.engine.dispose()


def _write_copy(file: Path) -> None:
    if backend_for(_url()).exists(_url()) and _is_empty(_url()):
        raise BackupError(
            "The database holds nothing of Countersign. Is DATABASE_URL right? A new one: flask db upgrade."
        )
    try:
        _refuse_target(file)
        with atomic_write(file) as partial:
            backend_for(_url()).copy_out(_url(), partial)
            seal(partial)
    except OSError as error:
        raise BackupError(f"{file} cannot be written: {error.strerror}.") from None


def _refuse_target(file: Path) -> None:
    if not file.parent.is_dir():
        raise BackupError(f"There is no folder {file.parent}.")
    if file.exists() and not file.is_file():
        raise BackupError(f"{file} is no file. Name one that the backup may replace.")


def _refuse_other_files(file: Path) -> None:
    backend = backend_for(_url())
    if not file.is_file():
        raise BackupError(f"There is no file {file}.")
    with file.open("rb") as opened:
        if not opened.read(16).startswith(backend.MARK):
            raise BackupError(f"{file} is not a backup of Countersign on {backend.NAME}.")
    refuse_altered(file)


def _validate(file: Path, scratch: URL) -> None:
    """Refuse a database that is not ours, damaged or newer than this program."""
    with engine_of(scratch) as engine:
        try:
            if not set(inspect(engine).get_table_names()) >= OURS:
                raise BackupError(f"{file} is not a backup of Countersign.")
            with engine.connect() as connection:
                version = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one()
        except DatabaseError:
            raise BackupError(f"{file} is damaged: it cannot be read as a database.") from None
    if version not in schema_version.revisions():
        raise BackupError(f"{file} was made by a newer Countersign than this one. Install that one first.")


def pause_after_restore() -> None:
    """Hold everything until somebody resumes, and assume that whatever was under way has happened since."""
    now = utcnow()
    with writing():
        Setting.write(SettingName.PAUSED, {"by": BY, "at": now.isoformat()})
        Setting.write(SettingName.RESTORED, {"at": now.isoformat()})
        db.session.merge(DigestDay(day=local(now).date()))
        # seconds, because a count would come to the versions of sessions and links that began after the backup
        db.session.execute(update(Person).values(session_version=int((now - BEGINNING).total_seconds())))
        for work in (Export, Delivery, TaskRequest):
            db.session.execute(update(work).values(token=None, lease_until=None))
        under_way = update(Export).where(Export.due_at <= now + timedelta(days=1), Export.sent_at.is_(None))
        db.session.execute(under_way.values(sent_at=now))  # so each is looked for before it is sent
        unfinished = update(Delivery).where(Delivery.outcome.is_(None))
        db.session.execute(unfinished.values(outcome=MailOutcome.UNKNOWN, error=MAY_HAVE_GONE, due_at=None))


def _save_present(file: Path, url: URL) -> Path | None:
    """Save the database that is about to be replaced beside the backup; None if there is none."""
    if not backend_for(url).exists(url) or _is_empty(url):
        return None
    kept = file.with_name(f"before-restore-{utcnow():%Y%m%d-%H%M%S}{file.suffix}")
    _write_copy(kept)
    return kept


def _is_empty(url: URL) -> bool:
    with engine_of(url) as engine, suppress(DatabaseError):
        return "alembic_version" not in inspect(engine).get_table_names()
    return False


def _url() -> URL:
    return db.engine.url
