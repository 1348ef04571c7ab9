"""The mails: one function per mail.

Whether and when a mail goes is in mail_delivery.py; how it goes out, in smtp.py and mail_graph.py. Text and HTML come
from one template per mail, which says everything through the macros of `mail/_text.txt` or `mail/_html.html`.
"""

import re
from collections.abc import Callable
from datetime import datetime
from email.utils import make_msgid
from typing import Any

from flask import current_app, render_template, url_for
from markupsafe import Markup

from extensions import db
from lib import formatting
from models import Delivery, Event, Level, MailKind, Project, Side, utcnow
from services import accounts, comments, expiry
from services.mail_settings import sender
from services.outstanding import LISTED, Summary, describe_stuck, stuck_projects
from tasks.mail_errors import MailError, MailFailure
from tasks.mime import Mail, one_line

ATOM = r"[^\s<>()\[\],;:\\\"@.\x00-\x20\x7f-\U0010ffff]+"
ADDRESS = re.compile(rf"{ATOM}(\.{ATOM})*@{ATOM}(\.{ATOM})*")


def compose(delivery: Delivery) -> Mail:
    """The mail of a delivery as things stand now, written out. Raises MailError where its address is none."""
    message = MAILS[MailKind(delivery.kind)](delivery)
    message.as_bytes()
    return message


def digest(delivery: Delivery) -> Mail:
    unsubscribe = url_for("mails.unsubscribe", token=accounts.unsubscribe_token(delivery.person))
    return _of_delivery(
        delivery,
        "ERP Integrations Daily Summary",
        {"List-Unsubscribe": f"<{unsubscribe}>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"},
        summary=Summary.now(),
        latest_comment=comments.latest,
    )


def rejection(delivery: Delivery) -> Mail:
    event, project = _about(delivery)
    return _answered_by(event, _of_delivery(delivery, f"ERP Project Rejection Notification: {project.title}"))


def comment(delivery: Delivery) -> Mail:
    event, project = _about(delivery)
    reader = delivery.person
    in_erp = comments.side_of(project, reader) is Side.ACCOUNTING or reader.projects is Level.NONE
    link = url_for("approvals.project" if in_erp else "projects.general", project_id=project.id)
    return _answered_by(event, _of_delivery(delivery, f"ERP Project Comment: {project.title}", link=link))


def export(delivery: Delivery) -> Mail:
    _event, project = _about(delivery)
    return _of_delivery(delivery, f"ERP Project Export Notification: {project.title}")


def update(delivery: Delivery) -> Mail:
    _event, project = _about(delivery)
    return _of_delivery(delivery, f"ERP Project Update Notification: {project.title}")


def invitation(delivery: Delivery) -> Mail:
    company, host = (current_app.config[name] for name in ("SPECTRUM_COMPANY_CODE", "SERVER_NAME"))
    if not current_app.config["OIDC_ONLY"]:
        return _with_link(delivery, "Your Countersign account", company=company, host=host)
    account = current_app.config["OIDC_NAME"]
    return _of_delivery(delivery, "Your Countersign account", company=company, host=host, account=account)


def reset(delivery: Delivery) -> Mail:
    return _with_link(delivery, "Reset your Countersign password")


def alert(delivery: Delivery) -> Mail:
    listed = db.session.scalars(stuck_projects().limit(LISTED)).all()
    return _of_delivery(delivery, "Countersign needs attention", stuck=describe_stuck(), projects=listed)


def about_expiry(delivery: Delivery) -> Mail:
    found = expiry.find(delivery.subject)
    assert found  # else the mail is not needed
    return _of_delivery(delivery, f"Countersign: {found.heading}", heading=found.heading, advice=found.advice)


def test(address: str) -> Mail:
    domain = sender().rpartition("@")[2]
    return _message("test", "Countersign test mail", address, make_msgid(domain=domain), utcnow())


MAILS: dict[MailKind, Callable[[Delivery], Mail]] = {
    MailKind.DIGEST: digest,
    MailKind.REJECTION: rejection,
    MailKind.EXPORT: export,
    MailKind.UPDATE: update,
    MailKind.COMMENT: comment,
    MailKind.INVITATION: invitation,
    MailKind.RESET: reset,
    MailKind.ALERT: alert,
    MailKind.EXPIRY: about_expiry,
}


def _about(delivery: Delivery) -> tuple[Event, Project]:
    assert delivery.event and delivery.event.project
    return delivery.event, delivery.event.project


def _answered_by(event: Event, message: Mail) -> Mail:
    """The mail, a reply to which reaches the person of the event."""
    if event.person:
        message.reply_to = _smtp_address(event.person.email)
    return message


def _with_link(delivery: Delivery, subject: str, **content: Any) -> Mail:
    """A mail with a link that sets the password; its token is made here and stands nowhere else."""
    kind = MailKind(delivery.kind)
    link = url_for("auth.set_password", token=accounts.link_token(delivery.person, kind))
    good_for = formatting.format_duration(accounts.LINKS[kind])
    return _of_delivery(delivery, subject, link=link, good_for=good_for, **content)


def _of_delivery(delivery: Delivery, subject: str, headers: dict[str, str] | None = None, **content: Any) -> Mail:
    content |= {"person": delivery.person, "event": delivery.event}
    address, at = delivery.person.email, delivery.created_at
    return _message(MailKind(delivery.kind).name.lower(), subject, address, delivery.message_id, at, headers, **content)


def _message(
    template: str,
    subject: str,
    address: str,
    message_id: str,
    at: datetime,
    headers: dict[str, str] | None = None,
    **content: Any,
) -> Mail:
    message = Mail(
        one_line(subject),
        recipients=[_smtp_address(address)],
        date=at.timestamp(),
        extra_headers={"Auto-Submitted": "auto-generated", **(headers or {})},
    )
    message.msgId = message_id
    text = _render(template, "_text.txt", content)
    message.body = re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"
    body = Markup(_render(template, "_html.html", content))  # noqa: S704 - made by macros that escape  # nosec B704
    message.html = render_template("mail/_layout.html", subject=message.subject, body=body)
    return message


def _render(template: str, macros: str, content: dict[str, Any]) -> str:
    say = current_app.jinja_env.get_template(f"mail/{macros}").module
    return render_template(f"mail/{template}.mail", say=say, elapsed=formatting.elapsed, **content)


def _smtp_address(address: str) -> str:
    local, _, domain = address.rpartition("@")
    try:
        written = f"{local}@{domain.encode('idna').decode()}"
    except UnicodeError:
        written = ""
    if not ADDRESS.fullmatch(written):
        raise MailError(MailFailure.PERMANENT, f"{address} is not an address that mail can be sent to.")
    return written
