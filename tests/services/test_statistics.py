"""Figures: what waits by age, what was decided per week, how long it took; each leads to its list."""

import re
from collections.abc import Callable

import pytest
import time_machine
from conftest import Browser
from lxml import html
from sqlalchemy import event

from extensions import db
from models import Event, Person, Project, Transition, utcnow
from services import cache, statistics, workflow

NOW = "2026-03-11T12:00:00-07:00"  # a Wednesday


@pytest.fixture
def at_work(make_project: Callable[..., Project], cast: dict[str, Person]) -> None:
    """Two wait, for nine days and for an hour; one was rejected last week two days after it was sent."""
    for number, sent in (("26-001", "2026-03-02T11:00:00-08:00"), ("26-002", "2026-03-11T11:00:00-07:00")):
        with time_machine.travel(sent, tick=False):
            workflow.send(make_project(number=number, name=f"Depot {number}"), cast["manager"])
            db.session.commit()
    with time_machine.travel("2026-03-02T11:00:00-08:00", tick=False):
        decided = make_project(number="26-003", name="Depot 26-003")
        workflow.send(decided, cast["manager"])
        db.session.commit()
    with time_machine.travel("2026-03-04T11:00:00-08:00", tick=False):
        workflow.reject(decided, cast["approver"], "The address is missing.")
        db.session.commit()


def test_the_figures_count_ages_weeks_and_the_median(at_work: None) -> None:
    with time_machine.travel(NOW, tick=False):
        figures = statistics.compute()
    assert [bar.text for bar in figures.waiting.bars] == ["1 project", "0 projects", "0 projects", "1 project"]
    assert [bar.text for bar in figures.decided.bars][-3:] == ["0 projects", "1 project", "0 projects"]
    week, this_week = figures.durations.bars[-2:]
    assert (week.label, week.text, this_week.text) == ("Week of Mar 2", "2 days", "–")
    assert (week.height, this_week.height) == (statistics.HEIGHT, 0)
    assert figures.durations.ticks == [(0, "2"), (statistics.HEIGHT // 2, "1"), (statistics.HEIGHT, "0")]
    assert figures.durations.axis.startswith("Days")


def test_a_rejection_that_was_undone_is_no_decision(
    at_work: None, cast: dict[str, Person], browser: Callable[[str], Browser]
) -> None:
    with time_machine.travel(NOW, tick=False):
        project = db.session.scalars(db.select(Project).filter_by(number="26-002")).one()
        workflow.reject(project, cast["approver"], "A slip of the finger.", workflow.UNDO_FOR)
        workflow.undo_rejection(project, cast["approver"])
        workflow.reject(project, cast["approver"], "The place is missing.", workflow.UNDO_FOR)
        other = db.session.scalars(db.select(Project).filter_by(number="26-001")).one()
        other.events.append(
            Event(at=utcnow(), action=Transition.UNDO, person=cast["approver"])
        )  # of nothing that is kept
        db.session.commit()
        assert [text for text, *_ in statistics.compute().summary[1:]] == ["1 decided this week", "median 1 h"]
        onlooker = browser("onlooker")
        decided = onlooker.get("/erp/history?action=decided&from=2026-03-09").text
        assert "The place is missing." in decided
        assert "A slip of the finger." not in decided
        assert "A slip of the finger." in onlooker.get("/erp/history").text


def test_a_list_counts_ones_own_decision_at_once_and_an_open_one_that_of_others(
    at_work: None, browser: Callable[[str], Browser], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where making the figures takes so long that they may be some seconds old."""
    monkeypatch.setattr(cache, "SLOW", -1)
    with time_machine.travel(NOW, tick=False):
        approver = browser("approver")
        assert "2 waiting" in approver.get("/erp/jobs").text
        project = db.session.scalars(db.select(Project).filter_by(number="26-002")).one()
        form = {"project": project.id, f"version-{project.id}": project.version, "comment": "The place is missing."}
        there = approver.post("/erp/together/reject", form).location
        assert "1 waiting" in approver.get(there).text
        counts = html.fromstring(browser("onlooker").get("/erp/counts").text)
        (line,) = counts.xpath('//p[@id="figures" and @hx-swap-oob]')
        assert line.text_content().startswith("1 waiting")


def test_the_list_says_the_figures_in_one_line_and_each_leads_to_what_it_counts(
    at_work: None, browser: Callable[[str], Browser]
) -> None:
    with time_machine.travel("2026-03-06T12:00:00-08:00", tick=False):
        line = html.fromstring(browser("onlooker").get("/erp/jobs").text).xpath('//p[@class="glance"]')[0]
        assert line.text_content() == "1 waiting, oldest 4 days · 1 decided this week · median 2 d"
        assert [link.get("href") for link in line] == [
            "/erp/jobs?filter=ready-to-export&sort=sent",
            *["/erp/history?action=decided&from=2026-03-02&to=2026-03-08"] * 2,
        ]
    with time_machine.travel(NOW, tick=False):
        assert statistics.compute().summary[1][0] == "none decided this week"


def test_each_bar_leads_to_the_list_of_what_it_counts(at_work: None, browser: Callable[[str], Browser]) -> None:
    with time_machine.travel(NOW, tick=False):
        onlooker = browser("onlooker")
        page = onlooker.get("/erp/figures").text
        assert page.count("<svg") == 3
        links = {link.replace("&amp;", "&") for link in re.findall(r'<a href="([^"]+)" tabindex="-1">', page)}
        assert len(links) == 4 + statistics.WEEKS
        older = onlooker.get("/erp/jobs?filter=ready-to-export&age=older").text
        assert "Depot 26-001" in older
        assert "Depot 26-002" not in older
        week = onlooker.get(next(link for link in links if "from=2026-03-02" in link)).text
        assert "Depot 26-003" in week
        assert week.count('scope="row"') == 1


def test_the_figures_are_told_as_tables_too(at_work: None, browser: Callable[[str], Browser]) -> None:
    with time_machine.travel(NOW, tick=False):
        page = browser("onlooker").get("/erp/figures").text
    assert '<th scope="row">7 days and more</th><td><a href="/erp/jobs?filter=ready-to-export&amp;age=older">1' in page
    assert '<th scope="row">Week of Mar 2</th><td>' in page
    assert '<th scope="row">Week of Mar 2</th><td><a href="/erp/history' in page
    assert ">2 days</a></td>" in page


def test_the_figures_take_two_statements_however_many_projects_there_are(at_work: None) -> None:
    statements: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        statements.append(statement)

    event.listen(db.engine, "before_cursor_execute", note)
    with time_machine.travel(NOW, tick=False):
        statistics.compute()
    assert len([statement for statement in statements if statement.startswith("SELECT")]) == 2


def test_an_age_that_makes_no_sense_is_ignored(at_work: None, browser: Callable[[str], Browser]) -> None:
    assert browser("onlooker").get("/erp/jobs?age=ancient").text.count('<tr id="project-') == 2
