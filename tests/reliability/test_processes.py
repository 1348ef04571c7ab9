"""What the process that starts the others hands down to them: the app as it is set up, and nothing that is open."""

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from conftest import server_settings, wait_until
from support.fault_injection import Server

SQLITE_ALONE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def environ(database_url: str, tmp_path: Path) -> dict[str, str]:
    (tmp_path / "key").write_text("first-key-of-the-server-0123456789")
    environ = server_settings(database_url, "http://127.0.0.1:1", "127.0.0.1:1", SECRET_KEY_FILE=str(tmp_path / "key"))
    return {name: value for name, value in environ.items() if name != "SECRET_KEY"}


@pytest.fixture
def server(environ: dict[str, str]) -> Iterator[Server]:
    running = Server(environ)
    running.start()
    yield running
    running.kill()


@SQLITE_ALONE
def test_workers_inherit_no_thread_and_no_open_database_one_that_dies_is_replaced_and_a_reload_reads_a_secret_anew(
    server: Server, environ: dict[str, str], tmp_path: Path
) -> None:
    """Taken out to see it fail: db.session.remove, db.engine.dispose (on_starting), on_reload, and erp.load."""
    assert server.process
    process = Path(f"/proc/{server.process.pid}")
    opened = [str(each.resolve()) for each in (process / "fd").iterdir()]
    assert [file for file in opened if "test.db" in file] == []
    assert len(list((process / "task").iterdir())) == 1
    assert "/lxml/etree" in (process / "maps").read_text()  # loaded ahead, so that the workers share it

    before = server.workers()
    os.kill(min(before), signal.SIGKILL)
    wait_until(lambda: len(server.workers()) == 2 and server.workers() != before)

    with httpx.Client(base_url=environ["BASE_URL"], headers={"Connection": "close"}) as client:
        token = re.findall(r'name="csrf_token" value="([^"]+)"', client.get("/login").text)[0]
        form = {"csrf_token": token, "email": "nobody@example.com", "password": "wrong"}
        known = client.post("/login", data=form).status_code
        (tmp_path / "key").write_text("second-key-of-the-server-0123456789")
        before = server.workers()
        server.tell(signal.SIGHUP)
        wait_until(lambda: server.workers() and not server.workers() & before)
        assert (known, client.post("/login", data=form).status_code) == (422, 400)
