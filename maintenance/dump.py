"""SQLite and PostgreSQL copied whole and put back, one class each; backup.py decides when."""

import os
import secrets
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import click
from flask import current_app
from sqlalchemy import URL, Engine, create_engine, make_url, text
from sqlalchemy.exc import DatabaseError

DROP_EVERYTHING = """
DO $$ DECLARE each text; BEGIN
  FOR each IN
    SELECT format('TABLE %s', oid::regclass) FROM pg_class
      WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace
    UNION ALL SELECT format('FUNCTION %s', oid::regprocedure) FROM pg_proc
      WHERE pronamespace = current_schema()::regnamespace
      AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = pg_proc.oid AND deptype = 'e')
  LOOP EXECUTE 'DROP ' || each || ' CASCADE'; END LOOP;
END $$
"""  # except the functions of extensions


class BackupError(click.ClickException):
    """A backup that failed, or could not be restored; the message is a sentence."""


def backend_for(url: URL) -> "type[Sqlite] | type[Postgresql]":
    return Sqlite if url.get_backend_name() == "sqlite" else Postgresql


@contextmanager
def engine_of(url: URL) -> Iterator[Engine]:
    engine = create_engine(url)
    try:
        yield engine
    finally:
        engine.dispose()


class Sqlite:
    """SQLite's online backup copies one consistent state, and puts it in place in one transaction."""

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
        scratch = Path(f"{url.database}.{secrets.token_hex(4)}")
        try:
            scratch.touch(0o600)  # nobody else reads it, nor what a killed restore leaves
            cls._copy(file, scratch)
            with closing(sqlite3.connect(scratch)) as copy:
                cls._check(copy, file)
            yield url.set(database=str(scratch))
        finally:
            for rest in ("", "-wal", "-shm", "-journal", ".queue"):
                Path(f"{scratch}{rest}").unlink(missing_ok=True)

    @classmethod
    def put_in_place(cls, scratch: URL, url: URL) -> None:
        cls._copy(Path(scratch.database or ""), Path(url.database or ""))

    @classmethod
    def undo_upgrade(cls, file: Path, url: URL) -> None:
        cls._copy(file, Path(url.database or ""))

    @staticmethod
    def _copy(source: Path, target: Path) -> None:
        try:
            with (
                closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True, timeout=30)) as there,
                closing(sqlite3.connect(target, timeout=30)) as here,
            ):
                there.backup(here)
        except sqlite3.Error as error:
            raise BackupError(f"{source} cannot be copied to {target}: {error}.") from None

    @staticmethod
    def _check(copy: sqlite3.Connection, file: Path) -> None:
        try:
            found = copy.execute("PRAGMA integrity_check").fetchone()[0]
        except sqlite3.DatabaseError as error:
            found = str(error)
        if found != "ok":
            raise BackupError(f"{file} is damaged: {found}.")


class Postgresql:
    """pg_dump and pg_restore; a backup is validated in a database of its own, then put in place in one transaction."""

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
        scratch = url.set(database=f"{url.database}_{secrets.token_hex(4)}")
        cls._administer(url, f'CREATE DATABASE "{scratch.database}"')
        try:
            cls._run("pg_restore", scratch, "--no-owner", "--exit-on-error", str(file))
            yield scratch
        finally:
            cls._administer(url, f'DROP DATABASE "{scratch.database}" WITH (FORCE)')

    @classmethod
    def put_in_place(cls, scratch: URL, url: URL) -> None:
        with cls._dumped(scratch) as dumped:
            cls._run("pg_restore", url, "--no-owner", "--clean", "--if-exists", "--single-transaction", str(dumped))

    @classmethod
    def undo_upgrade(cls, file: Path, url: URL) -> None:
        with engine_of(url) as engine, engine.begin() as connection:
            connection.execute(text(DROP_EVERYTHING))
        cls._run("pg_restore", url, "--no-owner", "--single-transaction", str(file))

    @classmethod
    @contextmanager
    def _dumped(cls, scratch: URL) -> Iterator[Path]:
        dumped = Path(current_app.instance_path) / f".restore.{secrets.token_hex(4)}"
        try:
            dumped.touch(0o600)
            cls.copy_out(scratch, dumped)
            yield dumped
        finally:
            dumped.unlink(missing_ok=True)

    @staticmethod
    def _administer(url: URL, statement: str) -> None:
        try:
            with engine_of(url) as engine, engine.connect() as connection:
                connection.execution_options(isolation_level="AUTOCOMMIT").execute(text(statement))
        except DatabaseError as error:
            why = str(error.orig).strip().rstrip(".")
            raise BackupError(
                f"A backup is validated in a scratch database, which cannot be created: {why}. "
                "Allow it with ALTER ROLE … CREATEDB, then restore again."
            ) from None

    @classmethod
    def _run(cls, program: str, url: URL | None, *arguments: str) -> None:
        """Run the program; the password goes by the environment, which no list of processes shows."""
        command, environ = [cls._program(program), *arguments], dict(os.environ)
        if url:
            plain = make_url(url).set(drivername="postgresql", password=None)
            command.insert(1, f"--dbname={plain.render_as_string(hide_password=False)}")
            environ |= {"PGPASSWORD": url.password} if url.password else {}
        result = subprocess.run(command, env=environ, capture_output=True, text=True)  # noqa: S603 - no shell, our own words
        if result.returncode:
            lines = result.stderr.strip().splitlines() or [f"it ended with {result.returncode}"]
            raise BackupError(f"{program} did not succeed: {lines[0]}")

    @staticmethod
    def _program(name: str) -> str:
        newest = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
        found = shutil.which(name) or (str(newest[-1]) if newest else None)
        if found is None:
            raise BackupError(f"{name} was not found. Install PostgreSQL's client programs, and try again.")
        return found
