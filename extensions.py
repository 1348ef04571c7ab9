"""The Flask extensions, bound in `create_app()`, and the connections to the database: their limits and transactions.

SQLite is used without the driver's own transactions: those lose updates silently when two write at once. A reading
transaction begins deferred; a writing one takes the write lock at once, so that what it read is still true when it
writes. Those that want the lock stand in a queue, so that whoever came first writes first.

A connection to PostgreSQL is tested before it is used, and a request waits for the server for seconds only: one that
hangs must not hang every thread, and with them /healthz.
"""

import fcntl
import os
import socket
import sqlite3
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from threading import Lock
from time import monotonic, sleep
from typing import Any

from flask import current_app, has_request_context, request
from flask_login import LoginManager
from flask_mail import Mail
from flask_sqlalchemy import SQLAlchemy
from flask_wtf import CSRFProtect
from sqlalchemy import Connection, Engine, MetaData, event, text
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.pool import Pool

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
PRAGMAS = (
    *("journal_mode=WAL", "busy_timeout=15000", "foreign_keys=ON", "synchronous=FULL"),
    "cache_size=-512",  # kilobytes: there are many connections, and the system keeps the file in memory as well
)
PING_LIMIT, ANSWER_LIMIT = 3, 15  # seconds that a request waits for an idle connection, and for any answer
PROGRAM = "countersign"  # PostgreSQL shows each connection as countersign@machine
NEXT, NOW = 0, 1  # places in the queue of SQLite's writers: whose turn comes, and who writes
QUEUE_LIMIT, QUEUE_PAUSE = 5.0, 0.0005  # seconds
LOCK_LIMIT = "10s"  # that a statement waits for another one's lock, less than a request waits for the statement


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_N_label)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


AUTHOR_MARK = "~"  # in a form's token, ahead of who opened the form


class FormProtection(CSRFProtect):  # type: ignore[misc]  # it has no types
    """The check of a form's token, without its author: blueprints/resubmit.py reads that."""

    def _get_csrf_token(self) -> str:
        return str(super()._get_csrf_token() or "").partition(AUTHOR_MARK)[0]


db = SQLAlchemy(model_class=Base, engine_options={"pool_pre_ping": True, "hide_parameters": True})
login_manager = LoginManager()
mail = Mail()
csrf = FormProtection()

_writing: ContextVar[bool] = ContextVar("writing", default=False)


def only_reads() -> bool:
    """Tell whether a request changes nothing: by its method, or because its view is labelled so."""
    if not has_request_context():
        return False
    view = current_app.view_functions.get(request.endpoint or "")
    return request.method in SAFE_METHODS or getattr(view, "changes_nothing", False)


def defer_foreign_keys() -> None:
    sqlite = db.engine.dialect.name == "sqlite"
    db.session.execute(text("PRAGMA defer_foreign_keys = ON" if sqlite else "SET CONSTRAINTS ALL DEFERRED"))


@contextmanager
def writing() -> Iterator[None]:
    """One writing transaction outside a request: committed at the end, rolled back on an error."""
    db.session.rollback()  # ends a reading transaction, which could no longer become a writing one
    token = _writing.set(True)
    try:
        yield
        db.session.commit()
    except BaseException:
        db.session.rollback()
        raise
    finally:
        _writing.reset(token)


@cache
def _limited_connection() -> Any:
    """A psycopg connection on which a request waits for each answer for seconds only. Loaded where it is used."""
    import psycopg

    class LimitedConnection(psycopg.Connection[Any]):
        last_answer = 0.0

        def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
            idle = monotonic() - self.last_answer > 1
            limit = (PING_LIMIT if idle else ANSWER_LIMIT) if has_request_context() else None
            try:
                answer = super().wait(gen, interval, timeout or limit)
            except psycopg.errors._WaitTimeout:
                self.close()
                raise psycopg.OperationalError("the server did not answer in time") from None
            self.last_answer = monotonic()
            return answer

    return LimitedConnection


@event.listens_for(Engine, "do_connect")
def _connect_to_postgresql(dialect: Any, _record: Any, arguments: Any, settings: dict[str, Any]) -> Any:
    if dialect.name != "postgresql":
        return None
    name = f"{PROGRAM}@{socket.gethostname()}"
    defaults = {"connect_timeout": PING_LIMIT, "client_encoding": "utf8", "fallback_application_name": name}
    return _limited_connection().connect(*arguments, **(defaults | settings))


@event.listens_for(Engine, "connect")
def _set_up_connection(connection: Any, _record: Any) -> None:
    if isinstance(connection, sqlite3.Connection):
        connection.isolation_level = None
        for pragma in PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")
    else:
        connection.execute(f"SET lock_timeout = '{LOCK_LIMIT}'")
        connection.commit()


@event.listens_for(Engine, "begin")
def _begin(connection: Connection) -> None:
    if connection.dialect.name != "sqlite":
        return
    changes = has_request_context() and not only_reads()
    if not (changes or _writing.get()):
        connection.exec_driver_sql("BEGIN")
        return
    queue = write_queue_of(connection.engine)
    if queue and "queue" not in connection.info and queue.enter():
        connection.info["queue"] = queue
    connection.exec_driver_sql("BEGIN IMMEDIATE")


class WriteQueue:
    """The queue in front of the write lock of one SQLite database, between threads and processes.

    SQLite lets whoever finds the lock taken sleep, ever longer, and meanwhile somebody else takes it. Here one thread
    of each process stands in a queue of two places: bytes of a file beside the database, locked for the process by
    the system, so that one that dies lets go. Who waited too long goes on without: SQLite's own lock counts.
    """

    def __init__(self, database: Path) -> None:
        self._threads = Lock()
        self._file = os.open(database.with_name(f"{database.name}.queue"), os.O_RDWR | os.O_CREAT, 0o600)
        weakref.finalize(self, os.close, self._file)

    def enter(self) -> bool:
        """Wait for the turn to write; False where it did not come in time. True has to be followed by `leave`."""
        deadline = monotonic() + QUEUE_LIMIT
        if not self._threads.acquire(timeout=QUEUE_LIMIT):
            return False
        try:
            if self._lock(NEXT, deadline) and self._lock(NOW, deadline):
                return True
        finally:
            self._unlock(NEXT)
        self._threads.release()
        return False

    def leave(self) -> None:
        self._unlock(NOW)
        self._threads.release()

    def _lock(self, place: int, deadline: float) -> bool:
        while True:
            try:
                fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
            except OSError:
                if monotonic() > deadline:
                    return False
                sleep(QUEUE_PAUSE)
            else:
                return True

    def _unlock(self, place: int) -> None:
        fcntl.lockf(self._file, fcntl.LOCK_UN, 1, place)


_queues: weakref.WeakKeyDictionary[Engine, WriteQueue | None] = weakref.WeakKeyDictionary()
_queues_lock = Lock()


def write_queue_of(engine: Engine) -> WriteQueue | None:
    """The queue of a database in a file; None where there can be none, as in a folder that takes no file."""
    with _queues_lock:
        if engine not in _queues:
            try:
                file = Path(engine.url.database or "")
                _queues[engine] = WriteQueue(file) if file.is_file() else None
            except OSError:
                _queues[engine] = None
        return _queues[engine]


@event.listens_for(Pool, "checkin")
def _leave_queue(_connection: Any, record: Any) -> None:
    """Let the next one write: the transaction is over, and was committed before its connection came back."""
    if queue := record.info.pop("queue", None):
        queue.leave()
