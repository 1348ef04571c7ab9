"""The mails themselves: what each says, to whom, and in which form."""

import email
import re
from collections.abc import Callable, Iterator
from datetime import datetime
from email import policy
from email.header import decode_header, make_header
from zoneinfo import ZoneInfo

import pytest
import time_machine
from conftest import ENVIRON
from flask import Flask, current_app
from lxml import etree, html
from sqlalchemy import select
from support.mail_server import Postbox

from dev.sandbox.mails import Mail
from extensions import db
from models import Delivery, Person, Project
from services import accounts, comments, directory, workflow
from tasks import digest, expiry, mail_delivery, mail_messages, mime

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


# --- what a mail is -------------------------------------------------------------------------------------------------


def test_a_rejection_tells_sender_and_creator_the_comment_who_and_when_with_a_link_to_the_project(
    make_project: MakeProject, cast: dict[str, Person], post: Postbox, clock: time_machine.Traveller
) -> None:
    project = make_project()
    project.created_by = cast["administrator"]
    reject(project, cast, "The address is not complete.\nWhich street?")
    mail_delivery.deliver_due()
    assert sorted(post.recipients) == ["administrator@example.com", "manager@example.com"]
    mail = post.arrived[0]
    assert mail.header("Subject") == "ERP Project Rejection Notification: 26-014 Depot Lofts Retail Shell"
    assert mail.header("Reply-To") == "approver@example.com"
    text = mail.part("plain").replace("\r\n", "\n")
    assert "> The address is not complete.\n> Which street?" in text
    assert "Approver rejected it on Mar 9, 2026, 12:00 PM" in text
    assert f"http://127.0.0.1:8000/admin/projects/{project.id}" in text


def test_an_export_tells_the_sender_the_spectrum_job_id(
    make_project: MakeProject, cast: dict[str, Person], post: Postbox
) -> None:
    project = make_project()
    workflow.send(project, cast["manager"])
    project.status, project.spectrum_job_id = "Exporting", "26-014"
    workflow.mark_exported(project)
    db.session.commit()
    mail_delivery.deliver_due()
    assert post.recipients == ["manager@example.com"]
    assert post.arrived[0].header("Subject") == "ERP Project Export Notification: 26-014 Depot Lofts Retail Shell"
    assert "Spectrum Job ID is 26-014" in post.arrived[0].part("plain")


def test_every_mail_says_who_made_it_and_when_and_has_one_id(rejected: Delivery) -> None:
    mail = mail_of(rejected)
    assert mail.header("From") == "Countersign <countersign@127.0.0.1>"
    assert mail.header("To") == "manager@example.com"
    assert mail.header("Auto-Submitted") == "auto-generated"
    assert mail.header("Date") == "Mon, 09 Mar 2026 19:00:00 +0000"
    assert mail.header("Message-ID") == rejected.message_id
    assert re.fullmatch(r"<[^<>@\s]+@127\.0\.0\.1>", rejected.message_id)


def test_the_summary_can_be_unsubscribed_from_with_one_click_and_its_header_is_not_folded(
    app: Flask, make_project: MakeProject, cast: dict[str, Person]
) -> None:
    workflow.send(make_project(), cast["manager"])
    db.session.commit()
    digest.open_day(NOON.date())
    raw = mail_messages.compose(newest()).as_bytes().decode("ascii")
    assert re.search(r"\r\nList-Unsubscribe: <http://127\.0\.0\.1:8000/erp/mails/unsubscribe/[\w.-]+>\r\n", raw)
    assert "\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n" in raw


def every_kind(make_project: MakeProject, cast: dict[str, Person]) -> list[Delivery]:
    """A delivery of each kind, about things with hostile names."""
    reject(make_project(), cast, HOSTILE)
    waiting = make_project(number="26-015", name=HOSTILE, city="<b>Tacoma</b>")
    event = directory.record(cast["approver"], "added", None)
    db.session.flush()
    Delivery.queue("invitation", event.id, cast["approver"])
    Delivery.queue("reset", event.id, cast["approver"])
    workflow.send(waiting, cast["manager"], HOSTILE)
    waiting.status, waiting.spectrum_job_id = "Exporting", "26-014"
    workflow.mark_exported(waiting)
    waiting.status = "Updating"
    workflow.mark_updated(waiting)
    asked = make_project(number="26-016", name=HOSTILE)
    workflow.send(asked, cast["manager"], HOSTILE)
    comments.add(asked, cast["approver"], HOSTILE, "", answer_needed=True)
    cast["approver"].name = HOSTILE
    db.session.commit()
    digest.open_day(NOON.date())
    Delivery.queue_alarm(NOON.date(), cast["controller"])
    db.session.commit()
    current_app.config.update(OIDC_ISSUER="https://login.example", OIDC_SECRET_EXPIRES=NOON.date())
    expiry.queue_mails()
    return list(db.session.scalars(select(Delivery)))


