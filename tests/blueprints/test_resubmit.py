"""What was typed when the sign-in had ended is kept through the next sign-in, and sent again by a click only."""

import io
import json
import re
from collections.abc import Callable
from html import unescape

import pytest
from conftest import PASSWORD, Browser
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from blueprints import resubmit
from extensions import db
from models import Event, Person, Project
from services import directory, workflow

OURS = {"Origin": "http://127.0.0.1:8000"}
TYPED = {"number": "26-077", "name": "Harbor “Steps”", "city": "Tacoma", "active": "yes", "description": "One\nTwo"}
NAMES = re.compile(r'<input type="hidden" name="([^"]+)" value="([^"]*)">')


def hidden(answer: TestResponse) -> dict[str, str]:
    """The hidden fields of the page's last form."""
    form = answer.text.rpartition("<form")[2]
    return {name: unescape(value) for name, value in NAMES.findall(form)}


def sign_in(client: FlaskClient, answer: TestResponse, name: str, password: str = PASSWORD) -> TestResponse:
    """Through the sign-in page that was answered, as it stands there."""
    form = hidden(answer) | {"email": f"{name}@example.com", "password": password}
    return client.post("/login", data=form, headers=OURS)


def token_of(browser: Browser) -> dict[str, str]:
    """The token of a page that this person opened."""
    return {"csrf_token": browser.token()}


def created() -> Project | None:
    return db.session.scalar(select(Project).where(Project.number == TYPED["number"]))


@pytest.fixture
def manager(browser: Callable[[str], Browser]) -> Browser:
    return browser("manager")


@pytest.fixture
def typed(manager: Browser) -> dict[str, str]:
    """A form of the manager's, filled in."""
    return TYPED | token_of(manager)


@pytest.fixture
def signed_out(manager: Browser, typed: dict[str, str]) -> FlaskClient:
    """The manager's browser, whose cookie is gone."""
    manager.client.delete_cookie("countersign-8000", domain="127.0.0.1")
    return manager.client


def test_a_form_that_comes_after_the_sign_in_ended_is_kept_and_sent_again_by_a_click(
    signed_out: FlaskClient, typed: dict[str, str]
) -> None:
    refused = signed_out.post("/admin/projects", data=typed, headers=OURS)
    assert refused.status_code == 401
    assert "You were signed out" in refused.text
    asked = sign_in(signed_out, refused, "manager")
    assert "Submit your changes?" in asked.text
    assert created() is None
    form = hidden(asked)
    assert {name: value for name, value in form.items() if name != "csrf_token"} == TYPED
    assert 'action="/admin/projects"' in asked.text
    assert signed_out.post("/admin/projects", data=form, headers=OURS).status_code == 303
    assert created() is not None


def test_it_is_kept_over_a_password_that_is_wrong(signed_out: FlaskClient, typed: dict[str, str]) -> None:
    refused = signed_out.post("/admin/projects", data=typed, headers=OURS)
    wrong = sign_in(signed_out, refused, "manager", "not-the-password")
    assert wrong.status_code == 422
    assert hidden(sign_in(signed_out, wrong, "manager"))["name"] == TYPED["name"]


def test_a_form_whose_token_belongs_to_an_earlier_sign_in_is_offered_again(
    manager: Browser, typed: dict[str, str]
) -> None:
    yesterdays = typed | {"csrf_token": "of-yesterday~" + typed["csrf_token"].partition("~")[2]}
    asked = manager.client.post("/admin/projects", data=yesterdays, headers=OURS)
    assert asked.status_code == 400
    assert created() is None
    assert manager.client.post("/admin/projects", data=hidden(asked), headers=OURS).status_code == 303
    assert created() is not None


def test_what_one_person_typed_is_not_offered_to_another(
    manager: Browser, cast: dict[str, Person], typed: dict[str, str]
) -> None:
    cast["manager"].end_sessions()
    db.session.commit()
    refused = manager.client.post("/admin/projects", data=typed, headers=OURS)
    assert refused.status_code == 401
    answer = sign_in(manager.client, refused, "approver")
    assert (answer.status_code, answer.location) == (303, "/")
    told = manager.get("/me").text
    assert "The changes of Manager were not submitted, because Approver signed in." in told
    assert TYPED["city"] not in told


def test_a_form_that_did_not_surely_come_from_our_own_page_is_not_kept(manager: Browser, typed: dict[str, str]) -> None:
    assert "Submit your" not in manager.client.post("/admin/projects", data=TYPED).text
    manager.client.delete_cookie("countersign-8000", domain="127.0.0.1")
    assert manager.client.post("/admin/projects", data=typed).location == "/login"
    elsewhere = manager.client.post("/admin/projects", data=typed, headers={"Origin": "https://elsewhere.example"})
    assert (elsewhere.status_code, TYPED["city"] in elsewhere.text) == (403, False)


def test_a_password_is_never_kept(signed_out: FlaskClient, typed: dict[str, str]) -> None:
    form = {"csrf_token": typed["csrf_token"], "present_password": PASSWORD, "password": "a-new-and-longer-one"}
    answer = signed_out.post("/me/password", data=form, headers=OURS)
    assert (answer.status_code, answer.location) == (302, "/login")


def test_a_button_without_anything_typed_leads_to_the_sign_in_only(signed_out: FlaskClient) -> None:
    answer = signed_out.post("/logout", data={"csrf_token": "old"}, headers=OURS)
    assert (answer.status_code, answer.location) == (302, "/login")


