"""The accept form: which job templates are offered and in what order, and what a template brings along."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from lxml import html
from support.fake_erp import FakeERP
from support.jobs import keep_job, prove_job_list

from erp import Customer, rules
from extensions import db
from models import Job, Person, Project, Setting, SettingName, Transition
from services import accept_form, workflow
from services.accept_form import AcceptForm
from tasks import job_list

ProjectMaker = Callable[..., Project]
TYPED = {"job_number": "26-900", "job_name": "Depot", "taxable": "Y", "price_type": "F"}


def keep(number: str, status: str = "A", **marks: Any) -> Job:
    job = keep_job({"Job_Number": number, "Job_Description": f"Job {number}", "Status_Code": status})
    for column, value in marks.items():
        setattr(job, column, value)
    db.session.commit()
    return job


def offered(by: Person) -> list[str]:
    return [job.number for jobs in accept_form.template_groups(by).values() for job in jobs]


def filled(project: Project, template: str, **typed: str) -> AcceptForm:
    return accept_form.from_form(project, {"template": template, **TYPED, **typed})


def sources(form: AcceptForm) -> Mapping[str, tuple[str, str]]:
    return {line.key: (line.value, line.source) for line in form.lines}


@pytest.fixture
def waiting(make_project: ProjectMaker, cast: dict[str, Person]) -> Project:
    project = make_project()
    workflow.send(project, cast["manager"])
    db.session.commit()
    return project


# which jobs are offered


def test_every_active_job_is_offered_until_somebody_marks_some(cast: dict[str, Person]) -> None:
    for number, status in (("A-1", "A"), ("I-1", "I"), ("C-1", "C")):
        keep(number, status)
    assert offered(cast["approver"]) == ["A-1"]


def test_once_some_are_marked_only_those_are_offered_and_inactive_ones_may_be_among_them(
    cast: dict[str, Person],
) -> None:
    keep("A-1")
    keep("A-2", is_template=True)
    keep("I-1", "I", is_template=True)
    keep("C-1", "C", is_template=True)
    assert offered(cast["approver"]) == ["A-2", "I-1"]
    assert list(accept_form.template_groups(cast["approver"])) == ["Templates"]


def test_a_job_that_spectrum_no_longer_lists_is_not_offered(cast: dict[str, Person]) -> None:
    keep("A-1", removed_at=db.func.now())
    assert offered(cast["approver"]) == []


def test_the_templates_that_this_approver_used_lately_are_offered_first_and_the_last_one_is_chosen(
    cast: dict[str, Person], waiting: Project, make_project: ProjectMaker
) -> None:
    for number in ("A-1", "A-2", "A-3"):
        keep(number)
    for number, approver, template in (("1", "approver", "A-2"), ("2", "approver", "A-3"), ("3", "controller", "A-1")):
        project = make_project(number=number)
        workflow.send(project, cast["manager"])
        form = filled(project, template, job_number=f"26-90{number}")
        assert form.check() and form.template
        workflow.accept(project, cast[approver], form.lines, form.template, "HB")
    db.session.commit()
    assert offered(cast["approver"]) == ["A-3", "A-2", "A-1"]
    assert list(accept_form.template_groups(cast["approver"])) == ["Used Lately", "All Jobs"]
    chosen = {name: accept_form.initial(waiting, cast[name]).template for name in ("approver", "controller", "clerk")}
    assert {name: job and job.number for name, job in chosen.items()} == {
        "approver": "A-3",
        "controller": "A-1",
        "clerk": None,
    }
    assert offered(cast["controller"]) == ["A-1", "A-2", "A-3"]
    assert offered(cast["clerk"]) == ["A-1", "A-2", "A-3"]


def test_the_select_begins_with_choose_one_and_it_is_chosen(
    browser: Callable[[str], Any], waiting: Project, template: Job
) -> None:
    keep("A-1")
    page = html.fromstring(browser("approver").get(f"/approvals/{waiting.id}/accept").text)
    options = page.xpath('//select[@name="template"]//option')
    assert [option.text for option in options] == ["Choose one …", "A-1 Job A-1", "T-COMM Template Commercial"]
    assert not page.xpath('//select[@name="template"]//option[@selected]')


@pytest.mark.parametrize("address", ["/approvals/{}/accept", "/erp/together/accept?project={}"])
def test_the_only_template_is_chosen_already_and_has_brought_its_values(
    browser: Callable[[str], Any], waiting: Project, template: Job, address: str
) -> None:
    template.taxable = "N"
    db.session.commit()
    page = html.fromstring(browser("approver").get(address.format(waiting.id)).text)
    assert page.xpath('//select[@name="template"]//option[@selected]/@value') == ["T-COMM"]
    assert page.xpath('//input[@name="template_shown"]/@value') == ["T-COMM"]
    assert page.xpath('//input[@name="customer"]/@value') == ["CASCREST"]
    assert page.xpath('//input[@name="taxable"][@checked]/@value') == ["N"]
    assert page.xpath('//select[@name="price_type"]/option[@selected]/@value') == ["F"]


def test_a_job_that_is_not_offered_is_not_taken_as_a_template(
    browser: Callable[[str], Any], waiting: Project, template: Job
) -> None:
    keep("A-1")
    keep("A-2", is_template=True)
    form = {"template": "A-1", "version": waiting.version, **TYPED}
    answer = browser("approver").post(f"/approvals/{waiting.id}/accept", form)
    assert answer.status_code == 422
    assert "Select a job template." in answer.text
    assert waiting.allows(Transition.ACCEPT)


def test_a_retry_does_not_begin_with_a_template_that_is_no_longer_offered(
    waiting: Project, template: Job, cast: dict[str, Person]
) -> None:
    form = filled(waiting, "T-COMM")
    assert form.template
    workflow.accept(waiting, cast["approver"], form.lines, form.template, "HB")
    workflow.mark_failed(waiting, "Spectrum did not accept the job.")
    db.session.commit()
    assert accept_form.initial(waiting).template == template
    keep("A-1", is_template=True)
    assert accept_form.initial(waiting).template is None


# what a template brings along


def test_a_template_brings_its_remembered_taxable_where_nobody_touched_it(waiting: Project) -> None:
    keep("A-1", taxable="N")
    assert filled(waiting, "A-1", taxable="").typed["taxable"] == "N"


def test_a_taxable_that_somebody_chose_stays(waiting: Project) -> None:
    keep("A-1", taxable="N")
    assert filled(waiting, "A-1", taxable="Y").typed["taxable"] == "Y"


def test_a_remembered_taxable_follows_to_another_template(waiting: Project) -> None:
    keep("A-1", taxable="N")
    keep("A-2", taxable="Y")
    keep("A-3")
    assert filled(waiting, "A-2", template_shown="A-1", taxable="N").typed["taxable"] == "Y"
    assert filled(waiting, "A-3", template_shown="A-1", taxable="N").typed["taxable"] == ""
    assert filled(waiting, "A-2", template_shown="A-1", taxable="Y").typed["taxable"] == "Y"


def test_a_remembered_taxable_goes_to_spectrum_as_a_template_setting_and_another_one_as_the_approvers(
    waiting: Project,
) -> None:
    keep("A-1", taxable="N")
    assert sources(filled(waiting, "A-1", taxable=""))["Taxable_Flag"] == ("N", "fixed")
    assert sources(filled(waiting, "A-1", taxable="Y"))["Taxable_Flag"] == ("Y", "approver")


def test_a_template_without_a_remembered_taxable_leaves_the_question_to_the_approver(waiting: Project) -> None:
    keep("A-1")
    form = filled(waiting, "A-1", taxable="")
    assert not form.check()
    assert form.errors["taxable"] == "Choose Yes or No."


def test_the_radio_button_of_the_remembered_taxable_is_checked_when_the_template_is_shown(
    browser: Callable[[str], Any], waiting: Project
) -> None:
    keep("A-1", taxable="N")
    form = {"template": "A-1", "template_shown": "", "show": "yes", "version": waiting.version}
    page = html.fromstring(browser("approver").post(f"/approvals/{waiting.id}/accept", form).text)
    assert page.xpath('//input[@name="taxable"][@checked]/@value') == ["N"]


def test_a_templates_fixed_values_go_to_spectrum_as_template_settings(
    browser: Callable[[str], Any], waiting: Project
) -> None:
    keep("A-1", defaults={"Tax_Class_Code": "EXEMPT", "Certified_Flag": "Y"})
    form = filled(waiting, "A-1")
    assert form.check()
    assert sources(form)["Tax_Class_Code"] == ("EXEMPT", "fixed")
    assert sources(form)["Certified_Flag"] == ("Y", "fixed")
    preview = browser("approver").post(f"/approvals/{waiting.id}/preview", {"template": "A-1"}).text
    rows = [[cell.text for cell in row] for row in html.fromstring(preview).xpath("//tbody/tr")]
    assert ["Tax Class Code", "EXEMPT", "Template setting"] in rows


def test_a_fixed_value_never_stands_in_for_what_the_project_says(waiting: Project) -> None:
    keep("A-1", defaults={"City": "Olympia", "Taxable_Flag": "N"})
    form = filled(waiting, "A-1")
    assert sources(form)["City"] == ("Tacoma", "project")
    assert sources(form)["Taxable_Flag"][0] == "Y"


def test_no_fixed_value_can_be_set_for_what_the_project_the_approver_or_the_connection_gives() -> None:
    fixable = {each.key for each in rules().default_fields}
    assert {"Tax_Class_Code", "Job_Type", "Certified_Flag", "Work_State_Tax_Code", "UDF20"} <= fixable
    given = {"Job_Number", "Job_Description", "Taxable_Flag", "City", "Phone", "Est_Start_Date", "Customer_Code"}
    one_jobs_own = {"Contract_Number", "Original_Contract", "Status_Code", "Standard_Phase_Category", "Start_Date"}
    assert not fixable & (given | one_jobs_own | {"Authorization_ID", "GUID", "Company_Code"})


# suggestions, and the number while it is typed


def test_customers_divisions_and_cost_centers_are_suggested_from_the_job_list(
    browser: Callable[[str], Any], waiting: Project, template: Job
) -> None:
    keep("A-1", customer_code="ALDERPINE", division="2")
    keep("A-2", customer_code="GONE", removed_at=db.func.now())
    page = html.fromstring(browser("approver").get(f"/approvals/{waiting.id}/accept").text)
    suggested = {
        name: page.xpath(f'//datalist[@id="{page.xpath(f"//input[@name={name!r}]/@list")[0]}"]/option/@value')
        for name in ("customer", "division", "cost_center")
    }
    expected = {"customer": ["ALDERPINE", "CASCREST"], "division": ["1", "2"], "cost_center": ["TACOMA"]}
    assert suggested == expected


@pytest.mark.parametrize(
    ("number", "sentence"),
    [("26-900", "26-900 is free."), ("t-comm", "Spectrum already has job T-COMM"), ("26/9", "only letters")],
)
def test_free_or_taken_is_said_while_typing(
    browser: Callable[[str], Any], waiting: Project, template: Job, number: str, sentence: str
) -> None:
    prove_job_list()
    db.session.commit()
    address = f"/approvals/{waiting.id}/number"
    assert sentence in browser("approver").client.get(address, query_string={"job_number": number}).text


def test_a_taken_number_offers_the_next_one_and_the_link(
    browser: Callable[[str], Any], waiting: Project, template: Job
) -> None:
    Setting.write(SettingName.PATTERN, "J-##")
    keep("J-07", "C")
    page = browser("approver").get(f"/approvals/{waiting.id}/number?job_number=J-07").text
    assert "Spectrum already has job J-07 Job J-07 (complete)." in page
    assert 'data-use="J-08">Use J-08</button>' in page
    assert f'href="/approvals/{waiting.id}/link?job=J-07"' in page


def test_the_number_that_the_form_opens_with_is_judged_at_once_in_a_status(
    browser: Callable[[str], Any], waiting: Project, template: Job
) -> None:
    keep("26-014")
    page = html.fromstring(browser("approver").get(f"/approvals/{waiting.id}/accept").text)
    said = " ".join(each.text_content() for each in page.xpath('//form[contains(@class, "accept")]//*[@role="status"]'))
    assert "Spectrum already has job 26-014" in said


def test_a_taken_number_is_refused_at_the_field(browser: Callable[[str], Any], waiting: Project, template: Job) -> None:
    keep("26-014")
    form = {"template": "T-COMM", "version": waiting.version, **TYPED, "job_number": "26-014"}
    answer = browser("approver").post(f"/approvals/{waiting.id}/accept", form)
    assert answer.status_code == 422
    page = html.fromstring(answer.text)
    assert page.xpath('//input[@name="job_number"]/@aria-invalid') == ["true"]
    assert answer.text.count("Spectrum already has job 26-014") == 1


# customers


@pytest.mark.parametrize(
    ("typed", "code", "note"),
    [
        ("CASCREST", "CASCREST", "Cascade Crest"),
        ("Harbor Lite Homes", "HARBLITE", "HARBLITE Harbor Lite Homes is inactive in Spectrum."),
        ("NOBODY", "NOBODY", "Spectrum's customer list has no NOBODY."),
    ],
)
def test_a_customer_is_known_by_code_or_name_and_an_odd_one_is_warned_of(
    waiting: Project, erp: FakeERP, typed: str, code: str, note: str
) -> None:
    erp.keep({"Job_Number": "A-1", "Customer_Code": "CASCREST"})
    erp.kept_customers = [
        Customer("CASCREST", "Cascade Crest", "N"),
        Customer("HARBLITE", "Harbor Lite Homes", active=False),
    ]
    job_list.refresh(erp)
    form = filled(waiting, "A-1", customer=typed)
    assert form.typed["customer"] == code
    assert note in form.customer_note


@pytest.mark.parametrize(("template", "expected"), [("", "N"), ("Y", "Y")])
def test_taxable_begins_with_the_customers_standard_where_the_template_does_not_say(
    waiting: Project, erp: FakeERP, template: str, expected: str
) -> None:
    erp.keep({"Job_Number": "A-1", "Customer_Code": "CASCREST"})
    erp.kept_customers = [Customer("CASCREST", "Cascade Crest", "N")]
    job_list.refresh(erp)
    Job.by_number("A-1").taxable = template  # type: ignore[union-attr]
    db.session.commit()
    assert accept_form.initial(waiting).typed["taxable"] == expected


def test_without_the_list_of_customers_their_names_are_those_of_the_jobs(waiting: Project, erp: FakeERP) -> None:
    erp.keep({"Job_Number": "A-1", "Customer_Code": "CASCREST", "Customer_Name": "Cascade Crest"})
    erp.missing = {"GetCustomers"}
    job_list.refresh(erp)
    assert filled(waiting, "A-1", customer="CASCREST").customer_note == "Cascade Crest"
    assert filled(waiting, "A-1", customer="NOBODY").customer_note == ""
