"""The mails: one function per mail.

Who gets which mail when, and what is done about trouble, is in digest.py; how it goes to the mail server, in smtp.py.
Text and HTML come from one template per mail, which says everything through the macros of `mail/_text.txt` or
`mail/_html.html`.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email import policy
from email.message import EmailMessage
from email.utils import make_msgid
from typing import Any

from flask import current_app, render_template, url_for
from flask_mail import Message
from markupsafe import Markup
from sqlalchemy import Select, func, select

from extensions import db
from lib import formatting
from models import IN_PROGRESS, LINKS, Delivery, Event, Export, Project, Status, utcnow
from tasks import smtp
from tasks.smtp import MailError, MailFailure

LISTED = 50  # a summary names so many projects and counts the rest
TROUBLES = (Status.FAILED, Status.CHECKING)
STUCK = timedelta(minutes=30)
AS_IS = policy.SMTP.clone(max_line_length=998, cte_type="7bit")


class Mail(Message):
    """Flask-Mail's message, written down so that no server on its way has to change it.

    Headers stay in one line, because a folded List-Unsubscribe would be encoded, and the text goes in 7-bit lines.
    A header with a line break in it raises ValueError.
    """

    def as_bytes(self) -> bytes:
        mail = EmailMessage(policy=AS_IS)
        headers = {
            "From": self.sender,
            "To": self.recipients[0],
            "Reply-To": self.reply_to,
            "Subject": self.subject,
            "Date": datetime.fromtimestamp(self.date or 0, UTC),
            "Message-ID": self.msgId,
            **(self.extra_headers or {}),
        }
        for name, value in headers.items():
            if value:
                mail[name] = value
        mail.set_content(self.body)
        mail.add_alternative(self.html, subtype="html")
        return mail.as_bytes()


# --- the mails ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Summary:
    """What the daily summary tells: the oldest of what waits, of what failed or is being checked, and how many."""

    waiting: Sequence[Project]
    waiting_count: int
    troubled: Sequence[Project]
    troubled_count: int
    troubles: Sequence[Status]  # which of the two there are, listed or not: each has a list of its own

    @classmethod
    def now(cls) -> "Summary":
        troubles = select(Project.status).where(Project.status.in_(TROUBLES)).distinct()
        return cls(*_oldest(Status.READY), *_oldest(*TROUBLES), db.session.scalars(troubles).all())


def _oldest(*statuses: Status) -> tuple[Sequence[Project], int]:
    standing = Project.status.in_(statuses)
    rows = select(Project).where(standing).order_by(Project.sent_at, Project.id).limit(LISTED)
    count = db.session.scalar(select(func.count()).select_from(Project).where(standing)) or 0
    return db.session.scalars(rows).all(), count


def what_is_stuck() -> str:
    """Exports and mails that have been on their way for too long, as words; empty where none is."""
    since = utcnow() - STUCK
    mails = select(Delivery.id).where(Delivery.outcome.is_(None), Delivery.created_at < since, Delivery.kind != "alarm")
    rows = ((_stuck_projects().with_only_columns(Project.id), "export"), (mails, "mail"))
    counts = [(len(db.session.scalars(each).all()), noun) for each, noun in rows]
    return " and ".join(formatting.plural(count, noun) for count, noun in counts if count)


def _stuck_projects() -> Select[Project]:
    """The projects whose export has been on its way for too long, the oldest first."""
    overdue = (Export.due_at.is_not(None), Export.current, Export.accepted_at < utcnow() - STUCK)
    projects = select(Project).join(Export, Export.project_id == Project.id)
    return projects.where(*overdue, Project.status.in_(IN_PROGRESS)).order_by(Export.accepted_at, Export.id)


def compose(delivery: Delivery) -> Mail:
    """The mail of a delivery as things stand now. Raises MailError where its address can not be written to."""
    return MAILS[delivery.kind](delivery)


def digest(delivery: Delivery) -> Mail:
    unsubscribe = url_for("mails.unsubscribe", token=delivery.person.unsubscribe_token)
    return _of_delivery(
        delivery,
        "ERP Integrations Daily Summary",
        {"List-Unsubscribe": f"<{unsubscribe}>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"},
        summary=Summary.now(),
    )


def rejection(delivery: Delivery) -> Mail:
    event, project = _about(delivery)
    message = _of_delivery(delivery, f"ERP Project Rejection Notification: {project.title}")
    if event.person:
        message.reply_to = _on_the_wire(event.person.email)
    return message


def export(delivery: Delivery) -> Mail:
    _event, project = _about(delivery)
    return _of_delivery(delivery, f"ERP Project Export Notification: {project.title}")


def invitation(delivery: Delivery) -> Mail:
    return _with_link(delivery, "Your Countersign account")


def reset(delivery: Delivery) -> Mail:
    return _with_link(delivery, "Reset your Countersign password")


def alarm(delivery: Delivery) -> Mail:
    listed = db.session.scalars(_stuck_projects().limit(LISTED)).all()
    return _of_delivery(delivery, "Countersign is stuck", stuck=what_is_stuck(), projects=listed)


def test(address: str) -> Mail:
    """A mail that only says that mails arrive."""
    domain = smtp.sender().rpartition("@")[2]
    return _message("test", "Countersign test mail", address, make_msgid(domain=domain), utcnow())


MAILS: dict[str, Callable[[Delivery], Mail]] = {
    "digest": digest,
    "rejection": rejection,
    "export": export,
    "invitation": invitation,
    "reset": reset,
    "alarm": alarm,
}


def _about(delivery: Delivery) -> tuple[Event, Project]:
    assert delivery.event and delivery.event.project
    return delivery.event, delivery.event.project


def _with_link(delivery: Delivery, subject: str) -> Mail:
    """A mail with a link that sets the password; its token is made here and stands nowhere else."""
    link = url_for("auth.set_password", token=delivery.person.link_token(delivery.kind))
    return _of_delivery(delivery, subject, link=link, good_for=formatting.format_duration(LINKS[delivery.kind]))


def _of_delivery(delivery: Delivery, subject: str, headers: dict[str, str] | None = None, **content: Any) -> Mail:
    content |= {"person": delivery.person, "event": delivery.event}
    address, at = delivery.person.email, delivery.created_at
    return _message(delivery.kind, subject, address, delivery.message_id, at, headers, **content)


def _message(
    kind: str,
    subject: str,
    address: str,
    message_id: str,
    at: datetime,
    headers: dict[str, str] | None = None,
    **content: Any,
) -> Mail:
    one_line = " ".join(subject.split())
    message = Mail(
        one_line,
        recipients=[_on_the_wire(address)],
        date=at.timestamp(),
        extra_headers={"Auto-Submitted": "auto-generated", **(headers or {})},
    )
    message.msgId = message_id
    text = _said(kind, "_text.txt", content)
    message.body = re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"
    body = Markup(_said(kind, "_html.html", content))  # noqa: S704 - made by macros that escape  # nosec B704
    message.html = render_template("mail/_layout.html", subject=one_line, body=body)
    return message


def _said(kind: str, macros: str, content: dict[str, Any]) -> str:
    say = current_app.jinja_env.get_template(f"mail/{macros}").module
    return render_template(f"mail/{kind}.mail", say=say, elapsed=formatting.elapsed, **content)


def _on_the_wire(address: str) -> str:
    """The address as SMTP takes it: one line, ASCII, the domain in punycode where it has to be."""
    local, _, domain = address.rpartition("@")
    try:
        written = f"{local}@{domain.encode('idna').decode()}"
        written.encode("ascii")
    except UnicodeError:
        written = ""
    if not written or not written.isprintable() or any(char in written for char in ' <>,"'):
        raise MailError(MailFailure.REFUSED, f"{address} is not an address that mail can be sent to.")
    return written
