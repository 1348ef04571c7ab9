"""A backup is whole or not there; a restored database is proven first, and then waits for somebody to look."""

import os
import threading
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from conftest import Browser
from flask import Flask
from sqlalchemy import select, text, update
from support.fake_erp import FakeERP
from support.fault_injection import accept

from extensions import db
from lib.formatting import local
from maintenance import backup
from models import (
    Delivery,
    DigestDay,
    Export,
    Job,
    MailOutcome,
    NotAllowed,
    Person,
    Project,
    Setting,
    SettingName,
    Status,
    utcnow,
)
from services import workflow
from tasks import digest, exports, job_list

MakeProject = Callable[..., Project]
SignIn = Callable[[str], Browser]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "backups").mkdir()
    return tmp_path / "backups" / "countersign.backup"


@pytest.fixture
def erp() -> FakeERP:
    """An accounting system that lists the template: one without jobs is not taken for a whole list."""
    return FakeERP({"Job_Number": "T-COMM", "Job_Description": "Template Commercial"})


def numbers() -> list[str]:
    db.session.rollback()
    return list(db.session.scalars(select(Project.number).order_by(Project.number)))


def test_what_was_backed_up_is_there_again_after_a_restore(make_project: MakeProject, file: Path, run: Any) -> None:
    make_project(number="1")
    assert run("backup", file).exit_code == 0
    make_project(number="2")
    result = run("restore", file)
    assert result.exit_code == 0, result.output
    assert numbers() == ["1"]


def test_what_was_there_before_a_restore_can_be_restored_itself(
    make_project: MakeProject, file: Path, run: Any
) -> None:
    run("backup", file)
    make_project(number="2")
    run("restore", file)
    assert numbers() == []
    [before] = file.parent.glob("before-restore-*")
    assert run("restore", before).exit_code == 0
    assert numbers() == ["2"]


def test_a_backup_made_while_others_write_is_whole(app: Flask, file: Path, run: Any) -> None:
    """Each transaction writes two settings that belong together."""
    over = threading.Event()

    def keep_writing() -> None:
        with app.app_context():
            while not over.is_set():
                mark = utcnow().isoformat()
                with db.engine.begin() as connection:
                    for name in ("one", "other"):
                        connection.execute(text("DELETE FROM setting WHERE name = :name"), {"name": name})
                        connection.execute(
                            text("INSERT INTO setting (name, value, at) VALUES (:name, :value, :at)"),
                            {"name": name, "value": f'"{mark}"', "at": "2026-01-01 00:00:00+00"},
                        )

    writer = threading.Thread(target=keep_writing)
    writer.start()
    try:
        assert run("backup", file).exit_code == 0
    finally:
        over.set()
        writer.join()
    assert run("restore", file).exit_code == 0
    assert Setting.read("one") == Setting.read("other")


def test_a_file_that_is_no_backup_is_refused_and_the_database_stays(
    make_project: MakeProject, file: Path, run: Any
) -> None:
    make_project(number="1")
    file.write_text("SQLite format 4, or so")
    result = run("restore", file)
    assert (result.exit_code, "is not a backup of Countersign" in result.output) == (1, True)
    assert numbers() == ["1"]
    assert not Setting.read(SettingName.PAUSED)


def test_a_database_of_something_else_is_refused(make_project: MakeProject, file: Path, run: Any) -> None:
    make_project(number="1")
    for before, after in (("setting", "recipe"), ("recipe", "setting")):
        db.session.execute(text(f"ALTER TABLE {before} RENAME TO {after}"))
        db.session.commit()
        if after == "recipe":
            assert run("backup", file).exit_code == 0
    result = run("restore", file)
    assert (result.exit_code, "is not a backup of Countersign" in result.output) == (1, True)
    assert numbers() == ["1"]


def test_a_backup_cut_short_is_refused_and_the_database_stays(make_project: MakeProject, file: Path, run: Any) -> None:
    make_project(number="1")
    run("backup", file)
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    result = run("restore", file)
    assert result.exit_code == 1
    assert numbers() == ["1"]
    assert not Setting.read(SettingName.PAUSED)


