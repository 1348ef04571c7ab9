"""The mails that arrived: `<n>.eml` files with the bytes as received, and their envelopes in a SQLite file.

`smtp` receives them, `mailbox_site` shows them.
"""

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import getaddresses
from functools import cached_property
from pathlib import Path
from threading import Lock

from dev.sandbox.store import now


@dataclass(frozen=True)
class Mail:
    """One mail: its number, its envelope, when it came (UTC, ISO 8601), and the bytes as received."""

    n: int
    sender: str
    recipients: list[str]
    received_at: str
    raw: bytes

    @cached_property
    def message(self) -> EmailMessage:
        return message_from_bytes(self.raw, policy=policy.default)

    def header(self, name: str) -> str:
        return str(self.message.get(name, ""))

    def part(self, kind: str) -> str:
        """The text of the first `plain` or `html` part; empty where there is none that can be read."""
        found = self.message.get_body((kind,))
        try:
            return str(found.get_content()) if found else ""
        except (LookupError, UnicodeError):
            return ""

    def as_dict(self) -> dict[str, object]:
        """The mail for JSON: envelope, the usual headers, both parts, and all headers as (name, value)."""
        return {
            "n": self.n,
            "from": self.sender,
            "to": self.recipients,
            "subject": self.header("Subject"),
            "message_id": self.header("Message-ID"),
            "date": self.header("Date"),
            "received_at": self.received_at,
            "text": self.part("plain"),
            "html": self.part("html"),
            "headers": [(name, str(value)) for name, value in self.message.items()],
        }


def recipients_of(raw: bytes) -> list[str]:
    """The addresses that a mail names itself, for one that came without an envelope."""
    message = message_from_bytes(raw, policy=policy.default)
    named = [str(message.get(name, "")) for name in ("To", "Cc", "Bcc")]
    return [address for _, address in getaddresses(named) if address]


class Mails:
    """A directory of mails. The file is there before its row, so a mail that is listed can be read."""

    def __init__(self, directory: Path) -> None:
        self.directory, self._lock = directory / "mail", Lock()
        self.directory.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(directory / "mail.db", check_same_thread=False)
        self._db.execute("pragma journal_mode = wal")
        self._db.execute("create table if not exists mails (n integer primary key, sender, recipients, received_at)")

    def add(self, sender: str, recipients: Sequence[str], raw: bytes) -> None:
        with self._lock, self._db:
            (number,) = self._db.execute("select coalesce(max(n), 0) + 1 from mails").fetchone()
            self._file(number).write_bytes(raw)
            row = (number, sender, json.dumps(recipients), now())
            self._db.execute("insert into mails values (?, ?, ?, ?)", row)

    def all(self) -> list[Mail]:
        with self._lock:
            return [self._mail(row) for row in self._db.execute("select * from mails order by n desc")]

    def get(self, number: int) -> Mail | None:
        with self._lock:
            rows = self._db.execute("select * from mails where n = ?", [number])
            return next((self._mail(row) for row in rows), None)

    def clear(self) -> None:
        with self._lock, self._db:
            self._db.execute("delete from mails")
            for file in self.directory.glob("*.eml"):
                file.unlink()

    def _file(self, number: int) -> Path:
        return self.directory / f"{number}.eml"

    def _mail(self, row: tuple[int, str, str, str]) -> Mail:
        number, sender, recipients, received_at = row
        return Mail(number, sender, json.loads(recipients), received_at, self._file(number).read_bytes())
