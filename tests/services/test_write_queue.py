"""The queue in front of SQLite's write lock."""

import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from threading import Thread

import pytest
from conftest import Browser
from flask import Flask
from sqlalchemy import text

import extensions
from extensions import WriteQueue, db, write_queue_of, writing
from models import Project
from services import workflow

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
ROOT = Path(__file__).resolve().parent.parent.parent
HOLD = """
import sys
from pathlib import Path
from extensions import WriteQueue
queue = WriteQueue(Path(sys.argv[1]))
print(queue.enter(), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path: Path) -> Callable[[], subprocess.Popen[str]]:
    """Starts another process, which stands at the head of the queue once this returns."""

    def start() -> subprocess.Popen[str]:
        command = [sys.executable, "-c", HOLD, str(tmp_path / "test.db")]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        process = subprocess.Popen(command, cwd=ROOT, text=True, **pipes)  # type: ignore[call-overload]
        assert process.stdout.readline() == "True\n"
        return process  # type: ignore[no-any-return]

    return start


def test_one_that_is_killed_lets_the_next_one_write(
    tmp_path: Path, holder: Callable[[], subprocess.Popen[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = WriteQueue(tmp_path / "test.db")
    with holder() as process:
        monkeypatch.setattr(extensions, "QUEUE_LIMIT", 0.01)
        assert not queue.enter(), "two processes were at the head at once"
        process.kill()
        process.wait()
    monkeypatch.setattr(extensions, "QUEUE_LIMIT", 60)
    assert queue.enter()
    queue.leave()


def test_threads_of_one_process_enter_one_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    queue, inside, most = WriteQueue(tmp_path / "test.db"), [0], [0]
    monkeypatch.setattr(extensions, "QUEUE_LIMIT", 60)

    def work() -> None:
        for _ in range(20):
            assert queue.enter()
            inside[0] += 1
            most[0] = max(most[0], inside[0])
            inside[0] -= 1
            queue.leave()

    threads = [Thread(target=work) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert most == [1]


def can_enter() -> bool:
    queue = write_queue_of(db.engine)
    assert queue is not None
    entered = queue.enter()
    if entered:
        queue.leave()
    return entered


@on_sqlite
def test_a_writer_leaves_after_its_commit_and_after_an_error(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """Taken out to see it fail: the release of the queue at the return of the connection."""
    monkeypatch.setattr(extensions, "QUEUE_LIMIT", 0)
    with writing():
        db.session.execute(text("UPDATE tally SET n = n"))
        assert not can_enter()
    with pytest.raises(ZeroDivisionError), writing():
        db.session.execute(text("UPDATE tally SET n = n"))
        raise ZeroDivisionError
    assert can_enter()


@on_sqlite
def test_whoever_waited_too_long_writes_without_the_queue(
    app: Flask, holder: Callable[[], subprocess.Popen[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extensions, "QUEUE_LIMIT", 0)
    with holder() as process:
        with writing():
            db.session.execute(text("UPDATE tally SET n = n"))
        process.kill()


@on_sqlite
def test_the_preview_of_a_request_does_not_wait_for_a_writer(
    app: Flask, browser: Callable[[str], Browser], make_project: Callable[..., Project], tmp_path: Path
) -> None:
    """It is asked at each pause of typing. Taken out to see it fail: the label of its view."""
    project, approver = make_project(), browser("approver")
    workflow.send(project, project.created_by, "")
    db.session.commit()
    with closing(sqlite3.connect(tmp_path / "test.db", isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        assert approver.post(f"/approvals/{project.id}/preview", {"template": ""}).status_code == 200
