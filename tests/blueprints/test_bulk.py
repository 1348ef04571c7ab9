"""Many at once: reject with one comment, accept with one template; each row its own version and its own transaction."""

import re
from collections.abc import Callable
from html import unescape

import pytest
from conftest import Browser
from flask import Flask
from support.jobs import prove_job_list, values

from extensions import db
from lib import pagination
from models import Delivery, Job, Person, Project, Setting, SettingName, Status, utcnow
from services import workflow, worklist


@pytest.fixture
def waiting(make_project: Callable[..., Project], cast: dict[str, Person]) -> list[Project]:
    """Three projects that wait."""
    projects = [make_project(number=f"26-{count:03}", name=f"Depot {count}") for count in (1, 2, 3)]
    for project in projects:
        workflow.send(project, cast["manager"])
    db.session.commit()
    return projects


def chosen(projects: list[Project]) -> str:
    return "&".join(f"project={project.id}" for project in projects)


def form_of(projects: list[Project], **more: str) -> dict[str, object]:
    """What the page of these projects posts back."""
    versions = {f"version-{project.id}": project.version for project in projects}
    return {"project": [project.id for project in projects], **versions, **more}


def accepting(projects: list[Project], **more: str) -> dict[str, object]:
    shared = {"template": "T-COMM", "template_shown": "T-COMM", "taxable": "Y", "customer": "CASCREST"}
    shared |= {"division": "1", "cost_center": "TACOMA", "price_type": "F"}
    own = {f"job_number-{project.id}": project.number for project in projects}
    own |= {f"job_name-{project.id}": project.name for project in projects}
    return form_of(projects, **shared, **own) | more


def statuses(projects: list[Project]) -> list[Status]:
    return [db.session.get(Project, project.id).status for project in projects]  # type: ignore[union-attr]


def test_many_are_rejected_with_one_comment_and_their_senders_are_told(
    app: Flask, waiting: list[Project], browser: Callable[[str], Browser]
) -> None:
    approver = browser("approver")
    assert approver.get(f"/erp/together/reject?{chosen(waiting)}").text.count('name="version-') == 3
    answer = approver.post("/erp/together/reject", form_of(waiting, comment="The addresses are missing."))
    assert answer.status_code == 303
    assert "3 projects rejected" in approver.get("/erp/jobs").text
    assert statuses(waiting) == [Status.REJECTED] * 3
    assert db.session.query(Delivery).filter_by(kind="rejection").count() == 3


def test_many_rejections_are_undone_at_once_but_not_the_one_whose_sender_was_quick(
    app: Flask, waiting: list[Project], browser: Callable[[str], Browser], cast: dict[str, Person]
) -> None:
    approver = browser("approver")
    back = approver.post("/erp/together/reject", form_of(waiting, comment="Wrong.")).location
    assert all(mail.due_at and mail.due_at > utcnow() for mail in db.session.query(Delivery))
    assert "Undo 3 Rejections" in approver.get(back).text
    workflow.send(waiting[2], cast["manager"])
    db.session.commit()
    page = approver.get(back).text
    assert "Undo 2 Rejections" in page
    assert "26-003 Depot 3" in approver.post("/erp/together/undo-rejection", form_of(waiting)).text
    assert statuses(waiting) == [Status.READY] * 3
    assert [mail.outcome for mail in db.session.query(Delivery).order_by(Delivery.id)] == ["Not needed"] * 2 + [None]
    assert ">Undo" not in approver.get(back).text


def test_rejecting_many_needs_a_comment(waiting: list[Project], browser: Callable[[str], Browser]) -> None:
    answer = browser("approver").post("/erp/together/reject", form_of(waiting, comment=" "))
    assert answer.status_code == 422
    assert 'role="alert"' in answer.text
    assert statuses(waiting) == [Status.READY] * 3


def test_a_row_that_changed_meanwhile_fails_alone_and_says_who_did_what_and_where(
    waiting: list[Project], browser: Callable[[str], Browser], cast: dict[str, Person]
) -> None:
    form = form_of(waiting, comment="The addresses are missing.")
    workflow.retrieve(waiting[1], cast["manager"])
    db.session.commit()
    answer = browser("approver").post("/erp/together/reject", form)
    assert answer.status_code == 409
    title = f'<a href="/approvals/{waiting[1].id}">26-002 Depot 2</a>'
    assert f"{title}: It was retrieved by Manager less than a minute ago." in answer.text
    assert "26-001 Depot 1 was rejected." in answer.text
    assert "The addresses are missing." in answer.text
    assert statuses(waiting) == [Status.REJECTED, Status.RETRIEVED, Status.REJECTED]


def test_many_are_accepted_with_one_template_and_a_number_each(
    waiting: list[Project], browser: Callable[[str], Browser], template: Job
) -> None:
    answer = browser("approver").post("/erp/together/accept", accepting(waiting))
    assert answer.status_code == 303, answer.text
    assert statuses(waiting) == [Status.EXPORTING] * 3
    assert [project.spectrum_job_id for project in waiting] == ["26-001", "26-002", "26-003"]


def test_the_table_suggests_a_number_of_its_own_for_each_project(
    make_project: Callable[..., Project], cast: dict[str, Person], browser: Callable[[str], Browser], template: Job
) -> None:
    Setting.write(SettingName.PATTERN, "J-###")
    projects = [make_project(number=f"Bid {count}", name=f"Depot {count}") for count in (1, 2)]
    for project in projects:
        workflow.send(project, cast["manager"])
    db.session.commit()
    page = browser("approver").get(f"/erp/together/accept?{chosen(projects)}").text
    assert re.findall(r'name="job_number-\d+" value="([^"]*)"', page) == ["J-001", "J-002"]


