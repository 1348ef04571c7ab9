"""The floor: the list's rows from the same database, as a page of the standard library that has no framework."""

import os
import sqlite3
import threading
from collections.abc import Callable, Iterable
from html import escape
from typing import Any

from isal import igzip

LIST = """
SELECT id, number, name, city, state, sender_key, sent_at FROM project WHERE status = 'Ready to Export'
ORDER BY coalesce(sent_at, created_at), id LIMIT 50
"""
ROW = '<tr><td><a href="/approvals/{}">{}</a></td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>\n'
_connections = threading.local()


def app(_environ: dict[str, Any], start_response: Callable[[str, list[tuple[str, str]]], Any]) -> Iterable[bytes]:
    rows = _connection().execute(LIST)
    lines = [ROW.format(*(escape(str(value)) for value in row)) for row in rows]
    page = igzip.compress(f"<!doctype html><title>Waiting</title><table>{''.join(lines)}</table>".encode(), 2)
    head = [("Content-Type", "text/html; charset=utf-8"), ("Content-Encoding", "gzip")]
    start_response("200 OK", [*head, ("Content-Length", str(len(page)))])
    return [page]


def _connection() -> sqlite3.Connection:
    if not hasattr(_connections, "own"):
        _connections.own = sqlite3.connect(os.environ["DATABASE_URL"].removeprefix("sqlite:///"))
    return _connections.own  # type: ignore[no-any-return]
