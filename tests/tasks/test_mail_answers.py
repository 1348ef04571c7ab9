"""What becomes of the mails when a server refuses one: a refusal of everybody holds them, of one person does not."""

from collections.abc import Callable, Iterator
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
import time_machine
from conftest import ENVIRON
from flask import Flask
from sqlalchemy import select
from support.mail_server import Postbox

from extensions import db
from models import Delivery, Person, Project, Setting, SettingName
from services import workflow
from tasks import mail_delivery
from tasks.mail_errors import SMTP_ANSWERS, MailFailure, explain, printable

NOON = datetime(2026, 3, 9, 12, 0, tzinfo=ZoneInfo("America/Los_Angeles"))
MakeProject = Callable[..., Project]
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

RELAY, SENDER, LIMIT, CLIENT = "as a relay", "MAIL_DEFAULT_SENDER", "sending limit", "this machine's address"
OF_EVERYBODY = [
    ("RCPT", "554 5.7.1 <manager@example.com>: Relay access denied", RELAY),
    ("RCPT", "454 4.7.1 <manager@example.com>: Relay access denied", RELAY),
    ("RCPT", "550 5.7.54 SMTP; Unable to relay recipient in non-accepted domain", RELAY),
    ("RCPT", "550 5.7.64 TenantAttribution; Relay Access Denied", RELAY),
    ("TEXT", "550 relay not permitted", RELAY),
    ("RCPT", "553 sorry, that domain isn't in my list of allowed rcpthosts", RELAY),
    ("MAIL", "530 5.7.57 Client not authenticated to send mail", "MAIL_AUTH=oauth"),
    ("RCPT", "550 5.7.68 TenantInboundAttribution; Direct Send not allowed for this organization", "connector"),
    ("TEXT", "554 5.2.252 SendAsDenied; countersign@x.example not allowed to send as erp@x.example", SENDER),
    ("MAIL", "550 5.7.60 SMTP; Client does not have permissions to send as this sender", SENDER),
    ("RCPT", "553 5.7.1 <countersign@x.example>: Sender address rejected: not owned by user erp", SENDER),
    ("RCPT", "550 5.1.0 <countersign@x.example>: Sender address rejected: Domain not found", SENDER),
    ("RCPT", "550 5.4.5 Daily user sending limit exceeded", LIMIT),
    ("TEXT", "550 5.1.90 You have reached your daily limit for message recipients", LIMIT),
    ("TEXT", "554 5.7.0 Your account has exceeded its hourly quota", LIMIT),
    ("RCPT", "550 5.7.705 Access denied, tenant has exceeded threshold", LIMIT),
    ("TEXT", "550 5.7.26 Unauthenticated email is not accepted due to the domain's DMARC policy", "SPF or DKIM"),
    ("RCPT", "554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org", CLIENT),
]
OF_ONE = [
    ("RCPT", "550 5.1.1 No such user"),
    ("RCPT", "552 5.2.2 Mailbox full, quota exceeded"),
    ("RCPT", "550 5.2.1 The user you are trying to contact is receiving mail at a rate that exceeds the limit"),
    ("TEXT", "552 5.3.4 Message size exceeds fixed limit"),
    ("TEXT", "554 5.7.1 Rejected as spam"),
]


# other providers' words for the same
ALSO_OF_EVERYBODY = [
    ("550 5.1.8 Access denied, bad outbound sender AS(42004)", SENDER),
    ("554 Message rejected: Email address is not verified. The following identities failed the check", SENDER),
    ("550 The from address does not match a verified Sender Identity", SENDER),
    ("550 5.7.1 Sender not authorized for this domain", SENDER),
    ("550 You must authenticate to send mail", "MAIL_USERNAME"),
    ("550 5.7.1 Authentication required", "MAIL_USERNAME"),
    ("530 5.7.0 Must issue a STARTTLS command first", "MAIL_USE_TLS=true"),
    ("550 Domain has exceeded the max emails per hour (300/300) allowed. Message discarded.", LIMIT),
    ("554 5.7.1 You have exceeded your messaging limits", LIMIT),
    ("554 Message rejected: Sending suspended for this account.", "lift the block"),
    ("550 5.7.501 Service unavailable. Access denied, spam abuse detected", "lift the block"),
    ("550 5.7.515 Access denied, sending domain example.com doesn't meet the required level", "SPF or DKIM"),
    ("550 5.7.25 [192.0.2.1] The IP address sending this message does not have a PTR record setup", CLIENT),
    ("550 5.7.750 Service unavailable. Client blocked from sending from unregistered domain", CLIENT),
    ("550 5.7.1 Your IP is on our blocklist", CLIENT),
]
ALSO_OF_ONE = [
    "550 5.1.1 <manager@relay.example.com>: Recipient address rejected: User unknown in relay recipient table",
    "550 5.7.133 RESOLVER.RST.SenderNotAuthenticatedForGroup; authentication required",
    "550 5.7.1 RESOLVER.RST.AuthRequired; authentication required",
    "550 5.4.1 Recipient address rejected: Access denied",
    "550 5.7.1 TRANSPORT.RULES.RejectMessage; the message was rejected by organization policy",
    "550 5.2.1 The email account that you tried to reach is disabled",
]


