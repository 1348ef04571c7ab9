"""A consistent copy of the database while the app runs, and putting one back.

A copy is only put in place once it was read back whole; one that is put back is first proven, brought to date and made
safe beside the present database. How each database is copied stands at the end, one class each.
"""

import os
import secrets
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path

import click
from alembic.script import ScriptDirectory
from flask import Flask, current_app
from flask_migrate import upgrade
from sqlalchemy import URL, Engine, create_engine, inspect, make_url, text, update
from sqlalchemy.exc import DatabaseError

from extensions import db, migrate, writing
from models import Delivery, DigestDay, Errand, Export, MailOutcome, Person, Setting, utcnow
from wording import local

OURS = {"alembic_version", "project", "export", "event", "setting"}
BY = "Restored from a backup"
MAY_HAVE_GONE = "Countersign was restored from a backup before it knew what became of this mail. It may have arrived."


class BackupError(click.ClickException):
    """Why there is no backup, or why it was not put back; the message is a sentence."""


def save(file: Path) -> None:
    """Write a consistent copy of the database to the file, whole or not at all. Raises BackupError."""
    partial = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    try:
        _kind(_url()).copy_out(_url(), partial)
        with partial.open("rb") as written:
            os.fsync(written.fileno())
        partial.replace(file)
        _keep_name(file.parent)
    except OSError as error:
        raise BackupError(f"{file} can not be written: {error.strerror}.") from None
    finally:
        partial.unlink(missing_ok=True)


def restore(file: Path) -> Path | None:
    """Put a backup in the place of the database; the present one goes beside it, under the name that is returned.

    None is returned where there was none. Raises BackupError, and then the present database is as it was.
    """
    kind, url = _kind(_url()), _url()
    if not file.is_file():
        raise BackupError(f"There is no file {file}.")
    with file.open("rb") as opened:
        if not opened.read(16).startswith(kind.MARK):
            raise BackupError(f"{file} is not a backup of Countersign on {kind.NAME}.")
    with kind.beside(url, file) as proving:
        _prove(file, proving)
        kept = _keep_present(file, url)
        db.engine.dispose()
        kind.put_in_place(proving, url)
    return kept


def _prove(file: Path, proving: URL) -> None:
    """Refuse what can not be ours; bring the rest to date and make it safe to start from."""
    _refuse_strangers(file, proving)
    app = Flask(current_app.import_name)
    app.config |= current_app.config | {"SQLALCHEMY_DATABASE_URI": proving}
    db.init_app(app)
    migrate.init_app(app, db)
    with app.app_context():
        upgrade()
        make_safe()
        db.session.remove()
        db.engine.dispose()


def _refuse_strangers(file: Path, proving: URL) -> None:
    with _engine(proving) as engine:
        try:
            if not set(inspect(engine).get_table_names()) >= OURS:
                raise BackupError(f"{file} is not a backup of Countersign.")
            with engine.connect() as connection:
                version = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one()
        except DatabaseError:
            raise BackupError(f"{file} is damaged: it can not be read as a database.") from None
    known = {script.revision for script in ScriptDirectory.from_config(migrate.get_config()).walk_revisions()}
    if version not in known:
        raise BackupError(f"{file} is of a newer Countersign than this one. Install that one first.")


def make_safe() -> None:
    """Nothing goes out until somebody resumes; what may have happened after the backup is taken as having happened."""
    with writing():
        Setting.write(Setting.PAUSED, {"by": BY, "at": utcnow().isoformat()})
        Setting.write(Setting.RESTORED, {"at": utcnow().isoformat()})
        db.session.merge(DigestDay(day=local(utcnow()).date()))
        db.session.execute(update(Person).values(epoch=Person.epoch + 1))
        for work in (Export, Delivery, Errand):
            db.session.execute(update(work).values(token=None, lease_until=None))
        under_way = update(Export).where(Export.due_at <= utcnow() + timedelta(days=1), Export.sent_at.is_(None))
        db.session.execute(under_way.values(sent_at=utcnow()))  # so each is looked for before it is sent
        on_its_way = update(Delivery).where(Delivery.outcome.is_(None))
        db.session.execute(on_its_way.values(outcome=MailOutcome.UNKNOWN, error=MAY_HAVE_GONE, due_at=None))


def _keep_present(file: Path, url: URL) -> Path | None:
    """A copy of what is replaced now, beside the backup."""
    with _engine(url) as engine:
        if not _kind(url).exists(url) or "alembic_version" not in inspect(engine).get_table_names():
            return None
    kept = file.with_name(f"before-restore-{utcnow():%Y%m%d-%H%M%S}{file.suffix}")
    save(kept)
    return kept


def _url() -> URL:
    return db.engine.url


def _kind(url: URL) -> "type[_Sqlite] | type[_Postgresql]":
    return _Sqlite if url.get_backend_name() == "sqlite" else _Postgresql


@contextmanager
def _engine(url: URL) -> Iterator[Engine]:
    engine = create_engine(url)
    try:
        yield engine
    finally:
        engine.dispose()


def _keep_name(directory: Path) -> None:
    """Make sure that a file's new name survives a power cut, too."""
    opened = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


