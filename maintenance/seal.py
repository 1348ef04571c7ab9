"""The SHA-256 that a backup carries at its end, where SQLite and pg_restore do not read."""

import hashlib
import re
from pathlib import Path

from maintenance.dump import BackupError

SEAL = re.compile(rb"\nSHA-256 ([0-9a-f]{64})\n")
LENGTH = len("\nSHA-256 \n") + 64


def seal(file: Path) -> None:
    digest = _digest(file, file.stat().st_size)
    with file.open("ab") as opened:
        opened.write(b"\nSHA-256 %s\n" % digest.encode())


def refuse_altered(file: Path) -> None:
    """Raise BackupError where the file is not as it was written; one of an older Countersign carries no SHA-256."""
    size = file.stat().st_size - LENGTH
    if size < 0:
        return
    with file.open("rb") as opened:
        opened.seek(size)
        found = SEAL.fullmatch(opened.read())
    if found and found[1].decode() != _digest(file, size):
        raise BackupError(f"{file} is damaged: it does not match the SHA-256 that it carries. Use another copy.")


def _digest(file: Path, size: int) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as opened:
        while size and (piece := opened.read(min(size, 2**20))):
            digest.update(piece)
            size -= len(piece)
    return digest.hexdigest()
