"""The project's General page: what was typed is not lost, whoever else is at work on the project."""

from collections.abc import Callable

import pytest
from conftest import Browser
from lxml import html

from extensions import db
from models import Person, Project, Status
from services import workflow

SignIn = Callable[[str], Browser]


def form(project: Project, **changes: object) -> dict[str, object]:
    typed = {column: value or "" for column, value in project.information.items()}
    return typed | {"version": project.version, "active": "yes"} | changes


def field(page: str, name: str) -> str:
    (element,) = html.fromstring(page).xpath(f'//*[@name="{name}"]')
    return str(element.text or element.get("value") or "").strip()


@pytest.fixture
def manager(browser: SignIn) -> Browser:
    return browser("manager")


def test_a_note_that_was_saved_goes_with_the_next_send(manager: Browser, make_project: Callable[..., Project]) -> None:
    project = make_project()
    address = f"/admin/projects/{project.id}"
    assert manager.post(address, form(project, note="Please hurry")).status_code == 303
    page = manager.get(address).text
    assert field(page, "note") == "Please hurry"
    db.session.refresh(project)
    manager.post(f"{address}/send", form(project, note=field(page, "note")))
    db.session.refresh(project)
    assert (project.status, project.note) == (Status.READY, "Please hurry")


@pytest.mark.parametrize("ticked", [True, False])
def test_a_form_with_something_wrong_comes_back_ticked_as_it_was(
    manager: Browser, make_project: Callable[..., Project], ticked: bool
) -> None:
    project = make_project()
    project.active = not ticked
    db.session.commit()
    typed = form(project, name="")
    if not ticked:
        del typed["active"]
    page = html.fromstring(manager.post(f"/admin/projects/{project.id}", typed).text)
    assert bool(page.xpath('//input[@name="active"]/@checked')) is ticked
    assert bool(page.xpath('//button[@id="send"]/@disabled')) is not ticked


def test_the_history_tells_a_change_once_though_it_was_saved_and_sent_with_one_press(
    manager: Browser, make_project: Callable[..., Project], cast: dict[str, Person]
) -> None:
    project = make_project()
    workflow.send(project, cast["manager"])
    workflow.reject(project, cast["approver"], "Which city?")
    db.session.commit()
    address = f"/admin/projects/{project.id}"
    assert manager.post(f"{address}/send", form(project, city="Olympia")).status_code == 303
    history = html.fromstring(manager.get(address).text).xpath('//section[@aria-labelledby="history"]')[0]
    assert history.text_content().count("Olympia") == 1
    assert project.sent_changes == [["City", "Tacoma", "Olympia"]]


def test_what_was_typed_into_a_form_that_is_no_longer_true_is_shown_beside_what_holds(
    manager: Browser, make_project: Callable[..., Project], cast: dict[str, Person]
) -> None:
    project = make_project()
    stale = form(project, name="Depot Terrace", city="Olympia", note="Please hurry")
    workflow.edit(project, cast["controller"], project.information | {"name": "Depot Hall"})
    db.session.commit()
    answer = manager.post(f"/admin/projects/{project.id}", stale)
    assert answer.status_code == 409
    assert "Controller changed this project while you had it open" in answer.text
    rows = html.fromstring(answer.text).xpath('//caption[.="What you had entered"]/..//tbody/tr')
    assert [[cell.text for cell in row] for row in rows] == [
        ["Project Name", "Depot Hall", "Depot Terrace"],
        ["City", "Tacoma", "Olympia"],
    ]
    assert (field(answer.text, "name"), field(answer.text, "note")) == ("Depot Hall", "Please hurry")


def test_who_saved_in_another_window_is_not_told_that_somebody_else_did(
    manager: Browser, make_project: Callable[..., Project]
) -> None:
    project = make_project()
    stale = form(project, name="Depot Terrace")
    manager.post(f"/admin/projects/{project.id}", form(project, name="Depot Hall"))
    assert "You changed this project while" in manager.post(f"/admin/projects/{project.id}", stale).text


def test_switching_off_a_project_that_waits_says_that_it_is_retrieved(
    manager: Browser, make_project: Callable[..., Project], cast: dict[str, Person]
) -> None:
    project = make_project()
    workflow.send(project, cast["manager"])
    db.session.commit()
    address = f"/admin/projects/{project.id}"
    assert manager.post(address, {"version": project.version}).status_code == 303
    assert "taken back from accounting" in manager.get(address).text
    db.session.refresh(project)
    assert (project.status, project.active) == (Status.RETRIEVED, False)


@pytest.mark.parametrize("number", ["26-\u200b014", "26-\u202e014"])
def test_a_number_with_an_invisible_character_is_refused(
    manager: Browser, make_project: Callable[..., Project], number: str
) -> None:
    project = make_project()
    answer = manager.post(f"/admin/projects/{project.id}", form(project, number=number))
    assert (answer.status_code, "invisible character" in answer.text) == (422, True)


def test_a_project_number_may_grow_where_it_is_folded(manager: Browser) -> None:
    number = "\N{GREEK SMALL LETTER IOTA WITH DIALYTIKA AND TONOS}" * 30
    assert manager.post("/admin/projects", {"number": number, "name": "Depot"}).status_code == 303