def test_two_rows_that_ask_for_one_number_stop_the_export_and_keep_what_was_typed(
    waiting: list[Project], browser: Callable[[str], Browser], template: Job
) -> None:
    same = {f"job_number-{project.id}": "26-900" for project in waiting[:2]}
    answer = browser("approver").post("/erp/together/accept", accepting(waiting, **same))
    assert answer.status_code == 422
    assert answer.text.count("Another row has this number too.") == 2
    assert statuses(waiting) == [Status.READY] * 3


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("26-900", "26-900 is free."),
        ("t-comm", "Spectrum already has job T-COMM"),
        ("26-050", "Another row has this number too."),
        ("26-003", "26-003 is the Spectrum Job ID of 26-003 Depot 3"),
        ("no such number", "Spectrum Job ID"),
    ],
)
def test_a_number_that_is_typed_is_looked_up_at_once_in_the_other_rows_too(
    waiting: list[Project], browser: Callable[[str], Browser], template: Job, typed: str, said: str
) -> None:
    approver = browser("approver")
    Setting.write(SettingName.PATTERN, "26-###")
    prove_job_list()
    db.session.commit()
    assert approver.post("/erp/together/accept", accepting(waiting[2:])).status_code == 303
    mine, other = waiting[0].id, waiting[1].id
    query = {f"job_number-{mine}": typed, f"job_number-{other}": "26-050"}
    answer = approver.client.get(f"/erp/together/number/{mine}", query_string=query)
    assert said in answer.text
    assert ("Use 26-051</button>" in answer.text) == (" is free." not in answer.text)
    assert "Link to it" not in answer.text  # it would lead away from what is typed in the other rows


def test_a_chosen_template_brings_its_values_to_all(
    waiting: list[Project], browser: Callable[[str], Browser], template: Job
) -> None:
    form = accepting(waiting, show="yes", template_shown="", customer="", cost_center="")
    answer = browser("approver").post("/erp/together/accept", form)
    assert 'value="CASCREST"' in answer.text
    assert statuses(waiting) == [Status.READY] * 3


def test_nothing_ticked_leads_back_to_the_list(app: Flask, browser: Callable[[str], Browser]) -> None:
    approver = browser("approver")
    for decision in ("accept", "reject"):
        assert approver.get(f"/erp/together/{decision}").status_code == 302
    assert "Select one or more projects first." in approver.get("/erp/jobs").text


def test_each_row_shows_what_one_decides_by_and_takes_a_customer_of_its_own(
    waiting: list[Project], browser: Callable[[str], Browser], cast: dict[str, Person], template: Job
) -> None:
    workflow.reject(waiting[0], cast["approver"], "Wrong city.")
    workflow.edit(waiting[0], cast["manager"], waiting[0].information | {"city": "Fife"})
    workflow.send(waiting[0], cast["manager"], "Owner pays by the month.")
    db.session.commit()
    approver = browser("approver")
    page = approver.get(f"/erp/together/accept?{chosen(waiting)}").text
    for words in ("Owner pays by the month.", "Fife, WA · Manager", "What changed since it was sent before"):
        assert words in page
    own = {f"customer-{waiting[0].id}": "OTHER"}
    chooses = accepting(waiting, template_shown="", customer="", show="yes", **own)
    assert 'name="customer" type="text" value="CASCREST"' in approver.post("/erp/together/accept", chooses).text
    wrong = approver.post("/erp/together/accept", accepting(waiting, taxable="", **own)).text
    assert 'name="customer" type="text" value="CASCREST"' in wrong
    assert f'name="customer-{waiting[0].id}" value="OTHER"' in wrong
    assert approver.post("/erp/together/accept", accepting(waiting, **own)).status_code == 303
    sent = [values(project.export)["Customer_Code"] for project in waiting if project.export]
    assert sent == ["OTHER", "CASCREST", "CASCREST"]


def test_the_results_of_many_exports_stay_true_until_each_has_ended(
    waiting: list[Project], browser: Callable[[str], Browser], template: Job
) -> None:
    approver = browser("approver")
    there = approver.post("/erp/together/accept", accepting(waiting)).location
    page = approver.get(there).text
    assert "0 in Spectrum · 3 under way" in page
    assert 'hx-trigger="every 2s"' in page
    for project in waiting[:2]:
        workflow.mark_exported(project)
    assert waiting[2].export
    waiting[2].export.error = "Customer is on hold."
    workflow.mark_failed(waiting[2], "Customer is on hold.")
    db.session.commit()
    page = approver.get(there).text
    assert "2 in Spectrum · 1 failed: 26-003 Depot 3" in page
    assert "Customer is on hold." in page
    assert "hx-trigger" not in page.partition('id="results"')[2]


def test_all_of_a_list_can_be_selected_and_not_only_its_page(
    waiting: list[Project], browser: Callable[[str], Browser], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pagination, "PER_PAGE", 2)
    approver = browser("approver")
    assert "Select all 3</a>" in approver.get("/erp/jobs").text
    page = approver.get("/erp/jobs?tick=all").text
    assert "2 on this page selected." in page
    (everything,) = re.findall(r'href="([^"]+tick=every[^"]*)">Select all 3', page)
    page = approver.get(unescape(everything)).text
    assert "3 selected." in page
    assert re.findall(r'type="(\w+)" name="project" value="(\d+)"', page) == [
        *(("checkbox", str(project.id)) for project in waiting[:2]),
        ("hidden", str(waiting[2].id)),
    ]
    assert 'type="hidden" name="project"' not in approver.get("/erp/jobs?filter=synced&tick=every").text
    assert worklist.selectable_ids(worklist.FILTERS["ready-to-import"], worklist.read_params({})) == []
