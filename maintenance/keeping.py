"""The backups that are kept: a new one each night, and the old ones away.

How a backup is made and put back stands in backup.py.
"""

from pathlib import Path

import click
from sqlalchemy.exc import DBAPIError

from extensions import writing
from maintenance import backup
from models import Setting, utcnow


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