@pytest.mark.parametrize("command", [["restore"], ["restore", "--as-it-was"]], ids=["restore", "undo"])
def test_a_backup_that_changed_since_it_was_written_is_refused_by_its_sha_256(
    command: list[str], make_project: MakeProject, file: Path, run: Any
) -> None:
    """Of one letter in a text no database notices anything. Out: refuse_altered."""
    make_project(number="1", name="Depot Lofts")
    run("backup", file)
    whole = file.read_bytes()
    at = whole.find(b"Depot Lofts") if b"Depot Lofts" in whole else len(whole) // 2
    file.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
    result = run(*command, file)
    assert (result.exit_code, "does not match the SHA-256" in result.output) == (1, True), result.output
    assert numbers() == ["1"]
    file.write_bytes(whole[:-74])  # as an older version wrote it
    assert run("restore", file).exit_code == 0


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_what_a_killed_restore_leaves_behind_can_be_read_by_nobody_else(
    make_project: MakeProject, file: Path, run: Any, app: Flask
) -> None:
    run("backup", file)
    before = os.umask(0o022)
    try:
        with backup.scratch_copy(file) as scratch:
            assert Path(str(scratch.database)).stat().st_mode & 0o077 == 0
    finally:
        os.umask(before)
    assert file.stat().st_mode & 0o077 == 0


def test_a_backup_of_a_newer_countersign_is_refused(make_project: MakeProject, file: Path, run: Any) -> None:
    version = db.session.execute(text("SELECT version_num FROM alembic_version")).scalar_one()
    db.session.execute(text("UPDATE alembic_version SET version_num = 'of-next-year'"))
    db.session.commit()
    assert run("backup", file).exit_code == 0
    db.session.execute(text("UPDATE alembic_version SET version_num = :version"), {"version": version})
    db.session.commit()
    result = run("restore", file)
    assert (result.exit_code, "newer Countersign" in result.output) == (1, True)
    assert not Setting.read(SettingName.PAUSED)


def test_a_backup_that_can_not_be_written_leaves_nothing_behind(app: Flask, tmp_path: Path, run: Any) -> None:
    result = run("backup", tmp_path / "nowhere" / "file")
    assert result.exit_code == 1
    assert not list(tmp_path.glob("nowhere*"))


def test_a_backup_takes_the_place_of_no_device_and_not_of_the_database(app: Flask, tmp_path: Path, run: Any) -> None:
    os.mkfifo(tmp_path / "pipe")
    refused = {tmp_path / "pipe": "is no file", tmp_path / "nowhere" / "file": "There is no folder"}
    if db.engine.dialect.name == "sqlite":
        refused[Path(str(db.engine.url.database))] = "is the database itself"
    for target, sentence in refused.items():
        before = target.stat().st_ino if target.exists() else None
        result = run("backup", target)
        assert (result.exit_code, sentence in result.output) == (1, True), result.output
        assert (target.stat().st_ino if target.exists() else None) == before


def test_of_a_database_with_nothing_of_ours_there_is_no_backup(app: Flask, file: Path, run: Any) -> None:
    assert run("db", "downgrade", "base").exit_code == 0
    with db.engine.begin() as connection:
        connection.execute(text("DROP TABLE alembic_version"))
    result = run("backup", file)
    assert result.exit_code == 1
    assert "nothing of Countersign" in result.output
    assert not list(file.parent.iterdir())


def test_a_restored_database_sends_nothing_until_an_admin_resumes(
    template: Job, erp: FakeERP, browser: SignIn, file: Path, run: Any
) -> None:
    project = accept("26-014")
    run("backup", file)
    run("restore", file)
    exports.run_due(erp)
    assert not erp.calls
    assert "Exports are paused: The restore of a backup paused them" in browser("controller").get("/erp/jobs").text
    assert browser("controller").post("/erp/settings/resume").status_code == 303
    exports.run_due(erp)
    assert not erp.calls  # not yet: the job list was not read
    job_list.refresh(erp)
    for _ in range(4):  # two looks, then it is sent and read back
        db.session.execute(update(Export).values(due_at=utcnow()))
        db.session.commit()
        exports.run_due(erp)
    assert db.session.get_one(Project, project).status is Status.SYNCED


