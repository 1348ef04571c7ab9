"""Jobs and projects that exist already: adding, linking, unlinking, archiving, and who wins a race for a job."""

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select
from support.jobs import compose, keep_job

from extensions import db
from models import Delivery, Export, Job, NotAllowed, Person, Project, Status, utcnow
from services import workflow

Browsing = Callable[[str], Any]
Making = Callable[..., Project]
Cast = dict[str, Person]


@pytest.fixture
def make_job() -> Callable[..., Job]:
    """A job in the kept list, as Spectrum lists it."""

    def make(number: str = "26-014", **fields: str) -> Job:
        place = {"Address_1": "1735 Jefferson Ave", "City": "Tacoma", "State": "WA", "Zip_Code": "98402"}
        row = {"Job_Number": number, "Job_Description": "Depot Lofts", "Status_Code": "A", "Phone": "2535550129"}
        job = keep_job(row | place | fields)
        db.session.commit()
        return job

    return make


@pytest.fixture
def waiting(make_project: Making, cast: Cast) -> Project:
    project = make_project()
    workflow.send(project, cast["manager"])
    db.session.commit()
    return project


@pytest.fixture
def mistaken(waiting: Project, cast: Cast, template: Job, make_job: Callable[..., Job]) -> Project:
    """A project Failed to Export, because Spectrum has another job of its number."""
    export = accept(waiting, cast["approver"], template)
    export.conflicting_job = {"Job_Number": "26-014", "Job_Description": "City Shops", "Status_Code": "A"}
    workflow.mark_failed(waiting, "Job 26-014 already exists in Spectrum and is not this project.", keep_job=True)
    export.finish()
    make_job(Job_Description="City Shops")
    return waiting


def accept(project: Project, by: Person, template: Job, number: str = "26-014") -> Export:
    lines = compose(project.information, {}, {"Job_Number": number, "Taxable_Flag": "Y"})
    workflow.accept(project, by, lines, template, "HB")
    return project.export


def version(project: Project) -> dict[str, object]:
    return {"version": project.version}


def tick(*jobs: Job, **more: object) -> dict[str, object]:
    return {"job": [str(job.id) for job in jobs], "filter": "ready-to-import", **more}


def project_of(number: str) -> Project:
    found = db.session.scalar(select(Project).where(Project.number == number))
    assert found
    return found


def history(project: Project) -> list[tuple[str, str]]:
    db.session.expire_all()
    return [(event.action, event.who) for event in project.events]


# --- Ready to Import ------------------------------------------------------------------------------------------------


def test_ready_to_import_lists_open_jobs_that_are_no_project_and_no_template(
    browser: Browsing, make_job: Callable[..., Job], waiting: Project, cast: Cast, template: Job
) -> None:
    make_job("J-OPEN", Job_Description="Open")
    make_job("J-INACTIVE", Job_Description="Inactive", Status_Code="I")
    make_job("J-COMPLETE", Job_Description="Complete", Status_Code="C")
    make_job("J-GONE", Job_Description="Gone").removed_at = utcnow()
    make_job("J-TEMPLATE", Job_Description="Pattern").is_template = True
    make_job("J-AWAY", Job_Description="Archived").archived = True
    workflow.link(waiting, cast["approver"], make_job("J-TAKEN"), "HB")
    db.session.commit()
    text = browser("approver").get("/erp/jobs?filter=ready-to-import").text
    assert sorted(re.findall(r">(J-[A-Z]+)<", text)) == ["J-INACTIVE", "J-OPEN"]  # and not in the form's token


@pytest.mark.parametrize(
    ("name", "q"), [("Äpfel Hall", "äpfel"), ("Äpfel Hall", "ÄPFEL"), ("Hauptstraße 2", "STRASSE 2")]
)
def test_a_search_of_jobs_finds_a_name_however_it_is_written(
    browser: Browsing, make_job: Callable[..., Job], name: str, q: str
) -> None:
    make_job("J-1", Job_Description=name)
    make_job("J-2", Job_Description="Other")
    db.session.commit()
    page = browser("controller").client.get("/erp/jobs", query_string={"filter": "ready-to-import", "q": q}).text
    assert ("J-1" in page, "J-2" in page) == (True, False)
    found = browser("controller").client.get("/erp/settings", query_string={"q": q}).text
    assert ("J-1" in found, "J-2" in found) == (True, False)


