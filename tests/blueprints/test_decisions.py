"""Accept and reject, from the outside: bad input, forged and stale posts, and two people at once. Nothing gets lost."""

from collections.abc import Callable

import pytest
from conftest import Browser
from lxml import html
from sqlalchemy import event
from support.jobs import compose, keep_job, values

from extensions import db
from models import Job, Person, Project, Status
from services import workflow

SignIn = Callable[[str], Browser]
ROW = {"HX-Request": "true", "HX-Target": "tr#project-1"}


@pytest.fixture
def waiting(make_project: Callable[..., Project], cast: dict[str, Person], template: Job) -> Project:
    project = make_project()
    workflow.send(project, cast["manager"], "Please hurry")
    db.session.commit()
    return project


def form(project: Project, **changes: object) -> dict[str, object]:
    return {
        "version": project.version,
        "template": "T-COMM",
        "template_shown": "T-COMM",
        "job_number": "26-014",
        "job_name": "Depot Lofts Retail Shell",
        "taxable": "Y",
        "customer": "CASCREST",
        "division": "1",
        "cost_center": "TACOMA",
        "price_type": "F",
    } | changes


def unchanged(project: Project) -> bool:
    return project.status is Status.READY and project.export is None and len(project.events) == 2


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"template": ""}, "Select a job template."),
        ({"template": "NOPE"}, "Select a job template."),
        ({"job_number": ""}, "Enter a Spectrum Job ID."),
        ({"job_number": "12345678901"}, "Spectrum takes 10"),
        ({"job_number": "26/014"}, "only letters"),
        ({"job_number": "-26"}, "begin with a letter or a digit"),
        ({"job_number": "all"}, "ALL means every job"),
        ({"job_number": " t-comm "}, "Spectrum already has job T-COMM"),
        ({"taxable": ""}, "Yes or No"),
        ({"taxable": "X"}, "Taxable"),
        ({"job_name": " "}, "Enter a name for the job."),
        ({"job_name": "x" * 26}, "26 characters long; Spectrum takes 25"),
        ({"division": "north"}, "Division"),
        ({"price_type": ""}, "Price Type"),
        ({"price_type": "Z"}, "Price Type"),
    ],
)
def test_what_is_wrong_with_an_acceptance_is_said_at_its_field_and_nothing_changes(
    browser: SignIn, waiting: Project, changes: dict[str, object], sentence: str
) -> None:
    page = browser("approver").post(f"/approvals/{waiting.id}/accept", form(waiting, **changes))
    assert page.status_code == 422
    assert sentence in page.text
    assert 'role="alert"' in page.text
    assert 'aria-invalid="true"' in page.text
    assert unchanged(waiting)


def test_a_number_of_a_complete_job_is_taken_too(browser: SignIn, waiting: Project) -> None:
    keep_job({"Job_Number": "23-018", "Job_Description": "Fern Hill", "Status_Code": "C"})
    db.session.commit()
    page = browser("approver").post(f"/approvals/{waiting.id}/accept", form(waiting, job_number="23-018"))
    assert page.status_code == 422
    assert "23-018 Fern Hill (complete)" in page.text


def test_a_number_that_another_project_is_being_exported_as_is_taken(
    browser: SignIn, waiting: Project, make_project: Callable[..., Project], cast: dict[str, Person], template: Job
) -> None:
    other = make_project(number="26-099", name="Titlow Boardwalk")
    workflow.send(other, cast["manager"])
    lines = compose(other.information, {}, {"Job_Number": "26-X", "Taxable_Flag": "Y", "Price_Method_Code": "F"})
    workflow.accept(other, cast["approver"], lines, template, "HB")
    db.session.commit()
    page = browser("approver").post(f"/approvals/{waiting.id}/accept", form(waiting, job_number="26-x"))
    assert page.status_code == 422
    assert "26-099 Titlow Boardwalk" in page.text
    assert unchanged(waiting)


def test_what_was_typed_is_still_there_when_the_form_comes_back(browser: SignIn, waiting: Project) -> None:
    page = browser("approver").post(
        f"/approvals/{waiting.id}/accept", form(waiting, job_number="", job_name="Kept", customer="OTHER")
    )
    assert 'value="Kept"' in page.text
    assert 'value="OTHER"' in page.text


