"""The company's history: filtered by person, action and days, paged, and as CSV."""

import csv
from collections.abc import Callable

import pytest
import time_machine
from conftest import Browser

from extensions import db
from models import Person, Project
from services import workflow


@pytest.fixture
def told(make_project: Callable[..., Project], cast: dict[str, Person]) -> Project:
    """A project that was made and sent on 2 March, and rejected just before midnight on the 3rd, company time."""
    with time_machine.travel("2026-03-02T12:00:00-08:00", tick=False):
        project = make_project()
        workflow.send(project, cast["manager"])
        db.session.commit()
    with time_machine.travel("2026-03-03T23:59:00-08:00", tick=False):
        workflow.reject(project, cast["approver"], "=The address is missing.")
        db.session.commit()
    return project


def lines(browser: Browser, query: str = "") -> list[dict[str, str]]:
    return list(csv.DictReader(browser.get(f"/erp/history.csv?{query}").text.removeprefix("\ufeff").splitlines()))


def actions(browser: Browser, query: str = "") -> list[str]:
    return [line["action"] for line in lines(browser, query)]


def test_the_history_is_filtered_by_person_action_and_days(
    told: Project, browser: Callable[[str], Browser], cast: dict[str, Person]
) -> None:
    onlooker = browser("onlooker")
    assert actions(onlooker) == ["rejected", "sent", "created"]
    assert actions(onlooker, f"person={cast['approver'].id}") == ["rejected"]
    assert actions(onlooker, "action=sent") == ["sent"]
    assert actions(onlooker, "action=decided") == ["rejected"]
    assert actions(onlooker, "from=2026-03-03") == ["rejected"]
    assert actions(onlooker, "from=2026-03-03&to=2026-03-03") == ["rejected"]
    assert actions(onlooker, "to=2026-03-02") == ["sent", "created"]
    assert actions(onlooker, "from=2026-03-04") == []


def test_a_parameter_that_makes_no_sense_is_ignored(told: Project, browser: Callable[[str], Browser]) -> None:
    assert len(actions(browser("onlooker"), "person=you&from=yesterday&to=9999-99-99&page=-1")) == 3
    assert len(actions(browser("onlooker"), "person=" + "9" * 30)) == 3


def test_the_page_shows_what_the_address_asks_for_and_a_sentence_where_that_is_nothing(
    told: Project, browser: Callable[[str], Browser]
) -> None:
    page = browser("onlooker").get("/erp/history?action=rejected").text
    assert page.count('scope="row"') == 1
    assert "The address is missing." in page
    assert "No history matches these filters." in browser("onlooker").get("/erp/history?from=2030-01-01").text


def test_a_line_of_the_file_is_complete_and_harmless_in_a_spreadsheet(
    told: Project, browser: Callable[[str], Browser]
) -> None:
    assert lines(browser("onlooker"))[0] == {
        "at": "2026-03-03T23:59:00-08:00",
        "person": "Approver",
        "project_number": "26-014",
        "project_name": "Depot Lofts Retail Shell",
        "action": "rejected",
        "from_status": "Ready to Export",
        "to_status": "Rejected",
        "comment": "'=The address is missing.",
    }


def test_the_file_is_sent_while_it_is_read(told: Project, browser: Callable[[str], Browser]) -> None:
    """So that its length is not known; `iter_csv` has a test that it reads no more than it sends."""
    assert "Content-Length" not in browser("onlooker").get("/erp/history.csv").headers


def test_many_events_come_in_pages(
    make_project: Callable[..., Project], cast: dict[str, Person], browser: Callable[[str], Browser]
) -> None:
    project = make_project()
    for _ in range(30):
        workflow.send(project, cast["manager"])
        workflow.retrieve(project, cast["manager"])
        db.session.flush()
    db.session.commit()
    first = browser("onlooker").get("/erp/history?action=sent").text
    assert 'rel="next"' not in first
    assert "1 to 50 of 61" in browser("onlooker").get("/erp/history").text
    assert browser("onlooker").get("/erp/history?page=2").text.count('scope="row"') == 11


@pytest.mark.parametrize("asked", ["26-014", "DEPOT lofts", "depot"])
def test_the_history_is_filtered_by_project_and_says_the_exact_time(
    told: Project, browser: Callable[[str], Browser], make_project: Callable[..., Project], asked: str
) -> None:
    make_project(number="26-0140", name="Harbor Steps")
    onlooker = browser("onlooker")
    assert actions(onlooker, f"project={asked}") == ["rejected", "sent", "created"]
    page = onlooker.get(f"/erp/history?project={asked}").text
    assert "Harbor Steps" not in page
    assert ">Mar 3, 2026, 11:59 PM</time>" in page
    assert "No history matches" in onlooker.get("/erp/history?project=100%25").text
