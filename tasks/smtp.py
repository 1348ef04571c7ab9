"""The SMTP conversation: certificates checked, no answer waited for longer than 20 seconds, and what each answer means.

A mail goes in two halves, so that whoever sends it can write down in between that the text is about to go out.
"""

import enum
import re
import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email.utils import parseaddr
from typing import Any
from urllib.parse import urlsplit

from flask import current_app
from flask_mail import Message

TIMEOUT = 20  # seconds that the mail server has for each answer
NEEDS_SIGN_IN = (530, 534, 535, 538)


class MailFailure(enum.Enum):
    TEMPORARY = "not this mail, not now"
    UNREACHABLE = "no mail at all, not now"
    MISCONFIGURED = "no mail at all, until somebody mends it"
    PERMANENT = "never this mail to this person"
    UNKNOWN = "perhaps it went"


class MailError(Exception):
    """Why a mail did not go, as a sentence, and what kind of trouble that is."""

    def __init__(self, failure: MailFailure, cause: str) -> None:
        super().__init__(cause)
        self.failure, self.cause = failure, cause


def server() -> str:
    """The mail server as people know it: `host:port`."""
    return f"{current_app.config['MAIL_SERVER']}:{current_app.config['MAIL_PORT']}"


def sender() -> str:
    """The address that mails come from."""
    return parseaddr(current_app.config["MAIL_DEFAULT_SENDER"])[1]


@contextmanager
def connection() -> Iterator[smtplib.SMTP]:
    """Signed in to the mail server, its certificate checked; how the goodbye goes does not matter. Raises MailError."""
    with _translating_errors():
        opened = _open()
    try:
        yield opened
    finally:
        with suppress(smtplib.SMTPException, OSError):
            opened.quit()
        opened.close()


def _open() -> smtplib.SMTP:
    settings, context = current_app.config, ssl.create_default_context()
    our_name = urlsplit(settings["BASE_URL"]).hostname
    where: dict[str, Any] = {"host": settings["MAIL_SERVER"], "port": settings["MAIL_PORT"]}
    where |= {"local_hostname": our_name, "timeout": TIMEOUT}
    connection = smtplib.SMTP_SSL(**where, context=context) if settings["MAIL_USE_SSL"] else smtplib.SMTP(**where)
    try:
        connection.ehlo_or_helo_if_needed()
        if settings["MAIL_USE_TLS"]:
            connection.starttls(context=context)
            connection.ehlo_or_helo_if_needed()
        if settings["MAIL_USERNAME"]:
            connection.login(settings["MAIL_USERNAME"], settings["MAIL_PASSWORD"])
    except BaseException:
        connection.close()
        raise
    return connection


def send_envelope(connection: smtplib.SMTP, message: Message) -> None:
    """MAIL and RCPT: say who sends to whom. Nothing has gone out yet. Raises MailError."""
    with _translating_errors():
        _expect(2, connection.mail(sender()), MailFailure.MISCONFIGURED, "the sender")
        _expect(2, connection.rcpt(str(message.recipients[0])), MailFailure.PERMANENT, "the recipient")


def send_data(connection: smtplib.SMTP, message: Message) -> None:
    """DATA and the text. Raises MailError; UNKNOWN where the text went out and no answer came."""
    text = re.sub(rb"(?m)^\.", b"..", message.as_bytes()).rstrip(b"\r\n") + b"\r\n.\r\n"
    with _translating_errors():
        _expect(3, connection.docmd("DATA"), MailFailure.PERMANENT, "the mail")
    try:
        connection.send(text)
        answer = connection.getreply()
    except (smtplib.SMTPException, OSError) as error:
        raise MailError(MailFailure.UNKNOWN, f"{server()} did not answer after the mail was handed over.") from error
    _expect(2, answer, MailFailure.PERMANENT, "the mail", text_is_out=True)


def _expect(hundred: int, answer: tuple[int, bytes], if_5xx: MailFailure, what: str, text_is_out: bool = False) -> None:
    code, text = answer
    if code // 100 == hundred:
        return
    said = _refusal(what, code, text)
    if code == 421:  # it closes the connection, and has not taken the mail
        raise MailError(MailFailure.UNREACHABLE, said)
    if not 400 <= code < 600:  # makes no sense
        raise MailError(MailFailure.UNKNOWN if text_is_out else MailFailure.UNREACHABLE, said)
    if code < 500:
        raise MailError(MailFailure.TEMPORARY, said)
    raise MailError(MailFailure.MISCONFIGURED if code in NEEDS_SIGN_IN else if_5xx, said)


def _refusal(what: str, code: int, text: bytes | str) -> str:
    words = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    return f"{server()} refused {what}: {code} {words}"[:500].rstrip(". ") + "."


@contextmanager
def _translating_errors() -> Iterator[None]:
    """What can go wrong while nothing was handed over yet."""
    try:
        yield
    except smtplib.SMTPResponseException as error:
        failure = MailFailure.MISCONFIGURED if error.smtp_code >= 500 else MailFailure.UNREACHABLE
        what = "the sign-in" if isinstance(error, smtplib.SMTPAuthenticationError) else "the connection"
        raise MailError(failure, _refusal(what, error.smtp_code, error.smtp_error)) from error
    except smtplib.SMTPServerDisconnected as error:
        raise MailError(MailFailure.UNREACHABLE, f"{server()} did not answer: {error}.") from error
    except (smtplib.SMTPException, UnicodeError) as error:
        raise MailError(
            MailFailure.MISCONFIGURED, f"{server()} does not offer what the mail settings ask for: {error}"
        ) from error
    except (ssl.SSLEOFError, ssl.SSLZeroReturnError) as error:
        raise MailError(MailFailure.UNREACHABLE, f"{server()} broke off the connection.") from error
    except ssl.SSLCertVerificationError as error:
        said = f"No safe connection to {server()}, its certificate is wrong: {error.verify_message}."
        raise MailError(MailFailure.MISCONFIGURED, said) from error
    except ssl.SSLError as error:
        said = (
            f"No safe connection to {server()}, it speaks no TLS there. See MAIL_PORT, MAIL_USE_SSL and MAIL_USE_TLS."
        )
        raise MailError(MailFailure.MISCONFIGURED, said) from error
    except TimeoutError as error:
        raise MailError(MailFailure.UNREACHABLE, f"{server()} did not answer in {TIMEOUT} seconds.") from error
    except OSError as error:
        raise MailError(
            MailFailure.UNREACHABLE, f"{server()} can not be reached: {error.strerror or error}."
        ) from error