def test_what_spectrum_would_refuse_of_the_project_itself_is_said_too(
    browser: SignIn, make_project: Callable[..., Project], cast: dict[str, Person], template: Job
) -> None:
    project = make_project(address_1="x" * 31, state="Wash")
    workflow.send(project, cast["manager"])
    db.session.commit()
    page = browser("approver").post(f"/approvals/{project.id}/accept", form(project))
    assert page.status_code == 422
    assert "Address is 31 characters long; Spectrum takes 30." in page.text
    assert "State" in page.text


def test_another_template_brings_its_values_where_nobody_touched_them(browser: SignIn, waiting: Project) -> None:
    keep_job({"Job_Number": "T-TI", "Division": "2", "Cost_Center": "SEATTLE", "Price_Method_Code": "C"})
    db.session.commit()
    changed = form(waiting, template="T-TI", template_shown="T-COMM", cost_center="OLYMPIA")
    assert browser("approver").post(f"/approvals/{waiting.id}/accept", changed).status_code == 303
    db.session.expire_all()
    assert waiting.export is not None
    received = values(waiting.export)
    assert (received["Division"], received["Price_Method_Code"]) == ("2", "C")
    assert received["Cost_Center"] == "OLYMPIA"
    assert "Customer_Code" not in received


def test_every_value_says_whether_it_comes_from_project_template_or_approver(browser: SignIn, waiting: Project) -> None:
    browser("approver").post(f"/approvals/{waiting.id}/accept", form(waiting, customer="OTHER"))
    db.session.expire_all()
    assert waiting.export is not None
    sources = {element: source for element, _value, source in waiting.export.request}
    assert sources["City"] == sources["Job_Number"] == "project"
    assert sources["Division"] == "template"
    assert sources["Customer_Code"] == sources["Taxable_Flag"] == "approver"


@pytest.mark.parametrize("comment", ["", "   ", "\n"])
def test_a_rejection_needs_a_comment(browser: SignIn, waiting: Project, comment: str) -> None:
    page = browser("approver").post(f"/approvals/{waiting.id}/reject", {"version": waiting.version, "comment": comment})
    assert page.status_code == 422
    assert "Enter a comment" in page.text
    assert unchanged(waiting)


@pytest.mark.parametrize("action", ["accept", "reject"])
def test_whoever_comes_second_is_told_who_did_what_and_nothing_of_theirs_is_applied(
    browser: SignIn, waiting: Project, action: str
) -> None:
    stale = form(waiting, comment="mine")
    browser("controller").post(f"/approvals/{waiting.id}/reject", {"version": waiting.version, "comment": "Too early"})
    events = len(waiting.events)
    page = browser("approver").post(f"/approvals/{waiting.id}/{action}", stale, **ROW)
    assert page.status_code == 409
    assert "rejected by Controller" in page.text
    assert 'role="alert"' in page.text
    db.session.expire_all()
    assert waiting.status is Status.REJECTED
    assert len(waiting.events) == events


def test_a_form_opened_before_the_project_was_edited_and_resent_is_refused(
    browser: SignIn, waiting: Project, cast: dict[str, Person]
) -> None:
    stale = form(waiting)
    workflow.retrieve(waiting, cast["manager"])
    workflow.edit(waiting, cast["manager"], waiting.information | {"city": "Fife"})
    workflow.send(waiting, cast["manager"])
    db.session.commit()
    page = browser("approver").post(f"/approvals/{waiting.id}/accept", stale)
    assert page.status_code == 409
    db.session.expire_all()
    assert waiting.status is Status.READY
    assert waiting.export is None


def test_a_project_that_became_inactive_can_not_be_accepted(
    browser: SignIn, waiting: Project, cast: dict[str, Person]
) -> None:
    workflow.set_active(waiting, cast["manager"], False)
    db.session.commit()
    page = browser("approver").post(f"/approvals/{waiting.id}/accept", form(waiting))
    assert page.status_code == 409
    assert "Retrieved" in page.text