def test_adding_a_job_makes_a_linked_project_from_it(browser: Browsing, make_job: Callable[..., Job]) -> None:
    job = make_job(Est_Start_Date="03/09/2026", Est_Complete_Date="09/30/2026", Address_2="Unit B")
    response = browser("approver").post("/erp/jobs/add", tick(job))
    assert response.status_code == 303
    project = project_of("26-014")
    assert (project.name, project.status, project.spectrum_job_id) == ("Depot Lofts", "Synced", "26-014")
    assert (project.company_code, project.address_2, project.zip) == ("HB", "Unit B", "98402")
    assert (project.phone, str(project.start_date)) == ("2535550129", "2026-03-09")
    assert project.created_by and project.created_by.name == "Approver"
    assert history(project) == [("linked", "Approver"), ("created", "Approver")]


def test_twenty_ticked_jobs_are_added_at_once(browser: Browsing, make_job: Callable[..., Job]) -> None:
    jobs = [make_job(f"26-{number:03}") for number in range(20)]
    approver = browser("approver")
    response = approver.post("/erp/jobs/add", tick(*jobs))
    assert "20 jobs were added to Countersign." in approver.get(response.location).text
    assert len(db.session.scalars(select(Project).where(Project.status == Status.SYNCED)).all()) == 20


def test_one_job_that_can_not_be_added_spoils_nothing_for_the_others(
    browser: Browsing, make_job: Callable[..., Job], make_project: Making
) -> None:
    make_project(number="26-002", name="Namesake")
    jobs = [make_job(f"26-{number:03}") for number in range(1, 4)]
    response = browser("approver").post("/erp/jobs/add", tick(*jobs))
    assert response.status_code == 409
    assert "26-002 Namesake has the number 26-002 already. Link the job to it instead." in response.text
    assert "26-001 Depot Lofts was added." in response.text
    assert project_of("26-003").status is Status.SYNCED
    assert project_of("26-002").status is Status.NOT_SENT


def test_a_job_without_a_name_becomes_a_project_named_by_its_number(
    browser: Browsing, make_job: Callable[..., Job]
) -> None:
    browser("approver").post("/erp/jobs/add", tick(make_job(Job_Description="")))
    assert project_of("26-014").name == "26-014"


def test_pairs_of_the_same_number_are_offered_and_linked_all_at_once(
    browser: Browsing, make_job: Callable[..., Job], make_project: Making
) -> None:
    jobs = [make_job(number) for number in ("26-A", "26-B", "26-C")]
    first, second = make_project(number="26-a"), make_project(number="26-b", name="Beta")
    approver = browser("approver")
    page = approver.get("/erp/jobs?filter=ready-to-import").text
    assert f'href="/approvals/{first.id}/link?job=26-A"' in page
    offered = dict(re.findall(r'name="(pair-\d+)" value="([\d:]+)"', page))
    assert len(offered) == 2
    response = approver.post("/erp/jobs/link", tick(*jobs[:2], **offered))
    assert "2 jobs were linked." in approver.get(response.location).text
    assert (first.spectrum_job_id, second.spectrum_job_id) == ("26-A", "26-B")


def test_a_job_that_a_csv_named_is_offered_although_the_numbers_differ(
    browser: Browsing, make_job: Callable[..., Job], make_project: Making
) -> None:
    make_job("J-77")
    named, namesake = make_project(number="26-014"), make_project(number="J-77")
    named.suggested_job_key = "j-77"
    db.session.commit()
    approver = browser("approver")
    page = approver.get("/erp/jobs?filter=ready-to-import").text
    assert f'href="/approvals/{named.id}/link?job=J-77"' in page
    assert f"/approvals/{namesake.id}/link" not in page
    assert 'value="J-77"' in approver.get(f"/approvals/{named.id}/link").text


