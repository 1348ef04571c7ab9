"""Facts of the whole installation: settings, the number of projects by status, and the data's revision.

The counts are kept by the database itself, in triggers that its migrations make, so they hold however rows come. The
revision is kept here: every commit that wrote something gives it a number that it never had.
"""

import enum
import secrets
from contextlib import closing
from datetime import datetime
from typing import Any

from flask import g, has_app_context
from sqlalchemy import JSON, BigInteger, String, bindparam, event, select, update
from sqlalchemy.orm import Mapped, mapped_column

from extensions import Base, db, only_reads
from lib.columns import UTCDateTime, utcnow


class SettingName(enum.StrEnum):
    """The name of a setting; beside it the keys of its value, a dict unless said otherwise."""

    PAUSED = "exports paused"  # by, at: while nothing may go out
    RESTORED = "restored from a backup"  # at; compared, unmatched once the whole job list was read afterwards
    BACKED_UP = "backed up"  # the file of the last good backup, a text; its `at` is when
    BACKUP_COPY = "backup copy"  # at: when a backup last left the machine, or None; error: how the latest try failed
    REHEARSED = "backup rehearsed"  # at, file, sentence, error
    DEMO = "demo"  # a list of the rounds of demo data in this database; nothing in a real one
    PATTERN = "job number pattern"  # a text such as YY-###, or ""
    REQUIRED = "required of an acceptance"  # a list of keys of the accept form
    MAIL = "mail trouble"  # cause, held, since: while no mail goes, else None
    CONTACT = "contact with Spectrum"  # connected, at, since, error, error_at: how the last one ended
    JOB_LIST = "job list"  # at, began, said, calls, jobs, complete, proven, doubt, reading, confirmed, error, tried
    LEARNED = "learned about the connection"  # server, style, at, learned, proof
    HELD = "exports held"  # error, since: while a setting keeps every export from going, else None
    # environment, at, encrypted, until, replaced, refused, asked_at, error: `at` is when the secret in use came into
    # use; `environment`, `replaced` and `refused` are digests of the environment's secret at the last look, at the last
    # rotation, and when it was refused; `asked_at` while a rotation is under way, `error` why the last one failed
    CLIENT_SECRET = "client secret"  # noqa: S105 - a name
    CERTIFICATES = "certificates"  # by host:port: ends, error, tried
    HEARTBEAT = "timetable"  # a moment, when the scheduler last ran


class Setting(Base):
    """A fact that the whole installation shares, such as when the job list was last read."""

    __tablename__ = "setting"

    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    value: Mapped[Any] = mapped_column(JSON)
    at: Mapped[datetime] = mapped_column(UTCDateTime, default=utcnow, onupdate=utcnow)

    @classmethod
    def read(cls, name: SettingName, default: Any = None) -> Any:
        row = db.session.execute(VALUE, {"name": name}).one_or_none()
        return default if row is None else row.value

    @classmethod
    def write(cls, name: SettingName, value: Any) -> None:
        db.session.merge(cls(name=name, value=value, at=utcnow()))
        db.session.flush()  # reading looks past the session

    @classmethod
    def exports_held(cls) -> bool:
        return bool(cls.read(SettingName.PAUSED)) or cls.restore_pending()

    @classmethod
    def restore_pending(cls) -> bool:
        restored = cls.read(SettingName.RESTORED)
        return bool(restored) and "compared" not in restored


class Counter(Base):
    """A status and its number of projects; and, under a name of its own, the revision."""

    __tablename__ = "tally"
    REVISION = "revision"

    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    n: Mapped[int] = mapped_column(BigInteger)

    @classmethod
    def read(cls) -> dict[str, int]:
        if "tally" not in g:
            g.tally = (only_reads() and _read_alone()) or dict(db.session.connection().execute(EVERYTHING).all())
        return g.tally  # type: ignore[no-any-return]  # g holds anything


def _read_alone() -> dict[str, int] | None:
    """Read the counters by the driver alone, because most requests of a day need nothing else.

    None where that failed: the session meets the trouble again, and has words for it.
    """
    try:
        with closing(db.engine.raw_connection()) as connection, closing(connection.cursor()) as cursor:
            cursor.execute("SELECT name, n FROM tally")
            return dict(cursor.fetchall())
    except db.engine.dialect.loaded_dbapi.Error:
        return None


_TABLE = Setting.__table__
VALUE = select(_TABLE.c.value).where(_TABLE.c.name == bindparam("name"))
EVERYTHING = select(Counter.name, Counter.n)
RAISED = update(Counter).where(Counter.name == Counter.REVISION).values(n=bindparam("number"))


@event.listens_for(db.session, "after_flush")
def _note_flush(session: Any, _context: Any) -> None:
    session.info["wrote"] = True


@event.listens_for(db.session, "do_orm_execute")
def _note_statement(state: Any) -> None:
    if state.is_insert or state.is_update or state.is_delete:
        state.session.info["wrote"] = True


@event.listens_for(db.session, "before_commit")
def _raise_revision(session: Any) -> None:
    """The last statement of every write, because whoever holds this row holds up the next writer."""
    session.flush()
    if session.info.pop("wrote", False):
        session.connection().execute(RAISED, {"number": secrets.randbits(62)})
        if has_app_context():
            g.pop("tally", None)