@pytest.mark.parametrize("version", ["", "x", "999", "-1"])
def test_a_post_without_the_right_version_is_refused(browser: SignIn, waiting: Project, version: str) -> None:
    page = browser("approver").post(f"/approvals/{waiting.id}/accept", form(waiting, version=version))
    assert page.status_code == 409
    assert unchanged(waiting)


def test_whoever_came_second_is_shown_the_comment_that_was_typed(browser: SignIn, waiting: Project) -> None:
    typed = {"version": "999", "comment": "The owner <b>changed</b> twice."}
    page = browser("approver").post(f"/approvals/{waiting.id}/reject", typed)
    assert page.status_code == 409
    assert "Your comment: “The owner &lt;b&gt;changed&lt;/b&gt; twice.”" in page.text


def test_a_double_click_on_export_makes_one_export(browser: SignIn, waiting: Project) -> None:
    twice = form(waiting)
    approver = browser("approver")
    answers = [approver.post(f"/approvals/{waiting.id}/accept", twice).status_code for _ in range(2)]
    assert answers == [303, 409]
    assert [event.action for event in waiting.events].count("accepted") == 1


@pytest.mark.parametrize("address", ["", "/accept", "/reject", "/row", "/standing"])
def test_a_get_changes_nothing_however_often(browser: SignIn, waiting: Project, address: str) -> None:
    approver = browser("approver")
    for _ in range(3):
        assert approver.get(f"/approvals/{waiting.id}{address}").status_code == 200
    assert unchanged(waiting)


def test_a_retry_opens_with_the_values_used_and_makes_a_new_export(
    browser: SignIn, waiting: Project, cast: dict[str, Person]
) -> None:
    approver = browser("approver")
    approver.post(f"/approvals/{waiting.id}/accept", form(waiting, customer="WRONG"))
    db.session.expire_all()
    first = waiting.export
    assert first is not None
    first.finish()
    workflow.mark_failed(waiting, "Customer WRONG is invalid.")
    db.session.commit()
    assert 'value="WRONG"' in approver.get(f"/approvals/{waiting.id}/accept").text
    assert approver.post(f"/approvals/{waiting.id}/accept", form(waiting)).status_code == 303
    db.session.expire_all()
    assert waiting.status is Status.EXPORTING
    assert waiting.export is not None
    assert waiting.export.id != first.id
    assert values(waiting.export)["Customer_Code"] == "CASCREST"


def test_sending_saves_first_what_is_typed(browser: SignIn, make_project: Callable[..., Project]) -> None:
    project = make_project()
    typed = {column: value or "" for column, value in project.information.items()}
    data = {"version": project.version, "active": "yes", "note": "Hurry", **typed, "city": "Fife"}
    assert browser("manager").post(f"/admin/projects/{project.id}/send", data).status_code == 303
    db.session.expire_all()
    assert (project.city, project.note, project.status) == ("Fife", "Hurry", Status.READY)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"name": ""}, "Enter the Project Name."),
        ({"number": " "}, "Enter the Project Number."),
        ({"name": "x" * 121}, "121 characters long"),
        ({"start_date": "soon"}, "must be a date"),
        ({"start_date": "2027-02-01", "completion_date": "2027-01-01"}, "before the start date"),
        ({"number": "26-taken"}, "Another project has the number"),
    ],
)
def test_what_is_wrong_with_a_projects_information_is_said_at_its_field(
    browser: SignIn, make_project: Callable[..., Project], changes: dict[str, object], sentence: str
) -> None:
    make_project(number="26-TAKEN")
    project = make_project()
    typed = {column: value or "" for column, value in project.information.items()}
    for address in (f"/admin/projects/{project.id}/send", f"/admin/projects/{project.id}", "/admin/projects"):
        page = browser("manager").post(
            address, {"version": project.version, "active": "yes", **typed, "number": "26-015", **changes}
        )
        assert page.status_code == 422
        assert sentence in page.text
    db.session.expire_all()
    assert project.status is Status.NOT_SENT
    assert project.version == 1


def test_an_edit_on_a_page_that_is_no_longer_true_is_refused(browser: SignIn, waiting: Project) -> None:
    typed = {column: value or "" for column, value in waiting.information.items()}
    page = browser("manager").post(
        f"/admin/projects/{waiting.id}", {"version": waiting.version - 1, "active": "yes", **typed, "city": "Fife"}
    )
    assert page.status_code == 409
    db.session.expire_all()
    assert waiting.city == "Tacoma"