def test_a_pair_that_changed_since_it_was_shown_is_not_linked(
    browser: Browsing, make_job: Callable[..., Job], make_project: Making, cast: Cast
) -> None:
    jobs = [make_job("26-A"), make_job("26-B"), make_job("26-C")]
    first, second = make_project(number="26-A"), make_project(number="26-B")
    pairs = {f"pair-{job.id}": f"{each.id}:{each.version}" for job, each in zip(jobs, (first, second), strict=False)}
    workflow.edit(first, cast["manager"], first.information | {"city": "Fife"})
    db.session.commit()
    response = browser("approver").post("/erp/jobs/link", tick(*jobs, **pairs))
    assert response.status_code == 409
    assert "was edited by Manager less than a minute ago and was not sent to accounting." in response.text
    assert "No project has this number. Select this job alone to choose its project." in response.text
    assert (first.status, second.status) == (Status.NOT_SENT, Status.SYNCED)


def test_one_ticked_job_goes_to_the_choice_of_its_project(
    browser: Browsing, make_job: Callable[..., Job], make_project: Making
) -> None:
    job, project = make_job("J-77"), make_project(number="26-A")
    approver = browser("approver")
    address = approver.post("/erp/jobs/link", tick(job)).location
    assert "Link job" in approver.get(address).text
    assert approver.get(f"{address}?number=26-X").status_code == 422
    assert approver.get(f"{address}?number=26-a").location == f"/approvals/{project.id}/link?job=J-77"


def test_a_job_that_got_its_project_meanwhile_is_not_put_away(
    browser: Browsing, make_job: Callable[..., Job], waiting: Project, cast: Cast
) -> None:
    job = make_job()
    workflow.link(waiting, cast["approver"], job, "HB")
    db.session.commit()
    answer = browser("approver").post("/erp/jobs/archive", tick(job))
    assert answer.status_code == 409
    assert waiting.title in answer.text
    db.session.refresh(job)
    assert not job.archived


@pytest.mark.parametrize("job", ["9" * 23, "9" * 5000, "-1", "\u0663"])
@pytest.mark.parametrize("action", ["archive", "bring-back", "add", "link"])
def test_a_job_that_can_not_be_is_not_found(browser: Browsing, action: str, job: str) -> None:
    answer = browser("approver").post(f"/erp/jobs/{action}", {"job": [job, job], f"pair-{job}": f"{job}:1"})
    assert answer.status_code == 404


def test_an_archived_job_is_under_archived_until_it_is_brought_back(
    browser: Browsing, make_job: Callable[..., Job]
) -> None:
    jobs = [make_job("J-1"), make_job("J-2")]
    approver = browser("approver")

    def listed(slug: str) -> list[str]:
        return sorted(set(re.findall(r"J-\d", approver.get(f"/erp/jobs?filter={slug}").text)))

    said = approver.post("/erp/jobs/archive", tick(*jobs)).location
    assert "2 jobs were archived." in approver.get(said).text
    assert (listed("ready-to-import"), listed("archived")) == ([], ["J-1", "J-2"])
    approver.post("/erp/jobs/bring-back", tick(jobs[0]))
    assert (listed("ready-to-import"), listed("archived")) == (["J-1"], ["J-2"])


@pytest.mark.parametrize("action", ["add", "link", "archive", "bring-back"])
def test_nothing_ticked_changes_nothing_and_says_so(browser: Browsing, action: str) -> None:
    approver = browser("approver")
    response = approver.post(f"/erp/jobs/{action}", {"filter": "ready-to-import"})
    assert "Select the jobs first." in approver.get(response.location).text


# --- link to existing job -------------------------------------------------------------------------------------------


