"""The queue in front of SQLite's write lock, between threads and processes: whoever came first writes first.

SQLite lets whoever finds the lock taken sleep, ever longer, and meanwhile somebody else takes it. Here one thread of
each process stands in a queue of two places: bytes of a file beside the database, locked for the process by the system,
so that one that dies lets go. Who waited too long goes on without: the lock that counts is SQLite's own.
"""

import fcntl
import os
import weakref
from pathlib import Path
from threading import Lock
from time import monotonic, sleep

NEXT, NOW = 0, 1  # whose turn comes, and who writes
LIMIT, PAUSE = 5.0, 0.0005  # seconds


class WriteQueue:
    """The queue of one database. Two processes that both have threads waiting take turns."""

    def __init__(self, database: Path) -> None:
        self._threads = Lock()
        self._file = os.open(database.with_name(f"{database.name}.queue"), os.O_RDWR | os.O_CREAT, 0o600)
        weakref.finalize(self, os.close, self._file)

    def enter(self) -> bool:
        """Wait for the turn to write; False where it did not come in time. True has to be followed by `leave`."""
        deadline = monotonic() + LIMIT
        if not self._threads.acquire(timeout=LIMIT):
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
                sleep(PAUSE)
            else:
                return True

    def _unlock(self, place: int) -> None:
        fcntl.lockf(self._file, fcntl.LOCK_UN, 1, place)
