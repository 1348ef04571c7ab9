"""A mail as bytes: headers that no text can break out of, and a body that no server on its way has to change."""

import re
from datetime import UTC, datetime
from email import policy
from email.header import Header
from email.message import EmailMessage
from email.utils import format_datetime, formataddr, parseaddr
from functools import cached_property

from flask_mail import Message

AS_IS = policy.SMTP.clone(max_line_length=998, cte_type="7bit")
WIDEST = 75  # characters of an encoded word (RFC 2047)


class Mail(Message):
    """Flask-Mail's message, as bytes of our own making.

    `is_patient`: an earlier try got no greeting in time, so this one waits longer.
    """

    is_patient = False

    @property
    def address(self) -> str:
        return str(self.recipients[0])

    @cached_property
    def _composed(self) -> bytes:
        headers = {
            "To": self.address,
            "Reply-To": self.reply_to,
            "Subject": self.subject,
            "Date": format_datetime(datetime.fromtimestamp(self.date or 0, UTC)),
            "Message-ID": self.msgId,
            **(self.extra_headers or {}),
        }
        lines = [_from(str(self.sender)), *(_header(name, str(value)) for name, value in headers.items() if value)]
        body = EmailMessage(policy=AS_IS)
        body.set_content(self.body)
        body.add_alternative(self.html, subtype="html")
        return "".join(lines).encode("ascii") + body.as_bytes()

    def as_bytes(self) -> bytes:
        return self._composed

    @property
    def on_the_wire(self) -> bytes:
        """The text as DATA takes it: a dot that begins a line doubled, a dot alone at the end."""
        return re.sub(rb"(?m)^\.", b"..", self.as_bytes()).rstrip(b"\r\n") + b"\r\n.\r\n"


def one_line(text: str) -> str:
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def _header(name: str, value: str) -> str:
    """Write an ASCII header in one line: a folded List-Unsubscribe is not understood everywhere."""
    text = one_line(value)
    return f"{name}: {_encoded(name, text) if _needs_encoding(text) else text}\r\n"


def _from(sender: str) -> str:
    name, address = parseaddr(sender)
    name = one_line(name) or "Countersign"
    written = f"{_encoded('From', name)} <{address}>" if _needs_encoding(name) else formataddr((name, address))
    return f"From: {written}\r\n"


def _needs_encoding(text: str) -> bool:
    """Tell whether to encode a header; a text that looks like an encoded word would be decoded by its reader."""
    return not text.isascii() or "=?" in text or len(text) > 900


def _encoded(name: str, text: str) -> str:
    return Header(text, "utf-8", maxlinelen=WIDEST, header_name=name).encode(linesep="\r\n")
