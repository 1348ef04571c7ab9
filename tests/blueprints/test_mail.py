"""The mail page, the banner, the subscription's way out, and what /readyz says about mail."""

import re
from collections.abc import Callable

import pytest
from conftest import ENVIRON, Browser
from flask import Flask
from flask.testing import FlaskClient
from lxml import html
from sqlalchemy import select
from support.mail_server import Postbox

import scheduler
from blueprints.erp.mail import KINDS
from config import load
from extensions import db, writing
from models import Delivery, Level, MailKind, MailOutcome, Person, Project, Setting, SettingName
from services import accounts, workflow
from tasks import digest, mail_delivery

MakeProject = Callable[..., Project]
SignIn = Callable[[str], Browser]


@pytest.fixture
def environ(database_url: str, post: Postbox) -> dict[str, str]:
    return ENVIRON | {"DATABASE_URL": database_url, "MAIL_PORT": str(post.port)}


@pytest.fixture
def rejected(make_project: MakeProject, cast: dict[str, Person]) -> Project:
    """A project whose rejection notice is due."""
    project = make_project()
    workflow.send(project, cast["manager"])
    workflow.reject(project, cast["approver"], "The address is not complete.")
    db.session.commit()
    return project


def delivery() -> Delivery:
    db.session.rollback()
    return db.session.scalars(select(Delivery)).one()


def said(page: str) -> str:
    return " ".join(html.document_fromstring(page).text_content().split())


def held() -> None:
    """Let mails be held, as after a failed sign-in."""
    with writing():
        value = {
            "cause": "mail.example.com:587 refused the sign-in.",
            "held": True,
            "since": "2026-03-09T14:00:00+00:00",
        }
        Setting.write(SettingName.MAIL, value)


def test_the_mail_page_is_an_erp_admins(browser: SignIn) -> None:
    assert browser("controller").get("/erp/mails").status_code == 200
    assert browser("approver").get("/erp/mails").status_code == 403
    assert browser("manager").get("/erp/mails").status_code == 404


def test_it_says_what_was_sent_to_whom_when(rejected: Project, browser: SignIn) -> None:
    mail_delivery.deliver_due()
    text = said(browser("controller").get("/erp/mails").text)
    assert "Rejection notice: 26-014 Depot Lofts Retail Shell Manager manager@example.com" in text
    assert "now Sent" in text
    assert "Stuck" not in text


def test_each_kind_of_mail_has_a_name_there() -> None:
    assert set(KINDS) == set(MailKind)


def test_it_says_what_is_stuck_and_why(rejected: Project, browser: SignIn, post: Postbox) -> None:
    post.fail("RCPT", "550 5.1.1 No such user <b>here</b>")
    mail_delivery.deliver_due()
    page = browser("controller").get("/erp/mails").text
    assert "Stuck" in said(page)
    assert "Not delivered" in said(page)
    assert "550 5.1.1 No such user <b>here</b>" in said(page)


def test_a_mail_of_unknown_outcome_is_sent_again_when_an_admin_presses_send_again_and_only_once(
    rejected: Project, browser: SignIn, post: Postbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    post.fail("TEXT", "drop", stored=True)
    mail_delivery.deliver_due()
    assert delivery().outcome is MailOutcome.UNKNOWN
    admin = browser("controller")
    assert "Send again" in admin.get("/erp/mails").text
    path = f"/erp/mails/{delivery().id}/again"
    assert admin.post(path).status_code == 303
    mail_delivery.deliver_due()
    assert (len(post.arrived), delivery().state) == (2, "Sent")
    assert admin.post(path).status_code == 303
    mail_delivery.deliver_due()
    assert len(post.arrived) == 2
    assert "Send again" not in admin.get("/erp/mails").text


def test_within_the_page_send_again_answers_with_the_row_or_with_how_it_really_is(
    rejected: Project, browser: SignIn, post: Postbox
) -> None:
    post.fail("TEXT", "drop")
    mail_delivery.deliver_due()
    admin, path = browser("controller"), f"/erp/mails/{delivery().id}/again"
    row = admin.post(path, **{"HX-Request": "true"})
    assert row.text.strip().startswith("<tr")
    assert (row.status_code, "Waiting" in row.text, "hx-trigger" in row.text) == (200, True, True)
    row = admin.post(path, **{"HX-Request": "true"})
    assert (row.status_code, "Waiting now" in row.text) == (409, True)
    mail_delivery.deliver_due()
    row = admin.get(f"/erp/mails/{delivery().id}")
    assert ("Sent" in row.text, "hx-trigger" in row.text) == (True, False)


def test_send_again_is_an_erp_admins(rejected: Project, browser: SignIn) -> None:
    assert browser("approver").post(f"/erp/mails/{delivery().id}/again").status_code == 403


def test_without_a_mail_server_deliveries_wait_and_the_page_says_so(
    rejected: Project, app: Flask, browser: SignIn
) -> None:
    app.config["MAIL_SERVER"] = ""
    mail_delivery.deliver_due()
    assert delivery().state == "Waiting"
    assert "Mail is not set up, so every mail waits." in said(browser("controller").get("/erp/mails").text)


@pytest.mark.parametrize(
    ("reply", "answer"), [(None, "took a test mail to it@example.com"), ("550 5.1.1 No", "550 5.1.1 No")]
)
def test_a_test_mail_is_an_errand_whose_answer_the_page_shows(
    reply: str | None, answer: str, browser: SignIn, post: Postbox
) -> None:
    if reply:
        post.fail("RCPT", reply)
    admin = browser("controller")
    assert admin.post("/erp/mails/test", {"address": "it@example.com"}).status_code == 303
    assert post.arrived == []
    assert "A test mail to it@example.com is being sent." in said(admin.get("/erp/mails").text)
    scheduler.run_task_requests()
    assert answer in said(admin.get("/erp/mails").text)
    assert answer in said(admin.get("/erp/mails/test").text)
    assert "hx-trigger" not in admin.get("/erp/mails/test").text


def test_the_address_of_a_test_mail_stays_for_whoever_typed_it(browser: SignIn, cast: dict[str, Person]) -> None:
    cast["approver"].erp = Level.ADMIN
    db.session.commit()
    admin = browser("controller")
    answer = admin.post("/erp/mails/test", {"address": "it@example.com"})
    assert answer.location == "/erp/mails#test"

    def address(of: Browser) -> list[str]:
        return html.document_fromstring(of.get("/erp/mails").text).xpath("//input[@name='address']/@value")

    assert address(admin) == ["it@example.com"]
    assert address(browser("approver")) == ["approver@example.com"]


def test_a_test_mail_needs_an_address(browser: SignIn) -> None:
    answer = browser("controller").post("/erp/mails/test", {"address": "it@example.com\r\nBcc: all@example.com"})
    assert answer.status_code == 422
    assert 'aria-invalid="true"' in answer.text
    assert "Enter an email address" in answer.text


def test_a_held_queue_shows_a_banner_on_every_erp_page_until_a_mail_goes(rejected: Project, browser: SignIn) -> None:
    reader = browser("onlooker")
    paths = ("/erp/jobs", f"/approvals/{rejected.id}")
    held()
    for path in paths:
        page = html.document_fromstring(reader.get(path).text)
        assert any("refused the sign-in" in alert.text_content() for alert in page.xpath('//*[@role="alert"]'))
    assert mail_delivery.send_test("it@example.com")[0]
    for path in paths:
        assert "refused the sign-in" not in reader.get(path).text


def test_readyz_tells_the_state_of_mail_without_changing_its_answer(app: Flask) -> None:
    client = app.test_client()
    scheduler.beat()
    assert client.get("/readyz").json["mail"] == "ok"
    held()
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json["mail"]) == (200, "held")
    app.config["MAIL_SERVER"] = ""
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json["mail"]) == (200, "not set up")