class _Sqlite:
    """Copied through SQLite's online backup: one consistent state, put in place in one transaction."""

    NAME, MARK = "SQLite", b"SQLite format 3\0"

    @staticmethod
    def exists(url: URL) -> bool:
        return Path(url.database or "").is_file()

    @classmethod
    def copy_out(cls, url: URL, to: Path) -> None:
        cls._copy(Path(url.database or ""), to)
        with closing(sqlite3.connect(to, isolation_level=None)) as copy:
            copy.execute("PRAGMA journal_mode=DELETE")  # one file, without a log beside it
            cls._check(copy, to)

    @classmethod
    @contextmanager
    def beside(cls, url: URL, file: Path) -> Iterator[URL]:
        """The backup as a database of its own, beside the present one."""
        proving = Path(f"{url.database}.{secrets.token_hex(4)}")
        try:
            cls._copy(file, proving)
            with closing(sqlite3.connect(proving)) as copy:
                cls._check(copy, file)
            yield url.set(database=str(proving))
        finally:
            for rest in ("", "-wal", "-shm", "-journal"):
                Path(f"{proving}{rest}").unlink(missing_ok=True)

    @classmethod
    def put_in_place(cls, proving: URL, url: URL) -> None:
        cls._copy(Path(proving.database or ""), Path(url.database or ""))

    @staticmethod
    def _copy(source: Path, target: Path) -> None:
        try:
            with (
                closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True, timeout=30)) as there,
                closing(sqlite3.connect(target, timeout=30)) as here,
            ):
                there.backup(here)
        except sqlite3.Error as error:
            raise BackupError(f"{source} can not be copied to {target}: {error}.") from None

    @staticmethod
    def _check(copy: sqlite3.Connection, file: Path) -> None:
        try:
            found = copy.execute("PRAGMA integrity_check").fetchone()[0]
        except sqlite3.DatabaseError as error:
            found = str(error)
        if found != "ok":
            raise BackupError(f"{file} is damaged: {found}.")


class _Postgresql:
    """Copied by pg_dump and pg_restore: proven in a database of its own, then put in place in one transaction."""

    NAME, MARK = "PostgreSQL", b"PGDMP"

    @staticmethod
    def exists(_url: URL) -> bool:
        return True

    @classmethod
    def copy_out(cls, url: URL, to: Path) -> None:
        cls._run("pg_dump", url, "--format=custom", "--no-owner", "--file", str(to))
        cls._run("pg_restore", None, "--list", str(to))

    @classmethod
    @contextmanager
    def beside(cls, url: URL, file: Path) -> Iterator[URL]:
        proving = url.set(database=f"{url.database}_{secrets.token_hex(4)}")
        cls._administer(url, f'CREATE DATABASE "{proving.database}"')
        try:
            cls._run("pg_restore", proving, "--no-owner", "--exit-on-error", str(file))
            yield proving
        finally:
            cls._administer(url, f'DROP DATABASE "{proving.database}" WITH (FORCE)')

    @classmethod
    def put_in_place(cls, proving: URL, url: URL) -> None:
        with cls._dumped(proving) as proven:
            cls._run("pg_restore", url, "--no-owner", "--clean", "--if-exists", "--single-transaction", str(proven))

    @classmethod
    @contextmanager
    def _dumped(cls, proving: URL) -> Iterator[Path]:
        proven = Path(current_app.instance_path) / f".restore.{secrets.token_hex(4)}"
        try:
            cls.copy_out(proving, proven)
            yield proven
        finally:
            proven.unlink(missing_ok=True)

    @staticmethod
    def _administer(url: URL, statement: str) -> None:
        try:
            with _engine(url) as engine, engine.connect() as connection:
                connection.execution_options(isolation_level="AUTOCOMMIT").execute(text(statement))
        except DatabaseError as error:
            why = str(error.orig).strip().rstrip(".")
            raise BackupError(
                f"A backup is proven in a database of its own, and that can not be made: {why}. "
                "Allow it with ALTER ROLE … CREATEDB, and restore again."
            ) from None

    @classmethod
    def _run(cls, program: str, url: URL | None, *arguments: str) -> None:
        """The password goes by the environment, where no list of processes shows it."""
        command, environ = [cls._program(program), *arguments], dict(os.environ)
        if url:
            plain = make_url(url).set(drivername="postgresql", password=None)
            command.insert(1, f"--dbname={plain.render_as_string(hide_password=False)}")
            environ |= {"PGPASSWORD": url.password} if url.password else {}
        done = subprocess.run(command, env=environ, capture_output=True, text=True)  # noqa: S603 - no shell, our own words
        if done.returncode:
            said = done.stderr.strip().splitlines() or [f"it ended with {done.returncode}"]
            raise BackupError(f"{program} did not succeed: {said[0]}")

    @staticmethod
    def _program(name: str) -> str:
        newest = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
        found = shutil.which(name) or (str(newest[-1]) if newest else None)
        if found is None:
            raise BackupError(f"{name} was not found. Install PostgreSQL's client programs, and try again.")
        return found
