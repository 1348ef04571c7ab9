"""Expirations: reading the ends of certificates, and mailing ERP admins in time."""

import socket
import ssl
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select

from extensions import db, writing
from models import Delivery, Level, MailKind, Person, Setting, SettingName, utcnow
from services import expiry
from tasks.mail_delivery import blocked_reason

ANSWER = 5  # seconds
LOOK_EVERY, LOOK_AGAIN = timedelta(hours=6), timedelta(minutes=15)  # the latter where the last look failed


def look_at_certificates() -> None:
    """Keep until when the certificate of each address is good, where the last look at it is old."""
    kept: dict[str, Any] = Setting.read(SettingName.CERTIFICATES) or {}
    due = [each for each in expiry.watched_addresses().values() if _is_due(kept.get(each))]
    db.session.rollback()  # no transaction is open while we wait for an answer
    for address in due:
        found = _look(address)
        with writing():
            kept = Setting.read(SettingName.CERTIFICATES) or {}
            Setting.write(SettingName.CERTIFICATES, kept | {address: kept.get(address, {}) | found})


def queue_mails() -> None:
    subjects = [] if blocked_reason() else [each.mail_due for each in expiry.list_expiries() if each.mail_due]
    for subject in subjects:
        known = select(Delivery.person_id).where(Delivery.key.startswith(f"{MailKind.EXPIRY}:{subject}:"))
        to = select(Person).where(Person.active, Person.erp == Level.ADMIN, Person.id.not_in(known))
        if db.session.scalars(to).first():
            with writing():
                for person in db.session.scalars(to).all():
                    Delivery.queue_expiry(subject, person)


def _is_due(found: dict[str, str] | None) -> bool:
    if not found:
        return True
    pause = LOOK_AGAIN if found["error"] else LOOK_EVERY
    return abs(utcnow() - datetime.fromisoformat(found["tried"])) >= pause


def _look(address: str) -> dict[str, str]:
    from cryptography import x509  # late: 8 MB, only in the process that looks, and where there is a certificate

    tried, host = utcnow().isoformat(), address.rpartition(":")[0]
    try:
        pem = _certificate(host, int(address.rpartition(":")[2]))
        ends = x509.load_pem_x509_certificate(pem.encode()).not_valid_after_utc
    except ssl.SSLError:
        return {"tried": tried, "error": f"No certificate is shown at {address}."}
    except (OSError, ValueError) as error:
        return {"tried": tried, "error": f"It could not be read: {getattr(error, 'strerror', None) or error}."}
    return {"tried": tried, "error": "", "ends": ends.isoformat()}


def _certificate(host: str, port: int) -> str:
    """The certificate, whether it is to be trusted or not: one that has expired is the one to tell of."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection((host, port), timeout=ANSWER) as connection,
        context.wrap_socket(connection, server_hostname=host) as encrypted,
    ):
        return ssl.DER_cert_to_PEM_cert(encrypted.getpeercert(binary_form=True) or b"")