def test_an_export_that_went_out_after_the_backup_is_found_and_not_made_again(
    template: Job, erp: FakeERP, browser: SignIn, file: Path, run: Any
) -> None:
    project = accept("26-014")
    run("backup", file)
    exports.run_due(erp)
    run("restore", file)
    assert db.session.get_one(Project, project).status is Status.EXPORTING
    browser("controller").post("/erp/settings/resume")
    job_list.refresh(erp)
    exports.run_due(erp)
    assert db.session.get_one(Project, project).status is Status.SYNCED
    assert [service for service, _ in erp.calls].count("AddJob") == 1


def test_a_restore_takes_the_summary_of_today_and_waiting_mails_as_gone(
    make_project: MakeProject, cast: dict[str, Person], file: Path, run: Any
) -> None:
    project = make_project()
    workflow.send(project, cast["manager"])
    workflow.reject(project, cast["approver"], "Wrong address")
    db.session.commit()
    run("backup", file)
    run("restore", file)
    today = local(utcnow()).date()
    assert db.session.get(DigestDay, today)
    assert not digest.open_day(today)
    assert set(db.session.scalars(select(Delivery.outcome))) == {MailOutcome.UNKNOWN}


def test_a_restore_ends_every_session(browser: SignIn, file: Path, run: Any) -> None:
    signed_in = browser("approver")
    assert signed_in.get("/me").status_code == 200
    run("backup", file)
    run("restore", file)
    assert signed_in.get("/me").status_code == 302


def test_a_session_that_began_after_the_backup_ends_with_the_restore(
    browser: SignIn, cast: dict[str, Person], file: Path, run: Any
) -> None:
    """The backup's count would come to the same version once more. Out: `BEGINNING` for the stored count plus one."""
    run("backup", file)
    cast["approver"].end_sessions()
    db.session.commit()
    signed_in = browser("approver")
    for seconds in (0, 2):
        with time_machine.travel(utcnow() + timedelta(seconds=seconds)):  # a restore takes longer than a second
            run("restore", file)
            assert signed_in.get("/me").status_code == 302
            signed_in = browser("approver")


# --- jobs that were made after the backup ---------------------------------------------------------------------------


def accept_form(project: Project, number: str) -> dict[str, object]:
    share = {"customer_code": "CASCREST", "division": "1", "cost_center": "TACOMA", "price_method_code": "F"}
    return {"version": project.version, "template": "T-COMM", "job_number": number, "taxable": "Y"} | share


def send(project: Project, cast: dict[str, Person]) -> Project:
    workflow.send(project, cast["manager"])
    db.session.commit()
    return project


def test_after_a_restore_nothing_is_accepted_until_the_whole_job_list_was_read(
    template: Job,
    make_project: MakeProject,
    cast: dict[str, Person],
    erp: FakeERP,
    browser: SignIn,
    file: Path,
    run: Any,
) -> None:
    """Out: the question in workflow.refuse_acceptance."""
    project = send(make_project(), cast)
    run("backup", file)
    run("restore", file)
    browser("controller").post("/erp/settings/resume")
    approver = browser("approver")
    assert "Nothing can be accepted or exported until" in approver.get("/erp/jobs").text
    address = f"/approvals/{project.id}/accept"
    assert approver.get(address).status_code == 409
    refused = approver.post(address, accept_form(project, "JN-22"))
    assert (refused.status_code, "Refresh the job list" in refused.text) == (409, True)
    with pytest.raises(NotAllowed):
        accept("26-020")
    job_list.refresh(erp)
    assert approver.get(address).status_code == 200
    accept("26-020")


ADDRESS = {"Address_1": "1735 JEFFERSON AVE", "City": "Tacoma"}
DATES = {"Est_Start_Date": "03/09/2026", "Est_Complete_Date": "09/30/2026"}


