"""Mail by OAuth: the token, SMTP with XOAUTH2, Microsoft Graph, and a sentence for each way that these misbehave."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import time_machine
from conftest import ENVIRON
from flask import Flask
from sqlalchemy import select
from support.mail_provider import Provider
from support.mail_server import Postbox

from dev.sandbox.mail_provider import MailTokens
from extensions import db
from models import Delivery, Person, Project, Setting, SettingName
from services import workflow
from tasks import mail_delivery, mail_http

NOON = datetime(2026, 3, 9, 12, 0, tzinfo=ZoneInfo("America/Los_Angeles"))
MakeProject = Callable[..., Project]
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
BOTH = pytest.mark.parametrize("way", ["oauth", "graph"])


@pytest.fixture
def way() -> str:
    return "oauth"


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider() as running:
        yield running


@pytest.fixture
def environ(way: str, database_url: str, post: Postbox, provider: Provider) -> dict[str, str]:
    post.tokens = provider.tokens
    return ENVIRON | {"DATABASE_URL": database_url, "MAIL_PORT": str(post.port), "MAIL_AUTH": way, **provider.settings}


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(NOON, tick=False) as traveller:
        yield traveller


@pytest.fixture
def two_mails(make_project: MakeProject, cast: dict[str, Person], clock: time_machine.Traveller) -> None:
    project = make_project()
    project.created_by = cast["administrator"]
    workflow.send(project, cast["manager"])
    workflow.reject(project, cast["approver"], "Naïve comment\n.\n")
    db.session.commit()


def states() -> list[str]:
    db.session.rollback()
    return [each.state for each in db.session.scalars(select(Delivery).order_by(Delivery.id))]


def errors() -> list[str]:
    db.session.rollback()
    return [each.error for each in db.session.scalars(select(Delivery).order_by(Delivery.id))]


def cause() -> str:
    db.session.rollback()
    return str(Setting.read(SettingName.MAIL)["cause"])


@BOTH
def test_two_mails_go_with_one_token_by_client_credentials(
    way: str, two_mails: None, post: Postbox, provider: Provider
) -> None:
    mail_delivery.deliver_due()
    assert states() == ["Sent", "Sent"], errors()
    scope = {"oauth": "https://outlook.office365.com/.default", "graph": "https://graph.microsoft.com/.default"}[way]
    client = {"client_id": "the-client", "client_secret": "the-secret-value"}
    assert provider.asked == [{"grant_type": "client_credentials", "scope": scope, **client}]
    if way == "oauth":
        assert post.signed_in == ["user=erp@example.com\1auth=Bearer token-1\1\1"] * 2
        assert sorted(post.recipients) == ["administrator@example.com", "manager@example.com"]
    else:
        assert provider.posted == [("/v1.0/users/erp@example.com/sendMail", "token-1")] * 2
        assert {mail.header("To") for mail in provider.sent} == {"administrator@example.com", "manager@example.com"}
        assert provider.sent[0].header("Message-ID") == db.session.scalars(select(Delivery.message_id)).first()
        assert "Naïve comment" in provider.sent[0].part("plain")


@BOTH
def test_a_token_is_fetched_again_before_its_end(
    way: str, two_mails: None, provider: Provider, clock: time_machine.Traveller
) -> None:
    assert mail_delivery.send_test("it@example.com")[0]
    clock.shift(timedelta(minutes=54))
    assert mail_delivery.send_test("it@example.com")[0]
    assert len(provider.asked) == 1
    clock.shift(timedelta(minutes=2))
    assert mail_delivery.send_test("it@example.com")[0]
    assert len(provider.asked) == 2


@BOTH
def test_a_kept_token_that_is_refused_is_fetched_anew_once_and_the_mail_goes(
    way: str, two_mails: None, provider: Provider
) -> None:
    assert mail_delivery.send_test("it@example.com")[0]
    provider.revoke()
    mail_delivery.deliver_due()
    assert states() == ["Sent", "Sent"], errors()
    assert len(provider.asked) == 2


@BOTH
def test_a_new_token_that_is_refused_is_not_fetched_again_and_again(
    way: str, two_mails: None, post: Postbox, provider: Provider
) -> None:
    post.tokens = MailTokens()
    provider.fail("graph", 401, {"error": {"code": "InvalidAuthenticationToken", "message": "Access denied"}}, times=9)
    mail_delivery.deliver_due()
    assert (states(), len(provider.asked)) == (["Waiting", "Waiting"], 1)
    assert Setting.read(SettingName.MAIL)["held"]
    assert "can take up to two hours" in cause() or "The token is not accepted." in cause()


def aadsts(number: int, error: str = "invalid_client") -> dict[str, str]:
    return {"error": error, "error_description": f"AADSTS{number}: Something about the app. Trace ID: 1b2c"}


OF_THE_TOKEN: list[tuple[int | str, Any, str]] = [
    (401, aadsts(7000215), "Copy the secret's Value from Entra, not its Secret ID"),
    (401, aadsts(7000222), "MAIL_OAUTH_CLIENT_SECRET has expired."),
    (400, aadsts(700016, "unauthorized_client"), "MAIL_OAUTH_CLIENT_ID"),
    (400, aadsts(90002, "invalid_request"), "Check MAIL_OAUTH_TENANT"),
    (400, aadsts(900023, "invalid_request"), "Check MAIL_OAUTH_TENANT"),
    (400, aadsts(1002012, "invalid_scope"), "MAIL_OAUTH_SCOPE"),
    (400, aadsts(53003, "access_denied"), "Conditional Access"),
    (401, {"error": "invalid_client"}, "MAIL_OAUTH_CLIENT_SECRET"),
    (404, b"<html>", "MAIL_OAUTH_TOKEN_URL"),
    (400, b"\xff\x00 not JSON", "MAIL_OAUTH_ settings"),
    (400, {"error": ["list"]}, "MAIL_OAUTH_ settings"),
    (200, b"<html>Sign in to the Wi-Fi</html>", "answered without a token. Check MAIL_OAUTH_TOKEN_URL."),
    (200, {"access_token": None}, "answered without a token"),
    (200, {"access_token": "two\r\nlines"}, "answered without a token"),
    (200, [], "answered without a token"),
    (200, {"access_token": "x", "expires_in": "soon"}, "answered without a token"),
    (302, None, "MAIL_OAUTH_ settings"),
]


@pytest.mark.parametrize(("status", "body", "advice"), OF_THE_TOKEN)
def test_each_refusal_of_a_token_holds_the_queue_and_says_which_setting_to_fix(
    status: int, body: Any, advice: str, two_mails: None, provider: Provider, clock: time_machine.Traveller
) -> None:
    provider.fail("token", status, body)
    mail_delivery.deliver_due()
    assert Setting.read(SettingName.MAIL)["held"]
    assert advice in cause()
    assert "the-secret-value" not in cause()
    clock.shift(60)
    mail_delivery.deliver_due()
    assert states() == ["Sent", "Sent"], errors()


@pytest.mark.parametrize("status", ["silence", "drop", 500, 503])
@BOTH
def test_no_token_at_the_moment_is_tried_again_soon_because_nothing_went_out(
    way: str,
    status: int | str,
    two_mails: None,
    provider: Provider,
    clock: time_machine.Traveller,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mail_http, "DEADLINE", 0.5)
    provider.fail("token", status)
    mail_delivery.deliver_due()
    assert not Setting.read(SettingName.MAIL)["held"]
    clock.shift(60)
    mail_delivery.deliver_due()
    assert states() == ["Sent", "Sent"], errors()


@pytest.mark.parametrize("expires_in", [None, "3599", 0, -5, 1])
def test_a_token_of_odd_lifetime_is_good_for_a_mail(expires_in: object, two_mails: None, provider: Provider) -> None:
    provider.lifetime = 3600 if expires_in is None else expires_in
    mail_delivery.deliver_due()
    assert states() == ["Sent", "Sent"], errors()


def test_a_server_that_offers_no_xoauth2_holds_the_queue(two_mails: None, post: Postbox) -> None:
    post.tokens = None
    mail_delivery.deliver_due()
    assert "does not offer sign-in by OAuth (XOAUTH2). Check MAIL_SERVER" in cause()


def error(code: str, message: str = "It did not work.") -> dict[str, Any]:
    return {"error": {"code": code, "message": message}}


OF_GRAPH: list[tuple[int, Any, str]] = [
    (403, error("ErrorAccessDenied", "Access is denied."), "Grant it Mail.Send for this mailbox"),
    (403, error("ErrorSendAsDenied"), "MAIL_DEFAULT_SENDER"),
    (404, error("ErrorInvalidUser"), "There is no mailbox erp@example.com. Check MAIL_USERNAME"),
    (404, error("MailboxNotEnabledForRESTAPI"), "There is no mailbox"),
    (404, b"<html>", "MAIL_GRAPH_URL"),
    (301, None, "MAIL_GRAPH_URL"),
    (400, error("ErrorExceededMessageLimit"), "sending limit"),
]


@pytest.mark.parametrize("way", ["graph"])
@pytest.mark.parametrize(("status", "body", "advice"), OF_GRAPH)
def test_each_refusal_by_graph_holds_the_queue_and_says_which_setting_to_fix(
    way: str, status: int, body: Any, advice: str, two_mails: None, provider: Provider, clock: time_machine.Traveller
) -> None:
    provider.fail("graph", status, body)
    mail_delivery.deliver_due()
    assert Setting.read(SettingName.MAIL)["held"]
    assert advice in cause()
    clock.shift(60)
    mail_delivery.deliver_due()
    assert (states(), len(provider.sent)) == (["Sent", "Sent"], 2)


@pytest.mark.parametrize("way", ["graph"])
@pytest.mark.parametrize("status", ["silence", "drop", 200, 500, 504])
def test_silence_of_graph_after_the_request_is_unknown_and_never_sent_again_by_itself(
    way: str, status: int | str, two_mails: None, provider: Provider, clock: time_machine.Traveller,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    assert mail_delivery.send_test("it@example.com")[0]
    monkeypatch.setattr(mail_http, "DEADLINE", 0.5)
    provider.fail("graph", status)
    for _ in range(3):
        mail_delivery.deliver_due()
        clock.shift(3600)
    assert states() == ["Unknown", "Sent"]
    assert len(provider.posted) == 3


@pytest.mark.parametrize("way", ["graph"])
def test_a_429_waits_as_told(way: str, two_mails: None, provider: Provider, clock: time_machine.Traveller) -> None:
    provider.fail("graph", 429, error("ApplicationThrottled"), Retry_After="300")
    mail_delivery.deliver_due()
    for _ in range(29):
        clock.shift(10)
        mail_delivery.deliver_due()
    assert (states(), len(provider.posted)) == (["Waiting", "Waiting"], 1)
    clock.shift(15)
    mail_delivery.deliver_due()
    assert states() == ["Sent", "Sent"]


@pytest.mark.parametrize("way", ["graph"])
def test_a_recipient_that_graph_does_not_take_is_final_for_that_one(
    way: str, two_mails: None, provider: Provider
) -> None:
    provider.fail("graph", 400, error("ErrorInvalidRecipients", "At least one recipient isn't valid."))
    mail_delivery.deliver_due()
    assert states() == ["Not delivered", "Sent"]


@BOTH
def test_mail_check_says_which_way_mail_goes_and_how_far_it_came(
    way: str, app: Flask, post: Postbox, provider: Provider
) -> None:
    steps = {
        "oauth": [
            f"SMTP to 127.0.0.1:{post.port} with no encryption, signed in as erp@example.com with an OAuth token.",
            f"Got a token from {provider.url[7:]}.",
            f"Connected to 127.0.0.1:{post.port}.",
            "Signed in as erp@example.com.",
        ],
        "graph": [
            f"Microsoft Graph at {provider.url[7:]}, from the mailbox erp@example.com.",
            f"Got a token from {provider.url[7:]}.",
        ],
    }[way]
    result = app.test_cli_runner().invoke(args=["mail", "check", "it@example.com"])
    assert (result.exit_code, result.output.splitlines()[: len(steps)]) == (0, steps)
    assert "took a test mail to it@example.com." in result.output
    provider.revoke()
    provider.fail("token", 401, aadsts(7000222))
    result = app.test_cli_runner().invoke(args=["mail", "check", "it@example.com"])
    assert result.exit_code == 1
    assert "MAIL_OAUTH_CLIENT_SECRET has expired." in result.output
