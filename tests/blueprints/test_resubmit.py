"""What was typed when the sign-in had ended is kept through the next sign-in, and sent again by a click only."""

import io
import re
from collections.abc import Callable
from html import unescape

import pytest
from conftest import PASSWORD, Browser
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from extensions import db
from models import Person, Project

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


def created() -> Project | None:
    return db.session.scalar(select(Project).where(Project.number == TYPED["number"]))


@pytest.fixture
def manager(browser: Callable[[str], Browser]) -> Browser:
    return browser("manager")


@pytest.fixture
def signed_out(manager: Browser) -> FlaskClient:
    """The manager's browser, whose cookie is gone."""
    manager.client.delete_cookie("countersign-8000", domain="127.0.0.1")
    return manager.client


def test_a_form_that_comes_after_the_sign_in_ended_is_kept_and_sent_again_by_a_click(signed_out: FlaskClient) -> None:
    refused = signed_out.post("/admin/projects", data=TYPED, headers=OURS)
    assert refused.status_code == 401
    assert "Your sign-in had ended" in refused.text
    asked = sign_in(signed_out, refused, "manager")
    assert "Send again what you typed?" in asked.text
    assert created() is None
    form = hidden(asked)
    assert {name: value for name, value in form.items() if name != "csrf_token"} == TYPED
    assert 'action="/admin/projects"' in asked.text
    assert signed_out.post("/admin/projects", data=form, headers=OURS).status_code == 303
    assert created() is not None


def test_it_is_kept_over_a_password_that_is_wrong(signed_out: FlaskClient) -> None:
    refused = signed_out.post("/admin/projects", data=TYPED, headers=OURS)
    wrong = sign_in(signed_out, refused, "manager", "not-the-password")
    assert wrong.status_code == 422
    assert hidden(sign_in(signed_out, wrong, "manager"))["name"] == TYPED["name"]


def test_a_form_whose_token_belongs_to_an_earlier_sign_in_is_offered_again(manager: Browser) -> None:
    asked = manager.client.post("/admin/projects", data=TYPED | {"csrf_token": "of yesterday"}, headers=OURS)
    assert asked.status_code == 400
    assert created() is None
    assert manager.client.post("/admin/projects", data=hidden(asked), headers=OURS).status_code == 303
    assert created() is not None


def test_what_one_person_typed_is_not_offered_to_another(manager: Browser, cast: dict[str, Person]) -> None:
    cast["manager"].end_sessions()
    db.session.commit()
    refused = manager.client.post("/admin/projects", data=TYPED, headers=OURS)
    assert refused.status_code == 401
    answer = sign_in(manager.client, refused, "approver")
    assert (answer.status_code, answer.location) == (303, "/")


def test_a_form_that_did_not_surely_come_from_our_own_page_is_not_kept(manager: Browser) -> None:
    assert "Send again" not in manager.client.post("/admin/projects", data=TYPED).text
    manager.client.delete_cookie("countersign-8000", domain="127.0.0.1")
    assert manager.client.post("/admin/projects", data=TYPED).location == "/login"
    elsewhere = manager.client.post("/admin/projects", data=TYPED, headers={"Origin": "https://elsewhere.example"})
    assert (elsewhere.status_code, TYPED["city"] in elsewhere.text) == (403, False)


def test_a_password_is_never_kept(signed_out: FlaskClient) -> None:
    form = {"present": PASSWORD, "password": "a-new-and-longer-one"}
    answer = signed_out.post("/me/password", data=form, headers=OURS)
    assert (answer.status_code, answer.location) == (302, "/login")


def test_a_button_without_anything_typed_leads_to_the_sign_in_only(signed_out: FlaskClient) -> None:
    answer = signed_out.post("/logout", data={"csrf_token": "old"}, headers=OURS)
    assert (answer.status_code, answer.location) == (302, "/login")


def test_a_file_is_asked_for_again(signed_out: FlaskClient) -> None:
    file = {"file": (io.BytesIO(b"number,name"), "projects.csv"), "comment": "From the old list."}
    answer = signed_out.post("/admin/projects/import", data=file, headers=OURS)
    assert answer.location == "/login?next=/admin/projects/import"
    assert "choose the file again" in signed_out.get(answer.location).text


@pytest.mark.parametrize("kept", ["", "nonsense", "WyIvIiwgW10sICIiXQ.c2lnbmVk"])
def test_what_we_did_not_sign_is_not_offered(signed_out: FlaskClient, kept: str) -> None:
    page = signed_out.get("/login")
    form = hidden(page) | {"kept": kept, "email": "manager@example.com", "password": PASSWORD}
    assert signed_out.post("/login", data=form, headers=OURS).location == "/"
