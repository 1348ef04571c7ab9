"""The SMTP conversation: certificates checked, a limit on each answer, and the meaning of each.

A mail goes in two halves, envelope and text, so that the sender can note in between that the text is about to go out.
"""

import smtplib
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from flask import current_app

from services.mail_settings import mailbox, sender, server
from tasks import mail_oauth
from tasks.mail_errors import SIGN_IN_ADVICE, SMTP_ANSWERS, MailError, MailFailure, explain, printable
from tasks.mime import Mail

ANSWER = 20  # seconds for each answer but two
GREETINGS = (60, 300)  # for the greeting: at a mail's first try, and at others, as RFC 5321 has it
TAKEN = 600  # for the answer to the text, as RFC 5321 has it
NEEDS_SIGN_IN = (530, 534, 535, 538)
Report = Callable[[str], object]


@dataclass(frozen=True)
class _Stage:
    """A step of the conversation: the first digit of a good answer, and the failure of a bad one and of none."""

    what: str
    good: int
    if_refused: MailFailure
    if_lost: MailFailure


# From RCPT on it is about one recipient: silence there holds up nobody else.
MAIL = _Stage("the sender", 2, MailFailure.MISCONFIGURED, MailFailure.UNREACHABLE)
RCPT = _Stage("the recipient", 2, MailFailure.PERMANENT, MailFailure.TEMPORARY)
DATA = _Stage("the mail", 3, MailFailure.PERMANENT, MailFailure.TEMPORARY)
TEXT = _Stage("the mail", 2, MailFailure.PERMANENT, MailFailure.UNKNOWN)


class _Utf8(str):
    """A text that smtplib, which asks for ASCII, gets in UTF-8."""

    def encode(self, *_: Any, **__: Any) -> bytes:
        return super().encode("utf-8")


class Connection(smtplib.SMTP):
    """smtplib's, with a patience of its own for the greeting, and passwords in UTF-8 (RFC 4616)."""

    def __init__(self, patience: float, **options: Any) -> None:
        self._patience = patience
        super().__init__(timeout=ANSWER, **options)
        self._answer_within(ANSWER)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        opened: socket.socket = super()._get_socket(host, port, timeout)  # type: ignore[misc]  # typeshed leaves it out
        opened.settimeout(self._patience)
        return opened

    def auth(self, mechanism: str, authobject: Any, *, initial_response_ok: bool = True) -> Any:
        def encoded(*challenge: bytes) -> Any:
            response = authobject(*challenge)
            return None if response is None else _Utf8(response)

        in_utf8: Any = encoded
        return super().auth(mechanism, in_utf8, initial_response_ok=initial_response_ok)

    def _answer_within(self, seconds: float) -> None:
        if self.sock:
            self.sock.settimeout(seconds)

    def send_envelope(self, message: Mail) -> None:
        """MAIL and RCPT: say who sends to whom. Nothing has gone out yet. Raises MailError."""
        with _translating_errors(MAIL.if_lost):
            _check(MAIL, *self.mail(sender()))
        with _translating_errors(RCPT.if_lost):
            _check(RCPT, *self.rcpt(message.address))

    def send_data(self, message: Mail) -> None:
        """DATA and the text. Raises MailError; UNKNOWN where the text went out and no answer came."""
        with _translating_errors(DATA.if_lost):
            _check(DATA, *self.docmd("DATA"))
        try:
            self._answer_within(TAKEN)
            self.send(message.on_the_wire)
            answer = self.getreply()
        except (smtplib.SMTPException, OSError) as error:
            cause = f"{server()} did not answer after the mail was handed over."
            raise MailError(MailFailure.UNKNOWN, cause) from error
        _check(TEXT, *answer)


class TlsConnection(Connection, smtplib.SMTP_SSL):
    """The same, encrypted from the start."""


@contextmanager
def connection(is_patient: bool = False, report: Report = lambda _: None) -> Iterator[Connection]:
    """Signed in to the mail server, its certificate checked; how the goodbye goes does not matter. Raises MailError."""
    with _translating_errors(MailFailure.UNREACHABLE):
        opened = _open(GREETINGS[is_patient], report)
    try:
        yield opened
    finally:
        with suppress(smtplib.SMTPException, OSError):
            opened._answer_within(ANSWER)
            opened.quit()
        opened.close()


def _open(patience: float, report: Report) -> Connection:
    """Connect and sign in; once more with a new token where the one that was kept is refused."""
    if current_app.config["MAIL_AUTH"] != "oauth":
        return _connect(patience, report, None)
    token = mail_oauth.access_token(report)
    try:
        return _connect(patience, report, token)
    except smtplib.SMTPAuthenticationError:
        if token.is_new:
            raise
    return _connect(patience, report, mail_oauth.access_token(report, instead_of=token))


def _connect(patience: float, report: Report, token: mail_oauth.Token | None) -> Connection:
    settings = current_app.config
    context = ssl.create_default_context(cafile=settings["MAIL_CA_FILE"] or None)
    where = {"host": settings["MAIL_SERVER"], "port": settings["MAIL_PORT"], "local_hostname": _our_name()}
    opened = (
        TlsConnection(patience, **where, context=context) if settings["MAIL_USE_SSL"] else Connection(patience, **where)
    )
    try:
        opened.ehlo_or_helo_if_needed()
        if settings["MAIL_USE_TLS"]:
            opened.starttls(context=context)
            opened.ehlo_or_helo_if_needed()
        report(f"Connected to {server()}.")
        _sign_in(opened, token, report)
    except BaseException:
        opened.close()
        raise
    return opened


