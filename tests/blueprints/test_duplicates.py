"""A project that may be one that there is already is pointed out before it is sent and accepted; nothing is stopped."""

from collections.abc import Callable

import pytest
from conftest import Browser
from support.jobs import keep_job

from extensions import db
from models import Job, Person, Project, Status
from services import duplicates, workflow

SignIn = Callable[[str], Browser]


def reasons(project: Project) -> list[tuple[str, str]]:
    return [(each.title, each.reason) for each in duplicates.find(project)]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"name": "Something Else"}, "has this address"),
        ({"name": "Something Else", "address_1": " 1735  jefferson AVE"}, "has this address"),
        ({"address_1": "", "name": "Retail Shell of the Depot Lofts"}, "has a similar name"),
        ({"address_1": "", "name": "Depot Lofts Retail Shell Phase 2"}, "has a similar name"),
        ({"address_1": "", "name": "Depot Lofts"}, "has a similar name"),
        ({"name": "Something Else", "city": "Fife"}, ""),
        ({"address_1": "", "name": "Depot Lofts Garage"}, ""),
        ({"address_1": "", "name": "Depot Garage"}, ""),
        ({"address_1": "1 Main St", "name": "Fire Station Renovation"}, ""),
    ],
)
def test_the_same_address_or_the_telling_words_of_a_name_make_a_hint(
    make_project: Callable[..., Project], changes: dict[str, str], reason: str
) -> None:
    project = make_project()
    other = make_project(number="26-099", **changes)
    assert reasons(project) == ([(other.title, reason)] if reason else [])
    assert reasons(other) == ([(project.title, reason)] if reason else [])


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_job_without_a_project_is_a_hint_too_and_leads_to_its_link(
    browser: SignIn, make_project: Callable[..., Project], cast: dict[str, Person], template: Job
) -> None:
    keep_job({"Job_Number": "25-900", "Job_Description": "Depot Lofts Retail Shell", "Status_Code": "A"})
    project = make_project()
    workflow.send(project, cast["manager"])
    db.session.commit()
    page = browser("approver").get(f"/approvals/{project.id}/accept").text
    assert "Job 25-900 Depot Lofts Retail Shell has a similar name. Same job?" in page
    assert f'href="/approvals/{project.id}/link?job=25-900"' in page


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("who", ["manager", "manager once it is sent", "approver"])
def test_whoever_says_that_it_is_another_sees_the_hint_no_more_and_all_goes_on(
    browser: SignIn, make_project: Callable[..., Project], cast: dict[str, Person], template: Job, who: str
) -> None:
    other, project = make_project(number="26-099", name="Main St Renovation"), make_project()
    if who != "manager":
        workflow.send(project, cast["manager"])
        db.session.commit()
    person = browser(who.split()[0])
    shown = f"/approvals/{project.id}/accept" if who == "approver" else f"/admin/projects/{project.id}"
    page = person.get(shown).text
    assert "26-099 Main St Renovation</a> has this address. Same job?" in " ".join(page.split())
    base = f"/approvals/{project.id}" if who == "approver" else f"/admin/projects/{project.id}"
    form = {"version": project.version, "other": f"project {other.id}"}
    assert person.post(f"{base}/it-is-another", form).location == shown
    assert "Same job?" not in person.get(shown).text
    assert [event.action for event in project.events].count("told apart") == 1
    assert project.status is (Status.NOT_SENT if who == "manager" else Status.READY)
