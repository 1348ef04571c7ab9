"""Whoever searches a list for a project that is not in it reads where it is instead, and gets there with a click."""

from collections.abc import Callable

import pytest
import time_machine
from conftest import Browser

from extensions import db
from models import Job, Person, Project
from services import workflow

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def _send(project: Project, cast: dict[str, Person], _template: Job) -> None:
    workflow.send(project, cast["manager"])


def _reject(project: Project, cast: dict[str, Person], _template: Job) -> None:
    workflow.send(project, cast["manager"])
    workflow.reject(project, cast["approver"], "No address.")


def _retrieve(project: Project, cast: dict[str, Person], _template: Job) -> None:
    workflow.send(project, cast["manager"])
    workflow.retrieve(project, cast["manager"])


def _link(project: Project, cast: dict[str, Person], template: Job) -> None:
    workflow.link(project, cast["approver"], template, "HB")


def _switch_off(project: Project, cast: dict[str, Person], _template: Job) -> None:
    workflow.set_active(project, cast["manager"], active=False)


@pytest.mark.parametrize(
    ("happened", "searched", "place"),
    [
        (_send, "exporting", "is under Ready to Export."),
        (_link, "ready-to-export", "is under Synced."),
        (_reject, "ready-to-export", "was rejected on Nov 10."),
        (_retrieve, "ready-to-export", "was retrieved on Nov 10."),
        (_switch_off, "ready-to-export", "is inactive and was never sent."),
        (lambda *_: None, "synced", "was never sent."),
    ],
)
@pytest.mark.parametrize("q", ["26-014", "depot", "26-014 ta"])
def test_a_search_says_where_the_project_is_otherwise(
    browser: Callable[[str], Browser],
    make_project: Callable[..., Project],
    cast: dict[str, Person],
    template: Job,
    happened: Callable[..., None],
    searched: str,
    place: str,
    q: str,
) -> None:
    with time_machine.travel("2026-11-10T18:00:00Z", tick=False):
        project = make_project()
        happened(project, cast, template)
        db.session.commit()
    with time_machine.travel("2026-11-11T18:00:00Z", tick=False):
        page = browser("approver").get(f"/erp/jobs?filter={searched}&q={q}").text
    assert f'<a href="/approvals/{project.id}"><span class="number">26-014</span> {project.name}</a> {place}' in page


def test_a_search_that_finds_something_or_nothing_anywhere_names_no_other_place(
    browser: Callable[[str], Browser], make_project: Callable[..., Project], cast: dict[str, Person]
) -> None:
    waiting, _other = make_project(), make_project(number="26-015")
    workflow.send(waiting, cast["manager"])
    db.session.commit()
    approver = browser("approver")
    page = approver.get("/erp/jobs?q=depot").text
    assert "Projects that were sent and are not yet in Spectrum." in page
    assert "was never sent" not in page
    assert "was never sent" not in approver.get("/erp/jobs?q=nobody").text