def _our_name() -> str:
    """Our name in EHLO: the host of BASE_URL, an IP address in brackets as RFC 5321 wants it."""
    host = urlsplit(current_app.config["BASE_URL"]).hostname or "localhost"
    try:
        return f"[{'IPv6:' if ip_address(host).version == 6 else ''}{host}]"
    except ValueError:
        return host


def _sign_in(opened: Connection, token: mail_oauth.Token | None, report: Report) -> None:
    settings = current_app.config
    if token:
        _sign_in_with_token(opened, token)
        report(f"Signed in as {mailbox()}.")
    elif settings["MAIL_USERNAME"]:
        opened.login(settings["MAIL_USERNAME"], _Utf8(settings["MAIL_PASSWORD"]))
        report(f"Signed in as {settings['MAIL_USERNAME']}.")


def _sign_in_with_token(opened: Connection, token: mail_oauth.Token) -> None:
    if "XOAUTH2" not in opened.esmtp_features.get("auth", "").upper().split():
        cause = f"{server()} does not offer sign-in by OAuth (XOAUTH2). Check MAIL_SERVER, MAIL_PORT and MAIL_USE_TLS."
        raise MailError(MailFailure.MISCONFIGURED, cause)
    response = f"user={mailbox()}\1auth=Bearer {token.text}\1\1"
    opened.auth("XOAUTH2", lambda challenge=None: response if challenge is None else "")


def _check(stage: _Stage, code: int, text: bytes) -> None:
    if code // 100 == stage.good:
        return
    cause = _refusal(stage.what, code, text)
    if known := explain(SMTP_ANSWERS, f"{code} {printable(text)}"):
        raise MailError(known.failure, f"{cause} {known.advice}".rstrip(), may_be_own=known.may_be_own)
    if code in NEEDS_SIGN_IN:
        raise MailError(MailFailure.MISCONFIGURED, f"{cause} {_sign_in_advice()}")
    if code == 421:  # it closes the connection, and has not taken the mail
        raise MailError(MailFailure.TEMPORARY if stage is TEXT else stage.if_lost, cause)
    if not 400 <= code < 600:  # makes no sense
        raise MailError(stage.if_lost, cause)
    raise MailError(MailFailure.TEMPORARY if code < 500 else stage.if_refused, cause)


def _refusal(what: str, code: int, text: bytes | str) -> str:
    return f"{server()} refused {what}: {code} {printable(text)}."


def _sign_in_advice() -> str:
    return SIGN_IN_ADVICE[current_app.config["MAIL_AUTH"]].format(mailbox=mailbox())


@contextmanager
def _translating_errors(if_lost: MailFailure) -> Iterator[None]:
    """Turn whatever goes wrong before the text went out into a MailError."""
    try:
        yield
    except smtplib.SMTPResponseException as error:
        raise _explain_response(error) from error
    except smtplib.SMTPServerDisconnected as error:
        raise MailError(if_lost, f"{server()} did not answer: {error}.") from error
    except smtplib.SMTPException as error:
        cause = f"{server()} does not offer what the mail settings ask for: {printable(str(error))}."
        raise MailError(MailFailure.MISCONFIGURED, cause) from error
    except UnicodeError as error:
        cause = f"{server()} is not a host name, or MAIL_USERNAME has characters that the server does not take."
        raise MailError(MailFailure.MISCONFIGURED, cause) from error
    except OSError as error:
        raise _explain_network(error, if_lost) from error


def _explain_response(error: smtplib.SMTPResponseException) -> MailError:
    """A refusal of the connection or the sign-in."""
    is_sign_in = isinstance(error, smtplib.SMTPAuthenticationError)
    code, text = error.smtp_code, error.smtp_error
    cause = _refusal("the sign-in" if is_sign_in else "the connection", code, text)
    if known := explain(SMTP_ANSWERS, f"{code} {printable(text)}"):
        return MailError(known.failure, f"{cause} {known.advice}")
    if code < 500:
        return MailError(MailFailure.UNREACHABLE, cause)
    return MailError(MailFailure.MISCONFIGURED, f"{cause} {_sign_in_advice()}" if is_sign_in else cause)


def _explain_network(error: OSError, if_lost: MailFailure) -> MailError:
    name, held = server(), MailFailure.MISCONFIGURED
    if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return MailError(if_lost, f"{name} broke off the connection.")
    if isinstance(error, ssl.SSLCertVerificationError):
        cause = f"No safe connection to {name}, its certificate is wrong: {error.verify_message}."
        return MailError(held, f"{cause} For a certificate of your own CA, set MAIL_CA_FILE.")
    if isinstance(error, ssl.SSLError):
        cause = f"No safe connection to {name}, it speaks no TLS there."
        return MailError(held, f"{cause} See MAIL_PORT, MAIL_USE_SSL and MAIL_USE_TLS.")
    if isinstance(error, TimeoutError):
        return MailError(if_lost, f"{name} did not answer in time.")
    return MailError(if_lost, f"{name} cannot be reached: {error.strerror or error}.")