def test_an_answer_is_shown_in_one_line_in_one_form_and_without_control_characters(app: Flask) -> None:
    answer = "552 Cafe\N{COMBINING ACUTE ACCENT} is\x07 \x1b[31mfull\u2028Try\x00 later".encode()
    assert printable(answer) == "552 Café is [31mfull Try later"


@pytest.fixture
def environ(database_url: str, post: Postbox) -> dict[str, str]:
    return ENVIRON | {"DATABASE_URL": database_url, "MAIL_PORT": str(post.port)}


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(NOON, tick=False) as traveller:
        yield traveller


@pytest.fixture
def two_mails(make_project: MakeProject, cast: dict[str, Person], clock: time_machine.Traveller) -> None:
    """A rejection notice to the manager, and one to the administrator."""
    project = make_project()
    project.created_by = cast["administrator"]
    workflow.send(project, cast["manager"])
    workflow.reject(project, cast["approver"], "The address is not complete.")
    db.session.commit()


def states() -> list[str]:
    db.session.rollback()
    return [each.state for each in db.session.scalars(select(Delivery).order_by(Delivery.id))]


@pytest.mark.parametrize(("command", "reply", "advice"), OF_EVERYBODY)
def test_a_refusal_that_concerns_everybody_holds_the_queue_with_advice_and_nobodys_mail_is_given_up(
    command: str, reply: str, advice: str, two_mails: None, post: Postbox, clock: time_machine.Traveller
) -> None:
    post.fail(command, reply, times=3)
    for _ in range(3):
        mail_delivery.deliver_due()
        assert states() == ["Waiting", "Waiting"]
        assert Setting.read(SettingName.MAIL)["held"]
        assert reply in Setting.read(SettingName.MAIL)["cause"]
        assert advice in Setting.read(SettingName.MAIL)["cause"]
        clock.shift(60)
    mail_delivery.deliver_due()
    assert (states(), Setting.read(SettingName.MAIL)) == (["Sent", "Sent"], None)


def test_other_providers_words_are_known_too(app: Flask) -> None:
    for reply, advice in ALSO_OF_EVERYBODY:
        known = explain(SMTP_ANSWERS, reply)
        assert known, reply
        assert (known.failure, advice in known.advice) == (MailFailure.MISCONFIGURED, True), reply
    for reply in ALSO_OF_ONE:
        known = explain(SMTP_ANSWERS, reply)
        assert known is None or known.failure is MailFailure.PERMANENT, reply


@pytest.mark.parametrize(("command", "reply"), OF_ONE)
def test_a_refusal_of_one_recipient_is_final_for_that_one_and_holds_nobody(
    command: str, reply: str, two_mails: None, post: Postbox
) -> None:
    post.fail(command, reply)
    mail_delivery.deliver_due()
    assert (states(), Setting.read(SettingName.MAIL)) == (["Not delivered", "Sent"], None)


def test_a_relay_that_takes_the_others_refuses_this_one_alone_so_it_is_final_for_that_one(
    two_mails: None, post: Postbox, clock: time_machine.Traveller
) -> None:
    post.fail("RCPT", "554 5.7.1 Relay access denied", recipient="manager@example.com", times=None)
    for _ in range(3):
        mail_delivery.deliver_due()
        clock.shift(60)
    assert (states(), Setting.read(SettingName.MAIL)) == (["Not delivered", "Sent"], None)


@pytest.mark.parametrize(
    ("command", "reply"),
    [
        ("RCPT", "421 4.3.2 The maximum number of concurrent connections has exceeded a limit"),
        ("TEXT", "432 4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded"),
        ("RCPT", "452 4.5.3 Your account exceeded its hourly sending limit"),
    ],
)
def test_too_much_at_once_waits_without_a_banner(
    command: str, reply: str, two_mails: None, post: Postbox, clock: time_machine.Traveller
) -> None:
    post.fail(command, reply)
    mail_delivery.deliver_due()
    assert states() == ["Waiting", "Waiting"]
    assert not Setting.read(SettingName.MAIL)["held"]
    clock.shift(60)
    mail_delivery.deliver_due()
    assert states() == ["Sent", "Sent"]


@pytest.mark.parametrize(
    ("reply", "advice"),
    [
        (
            "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant",
            "organization",
        ),
        ("535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Mailbox", "mailbox"),
        ("535 5.7.139 Authentication unsuccessful, basic authentication is disabled", "MAIL_AUTH=oauth"),
        ("550 5.7.30 Basic authentication is not supported for Client Submission", "MAIL_AUTH=oauth"),
        ("535 5.7.139 The request did not meet the criteria to be authenticated successfully", "MAIL_AUTH=graph"),
        ("534 5.7.9 Application-specific password required", "MAIL_PASSWORD"),
        ("535 5.7.8 Error: authentication failed", "Check MAIL_USERNAME and MAIL_PASSWORD."),
    ],
)
def test_a_refused_sign_in_names_the_setting_and_the_way_to_fix_it_and_shows_no_password(
    reply: str, advice: str, two_mails: None, app: Flask, post: Postbox
) -> None:
    app.config["MAIL_USERNAME"], app.config["MAIL_PASSWORD"] = "erp", "hush-hush-hush"
    post.fail("AUTH", f"{reply} hush-hush-hush", times=3)
    mail_delivery.deliver_due()
    cause = Setting.read(SettingName.MAIL)["cause"]
    assert reply in cause
    assert advice in cause.partition(reply)[2]
    assert "hush" not in cause
