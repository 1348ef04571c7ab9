"""The backups that are kept: a new one each night, the old ones away, and a sentence where the last one is too old.

How a backup is made and put back stands in backup.py.
"""

from datetime import timedelta
from pathlib import Path

import click
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

import backup
import demo
import wording
from extensions import db, writing
from models import Event, Setting, utcnow

OVERDUE = timedelta(hours=26)  # a night, and some hours for a clock change or a machine that was off
MISSED = "Look at countersign-backup on the server, or tell whoever runs Countersign."


def save(file: Path) -> None:
    """Write a backup to the file, and remember when. Raises BackupError.

    A database that takes no more can still be backed up; that nobody noted when is then said, and no failure.
    """
    backup.save(file)
    try:
        with writing():
            Setting.write(Setting.BACKED_UP, str(file))
    except DBAPIError:
        click.echo(f"{file} is good, but the database took no note of when it was made.", err=True)


def keep(directory: Path, count: int) -> Path:
    """Write a backup into the directory, named after the moment, and take away all but the newest `count` of them.

    Nothing is taken away unless the new one is good. Raises BackupError.
    """
    file = directory / f"countersign-{utcnow():%Y%m%d-%H%M%S}.backup"
    save(file)
    for old in sorted(directory.glob("countersign-*.backup"))[:-count]:
        old.unlink()
    return file


def overdue() -> str:
    """A sentence where the last backup is too old, or none was made since the first day; else empty, as in the demo."""
    last = db.session.get(Setting, Setting.BACKED_UP)
    began = last.at if last else db.session.scalar(select(Event.at).order_by(Event.id).limit(1))
    if began is None or utcnow() - began < OVERDUE or Setting.read(demo.MARK):
        return ""
    if last is None:
        return f"There is no backup of Countersign. {MISSED}"
    return f"The last backup of Countersign was made {wording.since(last.at)} ago. {MISSED}"
