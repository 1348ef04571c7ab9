"""The project managers' list: its filters and columns; and deleting what accounting never saw."""

import csv
from collections.abc import Callable

import pytest
import time_machine
from conftest import Browser
from flask import Flask
from lxml import html
from sqlalchemy import text

from extensions import db
from models import Event, Person, Project, Status
from services import comments, project_queries, workflow

SignIn = Callable[[str], Browser]
Make = Callable[..., Project]


@pytest.fixture
def company(make_project: Make, cast: dict[str, Person]) -> None:
    """One project under each filter, by its number."""
    manager, approver = cast["manager"], cast["approver"]
    made = {name: make_project(number=name, name=f"Project {name}") for name in ("new", "sent", "back", "old", "job")}
    for name in ("sent", "back", "job"):
        workflow.send(made[name], manager)
    workflow.reject(made["back"], approver, "Which city?")
    workflow.set_active(made["old"], manager, False)
    made["job"].status = Status.SYNCED
    made["other"] = workflow.create(approver, made["new"].information | {"number": "other", "name": "Project other"})
    db.session.commit()


def numbers(page: str) -> set[str]:
    return {cell.text_content().strip() for cell in html.fromstring(page).xpath('//tbody//td[@class="number"][1]')}


FILTERED = {
    "": {"new", "sent", "back", "old", "job", "other"},
    "needs-you": {"back"},
    "waiting": {"sent"},
    "in-spectrum": {"job"},
    "not-sent": {"new", "old", "other"},
    "inactive": {"old"},
    "mine": {"new", "sent", "back", "old", "job"},
    "nonsense": {"new", "sent", "back", "old", "job", "other"},
}


@pytest.mark.parametrize("show", FILTERED)
def test_the_list_and_its_file_show_what_the_filter_says(company: None, browser: SignIn, show: str) -> None:
    manager = browser("manager")
    assert numbers(manager.get(f"/admin/projects?show={show}").text) == FILTERED[show]
    assert numbers(manager.get(f"/admin/projects?show={show}&q=project").text) == FILTERED[show]
    file = csv.DictReader(manager.get(f"/admin/projects.csv?show={show}").text.removeprefix("\ufeff").splitlines())
    assert {line["number"] for line in file} == FILTERED[show]


def test_a_search_and_a_sort_stay_under_the_filter(company: None, browser: SignIn) -> None:
    page = browser("manager").get("/admin/projects?show=not-sent&q=other").text
    assert numbers(page) == {"other"}
    assert "/admin/projects?show=not-sent&amp;q=other&amp;sort=name" in page
    assert "No project under Inactive matches" in browser("manager").get("/admin/projects?show=inactive&q=sent").text


def test_the_list_says_when_each_was_sent_and_changed_last(
    browser: SignIn, make_project: Make, cast: dict[str, Person]
) -> None:
    with time_machine.travel("2026-03-02T12:00:00-08:00", tick=False):
        project = make_project()
        workflow.send(project, cast["manager"])
        db.session.commit()
    with time_machine.travel("2026-03-05T12:00:00-08:00", tick=False):
        workflow.reject(project, cast["approver"], "Which city?")
        db.session.commit()
    with time_machine.travel("2026-03-06T12:00:00-08:00", tick=False):
        row = html.fromstring(browser("manager").get("/admin/projects").text).xpath("//tbody/tr")[0]
    assert [cell.text_content().strip() for cell in row[-2:]] == ["4 d", "1 d"]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # whose plans can be read
@pytest.mark.parametrize("show", ["needs-you", "inactive", "mine"])
def test_a_filter_neither_sorts_nor_reads_all_projects_for_one_page(app: Flask, show: str) -> None:
    listing = project_queries.managed(show, "", 0, False, False)
    statement = listing.rows.order_by(*listing.order.by(forwards=True)).limit(4).params(me=1)
    written = statement.compile(db.engine, compile_kwargs={"literal_binds": True})
    plan = [row[3] for row in db.session.execute(text(f"EXPLAIN QUERY PLAN {written}"))]
    assert "SCAN project" not in plan and not any("FOR ORDER BY" in step for step in plan), plan


# --- deleting ---------------------------------------------------------------------------------------------------------


def test_a_project_that_was_never_sent_is_deleted_after_a_question_and_the_history_keeps_it(
    browser: SignIn, make_project: Make, cast: dict[str, Person]
) -> None:
    project = make_project()
    workflow.edit(project, cast["manager"], project.information | {"city": "Fife"})
    db.session.commit()
    manager, address = browser("manager"), f"/admin/projects/{project.id}/delete"
    assert f'href="{address}"' in manager.get(f"/admin/projects/{project.id}").text
    assert "Delete 26-014 Depot Lofts Retail Shell?" in manager.get(address).text
    assert db.session.get(Project, project.id) is not None
    assert manager.post(address, {"version": project.version}).status_code == 303
    (event,) = db.session.query(Event).filter(Event.subject_id.is_(None)).all()
    assert (event.who, event.action, event.comment) == (
        "Manager",
        "deleted a project",
        "26-014 Depot Lofts Retail Shell",
    )
    assert ["City", "Fife", ""] in event.details["changes"]
    assert "26-014 Depot Lofts Retail Shell" in browser("onlooker").get("/erp/history").text
    assert db.session.query(Project).count() == 0
    assert make_project().number == "26-014"


def test_what_accounting_has_seen_is_not_deleted(browser: SignIn, make_project: Make, cast: dict[str, Person]) -> None:
    """Out: the check in workflow.delete."""
    sent, asked_about, manager = make_project(), make_project(number="26-015"), browser("manager")
    workflow.send(sent, cast["manager"])
    workflow.retrieve(sent, cast["manager"])
    comments.add(asked_about, cast["approver"], "Which street?", "", answer_needed=True)
    db.session.commit()
    sentence = "Only a project that was never sent and has no comments can be deleted."
    for project in (sent, asked_about):
        address = f"/admin/projects/{project.id}/delete"
        assert "Delete Project" not in manager.get(f"/admin/projects/{project.id}").text
        for answer in (manager.get(address), manager.post(address, {"version": project.version})):
            assert (answer.status_code, sentence in answer.text) == (409, True)
        assert db.session.get(Project, project.id) is not None


def test_a_project_that_somebody_sent_meanwhile_is_not_deleted(
    browser: SignIn, make_project: Make, cast: dict[str, Person]
) -> None:
    project, manager = make_project(), browser("manager")
    shown = project.version
    workflow.send(project, cast["manager"])
    db.session.commit()
    assert manager.post(f"/admin/projects/{project.id}/delete", {"version": shown}).status_code == 409