def test_a_file_is_asked_for_again(signed_out: FlaskClient, typed: dict[str, str]) -> None:
    file = {
        "csrf_token": typed["csrf_token"],
        "file": (io.BytesIO(b"number,name"), "projects.csv"),
        "comment": "From the old list.",
    }
    answer = signed_out.post("/admin/projects/import", data=file, headers=OURS)
    assert answer.location == "/login?next=/admin/projects/import"
    assert "choose the file again" in signed_out.get(answer.location).text


@pytest.mark.parametrize("kept", ["", "nonsense", "WyIvIiwgW10sICIiXQ.c2lnbmVk"])
def test_what_we_did_not_sign_is_not_offered(signed_out: FlaskClient, kept: str) -> None:
    page = signed_out.get("/login")
    form = hidden(page) | {"kept": kept, "email": "manager@example.com", "password": PASSWORD}
    assert signed_out.post("/login", data=form, headers=OURS).location == "/"


def test_who_opened_a_form_is_not_to_be_made_up(manager: Browser, typed: dict[str, str]) -> None:
    forged = typed | {"csrf_token": "x~MQ.c2lnbmVk"}
    assert manager.client.post("/admin/projects", data=forged, headers=OURS).status_code == 400
    manager.client.delete_cookie("countersign-8000", domain="127.0.0.1")
    assert manager.client.post("/admin/projects", data=forged, headers=OURS).location == "/login"


@pytest.fixture
def handed_over(browser: Callable[[str], Browser], make_project: Callable[..., Project]) -> tuple[Browser, str, dict]:
    """The approver opens Reject and types; in another tab of the same browser the controller signs in."""
    project = make_project()
    workflow.send(project, project.created_by)
    db.session.commit()
    approver, address = browser("approver"), f"/approvals/{project.id}/reject"
    opened = approver.get(address)
    form = hidden_of(opened) | {"comment": "The ZIP is wrong."}
    assert approver.post("/logout").status_code == 303
    assert sign_in(approver.client, approver.get("/login"), "controller").status_code == 303
    return approver, address, form


def hidden_of(page: TestResponse) -> dict[str, str]:
    return {name: unescape(value) for name, value in NAMES.findall(page.text)}


NAMED = "Approver opened this form, and Controller is signed in now. Nothing was recorded."


def test_a_form_submitted_after_somebody_else_signed_in_is_refused_with_its_text(
    handed_over: tuple[Browser, str, dict],
) -> None:
    there, address, form = handed_over
    answer = there.client.post(address, data=form, headers=OURS)
    assert answer.status_code == 409
    assert NAMED in answer.text
    assert "The ZIP is wrong." in answer.text
    assert address not in answer.text
    assert db.session.scalars(select(Event.action).order_by(Event.id)).all() == ["created", "sent"]


def test_in_the_page_it_is_refused_too_and_the_text_stays_where_it_is(handed_over: tuple[Browser, str, dict]) -> None:
    there, address, form = handed_over
    for _ in range(2):  # a second press changes nothing about it
        answer = there.client.post(address, data=form, headers=OURS | {"HX-Request": "true"})
        assert (answer.status_code, answer.text) == (409, "")
        assert NAMED in json.loads(answer.headers["HX-Trigger"])["announce"]["sentence"]
        assert answer.headers["HX-Reswap"] == "none"
        assert "Fresh-Token" not in answer.headers
    assert db.session.scalars(select(Event.action).order_by(Event.id)).all() == ["created", "sent"]


def test_who_may_not_do_it_at_all_is_told_whose_form_it_is_first(
    handed_over: tuple[Browser, str, dict], cast: dict[str, Person]
) -> None:
    there, address, form = handed_over
    directory.change(cast["controller"], None, {"can_push": False})
    db.session.commit()
    assert NAMED in there.client.post(address, data=form, headers=OURS).text


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("headers", [{}, {"HX-Request": "true"}], ids=["page", "row"])
def test_no_address_takes_the_form_of_another(
    headers: dict[str, str], handed_over: tuple[Browser, str, dict], app: Flask
) -> None:
    there, _, form = handed_over
    rules = [rule for rule in app.url_map.iter_rules() if "POST" in (rule.methods or ())]
    for rule in rules:
        if "<token>" not in rule.rule:  # a link of a mail, whose token decides
            address = re.sub("<int:[^>]+>", "1", rule.rule)
            answer = there.client.post(address, data=form, headers=OURS | headers)
            assert answer.status_code == 409, rule
            assert NAMED in answer.text + str(answer.headers.get("HX-Trigger")), rule
    assert db.session.scalars(select(Event.action).order_by(Event.id)).all() == ["created", "sent"]


def test_the_author_is_offered_it_again_with_the_act_and_the_project(handed_over: tuple[Browser, str, dict]) -> None:
    there, address, form = handed_over
    assert there.post("/logout").status_code == 303
    refused = there.client.post(address, data=form, headers=OURS)
    assert refused.status_code == 401
    asked = sign_in(there.client, refused, "approver")
    assert "<b>Reject 26-014 Depot Lofts Retail Shell</b>" in asked.text
    assert there.client.post(address, data=hidden(asked), headers=OURS).status_code == 303
    assert db.session.scalars(select(Event.action).order_by(Event.id)).all() == ["created", "sent", "rejected"]


def test_every_button_that_is_named_here_belongs_to_a_view(app: Flask) -> None:
    assert resubmit.ACTS.keys() <= {rule.endpoint for rule in app.url_map.iter_rules()}
