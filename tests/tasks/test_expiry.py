"""Certificates are looked at in the background, and ERP admins get one mail at each step before something runs out."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import time_machine
import trustme
from conftest import free_port
from flask import Flask
from sqlalchemy import select

from dev.sandbox.mails import Mail
from extensions import db
from models import Delivery, MailOutcome, Person, Setting, SettingName, utcnow
from services import expiry as ends
from tasks import expiry, mail_delivery, mail_messages

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
END = date(2027, 3, 31)


@contextmanager
def tls_server(not_after: datetime) -> Iterator[tuple[str, list[str]]]:
    """A server with a certificate of that end, signed by nobody known: its address, and who called."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1", not_after=not_after).configure_cert(context)
    listening, calls = socket.create_server(("127.0.0.1", 0)), []

    def serve() -> None:
        with suppress(OSError):
            while True:
                connection, caller = listening.accept()
                calls.append(caller[0])
                with suppress(OSError), context.wrap_socket(connection, server_side=True) as encrypted:
                    encrypted.recv(1)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"127.0.0.1:{listening.getsockname()[1]}", calls
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join()


def kept(address: str) -> dict[str, Any]:
    db.session.rollback()
    return dict(Setting.read(SettingName.CERTIFICATES)[address])


@pytest.mark.parametrize("days", [40, -3])
def test_the_end_of_a_certificate_is_kept_whether_it_is_good_or_not_and_looked_up_every_six_hours(
    app: Flask, days: int
) -> None:
    now = utcnow().replace(microsecond=0)
    with time_machine.travel(now, tick=False) as clock, tls_server(now + timedelta(days=days)) as (address, calls):
        app.config["SPECTRUM_URL"] = f"https://{address}"
        expiry.look_at_certificates()
        assert kept(address)["ends"] == (now + timedelta(days=days)).isoformat()
        for hours, calls_since in ((5, 1), (2, 2)):
            clock.shift(timedelta(hours=hours))
            expiry.look_at_certificates()
            assert len(calls) == calls_since
    assert [each.name for each in ends.list_expiries()] == ["spectrum_certificate"]


def test_a_certificate_that_cannot_be_read_keeps_its_last_known_end_and_is_tried_again_soon(app: Flask) -> None:
    address = f"127.0.0.1:{free_port()}"
    app.config["BASE_URL"] = f"https://{address}"
    expiry.look_at_certificates()
    assert kept(address)["error"] == "It could not be read: Connection refused."
    assert ends.list_expiries()[0].sentence.endswith("the end is not known. It could not be read: Connection refused.")
    Setting.write(SettingName.CERTIFICATES, {address: kept(address) | {"ends": "2027-03-31T00:00:00+00:00"}})
    db.session.commit()
    with time_machine.travel(utcnow() + timedelta(minutes=16)):
        expiry.look_at_certificates()
    assert kept(address)["ends"] == "2027-03-31T00:00:00+00:00"
    assert kept(address)["tried"] > utcnow().isoformat()


def test_what_is_spoken_to_without_tls_is_not_looked_at(app: Flask) -> None:
    expiry.look_at_certificates()
    assert Setting.read(SettingName.CERTIFICATES) is None


def deliveries() -> list[Delivery]:
    db.session.rollback()
    return list(db.session.scalars(select(Delivery).where(Delivery.kind == "expiry").order_by(Delivery.id)))


@pytest.mark.parametrize(
    ("settings", "mailed_at"),
    [
        ({"OIDC_ISSUER": "https://login.example", "OIDC_SECRET_EXPIRES": END}, [30, 14, 3, 1]),
        ({"SPECTRUM_CLIENT_ID": "us", "SPECTRUM_SECRET_EXPIRES": END}, [14, 7, 3, 1]),
    ],
    ids=["sign-in", "spectrum"],
)
def test_each_erp_admin_gets_one_mail_at_each_step_whatever_is_restarted(
    app: Flask, cast: dict[str, Person], settings: dict[str, Any], mailed_at: list[int]
) -> None:
    app.config.update(settings)
    found = []
    for days in range(35, -3, -1):
        noon = datetime(END.year, END.month, END.day, 20, tzinfo=UTC) - timedelta(days=days)
        with time_machine.travel(noon, tick=False):
            for _ in range(2):  # as after a restart, or from another process
                before = len(deliveries())
                expiry.queue_mails()
                found += [days] * (len(deliveries()) - before)
    assert found == mailed_at
    assert {delivery.person for delivery in deliveries()} == {cast["controller"]}


def test_the_mail_names_what_expires_and_when_and_goes_to_nobody_once_it_was_renewed(app: Flask) -> None:
    app.config.update(OIDC_ISSUER="https://login.example", OIDC_SECRET_EXPIRES=END)
    with time_machine.travel(datetime(2027, 3, 20, 20, tzinfo=UTC), tick=False):
        expiry.queue_mails()
        (delivery,) = deliveries()
        mail = Mail(1, "", [], "", mail_messages.compose(delivery).as_bytes())
        assert mail.header("Subject") == "Countersign: The client secret for the sign-in expires in 11 days"
        assert "set OIDC_CLIENT_SECRET to it" in " ".join(mail.part("plain").split())
        app.config["OIDC_SECRET_EXPIRES"] = END.replace(year=2028)
        mail_delivery.deliver_due()
    (delivery,) = deliveries()
    assert delivery.outcome is MailOutcome.SKIPPED


def test_while_no_mail_may_go_none_is_queued_so_that_none_is_lost(app: Flask) -> None:
    app.config.update(OIDC_ISSUER="https://login.example", OIDC_SECRET_EXPIRES=ends.today())
    app.config["MAIL_SERVER"] = ""
    expiry.queue_mails()
    assert deliveries() == []


def test_an_overdue_backup_is_mailed_of_once(app: Flask) -> None:
    with time_machine.travel(utcnow() - timedelta(days=3)):
        Setting.write(SettingName.BACKED_UP, "backup.db")
        db.session.commit()
    for _ in range(2):
        expiry.queue_mails()
    assert [delivery.subject.partition(":")[0] for delivery in deliveries()] == ["backup"]
