"""The commands that mail: `digest send` and `mail check`."""

from collections.abc import Callable

import pytest
from conftest import ENVIRON
from flask import Flask
from support.mail_server import Postbox

from extensions import db, writing
from models import DigestDay, Person, Project, Setting, SettingName, utcnow
from services import workflow

MakeProject = Callable[..., Project]
Run = Callable[..., tuple[int, str]]


@pytest.fixture
def environ(database_url: str, post: Postbox) -> dict[str, str]:
    return ENVIRON | {"DATABASE_URL": database_url, "MAIL_PORT": str(post.port)}


@pytest.fixture
def waiting(make_project: MakeProject, cast: dict[str, Person]) -> Project:
    project = make_project()
    workflow.send(project, cast["manager"])
    db.session.commit()
    return project


@pytest.fixture
def run(app: Flask) -> Run:
    """A command, with its exit status and all that it printed."""

    def invoke(*args: str) -> tuple[int, str]:
        db.session.rollback()
        result = app.test_cli_runner().invoke(args=list(args))
        db.session.rollback()
        return result.exit_code, result.output

    return invoke


def test_digest_send_at_a_moment_sends_that_dates_summary_once_with_a_line_per_recipient(
    waiting: Project, post: Postbox, run: Run
) -> None:
    status, said = run("digest", "send", "--at", "2026-05-04T07:00")
    assert status == 0
    assert said.splitlines() == [
        "Approver <approver@example.com>: Sent",
        "Controller <controller@example.com>: Sent",
    ]
    status, said = run("digest", "send", "--at", "2026-05-04T09:30")
    assert (status, len(post.arrived)) == (0, 2)
    assert said == "The daily summary of May 4, 2026: it was dealt with before; nothing was sent.\n"


def test_digest_send_exits_0_also_when_one_of_them_failed(waiting: Project, post: Postbox, run: Run) -> None:
    post.fail("RCPT", "550 5.1.1 No such user", recipient="approver@example.com")
    status, said = run("digest", "send", "--at", "2026-05-04T07:00")
    assert status == 0
    assert "Approver <approver@example.com>: Not delivered: 127.0.0.1" in said
    assert "550 5.1.1 No such user" in said
    assert post.recipients == ["controller@example.com"]


def test_digest_send_tries_again_at_once_what_a_server_put_off(waiting: Project, post: Postbox, run: Run) -> None:
    post.fail("RCPT", "451 4.7.1 Greylisted", recipient="approver@example.com")
    _, said = run("digest", "send", "--at", "2026-05-04T07:00")
    assert "Approver <approver@example.com>: Waiting: " in said
    _, said = run("digest", "send", "--at", "2026-05-04T07:05")
    assert said.splitlines() == ["Approver <approver@example.com>: Sent"]
    assert sorted(post.recipients) == ["approver@example.com", "controller@example.com"]


def test_digest_send_before_the_hour_sends_nothing(waiting: Project, post: Postbox, run: Run) -> None:
    status, said = run("digest", "send", "--at", "2026-05-04T06:59")
    assert (status, said) == (0, "No daily summary is due on May 4, 2026 at 06:59.\n")
    assert post.arrived == []
    assert db.session.query(DigestDay).count() == 0


@pytest.mark.parametrize("closed", ["paused", "not set up"])
def test_digest_send_says_so_and_exits_1_where_no_mail_may_go(
    closed: str, app: Flask, waiting: Project, run: Run
) -> None:
    if closed == "paused":
        with writing():
            Setting.write(SettingName.PAUSED, {"by": "Dana", "at": utcnow().isoformat()})
    else:
        app.config["MAIL_SERVER"] = ""
    status, said = run("digest", "send")
    assert status == 1
    assert closed in said
    assert db.session.query(DigestDay).count() == 0


def test_mail_check_sends_a_test_mail(app: Flask, post: Postbox) -> None:
    result = app.test_cli_runner().invoke(args=["mail", "check", "it@example.com"])
    assert result.exit_code == 0
    assert f"127.0.0.1:{post.port} took a test mail to it@example.com." in result.output
    assert post.recipients == ["it@example.com"]


def test_mail_check_exits_1_with_the_cause(app: Flask, post: Postbox) -> None:
    post.fail("RCPT", "550 5.1.1 No such user")
    result = app.test_cli_runner().invoke(args=["mail", "check", "it@example.com"])
    assert result.exit_code == 1
    assert "550 5.1.1 No such user" in result.output