@pytest.mark.parametrize(
    ("status", "alike"),
    [(Status.NOT_SENT, ADDRESS), (Status.READY, ADDRESS), (Status.REJECTED, ADDRESS), (Status.READY, DATES)],
)
def test_a_job_with_another_number_and_name_is_found_by_its_address_or_its_dates(
    status: Status,
    alike: dict[str, str],
    make_project: MakeProject,
    cast: dict[str, Person],
    erp: FakeERP,
    browser: SignIn,
    file: Path,
    run: Any,
) -> None:
    """Out: _dates in after_restore._match; the restore in job_list._jobs_to_date."""
    project = make_project(start_date=date(2026, 3, 9), completion_date=date(2026, 9, 30))
    if status is not Status.NOT_SENT:
        workflow.send(project, cast["manager"])
    if status is Status.REJECTED:
        workflow.reject(project, cast["approver"], "Wrong")
    db.session.commit()
    run("backup", file)
    run("restore", file)
    erp.keep({"Job_Number": "JN-2", "Job_Description": "Shell", **alike})
    job_list.refresh(erp)
    found = db.session.get_one(Project, project.id)
    assert found.suggested_job_key == "jn-2"
    if found.status is not Status.READY:
        send(found, cast)
    assert "Link to it instead" in browser("approver").get(f"/approvals/{project.id}").text


def test_an_export_that_seems_to_have_become_a_job_of_another_number_asks_before_it_goes_on(
    template: Job, erp: FakeERP, browser: SignIn, file: Path, run: Any
) -> None:
    """Accepted as JN-2 before the backup; afterwards taken back and exported as JN-22."""
    project = accept("JN-2")
    run("backup", file)
    run("restore", file)
    browser("controller").post("/erp/settings/resume")
    erp.keep({"Job_Number": "JN-22", "Job_Description": "Depot JN-2"})
    job_list.refresh(erp)
    exports.run_due(erp)
    assert "AddJob" not in [service for service, _ in erp.calls]
    page = browser("approver").get(f"/approvals/{project}").text
    assert "Link to it instead" in page
    assert "JN-22" in page
    version = db.session.get_one(Project, project).version
    browser("approver").post(f"/approvals/{project}/link", {"version": version, "job": "JN-22"})
    assert db.session.get_one(Project, project).spectrum_job_id == "JN-22"


def test_a_job_that_resembles_no_project_is_asked_about_until_it_is_archived(
    template: Job, erp: FakeERP, browser: SignIn, file: Path, run: Any
) -> None:
    run("backup", file)
    run("restore", file)
    erp.keep({"Job_Number": "JN-7", "Job_Description": "Warehouse"})
    job_list.refresh(erp)
    question = "belong to no project here: JN-7 Warehouse."
    assert question in browser("approver").get("/erp/jobs").text
    db.session.execute(update(Job).values(archived=True))
    db.session.commit()
    assert question not in browser("approver").get("/erp/jobs").text


@pytest.mark.parametrize("job", ["26-014", "26-014-A"])
def test_after_a_restore_a_waiting_project_that_resembles_an_unknown_job_is_offered_for_linking(
    job: str, make_project: MakeProject, cast: dict[str, Person], erp: FakeERP, browser: SignIn, file: Path, run: Any
) -> None:
    project = make_project(name="Depot Lofts")
    workflow.send(project, cast["manager"])
    other = make_project(number="26-020", name="Harbor Steps")
    workflow.send(other, cast["manager"])
    db.session.commit()
    run("backup", file)
    run("restore", file)
    erp.keep({"Job_Number": job, "Job_Description": "Depot Lofts"})
    job_list.refresh(erp)
    page = browser("approver").get(f"/approvals/{project.id}").text
    assert "Link to it instead" in page
    assert "Link to it instead" not in browser("approver").get(f"/approvals/{other.id}").text
    form = {"version": db.session.get_one(Project, project.id).version, "job": job}
    browser("approver").post(f"/approvals/{project.id}/link", form)
    assert db.session.get_one(Project, project.id).spectrum_job_id == job


def test_without_a_restore_a_refresh_offers_no_waiting_project_by_its_name(
    make_project: MakeProject, cast: dict[str, Person], erp: FakeERP
) -> None:
    project = make_project(name="Depot Lofts")
    workflow.send(project, cast["manager"])
    db.session.commit()
    erp.keep({"Job_Number": "26-999", "Job_Description": "Depot Lofts"})
    job_list.refresh(erp)
    db.session.rollback()
    assert db.session.get_one(Project, project.id).suggested_job_key is None