def test_linking_a_waiting_project_shows_both_side_by_side_and_asks_nothing_of_spectrum(
    browser: Browsing, make_job: Callable[..., Job], waiting: Project
) -> None:
    make_job(City="Fife")
    approver = browser("approver")
    assert "Link to existing job" in approver.get("/erp/jobs?filter=ready-to-export").text
    panel = approver.get(f"/approvals/{waiting.id}/link").text
    rows = re.findall(r"<th scope=\"row\">(.+)</th><td>([^<]*)</td><td>([^<]*)</td>", panel)
    assert ("City <b>differs</b>", "Tacoma", "Fife") in rows
    assert ("Phone", "2535550129", "2535550129") in rows
    response = approver.post(f"/approvals/{waiting.id}/link", {"job": "26-014", **version(waiting)})
    assert response.status_code == 303
    assert (waiting.status, waiting.spectrum_job_id, waiting.company_code) == (Status.SYNCED, "26-014", "HB")
    assert history(waiting)[0] == ("linked", "Approver")
    assert db.session.scalars(select(Export)).all() == []
    assert [each.kind for each in db.session.scalars(select(Delivery))] == ["export"]


def test_in_a_list_the_panel_and_the_answer_are_the_row(
    browser: Browsing, make_job: Callable[..., Job], waiting: Project
) -> None:
    make_job()
    approver = browser("approver")
    headers = {"HX-Request": "true", "HX-Target": f"tr#project-{waiting.id}"}
    address = f"/approvals/{waiting.id}/link"
    assert approver.get(address, **headers).text.lstrip().startswith("<tr")
    response = approver.post(address, {"job": "26-014", **version(waiting)}, **headers)
    assert "Synced" in response.text
    assert "is job 26-014 in Spectrum" in response.headers["HX-Trigger"]


@pytest.mark.parametrize(
    ("number", "said"),
    [
        ("", "Enter the Spectrum Job ID"),
        ("26-999", "has no job 26-999. Refresh the job list"),
        ("J-GONE", "no longer lists job J-GONE"),
        ("T-COMM", "is a job template"),
        ("j-taken", "J-TAKEN is the Spectrum Job ID of 26-900 Other, which is Synced."),
    ],
)
def test_a_job_that_can_not_be_linked_is_refused_at_the_field(
    browser: Browsing,
    make_job: Callable[..., Job],
    make_project: Making,
    waiting: Project,
    template: Job,
    cast: Cast,
    number: str,
    said: str,
) -> None:
    make_job("J-GONE").removed_at = utcnow()
    template.is_template = True
    workflow.link(make_project(number="26-900", name="Other"), cast["approver"], make_job("J-TAKEN"), "HB")
    db.session.commit()
    response = browser("approver").post(f"/approvals/{waiting.id}/link", {"job": number, **version(waiting)})
    assert response.status_code == 422
    assert said in response.text
    assert 'aria-invalid="true"' in response.text
    assert waiting.status is Status.READY


@pytest.mark.parametrize("headers", [{}, {"HX-Request": "true", "HX-Target": "tr#project-1"}])
def test_the_number_that_is_compared_stands_in_its_field(
    browser: Browsing, make_job: Callable[..., Job], waiting: Project, headers: dict[str, str]
) -> None:
    make_job("J-OTHER")
    db.session.commit()
    page = browser("approver").get(f"/approvals/{waiting.id}/link?job=J-OTHER", **headers).text
    assert re.findall(r'name="job"[^>]* value="([^"]*)"', page) == ["J-OTHER", "J-OTHER"]


def test_a_link_of_a_project_that_changed_meanwhile_is_refused_with_who_did_what(
    browser: Browsing, make_job: Callable[..., Job], waiting: Project, cast: Cast
) -> None:
    make_job()
    before = version(waiting)
    workflow.reject(waiting, cast["controller"], "Wrong city")
    db.session.commit()
    response = browser("approver").post(f"/approvals/{waiting.id}/link", {"job": "26-014", **before})
    assert response.status_code == 409
    assert "was rejected by Controller" in response.text
    assert waiting.status is Status.REJECTED


