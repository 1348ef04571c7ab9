"""Backups that leave the machine, the rehearsal of a restore, and the page for support."""

import re
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from conftest import Browser
from flask import Flask

from extensions import db
from lib.version import VERSION
from models import Level, Person, Project, Setting, SettingName, utcnow

Run = Callable[..., Any]
SignIn = Callable[[str], Browser]
MakeProject = Callable[..., Project]


@pytest.fixture
def copies(app: Flask, tmp_path: Path) -> Iterator[Path]:
    """The folder that the command of BACKUP_COPY_COMMAND copies into."""
    place = tmp_path / "elsewhere"
    place.mkdir()
    app.config["BACKUP_COPY_COMMAND"] = f'cp "$1" {place}'
    return place


@pytest.fixture
def backups(tmp_path: Path) -> Path:
    place = tmp_path / "back ups"
    place.mkdir()
    return place


def alarm(browser: SignIn) -> str:
    page = browser("controller").get("/erp/settings").text
    said = ("was not copied off the server", "left the server", "copied off the server yet")
    return next((sentence for sentence in said if sentence in page), "")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_each_nightly_backup_is_copied_off_the_machine_and_a_missing_copy_is_an_alarm(
    app: Flask, run: Run, backups: Path, copies: Path, browser: SignIn
) -> None:
    began = utcnow()
    assert run("backups", backups).exit_code == 0
    assert [path.name for path in copies.iterdir()] == [path.name for path in backups.iterdir()]
    assert alarm(browser) == ""
    with time_machine.travel(began + timedelta(hours=27)):
        assert alarm(browser) == "left the server"
        app.config["BACKUP_COPY_COMMAND"] = "echo hush >&2; exit 3"
        result = run("backups", backups)
        assert result.exit_code == 1
        assert "is good, but it was not copied off the machine: BACKUP_COPY_COMMAND ended with 3." in result.output
        assert len(list(backups.iterdir())) == 2
        assert alarm(browser) == "was not copied off the server"
    kept = Setting.read(SettingName.BACKUP_COPY)
    assert kept["at"].startswith(f"{began:%Y-%m-%dT%H}"), "the time of the last copy that left stays"
    assert kept["error"] == "BACKUP_COPY_COMMAND ended with 3."
    app.config["BACKUP_COPY_COMMAND"] = ""
    assert alarm(browser) == ""
    assert run("backups", backups).exit_code == 0


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_backup_made_by_hand_is_not_copied_and_its_missing_copy_is_an_alarm(
    run: Run, backups: Path, copies: Path, browser: SignIn
) -> None:
    assert run("backup", backups / "by-hand.backup").exit_code == 0
    assert not list(copies.iterdir())
    assert alarm(browser) == "copied off the server yet"


def test_a_rehearsal_restores_the_newest_backup_beside_the_database_and_changes_nothing(
    run: Run, backups: Path, make_project: MakeProject, browser: SignIn
) -> None:
    assert run("backups", "rehearse", backups).exit_code == 1
    make_project(number="1")
    run("backups", backups)
    make_project(number="2")
    result = run("backups", "rehearse", backups)
    assert result.exit_code == 0, result.output
    assert "was restored into a scratch database, brought to date and compared: 1 project, 7 people," in result.output
    assert db.session.query(Project).count() == 2
    assert not Setting.read(SettingName.PAUSED)
    assert "compared: 1 project" in browser("controller").get("/erp/settings").text


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_rehearsal_fails_where_the_backup_lacks_something_or_is_damaged(
    run: Run, backups: Path, browser: SignIn
) -> None:
    run("backups", backups)
    db.session.add(Person(id=-1, email="before@example.com", name="Before", erp=Level.NONE, projects=Level.NONE))
    db.session.commit()
    result = run("backups", "rehearse", backups)
    assert result.exit_code == 1
    said = "has 7 people, and the database had 8 at that time."
    assert said in result.output
    assert said in browser("controller").get("/erp/settings").text
    [file] = backups.iterdir()
    file.write_bytes(file.read_bytes()[:8192])
    assert run("backups", "rehearse", backups).exit_code == 1
    assert "malformed" in Setting.read(SettingName.REHEARSED)["error"]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_backups_needs_a_folder(run: Run, tmp_path: Path) -> None:
    for words in (["nowhere"], ["rehears", tmp_path], ["rehearse", tmp_path / "nowhere"], ["rehearse"]):
        assert run("backups", *words).exit_code == 2, words


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_page_for_support_names_everything_and_holds_no_secret(
    app: Flask, run: Run, backups: Path, environ: dict[str, str]
) -> None:
    app.config |= {"MAIL_PASSWORD": "hush-hush", "BACKUP_COPY_COMMAND": "RESTIC_PASSWORD=hush-hush restic backup"}
    app.config |= {"OIDC_ISSUER": "https://sso.example.com", "OIDC_SECRET_EXPIRES": date(2040, 3, 31)}
    app.config["DATABASE_URL"] = "postgresql://name:hush-hush@server/countersign"
    run("backups", "--keep", 1, backups)
    result = run("check")
    assert result.exit_code == 0, result.output
    assert result.output.startswith(f"Countersign {VERSION}, Python ")
    for line in (
        r"BASE_URL +http://127.0.0.1",
        r"MAIL_PASSWORD +set",
        r"OIDC_CLIENT_ID +not set",
        r"Sign in secret +good until Mar 31, 2040",
        r"DIGEST_DAYS +mon,tue,",
        r"Clock +\d{4}-.+ UTC",
        r"Disk +[\d.]+ GB of",
        r"Version +ok",
        r"Backup +less than a minute ago",
        r"Backup copy +BACKUP_COPY_COMMAND ended with 127",
        r"Backup copy +The last backup was not copied off the server: BACKUP_COPY_COMMAND ended with 127",
        r"Scheduler +never",
        r"Spectrum +no contact yet",
    ):
        assert re.search(f"  {line}", result.output), f"{line} in {result.output}"
    assert "hush" not in result.output
    assert app.config["SECRET_KEY"] not in result.output
