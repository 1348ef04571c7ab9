"""The mails themselves: what each says, to whom, and in which form."""

import re
from collections.abc import Callable, Iterator
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
import time_machine
from conftest import ENVIRON
from flask import Flask
from lxml import etree, html
from sqlalchemy import select
from support.mail_server import Postbox

from dev.sandbox.mails import Mail
from extensions import db
from models import Delivery, Person, Project
from services import accounts, directory, workflow
from tasks import digest, mail_delivery, mail_messages

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
    assert "Approver rejected it on Mon 9 Mar 2026, 12:00 PM PDT" in text
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
    assert mail.header("From") == "countersign@127.0.0.1"
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
    Delivery.queue("invitation", event, cast["approver"])
    Delivery.queue("reset", event, cast["approver"])
    workflow.send(waiting, cast["manager"], HOSTILE)
    waiting.status, waiting.spectrum_job_id = "Exporting", "26-014"
    workflow.mark_exported(waiting)
    workflow.send(make_project(number="26-016", name=HOSTILE), cast["manager"], HOSTILE)
    cast["approver"].name = HOSTILE
    db.session.commit()
    digest.open_day(NOON.date())
    Delivery.queue_alarm(NOON.date(), cast["controller"])
    db.session.commit()
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
    assert page.findtext(".//blockquote").split() == comment.split()
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