@pytest.mark.parametrize("name", ["onlooker", "clerk", "manager"])
def test_linking_is_for_accounting_approvers(
    browser: Browsing, make_job: Callable[..., Job], waiting: Project, name: str
) -> None:
    job, somebody = make_job(), browser(name)
    posts = [f"/approvals/{waiting.id}/{each}" for each in ("link", "unlink", "not-ours")]
    posts += [f"/erp/jobs/{each}" for each in ("add", "link", "archive", "bring-back")]
    for address in posts:
        assert somebody.post(address, {**tick(job), **version(waiting)}).status_code in (403, 404), address
    assert "Add to Countersign" not in somebody.get("/erp/jobs?filter=ready-to-import").text
    assert (waiting.status, job.archived) == (Status.READY, False)


# --- unlink ---------------------------------------------------------------------------------------------------------


def test_unlinking_needs_a_comment_frees_the_job_and_makes_the_project_not_sent(
    browser: Browsing, make_job: Callable[..., Job], waiting: Project, cast: Cast
) -> None:
    workflow.link(waiting, cast["approver"], make_job(), "HB")
    db.session.commit()
    approver, address = browser("approver"), f"/approvals/{waiting.id}/unlink"
    assert "Unlink" in approver.get(f"/approvals/{waiting.id}").text
    refused = approver.post(address, {"comment": "  ", **version(waiting)})
    assert refused.status_code == 422
    assert "Enter a comment." in refused.text
    assert approver.post(address, {"comment": "Another depot", **version(waiting)}).status_code == 303
    assert (waiting.status, waiting.spectrum_job_id, waiting.job_key) == (Status.NOT_SENT, None, None)
    assert waiting.events[0].comment == "Another depot"
    assert "26-014" in approver.get("/erp/jobs?filter=ready-to-import").text


def test_unlinking_is_refused_while_something_is_under_way(
    browser: Browsing, waiting: Project, cast: Cast, template: Job
) -> None:
    export = accept(waiting, cast["approver"], template)
    db.session.commit()
    approver, address = browser("approver"), f"/approvals/{waiting.id}/unlink"
    exporting = approver.post(address, {"comment": "Wrong", **version(waiting)})
    assert exporting.status_code == 409
    export.sent_at = export.created_at = utcnow()
    workflow.mark_exported(waiting)  # and still to be read back
    db.session.commit()
    reading_back = approver.post(address, {"comment": "Wrong", **version(waiting)})
    assert reading_back.status_code == 409
    assert "still at work on its job" in reading_back.text
    assert waiting.status is Status.SYNCED
    export.finish()
    db.session.commit()
    assert approver.post(address, {"comment": "Wrong", **version(waiting)}).status_code == 303
    assert waiting.export is None


# --- another job of that number -------------------------------------------------------------------------------------


def test_with_another_job_found_retry_and_reject_wait_for_whose_it_is(browser: Browsing, mistaken: Project) -> None:
    approver = browser("approver")
    page = approver.get(f"/approvals/{mistaken.id}").text
    buttons = re.findall(r"<button[^>]*>(.+?)</button>", page)
    assert buttons == ["Sign out", "Link to it instead", "Not ours", "Comment"]
    for address, data in (("reject", {"comment": "No"}), ("accept", {})):
        response = approver.post(f"/approvals/{mistaken.id}/{address}", {**data, **version(mistaken)})
        assert response.status_code == 409
    assert mistaken.status is Status.FAILED


def test_link_to_it_instead_takes_the_job_that_was_found(browser: Browsing, mistaken: Project) -> None:
    response = browser("approver").post(f"/approvals/{mistaken.id}/link", {"job": "26-014", **version(mistaken)})
    assert response.status_code == 303
    assert (mistaken.status, mistaken.spectrum_job_id, mistaken.export) == (Status.SYNCED, "26-014", None)


def test_not_ours_needs_a_comment_frees_the_number_and_brings_retry_and_reject(
    browser: Browsing, mistaken: Project
) -> None:
    approver, address = browser("approver"), f"/approvals/{mistaken.id}/not-ours"
    assert approver.post(address, version(mistaken)).status_code == 422
    assert approver.post(address, {"comment": "That is the city's", **version(mistaken)}).status_code == 303
    assert (mistaken.status, mistaken.job_key, mistaken.conflicting_job) == (Status.FAILED, None, None)
    assert mistaken.events[0].comment == "That is the city's"
    page = approver.get(f"/approvals/{mistaken.id}").text
    assert {"Retry", "Reject"} <= set(re.findall(r"<button[^>]*>([^<]+)<span class=\"hidden\">", page))
    assert approver.post(address, {"comment": "Again", **version(mistaken)}).status_code == 409


