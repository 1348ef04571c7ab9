"""ERP settings: who may open them, pause and resume, job templates, job numbers, the connection, and whose database."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import ENVIRON, ROOT, free_port
from flask import Flask
from lxml import html
from sqlalchemy import select
from support.fake_erp import FakeERP
from support.jobs import compose, keep_job

from config import SettingsError
from extensions import db
from maintenance import startup_checks
from models import Event, Job, Person, Project, Setting, SettingName, Status, TaskKind, TaskRequest
from services import workflow
from tasks import erp_connection, exports, job_list

SignIn = Callable[[str], Any]
ADDRESS = "/erp/settings"


def page(browser: Any, address: str = ADDRESS) -> Any:
    answer = browser.get(address)
    assert answer.status_code == 200, answer.text
    return html.fromstring(answer.text)


def text(element: Any) -> str:
    return " ".join(element.text_content().split())


def company_wide() -> list[Event]:
    """The events that are about no project and no person, the latest first."""
    db.session.expire_all()
    about_nobody = select(Event).where(Event.project_id.is_(None), Event.subject_id.is_(None))
    return list(db.session.scalars(about_nobody.order_by(Event.id.desc())))


@pytest.fixture
def accepted(make_project: Callable[..., Project], cast: dict[str, Person], template: Job) -> Project:
    project = make_project()
    workflow.send(project, cast["manager"])
    typed = {"Job_Number": project.number, "Job_Description": "Depot", "Taxable_Flag": "Y", "Price_Method_Code": "F"}
    workflow.accept(project, cast["approver"], compose(project.information, template.row, typed), template, "HB")
    db.session.commit()
    return project


# who may


@pytest.mark.parametrize("name", ["approver", "onlooker", "clerk"])
def test_settings_need_erp_admin(browser: SignIn, name: str) -> None:
    assert browser(name).get(ADDRESS).status_code == 403


@pytest.mark.parametrize("action", ["pause", "resume", "test", "refresh", "numbers"])
def test_no_setting_is_changed_without_erp_admin(browser: SignIn, action: str) -> None:
    answer = browser("approver").post(f"{ADDRESS}/{action}", {"pattern": "YY-###"})
    assert answer.status_code == 403
    assert company_wide() == []
    assert not Setting.read(SettingName.PAUSED) and not Setting.read(SettingName.PATTERN)


def test_the_tab_settings_is_there_for_erp_admins_only(browser: SignIn) -> None:
    tabs = '//nav[@class="tabs"]/a'
    assert "Settings" in [tab.text for tab in page(browser("controller"), "/erp/jobs").xpath(tabs)]
    assert "Settings" not in [tab.text for tab in page(browser("approver"), "/erp/jobs").xpath(tabs)]
    chosen = page(browser("controller")).xpath(f'{tabs}[@aria-current="page"]')
    assert [tab.text for tab in chosen] == ["Settings"]


# pause and resume


def test_while_paused_nothing_is_exported_and_after_resume_it_is(
    browser: SignIn, accepted: Project, erp: FakeERP
) -> None:
    controller = browser("controller")
    assert controller.post(f"{ADDRESS}/pause").status_code == 303
    exports.run_due(erp)
    assert (accepted.status, erp.calls) == (Status.EXPORTING, [])
    assert controller.post(f"{ADDRESS}/resume").status_code == 303
    exports.run_due(erp)
    db.session.expire_all()
    assert accepted.status is Status.SYNCED


def test_while_paused_every_erp_page_says_who_paused(
    browser: SignIn, accepted: Project, make_project: Callable[..., Project], cast: dict[str, Person], template: Job
) -> None:
    controller = browser("controller")
    waiting = make_project(number="26-015")
    workflow.send(waiting, cast["manager"])
    db.session.commit()
    pages = ["/erp/jobs", "/erp/jobs?filter=synced", ADDRESS, f"/approvals/{accepted.id}"]
    pages += [f"/erp/together/reject?project={waiting.id}", f"/erp/jobs/{template.id}/link"]
    assert not any("Exports are paused" in controller.get(address).text for address in pages)
    controller.post(f"{ADDRESS}/pause")
    for address in pages:
        assert "Exports are paused: Controller paused them" in text(page(controller, address)), address
    assert "Exports are paused" in browser("manager").get(f"/approvals/{accepted.id}").text
    controller.post(f"{ADDRESS}/resume")
    assert not any("Exports are paused" in controller.get(address).text for address in pages)


def test_the_page_offers_pause_or_resume_but_never_both(browser: SignIn) -> None:
    controller = browser("controller")
    assert [_has(controller, word) for word in ("Pause Exports", "Resume")] == [True, False]
    controller.post(f"{ADDRESS}/pause")
    assert [_has(controller, word) for word in ("Pause Exports", "Resume")] == [False, True]


def _has(browser: Any, button: str) -> bool:
    return bool(page(browser).xpath(f"//button[normalize-space()='{button}']"))


def test_pausing_and_resuming_are_events_and_doing_it_twice_is_one(browser: SignIn, cast: dict[str, Person]) -> None:
    controller = browser("controller")
    for action in ("pause", "pause", "resume", "resume"):
        assert controller.post(f"{ADDRESS}/{action}").status_code == 303
    events = [(event.action, event.person) for event in company_wide()]
    assert events == [("resumed exports", cast["controller"]), ("paused exports", cast["controller"])]


# job templates


def test_an_admin_marks_a_template_and_says_what_holds_for_it(browser: SignIn, template: Job) -> None:
    controller = browser("controller")
    form = {"is_template": "yes", "taxable": "N", "copy_phases": "yes", "Tax_Class_Code": " EXEMPT ", "Job_Type": ""}
    assert controller.post(f"{ADDRESS}/templates/{template.id}", form).status_code == 303
    db.session.refresh(template)
    marks = (template.is_template, template.taxable, template.copy_phases, template.defaults)
    assert marks == (True, "N", True, {"Tax_Class_Code": "EXEMPT"})
    event = company_wide()[0]
    assert event.action == "changed job template T-COMM"
    assert event.details["changes"] == [
        ["Offered as a job template", "no", "yes"],
        ["Taxable", "Ask each time", "No"],
        ["Copies its phases", "no", "yes"],
        ["Tax Class Code", "", "EXEMPT"],
    ]


def test_the_edit_form_shows_what_holds_and_saving_it_unchanged_is_no_event(browser: SignIn, template: Job) -> None:
    template.is_template, template.taxable, template.defaults = True, "Y", {"UDF3": "north"}
    db.session.commit()
    controller = browser("controller")
    form = page(controller, f"{ADDRESS}/templates/{template.id}").xpath('//form[contains(@class, "card")]')[0]
    assert form.fields["is_template"] == "yes"
    assert form.fields["taxable"] == "Y"
    assert form.fields["UDF3"] == "north"
    assert controller.post(f"{ADDRESS}/templates/{template.id}", dict(form.form_values())).status_code == 303
    assert company_wide() == []
    db.session.refresh(template)
    assert (template.is_template, template.defaults) == (True, {"UDF3": "north"})


def test_a_fixed_value_that_spectrum_would_refuse_is_said_at_its_field(browser: SignIn, template: Job) -> None:
    form = {"is_template": "yes", "Certified_Flag": "maybe", "Work_State_Tax_Code": "WA", "Work_County_Tax_Code": "wa"}
    answer = browser("controller").post(f"{ADDRESS}/templates/{template.id}", form)
    assert answer.status_code == 422
    shown = html.fromstring(answer.text)
    invalid = shown.xpath('//input[@aria-invalid="true"]')
    assert [field.get("name") for field in invalid] == ["Certified_Flag", "Work_County_Tax_Code"]
    assert text(shown.get_element_by_id("Certified_Flag-problem")) == "Certified Flag must be one of Y, N."
    assert invalid[0].value == "maybe"
    db.session.refresh(template)
    assert not template.is_template


def test_an_element_that_is_not_a_templates_to_fix_is_ignored(browser: SignIn, template: Job) -> None:
    form = {"Job_Number": "X", "Standard_Phase_Category": "X", "Authorization_ID": "X", "taxable": "perhaps"}
    assert browser("controller").post(f"{ADDRESS}/templates/{template.id}", form).status_code == 303
    db.session.refresh(template)
    assert (template.defaults, template.taxable) == ({}, "")


def test_the_list_shows_marked_templates_and_the_search_finds_others(browser: SignIn, template: Job) -> None:
    for number, status in (("26-001", "A"), ("26-002", "I"), ("26-003", "C")):
        keep_job({"Job_Number": number, "Job_Description": "Depot", "Status_Code": status})
    template.is_template = True
    db.session.commit()
    controller = browser("controller")
    assert _jobs(page(controller)) == ["T-COMM"]
    assert _jobs(page(controller, f"{ADDRESS}?q=depot")) == ["T-COMM", "26-001", "26-002"]
    assert "matches “100%”" in text(page(controller, f"{ADDRESS}?q=100%25"))


def _jobs(shown: Any) -> list[str]:
    return [cell.text for cell in shown.xpath('//tbody//td[@class="number"]')]


def test_a_template_that_does_not_exist_is_not_found(browser: SignIn) -> None:
    assert browser("controller").get(f"{ADDRESS}/templates/4711").status_code == 404


# job numbers


def test_an_admin_sets_the_job_number_pattern_and_it_is_an_event(browser: SignIn) -> None:
    controller = browser("controller")
    assert controller.post(f"{ADDRESS}/numbers", {"pattern": " YY-### "}).status_code == 303
    db.session.expire_all()
    assert Setting.read(SettingName.PATTERN) == "YY-###"
    assert page(controller).get_element_by_id("pattern").value == "YY-###"
    assert company_wide()[0].details["changes"] == [["Job Number Pattern", "", "YY-###"]]
    controller.post(f"{ADDRESS}/numbers", {"pattern": "YY-###"})
    assert len(company_wide()) == 1


def test_a_pattern_that_can_not_be_used_is_said_at_the_field(browser: SignIn) -> None:
    answer = browser("controller").post(f"{ADDRESS}/numbers", {"pattern": "YYYY"})
    assert answer.status_code == 422
    field = html.fromstring(answer.text).get_element_by_id("pattern")
    assert (field.value, field.get("aria-invalid")) == ("YYYY", "true")
    assert not Setting.read(SettingName.PATTERN)


# the connection


def _connection(browser: Any) -> str:
    return text(page(browser, f"{ADDRESS}/connection"))


def test_before_the_first_contact_it_is_not_connected(browser: SignIn) -> None:
    said = _connection(browser("controller"))
    assert "Not Connected Spectrum has not been spoken to yet." in said
    assert "Last error none" in said


def test_the_page_says_connected_since_when_and_the_last_error(browser: SignIn) -> None:
    fake = FakeERP()
    erp, controller = erp_connection.MonitoredERP(fake), browser("controller")
    erp.list_jobs()
    assert "Status Connected since" in _connection(controller)
    fake.reachable = False
    erp.create_job([])
    said = _connection(controller)
    assert "Status Not Connected since" in said
    assert "Last error Spectrum could not be reached" in said


def test_spectrum_that_is_not_set_up_is_said(browser: SignIn, app: Flask) -> None:
    app.config["SPECTRUM_URL"] = ""
    assert "Not Connected Spectrum is not set up: SPECTRUM_URL is missing." in _connection(browser("controller"))


def test_the_page_never_shows_what_is_secret(browser: SignIn, app: Flask) -> None:
    secrets = {"SPECTRUM_AUTHORIZATION_ID": "AUTH-4711", "SPECTRUM_CLIENT_SECRET": "client-secret-4711"}
    app.config.update(secrets, SPECTRUM_URL="https://name:word-4711@spectrum.example.com:8482")
    shown = browser("controller").get(ADDRESS).text
    assert "spectrum.example.com:8482" in shown
    assert "4711" not in shown


@pytest.mark.parametrize(("action", "kind"), [("test", "test connection"), ("refresh", "refresh")])
def test_what_is_asked_for_becomes_one_errand_while_one_waits(browser: SignIn, action: str, kind: str) -> None:
    controller = browser("controller")
    for _ in range(2):
        assert controller.post(f"{ADDRESS}/{action}").status_code == 303
    waiting = db.session.scalars(select(TaskRequest)).all()
    assert [(errand.kind, errand.asked_by.name) for errand in waiting if errand.asked_by] == [(kind, "Controller")]


def test_the_connection_keeps_asking_until_the_errand_is_done_and_then_announces_its_answer(browser: SignIn) -> None:
    controller = browser("controller")
    controller.post(f"{ADDRESS}/test")
    waiting = controller.get(f"{ADDRESS}/connection")
    assert 'hx-trigger="every 1s"' in waiting.text
    assert "HX-Trigger" not in waiting.headers
    errand = TaskRequest.last(TaskKind.TEST_CONNECTION)
    assert errand
    errand.succeeded, errand.answer = False, "1 of Spectrum's 5 services can't be used as they are.\nAddJob: Gone."
    errand.release()
    db.session.commit()
    done = controller.get(f"{ADDRESS}/connection")
    assert "hx-trigger" not in done.text
    assert "1 of Spectrum's 5 services can't be used as they are." in done.headers["HX-Trigger"]
    assert [text(line) for line in html.fromstring(done.text).xpath("//li")][-1:] == ["AddJob: Gone."]


def test_the_page_says_when_the_job_list_was_read_and_how_often(browser: SignIn, app: Flask) -> None:
    app.config["SPECTRUM_REFRESH"] = "every-4-hours"
    assert "Not loaded yet; refreshed every 4 hours." in _connection(browser("controller"))
    job_list.refresh(FakeERP({"Job_Number": "26-001"}))
    assert "Read less than a minute ago; refreshed every 4 hours. 1 job" in _connection(browser("controller"))


# whose database it is


@pytest.fixture
def foreign(accepted: Project, app: Flask) -> Project:
    """A project that is a job of company HB, where the settings now name another."""
    app.config["SPECTRUM_COMPANY_CODE"] = "XY"
    return accepted


def test_a_database_with_jobs_of_another_company_is_refused_with_a_sentence(foreign: Project) -> None:
    with pytest.raises(SettingsError, match=r"SPECTRUM_COMPANY_CODE is XY.* company HB"):
        startup_checks.refuse_other_company()


def test_a_database_with_jobs_of_this_company_is_served(accepted: Project) -> None:
    startup_checks.refuse_other_company()


def test_a_database_is_served_while_no_spectrum_is_set_up(accepted: Project, app: Flask) -> None:
    app.config["SPECTRUM_COMPANY_CODE"] = ""
    startup_checks.refuse_other_company()


def test_a_project_that_let_its_job_go_binds_nobody(foreign: Project) -> None:
    workflow.mark_failed(foreign, "Spectrum did not accept the job.")
    db.session.commit()
    startup_checks.refuse_other_company()


@pytest.mark.parametrize("command", [["exports", "run"], ["jobs", "refresh"], ["spectrum", "check"]])
def test_a_command_that_speaks_to_spectrum_is_refused_too(foreign: Project, app: Flask, command: list[str]) -> None:
    result = app.test_cli_runner().invoke(args=command)
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: SPECTRUM_COMPANY_CODE is XY")


def test_the_server_does_not_start_on_another_companys_database(accepted: Project, environ: dict[str, str]) -> None:
    result = start(environ | {"SPECTRUM_COMPANY_CODE": "XY"})
    assert result.returncode != 0
    assert "\nError: SPECTRUM_COMPANY_CODE is XY, but this database holds projects" in result.stderr
    assert "Traceback" not in result.stderr


def start(environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [Path(sys.executable).parent / "gunicorn", "--config", "gunicorn.conf.py", "app:create_app()"]
    settings = environ | {"PORT": str(free_port()), "PATH": "/usr/bin:/bin"}
    return subprocess.run(command, cwd=ROOT, env=settings, capture_output=True, text=True, timeout=60, check=False)


def test_another_companys_database_can_still_be_upgraded(accepted: Project, environ: dict[str, str]) -> None:
    command = [Path(sys.executable).parent / "flask", "--app", "app", "db", "upgrade"]
    settings = ENVIRON | environ | {"SPECTRUM_COMPANY_CODE": "XY", "PATH": "/usr/bin:/bin"}
    assert subprocess.run(command, cwd=ROOT, env=settings, capture_output=True, timeout=60, check=False).returncode == 0


def test_since_when_is_said_on_the_companys_clock(browser: SignIn) -> None:
    Setting.write(SettingName.CONTACT, {"connected": True, "since": "2026-03-09T14:05:00+00:00"})
    db.session.commit()
    assert "Connected since Mar 9, 2026, 7:05 AM" in _connection(browser("controller"))


def test_a_setting_says_which_fields_an_acceptance_must_fill(
    browser: SignIn, make_project: Callable[..., Project], cast: dict[str, Person], template: Job
) -> None:
    project = make_project()
    workflow.send(project, cast["manager"])
    db.session.commit()
    controller = browser("controller")
    form = {"version": project.version, "template": "T-COMM", "template_shown": "T-COMM", "job_number": "26-014"}
    form |= {"job_name": "Depot", "taxable": "Y", "price_type": "F", "show": "yes", "customer": "", "division": "1"}
    assert "must" in controller.get("/erp/settings").text
    assert controller.post("/erp/settings/required", {"customer": "yes", "job_number": "yes"}).status_code == 303
    assert Setting.read(SettingName.REQUIRED) == ["customer"]
    assert "changed the required fields" in controller.get("/erp/settings").text
    del form["show"]
    refused = controller.post(f"/approvals/{project.id}/accept", form)
    assert refused.status_code == 422
    assert "Customer is missing. Your company requires it." in refused.text
    controller.post("/erp/settings/required", {})
    assert controller.post(f"/approvals/{project.id}/accept", form).status_code == 303