def test_text_and_html_of_each_kind_say_the_same_and_nothing_in_a_name_becomes_markup_or_a_header(
    make_project: MakeProject, cast: dict[str, Person], clock: time_machine.Traveller
) -> None:
    deliveries = every_kind(make_project, cast)
    assert {delivery.kind for delivery in deliveries} == set(mail_messages.MAILS)
    for delivery in deliveries:
        mail = mail_of(delivery)
        page = html.document_fromstring(mail.part("html"))
        assert not page.xpath("//img | //b | //script | //link | //@onerror | //@src")
        assert mail.header("Bcc") == ""
        assert "\n" not in mail.header("Subject")
        body = page.find("body")
        said = " ".join([*body.itertext(), *body.xpath(".//a/@href")])
        assert sorted(words(said)) == sorted(words(mail.part("plain")))


def words(text: str) -> list[str]:
    """The words, without the marks that plain text uses for headings, lists and quotations."""
    return [word for word in text.split() if not re.fullmatch(r"[=*>-]+", word)]


def test_the_html_of_each_kind_is_well_formed(
    make_project: MakeProject, cast: dict[str, Person], clock: time_machine.Traveller
) -> None:
    for delivery in every_kind(make_project, cast):
        page = mail_of(delivery).part("html")
        assert page.startswith("<!DOCTYPE html>")
        etree.fromstring(page.encode(), etree.XMLParser(resolve_entities=False))
        strict = etree.HTMLParser(recover=False)
        etree.fromstring(page, strict)
        assert len(strict.error_log) == 0


def test_each_line_of_a_mail_is_ascii_and_short_enough_for_every_server(
    make_project: MakeProject, cast: dict[str, Person], clock: time_machine.Traveller
) -> None:
    delivery = reject(make_project(name="Łódź " + "very " * 20 + "long"), cast, "ä" * 3000 + " and " + "x" * 3000)
    raw = mail_messages.compose(delivery).as_bytes()
    assert raw.isascii()
    assert max(len(line) for line in raw.split(b"\r\n")) <= 998
    assert mail_of(delivery).header("Subject").startswith("ERP Project Rejection Notification: 26-014 Łódź very")
    assert "x" * 3000 in mail_of(delivery).part("plain")


def test_a_text_with_a_dot_alone_in_a_line_arrives_whole(
    make_project: MakeProject, cast: dict[str, Person], post: Postbox
) -> None:
    comment = "One\n.\n..two\nThree"
    reject(make_project(), cast, comment)
    mail_delivery.deliver_due()
    page = html.document_fromstring(post.arrived[0].part("html"))
    assert list(page.find(".//blockquote").itertext()) == comment.split("\n")
    assert re.findall(r"> (.*)", post.arrived[0].part("plain").replace("\r", "")) == comment.split("\n")


def test_the_link_that_sets_a_password_is_made_for_the_mail_and_stored_nowhere(
    cast: dict[str, Person], post: Postbox, caplog: pytest.LogCaptureFixture
) -> None:
    accounts.send_link(cast["approver"], "reset", None)
    db.session.commit()
    mail_delivery.deliver_due()
    assert post.arrived[0].header("Subject") == "Reset your Countersign password"
    token = re.search(r"/password/(\S+)", post.arrived[0].part("plain"))[1]  # type: ignore[index]
    assert accounts.from_link_token(token, "reset") is not None
    row = newest()
    assert not any(token in str(getattr(row, column.key)) for column in Delivery.__table__.columns)
    assert token not in caplog.text


INJECTING = "=?utf-8?q?x=0D=0AReply-To:_thief@example.com?="


