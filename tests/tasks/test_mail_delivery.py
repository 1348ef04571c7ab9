"""What becomes of a delivery when the mail server does not do as it should, and when it does again."""

import itertools
import ssl
import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import time_machine
import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Message
from aiosmtpd.smtp import AuthResult
from conftest import ENVIRON, free_port, wait_until
from flask import Flask
from sqlalchemy import select
from support.mail_server import Postbox

from dev.sandbox.mails import Mail
from extensions import db, writing
from models import Delivery, MailOutcome, Person, Project, Setting, SettingName, utcnow
from services import workflow
from tasks import mail_delivery, mail_messages, smtp

NOON = datetime(2026, 3, 9, 12, 0, tzinfo=ZoneInfo("America/Los_Angeles"))
HOSTILE = 'Depot <img src=x onerror=alert(1)> & "Sons"\r\nBcc: all@example.com'
MakeProject = Callable[..., Project]


@pytest.fixture
def environ(database_url: str, post: Postbox) -> dict[str, str]:
    return ENVIRON | {"DATABASE_URL": database_url, "MAIL_PORT": str(post.port)}


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(NOON, tick=False) as traveller:
        yield traveller


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Silence is found out in half a second instead of twenty."""
    for name, seconds in (("ANSWER", 0.5), ("TAKEN", 0.5), ("GREETINGS", (0.5, 0.5))):
        monkeypatch.setattr(smtp, name, seconds)


@pytest.fixture
def rejected(make_project: MakeProject, cast: dict[str, Person], clock: time_machine.Traveller) -> Delivery:
    """A rejection notice to the manager, due now."""
    return reject(make_project(), cast)


def reject(project: Project, cast: dict[str, Person], comment: str = "The address is not complete.") -> Delivery:
    workflow.send(project, cast["manager"])
    workflow.reject(project, cast["approver"], comment)
    db.session.commit()
    return newest()


def newest() -> Delivery:
    return db.session.scalars(select(Delivery).order_by(Delivery.id.desc()).limit(1)).one()


def mail_of(delivery: Delivery) -> Mail:
    """The mail of a delivery, as whoever gets it reads it."""
    return Mail(1, "", [], "", mail_messages.compose(delivery).as_bytes())


# --- trouble before the text went out -------------------------------------------------------------------------------


def test_a_mail_that_got_a_4xx_goes_within_a_minute_with_the_same_id_and_date(
    rejected: Delivery, post: Postbox, clock: time_machine.Traveller
) -> None:
    before = mail_of(rejected)
    post.fail("RCPT", "451 4.7.1 Greylisted")
    mail_delivery.deliver_due()
    assert "451 4.7.1 Greylisted" in newest().error
    clock.move_to(NOON + timedelta(seconds=59))
    mail_delivery.deliver_due()
    assert len(post.arrived) == 1
    assert post.arrived[0].header("Message-ID") == before.header("Message-ID")
    assert post.arrived[0].header("Date") == before.header("Date")


@pytest.mark.parametrize("command", ["MAIL", "RCPT", "DATA", "TEXT"])
def test_a_4xx_to_any_command_is_tried_again_and_one_mail_arrives(
    command: str, rejected: Delivery, post: Postbox, clock: time_machine.Traveller
) -> None:
    post.fail(command, "451 4.3.0 Later")
    mail_delivery.deliver_due()
    assert (post.arrived, newest().state) == ([], "Waiting")
    clock.shift(60)
    mail_delivery.deliver_due()
    mail_delivery.deliver_due()
    assert (len(post.arrived), newest().state) == (1, "Sent")


@pytest.mark.parametrize("reply", ["silence", "drop"])
@pytest.mark.parametrize("command", ["CONNECT", "MAIL", "RCPT", "DATA"])
def test_no_answer_before_the_text_began_is_tried_again_and_one_mail_arrives(
    command: str, reply: str, rejected: Delivery, post: Postbox, clock: time_machine.Traveller, impatient: None
) -> None:
    post.fail(command, reply)
    mail_delivery.deliver_due()
    assert (post.arrived, newest().state) == ([], "Waiting")
    clock.shift(60)
    mail_delivery.deliver_due()
    assert (len(post.arrived), newest().state) == (1, "Sent")


def test_the_pauses_between_tries_grow_and_after_a_day_it_is_given_up_and_shown(
    rejected: Delivery, post: Postbox, clock: time_machine.Traveller
) -> None:
    post.fail("RCPT", "451 4.3.0 Later", times=None)
    tried = []
    while not newest().outcome:
        tried.append(utcnow())
        mail_delivery.deliver_due()
        clock.move_to(newest().due_at or utcnow())
    pauses = [later - earlier for earlier, later in itertools.pairwise(tried)]
    assert pauses[0] <= timedelta(minutes=1)
    assert pauses == sorted(pauses)
    assert pauses[-1] <= timedelta(hours=1)
    assert timedelta(hours=22) < tried[-1] - tried[0] <= timedelta(days=1)
    assert newest().outcome is MailOutcome.FAILED
    assert "Given up" in newest().error
    assert "451 4.3.0 Later" in newest().error


def test_a_5xx_about_one_recipient_is_final_for_that_one_and_the_others_get_theirs(
    make_project: MakeProject, cast: dict[str, Person], post: Postbox, clock: time_machine.Traveller
) -> None:
    project = make_project()
    project.created_by = cast["administrator"]
    post.fail("RCPT", "550 5.1.1 No such user", recipient="manager@example.com", times=None)
    reject(project, cast)
    for _ in range(3):
        mail_delivery.deliver_due()
        clock.shift(3600)
    assert post.recipients == ["administrator@example.com"]
    refused = db.session.scalars(select(Delivery).where(Delivery.outcome == MailOutcome.FAILED)).one()
    assert (refused.person.name, refused.tries) == ("Manager", 0)
    assert "550 5.1.1 No such user" in refused.error


def test_an_address_that_no_server_takes_is_final_without_asking_one(rejected: Delivery, post: Postbox) -> None:
    rejected.person.email = "käthe@example.com"
    db.session.commit()
    mail_delivery.deliver_due()
    assert newest().outcome is MailOutcome.FAILED
    assert "käthe@example.com is not an address" in newest().error


def test_when_nobody_answers_one_mail_asks_and_the_rest_wait(
    make_project: MakeProject, cast: dict[str, Person], post: Postbox, clock: time_machine.Traveller, impatient: None
) -> None:
    for number in range(5):
        reject(make_project(number=f"26-{number:03}"), cast)
    post.fail("CONNECT", "drop", times=2)
    mail_delivery.deliver_due()
    mail_delivery.deliver_due()
    assert post.faults.listed()[0]["times"] == 1
    clock.shift(60)
    mail_delivery.deliver_due()
    clock.shift(60)
    mail_delivery.deliver_due()
    clock.shift(60)
    mail_delivery.deliver_due()
    assert len(post.arrived) == 5


# --- trouble after the text went out --------------------------------------------------------------------------------


@pytest.mark.parametrize("stored", [True, False])
@pytest.mark.parametrize("reply", ["silence", "drop"])
def test_no_answer_after_the_text_is_unknown_and_never_sent_again_by_itself(
    reply: str, stored: bool, rejected: Delivery, post: Postbox, clock: time_machine.Traveller, impatient: None
) -> None:
    post.fail("TEXT", reply, stored=stored)
    mail_delivery.deliver_due()
    assert newest().outcome is MailOutcome.UNKNOWN
    for _ in range(3):
        clock.shift(3600)
        mail_delivery.deliver_due()
    assert len(post.arrived) == int(stored)
    newest().resend()
    db.session.commit()
    mail_delivery.deliver_due()
    assert len(post.arrived) == int(stored) + 1
    assert {mail.header("Message-ID") for mail in post.arrived} == {newest().message_id}


def test_a_mail_that_the_server_takes_is_sent_even_if_the_goodbye_goes_wrong(
    rejected: Delivery, clock: time_machine.Traveller, app: Flask
) -> None:
    class Rude(Message):
        def handle_message(self, message: object) -> None:
            got.append(message)

        async def handle_QUIT(self, server: object, *_: object) -> str:  # noqa: N802 - aiosmtpd's name
            server.transport.close()  # type: ignore[attr-defined]  # it is an SMTP
            return "421 no goodbye"

    got: list[object] = []
    with Running(Controller(Rude(), hostname="127.0.0.1", port=free_port()), app):
        mail_delivery.deliver_due()
        mail_delivery.deliver_due()
    assert (len(got), newest().state) == (1, "Sent")


# --- trouble that is nobody's fault ---------------------------------------------------------------------------------


class Running:
    """A server with certificates or a will of its own, to which the app's mail goes meanwhile."""

    def __init__(self, controller: Controller, app: Flask) -> None:
        self.controller, self.app = controller, app

    def __enter__(self) -> None:
        self.controller.start()
        self.app.config["MAIL_PORT"] = self.controller.port

    def __exit__(self, *_: object) -> None:
        self.controller.stop()


