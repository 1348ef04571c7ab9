"""Backups that are kept: the newest stay, and a banner says when the last good one is too old."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from conftest import Browser
from flask import Flask
from sqlalchemy import text

from extensions import db
from models import Event, Person, Project, Setting, SettingName, utcnow

MakeProject = Callable[..., Project]
SignIn = Callable[[str], Browser]
Run = Callable[..., Any]
NONE, OLD = "There is no backup of Countersign.", "The last backup of Countersign was made 1 day ago."


def test_the_newest_backups_stay_and_other_files_too(run: Run, tmp_path: Path) -> None:
    (tmp_path / "before-upgrade.backup").touch()
    began = utcnow()
    for day in range(4):
        with time_machine.travel(began + timedelta(days=day), tick=False):
            assert run("backups", "--keep", 2, tmp_path).exit_code == 0
    last = began + timedelta(days=3)
    assert len(list(tmp_path.glob("countersign-*.backup"))) == 2
    assert (tmp_path / f"countersign-{last:%Y%m%d-%H%M%S}.backup").exists()
    assert (tmp_path / "before-upgrade.backup").exists()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_damaged_database_leaves_no_backup_and_takes_no_older_one_away(
    run: Run, app: Flask, make_project: MakeProject, tmp_path: Path, environ: dict[str, str]
) -> None:
    assert run("backups", "--keep", 1, tmp_path).exit_code == 0
    [good] = tmp_path.glob("countersign-*.backup")
    damage(Path(environ["DATABASE_URL"].removeprefix("sqlite:///")))
    with time_machine.travel(utcnow() + timedelta(days=1)):
        result = run("backups", "--keep", 1, tmp_path)
    assert (result.exit_code, "is damaged" in result.output) == (1, True)
    assert list(tmp_path.glob("*.backup")) == [good]


def damage(file: Path) -> None:
    """An index that no longer has what its table has."""
    db.session.remove()
    with closing(sqlite3.connect(file, isolation_level=None)) as database:
        database.execute("PRAGMA writable_schema=ON")
        database.execute("DELETE FROM sqlite_schema WHERE name = 'ix_attempt_at'")


def banner(browser: Browser, address: str = "/erp/jobs") -> str:
    page = browser.get(address).text
    return next((said for said in (NONE, OLD) if said in page), "")


def begin(app: Flask, cast: dict[str, Person]) -> None:
    """The first event of an installation."""
    db.session.add(Event(person=cast["administrator"], action="added", details={}))
    db.session.commit()


def test_a_day_and_two_hours_after_the_first_event_a_missing_backup_is_a_banner(
    app: Flask, cast: dict[str, Person], browser: SignIn
) -> None:
    begin(app, cast)
    began = utcnow()
    for hours, said in ((25, ""), (27, NONE)):
        with time_machine.travel(began + timedelta(hours=hours)):
            assert banner(browser("controller")) == said


def test_a_backup_takes_the_banner_away_for_26_hours(
    app: Flask, cast: dict[str, Person], browser: SignIn, run: Run, tmp_path: Path
) -> None:
    begin(app, cast)
    made = utcnow() + timedelta(days=9)
    with time_machine.travel(made):
        assert run("backup", tmp_path / "by-hand.backup").exit_code == 0
    for hours, said in ((1, ""), (25, ""), (27, OLD)):
        with time_machine.travel(made + timedelta(hours=hours)):
            assert banner(browser("controller")) == said


def test_the_banner_is_on_every_erp_page_and_for_erp_admins_only(
    app: Flask, cast: dict[str, Person], browser: SignIn, make_project: MakeProject
) -> None:
    project = make_project()
    with time_machine.travel(utcnow() + timedelta(days=2)):
        controller, approver = browser("controller"), browser("approver")
        pages = ["/erp/jobs", "/erp/history", "/erp/mails", "/erp/settings", f"/approvals/{project.id}"]
        assert [banner(controller, page) for page in pages] == [NONE] * 5
        assert [banner(approver, page) for page in pages] == [""] * 5


def test_the_demo_has_no_banner(app: Flask, cast: dict[str, Person], browser: SignIn) -> None:
    begin(app, cast)
    Setting.write(SettingName.DEMO, [0])
    db.session.commit()
    with time_machine.travel(utcnow() + timedelta(days=2)):
        assert banner(browser("controller")) == ""


def test_an_upgrade_that_is_undone_leaves_the_database_exactly_as_it_was(
    run: Run, make_project: MakeProject, tmp_path: Path
) -> None:
    make_project(number="1")
    assert run("backup", tmp_path / "before.backup").exit_code == 0
    db.session.execute(text("UPDATE project SET number = '2'"))  # as a migration does, without an event
    db.session.execute(text("CREATE TABLE of_the_new_version (id INTEGER)"))
    db.session.commit()
    result = run("restore", "--as-it-was", tmp_path / "before.backup")
    assert result.exit_code == 0, result.output
    assert [project.number for project in db.session.query(Project)] == ["1"]
    assert not Setting.read(SettingName.PAUSED)
    db.session.execute(text("CREATE TABLE of_the_new_version (id INTEGER)"))  # the next try finds no rest of it
    db.session.rollback()
    make_project(number="3")


@pytest.mark.parametrize("did", ["a person decided", "a scheduler ran"])
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_an_upgrade_is_not_undone_where_another_machine_went_on_with_the_database(
    run: Run, make_project: MakeProject, tmp_path: Path, did: str
) -> None:
    assert run("backup", tmp_path / "before.backup").exit_code == 0
    if did == "a person decided":
        make_project(number="2")
    else:
        Setting.write(SettingName.HEARTBEAT, None)
        db.session.commit()
    result = run("restore", "--as-it-was", tmp_path / "before.backup")
    assert (result.exit_code, "so nothing was restored" in result.output) == (1, True)
    assert len(list(db.session.query(Project))) == (did == "a person decided")
