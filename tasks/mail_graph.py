"""Mail through Microsoft Graph: sendMail with the whole MIME message, by a mailbox that the app may send from."""

import base64
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import quote

from flask import current_app

from services.mail_settings import mailbox, server
from tasks import mail_http, mail_oauth
from tasks.mail_errors import GRAPH_ANSWERS, MailError, MailFailure, explain, printable
from tasks.mime import Mail


class Connection:
    """Graph has no conversation: a mail and its envelope are one request, so nothing goes out before `send_data`."""

    def __init__(self, token: mail_oauth.Token) -> None:
        self._token = token

    def send_envelope(self, message: Mail) -> None:
        """Send nothing: the envelope is in the message."""

    def send_data(self, message: Mail) -> None:
        """Hand the message over. Raises MailError; UNKNOWN where it may have arrived."""
        reply = self._post(message)
        if reply.status == 401 and not self._token.is_new:  # refused unread: once more with a new token
            self._token = mail_oauth.access_token(instead_of=self._token)
            reply = self._post(message)
        if reply.status != 202:
            raise _explain(reply)

    def _post(self, message: Mail) -> mail_http.Reply:
        url = f"{current_app.config['MAIL_GRAPH_URL']}/users/{quote(mailbox(), safe='@')}/sendMail"
        headers = {"Authorization": f"Bearer {self._token.text}", "Content-Type": "text/plain"}
        try:
            content = base64.b64encode(message.as_bytes())
            return mail_http.post(url, content=content, headers=headers, why="See MAIL_GRAPH_URL.")
        except mail_http.NoReply as silence:
            unknown = f"{server()} did not answer after the mail was handed over."
            cause = silence.cause if silence.failure else unknown
            raise MailError(silence.failure or MailFailure.UNKNOWN, cause) from silence


@contextmanager
def connection(_is_patient: bool = False, report: Callable[[str], object] = lambda _: None) -> Iterator[Connection]:
    yield Connection(mail_oauth.access_token(report))


def _explain(reply: mail_http.Reply) -> MailError:
    said = printable(f"{reply.status} {reply.error}")
    cause = f"{server()} refused the mail: {said}."
    if reply.status in (408, 429, 503):  # it was not taken
        return MailError(MailFailure.UNREACHABLE, cause, reply.wait)
    if reply.status < 300 or reply.status >= 500:
        return MailError(MailFailure.UNKNOWN, f"{server()} did not confirm the mail: {said}.")
    if known := explain(GRAPH_ANSWERS, said):
        return MailError(known.failure, f"{cause} {known.advice.format(mailbox=mailbox())}")
    return MailError(MailFailure.PERMANENT, cause)