class Keeping(Message):
    def __init__(self) -> None:
        super().__init__()
        self.got: list[EmailMessage] = []

    def handle_message(self, message: EmailMessage) -> None:  # type: ignore[override]
        self.got.append(message)


def certified(name: str, place: Path, **options: object) -> Controller:
    """A server whose certificate is for `name`, from an authority that stands in `place`/ca.pem."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(place / "ca.pem"))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(name).configure_cert(context)
    key = "ssl_context" if options.pop("from_the_start", False) else "tls_context"
    return Controller(Keeping(), hostname="127.0.0.1", port=free_port(), **{key: context}, **options)


@pytest.mark.parametrize("setting", ["MAIL_USE_TLS", "MAIL_USE_SSL"])
def test_starttls_and_ssl_send_where_the_certificate_is_right(
    setting: str, rejected: Delivery, app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = certified("127.0.0.1", tmp_path, from_the_start=setting == "MAIL_USE_SSL")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    app.config[setting] = True
    with Running(server, app):
        mail_delivery.deliver_due()
    assert len(server.handler.got) == 1, newest().error


@pytest.mark.parametrize("setting", ["MAIL_USE_TLS", "MAIL_USE_SSL"])
@pytest.mark.parametrize("wrong", ["an authority that nobody knows", "another name"])
def test_a_wrong_certificate_holds_the_queue(
    wrong: str, setting: str, rejected: Delivery, app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "mail.example.com" if wrong == "another name" else "127.0.0.1"
    server = certified(name, tmp_path, from_the_start=setting == "MAIL_USE_SSL")
    if wrong == "another name":
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    app.config[setting] = True
    with Running(server, app):
        mail_delivery.deliver_due()
    assert server.handler.got == []
    assert Setting.read(SettingName.MAIL)["held"]
    assert "certificate" in Setting.read(SettingName.MAIL)["cause"]
    assert (newest().state, newest().tries) == ("Waiting", 0)


def test_a_server_without_starttls_holds_the_queue_where_starttls_is_asked_for(
    rejected: Delivery, app: Flask, post: Postbox
) -> None:
    app.config["MAIL_USE_TLS"] = True
    mail_delivery.deliver_due()
    assert post.arrived == []
    assert Setting.read(SettingName.MAIL)["held"]


def test_a_server_that_speaks_no_tls_holds_the_queue_and_blames_no_certificate(
    rejected: Delivery, app: Flask, post: Postbox
) -> None:
    app.config["MAIL_USE_SSL"] = True
    mail_delivery.deliver_due()
    trouble = Setting.read(SettingName.MAIL)
    assert trouble["held"]
    assert trouble["cause"].endswith("it speaks no TLS there. See MAIL_PORT, MAIL_USE_SSL and MAIL_USE_TLS.")


def test_a_failed_sign_in_holds_the_queue_and_a_right_one_sends(rejected: Delivery, app: Flask) -> None:
    def authenticate(*given: object) -> AuthResult:
        return AuthResult(success=given[-1].password == b"right", handled=False)  # type: ignore[attr-defined]

    server = Controller(Keeping(), "127.0.0.1", free_port(), authenticator=authenticate, auth_require_tls=False)
    app.config["MAIL_USERNAME"], app.config["MAIL_PASSWORD"] = "countersign", "wrong"
    with Running(server, app), time_machine.travel(NOON, tick=False) as clock:
        mail_delivery.deliver_due()
        assert "refused the sign-in: 535" in Setting.read(SettingName.MAIL)["cause"]
        assert newest().state == "Waiting"
        app.config["MAIL_PASSWORD"] = "right"
        clock.shift(60)
        mail_delivery.deliver_due()
    assert len(server.handler.got) == 1, newest().error
    assert Setting.read(SettingName.MAIL) is None


@pytest.mark.parametrize(
    ("command", "reply"), [("MAIL", "550 5.7.1 Sender refused"), ("RCPT", "530 5.7.0 Authentication required")]
)
def test_a_refused_sender_burns_nobodys_mail_and_one_mail_a_minute_asks_until_it_goes(
    command: str,
    reply: str,
    make_project: MakeProject,
    cast: dict[str, Person],
    post: Postbox,
    clock: time_machine.Traveller,
) -> None:
    for number in range(4):
        reject(make_project(number=f"26-{number:03}"), cast)
    post.fail(command, reply, times=None)
    number = post.faults.listed()[0]["id"]
    post.faults.switch_off(number)
    post.fail(command, reply, times=60)
    for _ in range(180):  # three minutes, a tick each second
        mail_delivery.deliver_due()
        clock.shift(1)
    assert 60 - post.faults.listed()[0]["times"] == 3
    assert Setting.read(SettingName.MAIL)["held"]
    assert {delivery.state for delivery in db.session.scalars(select(Delivery))} == {"Waiting"}
    clock.shift(timedelta(days=3))  # however long it takes
    post.faults.switch_off()
    mail_delivery.deliver_due()
    assert len(post.arrived) == 4
    assert Setting.read(SettingName.MAIL) is None


def test_a_held_queue_stays_held_while_the_server_is_away(
    rejected: Delivery, post: Postbox, clock: time_machine.Traveller
) -> None:
    post.fail("MAIL", "550 5.7.1 Sender refused")
    mail_delivery.deliver_due()
    post.fail("CONNECT", "drop")
    clock.shift(60)
    mail_delivery.deliver_due()
    assert Setting.read(SettingName.MAIL)["held"]


def test_pausing_holds_mails_too(rejected: Delivery, post: Postbox) -> None:
    with writing():
        Setting.write(SettingName.PAUSED, {"by": "Dana", "at": utcnow().isoformat()})
    mail_delivery.deliver_due()
    assert (post.arrived, mail_delivery.send_test("a@example.com")[0]) == ([], False)
    with writing():
        Setting.write(SettingName.PAUSED, None)
    mail_delivery.deliver_due()
    assert len(post.arrived) == 1


def test_a_pause_while_the_server_greets_keeps_the_mail_from_going_out(
    rejected: Delivery, post: Postbox, app: Flask
) -> None:
    def pause(place: str) -> None:
        if place == "CONNECT":
            with app.app_context(), writing():
                Setting.write(SettingName.PAUSED, {"by": "Dana", "at": utcnow().isoformat()})

    post.during = pause
    mail_delivery.deliver_due()
    assert (post.arrived, newest().state) == ([], "Waiting")


def test_a_notice_is_not_sent_to_who_was_disabled_meanwhile(rejected: Delivery, post: Postbox) -> None:
    rejected.person.active = False
    db.session.commit()
    mail_delivery.deliver_due()
    assert (post.arrived, newest().outcome) == ([], MailOutcome.SKIPPED)


# --- slow servers ---------------------------------------------------------------------------------------------------


@pytest.fixture
def two_mails(make_project: MakeProject, cast: dict[str, Person]) -> None:
    """A rejection notice to the manager, and after it one to the administrator."""
    project = make_project()
    project.created_by = cast["administrator"]
    reject(project, cast)


@pytest.mark.parametrize("command", ["RCPT", "DATA"])
@pytest.mark.parametrize("reply", ["silence", "drop", "421 4.4.2 Bad connection"])
def test_silence_about_one_recipient_holds_up_nobody_else(
    command: str, reply: str, two_mails: None, post: Postbox, impatient: None
) -> None:
    post.fail(command, reply, recipient="manager@example.com")
    mail_delivery.deliver_due()
    assert post.recipients == ["administrator@example.com"]
    assert Setting.read(SettingName.MAIL) is None


def test_the_answer_to_a_text_is_waited_for_while_the_next_mail_goes(
    two_mails: None, post: Postbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mail_delivery, "SLOW", 0.2)
    monkeypatch.setattr(smtp, "TAKEN", 3)
    began = utcnow()
    post.fail("TEXT", "silence", recipient="manager@example.com")
    mail_delivery.deliver_due()
    one, other = db.session.scalars(select(Delivery).order_by(Delivery.id))
    assert (one.outcome, other.outcome) == (MailOutcome.UNKNOWN, MailOutcome.SENT)
    assert other.sent_at
    assert other.sent_at - began < timedelta(seconds=2)


def test_a_mail_that_waits_long_for_its_answer_stays_with_whoever_sends_it(
    two_mails: None, app: Flask, post: Postbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mail_delivery, "SLOW", 0.1)
    post.fail("TEXT", "silence", recipient="manager@example.com", stored=True)
    monkeypatch.setattr(smtp, "TAKEN", 5)

    def lease() -> datetime:
        db.session.rollback()
        return db.session.scalars(select(Delivery.lease_until).order_by(Delivery.id)).first() or NOON

    def send() -> None:
        with app.app_context():
            mail_delivery.deliver_due()

    sending = threading.Thread(target=send)
    sending.start()
    wait_until(lambda: len(post.arrived) == 2)
    before = lease()
    wait_until(lambda: lease() > before, 4)
    sending.join()
    db.session.rollback()
    assert {each.state for each in db.session.scalars(select(Delivery))} == {"Unknown", "Sent"}


@pytest.mark.parametrize("place", ["CONNECT", "TEXT"])
def test_a_slow_greeting_and_a_slow_answer_to_the_text_are_waited_for(
    place: str, rejected: Delivery, post: Postbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smtp, "ANSWER", 0.4)
    post.slow[place] = 1
    mail_delivery.deliver_due()
    assert newest().state == "Sent", newest().error


def test_a_greeting_is_waited_for_longer_at_a_later_try(
    rejected: Delivery, post: Postbox, monkeypatch: pytest.MonkeyPatch, clock: time_machine.Traveller
) -> None:
    monkeypatch.setattr(smtp, "GREETINGS", (0.2, 10))
    post.slow["CONNECT"] = 1
    mail_delivery.deliver_due()
    assert newest().state == "Waiting"
    clock.shift(60)
    mail_delivery.deliver_due()
    assert newest().state == "Sent"


# --- what a server is told ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_a_password_of_other_letters_is_sent_in_utf8(mechanism: str, rejected: Delivery, app: Flask) -> None:
    def authenticate(*given: object) -> AuthResult:
        return AuthResult(success=given[-1].password == "grüße-€".encode(), handled=False)  # type: ignore[attr-defined]

    other = {"PLAIN": "LOGIN", "LOGIN": "PLAIN"}[mechanism]
    options = {"authenticator": authenticate, "auth_require_tls": False, "auth_exclude_mechanism": [other]}
    app.config["MAIL_USERNAME"], app.config["MAIL_PASSWORD"] = "countersign", "grüße-€"
    with Running(Controller(Keeping(), "127.0.0.1", free_port(), **options), app):
        mail_delivery.deliver_due()
    assert newest().state == "Sent", newest().error


@pytest.mark.parametrize(
    ("base_url", "name"),
    [
        ("https://countersign.example.com", "countersign.example.com"),
        ("https://192.168.1.5:8443", "[192.168.1.5]"),
        ("https://[2001:db8::1]", "[IPv6:2001:db8::1]"),
    ],
)
def test_an_ip_number_stands_in_brackets_in_the_greeting(
    base_url: str, name: str, rejected: Delivery, app: Flask, tmp_path: Path
) -> None:
    class Listening(Keeping):
        async def handle_EHLO(  # noqa: N802 - aiosmtpd's name
            self, _server: object, session: object, _envelope: object, name: str, answers: list[str]
        ) -> list[str]:
            session.host_name = name  # type: ignore[attr-defined]  # it is a Session
            heard.append(name)
            return answers

    heard: list[str] = []
    app.config["BASE_URL"] = base_url
    with Running(Controller(Listening(), "127.0.0.1", free_port()), app):
        mail_delivery.deliver_due()
    assert heard == [name]


def test_mail_ca_file_is_the_authority_that_counts(rejected: Delivery, app: Flask, tmp_path: Path) -> None:
    server = certified("127.0.0.1", tmp_path)
    app.config["MAIL_USE_TLS"], app.config["MAIL_CA_FILE"] = True, str(tmp_path / "ca.pem")
    with Running(server, app):
        mail_delivery.deliver_due()
    assert len(server.handler.got) == 1, newest().error
