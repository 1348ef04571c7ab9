"""A file written whole or not at all."""

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import click

from extensions import db


@contextmanager
def atomic_write(file: Path) -> Iterator[Path]:
    """Yield a path to write to, which replaces the file once it is complete; a link's target, not the link.

    Raises OSError, and ClickException for the database itself, which its users would go on writing to unseen.
    """
    if file.exists() and not file.is_file():
        yield file  # a pipe or a terminal
        return
    _refuse_database(file)
    place = file.resolve()
    partial = place.with_name(f".{place.name}.{secrets.token_hex(4)}")
    try:
        partial.touch(0o600)  # nobody else reads it while it is being written, nor what a killed process leaves
        yield partial
        if place.exists():
            shutil.copymode(place, partial)
        _sync(partial)
        partial.replace(place)
        _sync(place.parent)  # the new name has to survive a power cut, too
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def _refuse_database(file: Path) -> None:
    url = db.engine.url
    if file.exists() and url.get_backend_name() == "sqlite" and file.samefile(str(url.database)):
        raise click.ClickException(f"{file} is the database itself. Name another file.")


def _sync(path: Path) -> None:
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
