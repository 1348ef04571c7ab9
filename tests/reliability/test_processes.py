"""The process that starts the others hands them nothing that is open."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import server_settings, wait_until
from support.fault_injection import Server

SQLITE_ALONE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def environ(database_url: str) -> dict[str, str]:
    return server_settings(database_url, "http://127.0.0.1:1", "127.0.0.1:1")


@pytest.fixture
def server(environ: dict[str, str]) -> Iterator[Server]:
    running = Server(environ)
    running.start()
    yield running
    running.kill()


@SQLITE_ALONE
def test_workers_inherit_no_thread_and_no_open_database_and_one_that_dies_is_replaced(server: Server) -> None:
    """Taken out to see it fail: db.session.remove and db.engine.dispose (on_starting)."""
    assert server.process
    process = Path(f"/proc/{server.process.pid}")
    opened = [str(each.readlink()) for each in (process / "fd").iterdir()]
    assert [file for file in opened if "test.db" in file] == []
    assert len(list((process / "task").iterdir())) == 1

    before = server.workers()
    os.kill(min(before), signal.SIGKILL)
    wait_until(lambda: len(server.workers()) == 2 and server.workers() != before)