# --- races ----------------------------------------------------------------------------------------------------------


def at_once(app: Flask, address: Callable[[int], str], forms: list[tuple[Any, dict[str, object]]]) -> list[Any]:
    """The answers of several people who press their buttons at the same moment."""
    filled = [(person.client, {"csrf_token": person.token(), **form}) for person, form in forms]
    together = Barrier(len(forms))

    def press(turn: int) -> Any:
        client, form = filled[turn]
        with app.app_context():
            together.wait()
            return client.post(address(turn), data=form)

    db.session.rollback()
    with ThreadPoolExecutor(len(forms)) as people:
        return list(people.map(press, range(len(forms))))


def test_of_two_people_who_link_the_same_job_one_wins_and_the_other_is_told_who_holds_it(
    app: Flask, browser: Browsing, make_job: Callable[..., Job], make_project: Making
) -> None:
    make_job("J-77")
    projects = [make_project(number=f"26-{each}", name=each) for each in "AB"]
    addresses = [f"/approvals/{each.id}/link" for each in projects]
    people = [browser(name) for name in ("approver", "controller")]
    forms = [(person, {"job": "J-77", **version(each)}) for person, each in zip(people, projects, strict=True)]
    answers = at_once(app, addresses.__getitem__, forms)
    assert sorted(answer.status_code for answer in answers) == [303, 422]
    (told,) = (answer.text for answer in answers if answer.status_code == 422)
    db.session.expire_all()
    (winner,) = (each for each in projects if each.status is Status.SYNCED)
    assert f"J-77 is the Spectrum Job ID of {winner.title}, which is Synced." in told


def test_of_two_people_who_add_the_same_job_one_wins_and_the_other_is_told(
    app: Flask, browser: Browsing, make_job: Callable[..., Job]
) -> None:
    ticked = tick(make_job("J-77"))
    people = [browser(name) for name in ("approver", "controller")]
    answers = at_once(app, lambda _turn: "/erp/jobs/add", [(person, ticked) for person in people])
    assert sorted(answer.status_code for answer in answers) == [303, 409]
    assert any("J-77 is the Spectrum Job ID of J-77 Depot Lofts, which is Synced." in answer.text for answer in answers)


def test_a_number_that_an_export_holds_can_not_be_linked_and_the_other_way_round(
    browser: Browsing, make_job: Callable[..., Job], make_project: Making, waiting: Project, cast: Cast, template: Job
) -> None:
    job, other = make_job("26-014"), make_project(number="26-900", name="Other")
    accept(waiting, cast["approver"], template)
    db.session.commit()
    approver = browser("approver")
    response = approver.post(f"/approvals/{other.id}/link", {"job": "26-014", **version(other)})
    assert response.status_code == 422
    assert "26-014 is the Spectrum Job ID of 26-014 Depot Lofts Retail Shell, which is Exporting." in response.text
    added = approver.post("/erp/jobs/add", tick(job))
    assert added.status_code == 409
    assert "which is Exporting." in added.text


def test_the_database_itself_lets_one_project_hold_a_job(
    make_project: Making, make_job: Callable[..., Job], cast: Cast
) -> None:
    job = make_job("J-77")
    workflow.link(make_project(number="26-A"), cast["approver"], job, "HB")
    db.session.commit()
    workflow.link(make_project(number="26-B"), cast["approver"], job, "HB")
    with pytest.raises(Exception, match=r"(?i)unique.*job_key|job_key.*unique"):
        db.session.commit()
    db.session.rollback()


def test_a_project_that_is_being_exported_can_not_be_linked(waiting: Project, cast: Cast, template: Job) -> None:
    accept(waiting, cast["approver"], template)
    with pytest.raises(NotAllowed, match="Exporting"):
        workflow.link(waiting, cast["approver"], template, "HB")
