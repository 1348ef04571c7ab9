"""The first day: what is left to do is said with its page or its command, and nothing is said that is not true."""

from collections.abc import Callable

import pytest
from conftest import Browser
from flask import Flask
from lxml import html
from sqlalchemy import delete

from extensions import db
from models import Event, Job, Level, Person, Project, Setting, SettingName
from services import workflow

SignIn = Callable[[str], Browser]


def steps(browser: Browser) -> dict[str, str]:
    page = html.fromstring(browser.get("/setup").text)
    heads = [" ".join(head.text_content().split()) for head in page.xpath('//ol[@class="steps"]//h2')]
    return {head.rpartition(" ")[0].removesuffix(" To"): head for head in heads}


def test_each_step_is_to_do_until_it_is_done(
    browser: SignIn, make_project: Callable[..., Project], template: Job, cast: dict[str, Person]
) -> None:
    controller = browser("controller")
    page = controller.get("/setup").text
    done = [name for name, head in steps(controller).items() if head.endswith("Done")]
    assert done == ["Database", "Second approver"]
    assert "Set Up (4 left)" in controller.get("/erp/jobs").text
    assert "4 steps left" in browser("administrator").get("/admin/directory").text
    assert 'href="/erp/settings"' in page and 'href="/admin/projects"' in page
    assert "Settings is not open to you. Administrator can grant it." in browser("administrator").get("/setup").text
    template.is_template = True
    Setting.write(SettingName.CONTACT, {"connected": True})
    Setting.write(SettingName.JOB_LIST, {"at": "2026-03-01T00:00:00+00:00"})
    workflow.send(make_project(), cast["manager"])
    db.session.commit()
    left = [name for name, head in steps(controller).items() if head.endswith("To do")]
    assert left == ["Mail"]
    assert "Set Up (1 left)" in controller.get("/erp/jobs").text


def test_an_administrator_of_an_empty_company_begins_with_the_steps_and_others_with_their_tool(browser: SignIn) -> None:
    for name, page in (("controller", "/setup"), ("administrator", "/setup"), ("approver", "/erp/jobs")):
        assert browser(name).get("/").location == page
    assert "Set Up" not in browser("approver").get("/erp/jobs").text


def test_an_administrator_of_a_company_at_work_begins_with_the_list(
    browser: SignIn, make_project: Callable[..., Project]
) -> None:
    make_project()
    assert browser("controller").get("/").location == "/erp/jobs"


@pytest.mark.parametrize(
    ("setting", "command"), [("SPECTRUM_URL", "spectrum check"), ("MAIL_SERVER", "mail check you@example.com")]
)
def test_what_is_set_on_the_server_is_shown_with_its_command(
    app: Flask, browser: SignIn, setting: str, command: str
) -> None:
    app.config[setting] = ""
    page = browser("controller").get("/setup").text
    assert f"<pre>.venv/bin/flask --app app {command}</pre>" in page
    assert f"Set {setting}" in page


def test_the_sign_in_page_of_an_empty_directory_shows_the_command_that_adds_the_first_person(app: Flask) -> None:
    visitor = app.test_client()
    assert "users create" not in visitor.get("/login").text
    db.session.execute(delete(Event))
    db.session.execute(delete(Person))
    db.session.commit()
    assert ".venv/bin/flask --app app users create you@example.com" in visitor.get("/login").text


def test_no_email_is_promised_where_mail_is_not_set_up(
    app: Flask, browser: SignIn, make_project: Callable[..., Project], cast: dict[str, Person]
) -> None:
    app.config["MAIL_SERVER"] = ""
    project = make_project()
    workflow.send(project, cast["manager"])
    db.session.commit()
    administrator, approver = browser("administrator"), browser("approver")
    assert "Email is not set up" in administrator.client.get("/forgotten").text
    assert "waits until it is" in administrator.get("/admin/directory/new").text
    administrator.post(f"/admin/directory/{cast['clerk'].id}/password-link")
    assert "We are emailing" not in administrator.get("/admin/directory").text
    approver.post(f"/approvals/{project.id}/reject", {"version": project.version, "comment": "The city is missing."})
    assert "notified by email" not in approver.get(f"/approvals/{project.id}").text


def test_a_job_list_that_was_never_read_is_not_said_to_be_complete(browser: SignIn, template: Job) -> None:
    template.is_template = True
    db.session.commit()
    page = browser("approver").get("/erp/jobs?filter=ready-to-import").text
    assert "Spectrum&#39;s job list hasn&#39;t been loaded yet" in page
    assert "Every open job" not in page


def test_the_only_approver_is_asked_to_add_a_second_one(browser: SignIn, cast: dict[str, Person]) -> None:
    cast["controller"].erp = Level.READ_ONLY
    db.session.commit()
    assert "You are the only approver. Add a second one" in browser("approver").get("/erp/jobs").text
    assert "Only Approver can accept projects." in browser("onlooker").get("/erp/jobs").text
