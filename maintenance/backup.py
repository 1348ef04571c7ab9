"""A consistent copy of the database while the app runs, and putting one back.

A copy is only put in place once it was read back whole; one that is put back is first proven, brought to date and made
safe beside the present database. How each kind of database is copied stands in copying.py.
"""

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path

from flask import Flask, current_app
from flask_migrate import Migrate, upgrade
from sqlalchemy import URL, inspect, text, update
from sqlalchemy.exc import DatabaseError

from extensions import db, writing
from lib import schema_version
from lib.formatting import local
from maintenance.dump import BackupError, engine_of, kind_of
from models import Delivery, DigestDay, Export, MailOutcome, Person, Setting, TaskRequest, utcnow

migrate = Migrate(render_as_batch=True)
OURS = {"alembic_version", "project", "export", "event", "setting"}
BY = "The restore of a backup"
MAY_HAVE_GONE = "Countersign was restored from a backup before it knew what became of this mail. It may have arrived."


def save(file: Path) -> None:
    """Write a consistent copy of the database to the file, whole or not at all. Raises BackupError."""
    if kind_of(_url()).exists(_url()) and _is_empty(_url()):
        raise BackupError(
            "The database holds nothing of Countersign. Is DATABASE_URL right? A new one: flask db upgrade."
        )
    _refuse_target(file)
    try:
        with atomic_write(file) as partial:
            kind_of(_url()).copy_out(_url(), partial)
    except OSError as error:
        raise BackupError(f"{file} can not be written: {error.strerror}.") from None


@contextmanager
def atomic_write(file: Path) -> Iterator[Path]:
    """Where to write what takes the file's place once it is complete: not a link's, but that of what it leads to.

    Raises OSError, and BackupError for the database itself, which would be cut off from who uses it.
    """
    if file.exists() and not file.is_file():
        yield file  # a pipe, a terminal: it takes what comes
        return
    if file.exists() and _url().get_backend_name() == "sqlite" and file.samefile(str(_url().database)):
        raise BackupError(f"{file} is the database itself. Name another file.")
    place = file.resolve()
    partial = place.with_name(f".{place.name}.{secrets.token_hex(4)}")
    try:
        yield partial
        if place.exists():
            shutil.copymode(place, partial)
        with partial.open("rb") as written:
            os.fsync(written.fileno())
        partial.replace(place)
        _keep_name(place.parent)
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def _refuse_target(file: Path) -> None:
    """Refuse what a backup must not take the place of."""
    try:
        if not file.parent.is_dir():
            raise BackupError(f"There is no folder {file.parent}.")
        if file.exists() and not file.is_file():
            raise BackupError(f"{file} is no file. Name one that the backup may take the place of.")
    except OSError as error:
        raise BackupError(f"{file} can not be written: {error.strerror}.") from None


def restore(file: Path) -> Path | None:
    """Put a backup in the place of the database; the present one goes beside it, under the name that is returned.

    None is returned where there was none. Raises BackupError, and then the present database is as it was.
    """
    kind, url = kind_of(_url()), _url()
    if not file.is_file():
        raise BackupError(f"There is no file {file}.")
    with file.open("rb") as opened:
        if not opened.read(16).startswith(kind.MARK):
            raise BackupError(f"{file} is not a backup of Countersign on {kind.NAME}.")
    with kind.beside(url, file) as proving:
        _validate(file, proving)
        kept = _keep_present(file, url)
        db.engine.dispose()
        kind.put_in_place(proving, url)
    return kept


def undo_upgrade(file: Path) -> None:
    """Undo what was done to the database since the file was saved right before. Raises BackupError.

    For an upgrade that is taken back: nothing went out meanwhile, so nothing has to wait, and the file was made by
    the very database, so it is not proven again.
    """
    db.engine.dispose()
    kind_of(_url()).undo_upgrade(file, _url())


def _validate(file: Path, proving: URL) -> None:
    """Refuse what can not be ours; bring the rest to date and make it safe to start from."""
    _refuse_strangers(file, proving)
    with brought_to_date(proving):
        pause_after_restore()


@contextmanager
def brought_to_date(url: URL) -> Iterator[None]:
    """Another database than the present one, with the schema of today; inside, `db` means it."""
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


def _refuse_strangers(file: Path, proving: URL) -> None:
    with engine_of(proving) as engine:
        try:
            if not set(inspect(engine).get_table_names()) >= OURS:
                raise BackupError(f"{file} is not a backup of Countersign.")
            with engine.connect() as connection:
                version = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one()
        except DatabaseError:
            raise BackupError(f"{file} is damaged: it can not be read as a database.") from None
    if version not in schema_version.revisions():
        raise BackupError(f"{file} is of a newer Countersign than this one. Install that one first.")


def pause_after_restore() -> None:
    """Nothing goes out until somebody resumes; what may have happened after the backup is taken as having happened."""
    with writing():
        Setting.write(Setting.PAUSED, {"by": BY, "at": utcnow().isoformat()})
        Setting.write(Setting.RESTORED, {"at": utcnow().isoformat()})
        db.session.merge(DigestDay(day=local(utcnow()).date()))
        db.session.execute(update(Person).values(session_version=Person.session_version + 1))
        for work in (Export, Delivery, TaskRequest):
            db.session.execute(update(work).values(token=None, lease_until=None))
        under_way = update(Export).where(Export.due_at <= utcnow() + timedelta(days=1), Export.sent_at.is_(None))
        db.session.execute(under_way.values(sent_at=utcnow()))  # so each is looked for before it is sent
        on_its_way = update(Delivery).where(Delivery.outcome.is_(None))
        db.session.execute(on_its_way.values(outcome=MailOutcome.UNKNOWN, error=MAY_HAVE_GONE, due_at=None))


def _keep_present(file: Path, url: URL) -> Path | None:
    """A copy of what is replaced now, beside the backup."""
    if not kind_of(url).exists(url) or _is_empty(url):
        return None
    kept = file.with_name(f"before-restore-{utcnow():%Y%m%d-%H%M%S}{file.suffix}")
    save(kept)
    return kept


def _is_empty(url: URL) -> bool:
    """Whether it can be read and has no table of ours; what can not be read is for the copying to tell."""
    with engine_of(url) as engine, suppress(DatabaseError):
        return "alembic_version" not in inspect(engine).get_table_names()
    return False


def _url() -> URL:
    return db.engine.url


def _keep_name(directory: Path) -> None:
    """Make sure that a file's new name survives a power cut, too."""
    opened = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