@pytest.mark.parametrize(
    "query", ["filter=nonsense", "page=0", "page=-1", "page=x", "page=99999999999", "sort=evil", "q=%25%5C_", "page=²"]
)
def test_a_parameter_that_makes_no_sense_is_ignored(browser: SignIn, waiting: Project, query: str) -> None:
    assert browser("approver").get(f"/erp/jobs?{query}").status_code == 200
    assert browser("manager").get(f"/admin/projects?{query}").status_code == 200


def test_a_page_past_the_end_is_the_last_page(browser: SignIn, waiting: Project) -> None:
    assert f"/approvals/{waiting.id}" in browser("approver").get("/erp/jobs?page=99").text
    assert f"/admin/projects/{waiting.id}" in browser("manager").get("/admin/projects?page=99").text


@pytest.mark.parametrize("others", [0, 30])
def test_an_acceptance_takes_fourteen_statements_however_many_projects_there_are(
    browser: SignIn, waiting: Project, make_project: Callable[..., Project], others: int
) -> None:
    for n in range(others):
        make_project(number=f"25-{n:03}")
    approver, typed, sent = browser("approver"), form(waiting), list[str]()
    typed["csrf_token"], address = approver.token(), f"/approvals/{waiting.id}/accept"

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if not statement.startswith("BEGIN"):
            sent.append(statement)

    event.listen(db.engine, "before_cursor_execute", note)
    approver.client.post(address, data=typed, headers=ROW)
    event.remove(db.engine, "before_cursor_execute", note)
    assert waiting.status is Status.EXPORTING
    assert len(sent) <= 14, sent


@pytest.mark.parametrize("q", ["26-014", "depot lofts", "DEPOT", "tacoma", "Manager", "lofts 26-0"])
def test_search_finds_number_name_place_and_sender_in_any_case(browser: SignIn, waiting: Project, q: str) -> None:
    page = browser("approver").client.get("/erp/jobs", query_string={"q": q})
    assert f"/approvals/{waiting.id}" in page.text


def test_a_search_that_finds_nothing_says_so(browser: SignIn, waiting: Project) -> None:
    page = browser("approver").client.get("/erp/jobs", query_string={"q": "no such thing"})
    assert "Nothing matches" in page.text


@pytest.mark.parametrize("place", ["row", "standing"])
def test_how_an_export_ended_is_said_once_it_has(
    browser: SignIn, waiting: Project, cast: dict[str, Person], template: Job, place: str
) -> None:
    lines = compose(waiting.information, {}, {"Job_Number": "26-014"})
    workflow.accept(waiting, cast["approver"], lines, template, "HB")
    db.session.commit()
    approver, address = browser("approver"), f"/approvals/{waiting.id}/{place}?was=Exporting"
    assert "HX-Trigger" not in approver.get(address).headers
    workflow.mark_failed(waiting, "Spectrum refused to create the job: City: Too long.")
    db.session.commit()
    said = approver.get(address).headers["HX-Trigger"]
    assert f"{waiting.title} could not be exported. Spectrum refused to create the job: City: Too long." in said


def test_sixty_reasons_of_a_refusal_fit_into_an_answer(
    browser: SignIn, waiting: Project, cast: dict[str, Person], template: Job
) -> None:
    """A server or proxy drops an answer with a long header, and the row would stay Exporting."""
    workflow.accept(
        waiting, cast["approver"], compose(waiting.information, {}, {"Job_Number": "26-014"}), template, "HB"
    )
    assert waiting.export
    waiting.export.field_errors = [["", f"Reason {number} ☐"] for number in range(60)]
    waiting.export.error = " ".join(text for _, text in waiting.export.field_errors)
    workflow.mark_failed(waiting, waiting.export.error)
    db.session.commit()
    row = browser("approver").get(f"/approvals/{waiting.id}/row?was=Exporting")
    assert "Reason 0" in row.headers["HX-Trigger"]
    assert max(len(value) for _, value in row.headers) < 4000
    assert "Reason 59 ☐" in row.text


