"""A PostgreSQL server that was restarted, that hangs, or that cannot hold every character."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from conftest import ENVIRON, ROOT, Browser, at_another_port, run_sql, serving
from flask import Flask

from app import create_app
from extensions import db

SignIn = Callable[[str], Browser]
ON_POSTGRESQL = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


@pytest.fixture
def latin1(postgresql: str) -> Iterator[str]:
    run_sql(postgresql, "CREATE DATABASE latin1 ENCODING 'LATIN1' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'")
    yield f"{postgresql}/latin1"
    run_sql(postgresql, "DROP DATABASE latin1 WITH (FORCE)")


@pytest.mark.parametrize("command", [["db", "upgrade"], ["users", "list"], ["scheduler"]], ids=" ".join)
def test_a_database_of_another_encoding_is_refused_by_name(command: list[str], latin1: str, tmp_path: Path) -> None:
    app = create_app(ENVIRON | {"DATABASE_URL": latin1}, instance_path=str(tmp_path))
    result = app.test_cli_runner().invoke(args=command)
    with app.app_context():
        db.engine.dispose()
    assert result.exit_code == 1
    assert "The database of DATABASE_URL has the encoding LATIN1." in result.output


def test_the_server_refuses_a_database_of_another_encoding(latin1: str) -> None:
    command = [str(Path(sys.executable).parent / "gunicorn"), "--config", "gunicorn.conf.py", "app:create_app()"]
    environ = ENVIRON | {"DATABASE_URL": latin1, **at_another_port()}
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, "The database of DATABASE_URL has the encoding LATIN1." in done.stderr) == (1, True)


@ON_POSTGRESQL
def test_a_move_into_another_encoding_is_refused(app: Flask, latin1: str) -> None:
    result = app.test_cli_runner().invoke(args=["move", latin1])
    assert (result.exit_code, "ADDRESS has the encoding LATIN1" in result.output) == (1, True)


@ON_POSTGRESQL
def test_after_a_restart_of_the_database_a_typed_form_is_saved(
    browser: SignIn, postgresql: str, database_url: str
) -> None:
    """Ending its connections is a restart to whoever holds them. Out: pool_pre_ping."""
    manager = browser("manager")
    form = {"csrf_token": manager.token(), "number": "26-1", "name": "Depot"}
    name = database_url.rpartition("/")[2]
    run_sql(postgresql, f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
    assert manager.client.post("/admin/projects", data=form).status_code == 303


@ON_POSTGRESQL
def test_a_server_that_hangs_does_not_hang_the_pages_and_healthz_with_them(
    browser: SignIn, postgresql: str, database_url: str
) -> None:
    """Each process of the server is stopped, as on a machine whose disk does not answer. Out: LimitedConnection."""
    with serving(database_url, "http://127.0.0.1:1", ":1", RUN_SCHEDULER="no") as environ:
        url = environ["BASE_URL"]
        assert httpx.get(f"{url}/readyz").status_code in (200, 503)
        with stopped_server(postgresql):
            asking = [
                threading.Thread(target=httpx.get, args=(f"{url}/readyz",), kwargs={"timeout": 30}) for _ in range(12)
            ]
            for thread in asking:
                thread.start()
            began = time.monotonic()
            assert httpx.get(f"{url}/healthz", timeout=30).status_code == 200
            assert time.monotonic() - began < 20
            for thread in asking:
                thread.join()
        assert httpx.get(f"{url}/readyz", timeout=30).json()["database"] == "ok"


@contextmanager
def stopped_server(address: str) -> Iterator[None]:
    """Stop the postmaster and its children for a while; they are ours."""
    port = address.rpartition(":")[2]
    found = subprocess.run(["pgrep", "-f", f"postgres .*-p {port}( |$)"], capture_output=True, text=True, check=True)
    postmaster = found.stdout.split()[0]
    children = subprocess.run(["pgrep", "-P", postmaster], capture_output=True, text=True, check=True).stdout.split()
    everyone = [postmaster, *children]
    subprocess.run(["kill", "-STOP", *everyone], check=True)
    try:
        yield
    finally:
        subprocess.run(["kill", "-CONT", *everyone], check=True)