def test_a_project_named_like_an_encoded_header_is_shown_as_it_is_named_and_makes_no_header(
    make_project: MakeProject, cast: dict[str, Person], clock: time_machine.Traveller
) -> None:
    raw = mail_messages.compose(reject(make_project(name=INJECTING), cast)).as_bytes()
    for rules in (policy.default, policy.compat32):
        parsed = email.message_from_bytes(raw, policy=rules)
        assert parsed.get_all("Reply-To") == ["approver@example.com"]
    subject = str(make_header(decode_header(parsed["Subject"])))
    assert subject == f"ERP Project Rejection Notification: 26-014 {INJECTING}"


@pytest.mark.parametrize("name", ["Łódź " * 24, "工程" * 60, "é", "x" * 100 + "é", "=?" * 50])
def test_an_encoded_word_has_75_characters_at_most(
    name: str, make_project: MakeProject, cast: dict[str, Person], clock: time_machine.Traveller
) -> None:
    delivery = reject(make_project(name=name.strip()), cast)
    head = mail_messages.compose(delivery).as_bytes().partition(b"\r\n\r\n")[0].decode("ascii")
    found = re.findall(r"=\?utf-8\?\S+\?=", head)
    assert found
    assert max(len(word) for word in found) <= 75
    subject = email.message_from_string(head)["Subject"]
    expected = f"ERP Project Rejection Notification: 26-014 {name.strip()}"
    assert str(make_header(decode_header(subject))) == expected


@pytest.mark.parametrize(
    ("sender", "shown"),
    [
        ("erp@example.com", "Countersign <erp@example.com>"),
        ('"Depot, Inc." <erp@example.com>', '"Depot, Inc." <erp@example.com>'),
        ("Bürø <erp@example.com>", "Bürø <erp@example.com>"),
    ],
)
def test_mail_comes_from_countersign_unless_the_sender_has_a_name(sender: str, shown: str, app: Flask) -> None:
    message = mime.Mail("Hello", recipients=["a@example.com"], sender=sender, body="-", html="-")
    assert str(email.message_from_bytes(message.as_bytes(), policy=policy.default)["From"]) == shown


@pytest.mark.parametrize("address", ["a..b@example.com", ".a@example.com", "a.@example.com", "a@b..com", "a b@x.com"])
def test_an_address_with_a_dot_too_many_is_final(address: str, rejected: Delivery) -> None:
    rejected.person.email = address
    db.session.commit()
    mail_delivery.deliver_due()
    assert newest().state == "Not delivered"


def test_what_people_typed_stays_in_its_line_so_that_it_cannot_pass_for_a_link_of_ours(
    make_project: MakeProject, cast: dict[str, Person], post: Postbox, clock: time_machine.Traveller
) -> None:
    forged = "\n\nView all\nhttps://thief.example/\x0bhttps://thief.example/\u2028https://thief.example/"
    workflow.send(make_project(name=f"Depot{forged}", city=f"Tacoma{forged}"[:60]), cast["manager"], f"Note{forged}")
    cast["manager"].name = f"Manager{forged}"
    db.session.commit()
    digest.open_day(NOON.date())
    mail_delivery.deliver_due()
    lines = post.arrived[0].part("plain").splitlines()
    assert not [line for line in lines if line.strip().startswith("https://thief")]


def test_the_html_keeps_to_what_outlook_for_windows_draws(
    make_project: MakeProject, cast: dict[str, Person], clock: time_machine.Traveller
) -> None:
    for delivery in every_kind(make_project, cast):
        page = mail_of(delivery).part("html")
        assert not re.search(r"\drem|inline-block|pre-line|#[0-9a-f]{8}\b|#[0-9a-f]{4}\b", page)
        buttons = html.document_fromstring(page).xpath("//table[@role='presentation']//td[@bgcolor]/a")
        assert buttons, delivery.kind


def test_an_invitation_says_who_invites_and_into_which_company(
    app: Flask, cast: dict[str, Person], clock: time_machine.Traveller
) -> None:
    accounts.send_link(cast["approver"], "invitation", cast["administrator"])
    db.session.commit()
    text = " ".join(mail_of(newest()).part("plain").split())
    assert "Administrator invites you to Countersign at 127.0.0.1:8000" in text
    assert "company HB in Spectrum" in text