# --- the way out ----------------------------------------------------------------------------------------------------


@pytest.fixture
def anybody(app: Flask) -> FlaskClient:
    return app.test_client()


def subscribed(name: str = "approver") -> bool:
    db.session.rollback()
    return Person.by_email(f"{name}@example.com").subscribed  # type: ignore[union-attr]


@pytest.fixture
def way_out(rejected: Project, cast: dict[str, Person], post: Postbox) -> str:
    """The path in the List-Unsubscribe of the approver's summary."""
    workflow.send(rejected, cast["manager"])
    db.session.commit()
    digest.open_day(rejected.created_at.date())
    mail_delivery.deliver_due()
    mail = next(mail for mail in post.arrived if mail.recipients == ["approver@example.com"])
    return re.fullmatch(r"<http://127\.0\.0\.1:8000(/.*)>", mail.header("List-Unsubscribe"))[1]  # type: ignore[index]


def test_the_link_opened_however_often_changes_nothing_and_shows_a_button(way_out: str, anybody: FlaskClient) -> None:
    for _ in range(3):
        answer = anybody.get(way_out)
        assert answer.status_code == 200
    assert anybody.head(way_out).status_code == 200
    assert subscribed()
    assert html.document_fromstring(answer.text).xpath("//form[@method='post']/button/text()") == ["Unsubscribe"]


def test_one_click_of_a_mail_program_unsubscribes_without_sign_in(way_out: str, anybody: FlaskClient) -> None:
    answer = anybody.post(way_out, data={"List-Unsubscribe": "One-Click"})
    assert answer.status_code == 200
    assert not subscribed()
    assert subscribed("controller")
    assert "You are unsubscribed" in answer.text
    assert anybody.post(way_out, data={"List-Unsubscribe": "One-Click"}).status_code == 200


ELSEWHERE = [{"Origin": "https://mail.example.com"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}]


@pytest.mark.parametrize("header", ELSEWHERE)
def test_one_click_of_a_mail_page_elsewhere_unsubscribes_and_other_forms_stay_closed_to_it(
    header: dict[str, str], way_out: str, anybody: FlaskClient
) -> None:
    assert anybody.post("/login", data={"email": "a@example.com"}, headers=header).status_code == 403
    assert anybody.post(way_out, data={"List-Unsubscribe": "One-Click"}, headers=header).status_code == 200
    assert not subscribed()


def test_the_token_can_only_unsubscribe(way_out: str, anybody: FlaskClient, cast: dict[str, Person]) -> None:
    token = way_out.rpartition("/")[2]
    assert anybody.get(f"/password/{token}").status_code == 410
    anybody.post(way_out)
    assert anybody.get("/me").status_code == 302
    assert accounts.from_unsubscribe_token(accounts.link_token(cast["controller"], "reset")) is None


def test_the_page_says_which_way_mail_goes_and_what_is_not_good_about_it(
    environ: dict[str, str], app: Flask, browser: SignIn
) -> None:
    microsoft = {"MAIL_SERVER": "smtp.office365.com", "MAIL_USERNAME": "erp", "MAIL_PASSWORD": "x"}
    app.config["MAIL_REMARKS"] = load(environ | microsoft)["MAIL_REMARKS"]
    text = said(browser("controller").get("/erp/mails").text)
    assert "Mail signs in to Microsoft 365 with a password." in text
    assert f"SMTP to 127.0.0.1:{environ['MAIL_PORT']} with no encryption, without sign-in" in text


def test_a_made_up_token_does_nothing(anybody: FlaskClient) -> None:
    assert anybody.post("/erp/mails/unsubscribe/Mw.made-up").status_code == 404
    assert subscribed()