def test_what_somebody_did_meanwhile_is_said_in_whole_sentences(
    browser: SignIn, waiting: Project, cast: dict[str, Person], template: Job
) -> None:
    lines = compose(waiting.information, {}, {"Job_Number": "26-014"})
    workflow.accept(waiting, cast["approver"], lines, template, "HB")
    workflow.cancel_export(waiting, cast["controller"])
    db.session.commit()
    page = browser("approver").get(f"/approvals/{waiting.id}").text
    assert "<b>Controller</b> took it back" in page
    assert "<b>Manager</b> sent it to accounting" in page
    said = browser("approver").get(f"/approvals/{waiting.id}/row?was=Exporting").headers["HX-Trigger"]
    assert f"{waiting.title} is waiting for accounting: Controller took it back less than a minute ago." in said


def test_who_says_that_it_is_not_in_spectrum_is_not_said_to_have_failed(
    browser: SignIn, waiting: Project, cast: dict[str, Person], template: Job
) -> None:
    lines = compose(waiting.information, {}, {"Job_Number": "26-014"})
    workflow.accept(waiting, cast["approver"], lines, template, "HB")
    export = waiting.export
    workflow.mark_unknown(waiting, "Spectrum did not answer.")
    export.checks = 2
    db.session.commit()
    workflow.resolve(waiting, cast["controller"], exists=False, comment="I looked")
    db.session.commit()
    page = browser("approver").get(f"/approvals/{waiting.id}").text
    assert "<b>Controller</b> did not find it in Spectrum" in page
    assert "<b>Countersign</b> began to look for it in Spectrum" in page


def test_a_failed_project_with_another_job_says_what_comes_before_retry(
    browser: SignIn, waiting: Project, cast: dict[str, Person], template: Job
) -> None:
    lines = compose(waiting.information, {}, {"Job_Number": "26-014"})
    workflow.accept(waiting, cast["approver"], lines, template, "HB")
    export = waiting.export
    export.conflicting_job = {"Job_Number": "26-014"}
    workflow.mark_failed(waiting, "Job 26-014 already exists in Spectrum and is not this project.", keep_job=True)
    db.session.commit()
    approver = browser("approver")
    for panel in ("accept", "reject"):
        answer = approver.get(f"/approvals/{waiting.id}/{panel}")
        assert (answer.status_code, "Press Link to it instead, or Not ours, first." in answer.text) == (409, True)


@pytest.mark.parametrize("active", [True, False])
def test_a_rejection_says_that_the_sender_is_told_only_where_that_is_so(
    browser: SignIn, waiting: Project, cast: dict[str, Person], active: bool
) -> None:
    cast["manager"].active = active
    db.session.commit()
    approver = browser("approver")
    there = approver.post(f"/approvals/{waiting.id}/reject", {"version": waiting.version, "comment": "No"}).location
    page = approver.get(there).text
    assert "It is editable again" in page
    assert ("the sender is notified by email" in page) is active


@pytest.mark.parametrize(
    ("messages", "lines"),
    [
        ([["City", "Too long."]], ["Spectrum refused to create the job: City: Too long."]),
        (
            [["City", "Too long."], ["State", "Unknown."]],
            ["Spectrum refused to create the job.", "City: Too long.", "State: Unknown."],
        ),
    ],
)
def test_why_spectrum_refused_is_said_once(
    browser: SignIn,
    waiting: Project,
    cast: dict[str, Person],
    template: Job,
    messages: list[list[str]],
    lines: list[str],
) -> None:
    sent = compose(waiting.information, {}, {"Job_Number": "26-014"})
    workflow.accept(waiting, cast["approver"], sent, template, "HB")
    export = waiting.export
    told = "; ".join(": ".join(each) for each in messages)
    export.error, export.field_errors = f"Spectrum refused to create the job: {told}", messages
    workflow.mark_failed(waiting, export.error)
    export.finish()
    db.session.commit()
    page = html.fromstring(browser("approver").get("/erp/jobs?filter=failed-to-export").text)
    said = page.xpath('//tbody//*[@class="cause" or self::li]')
    assert [each.text_content() for each in said] == lines
