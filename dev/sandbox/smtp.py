"""An SMTP server that keeps every mail, with faults for each of its commands.

A fault names a command (CONNECT, AUTH, MAIL, RCPT, DATA, or TEXT for the moment after the message text) and its
answer: a reply such as `451 4.3.0 Try later`, or `silence`, or `drop`. `recipient` narrows it to one address, and
`stored` says whether the message is kept nevertheless, which only TEXT can.
"""

import asyncio
import base64
import re
import socket
from collections.abc import Mapping
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session
from werkzeug.exceptions import BadRequest

from dev.sandbox.faults import Fault, Faults
from dev.sandbox.mail_provider import MailTokens
from dev.sandbox.mails import Mails

REFUSED = "535 5.7.3 Authentication unsuccessful [SANDBOX.PROD.OUTLOOK.COM]"
COMMANDS = ("CONNECT", "AUTH", "MAIL", "RCPT", "DATA", "TEXT")
DEFAULTS = {"reply": "451 4.3.0 Try again later", "recipient": "", "stored": False}


def read(given: Mapping[str, Any]) -> Fault:
    fault = {"command": "RCPT", "times": 1, **DEFAULTS, **given}
    if unknown := sorted(set(fault) - {"command", "times", *DEFAULTS}):
        raise BadRequest(f"A fault has command, reply, times, recipient and stored, not {', '.join(unknown)}.")
    if any(type(fault[name]) is not type(default) for name, default in DEFAULTS.items()):
        raise BadRequest("The reply and the recipient are text, stored is true or false.")
    if fault["command"] not in COMMANDS:
        raise BadRequest(f"The command is one of {', '.join(COMMANDS)}.")
    if not re.fullmatch(r"silence|drop|[45]\d\d [ -~]+", fault["reply"]):
        raise BadRequest(
            "The reply is silence, drop, or a 4xx or 5xx reply with a text such as 550 5.1.1 No such user."
        )
    return fault


def read_form(form: Mapping[str, str]) -> Fault:
    times = form.get("times", "").strip()
    if times and not times.isdecimal():
        raise BadRequest("times is a whole number, or empty for until it is switched off.")
    words = {name: form.get(name, "").strip() for name in ("command", "reply", "recipient")}
    return read({**words, "times": int(times) if times else None, "stored": form.get("stored") == "yes"})


class Mailbox:
    """The handler of messages; any password is taken."""

    def __init__(self, mails: Mails) -> None:
        self.mails = mails

    async def handle_DATA(self, server: "Conversation", _: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        fault = server.fault("TEXT", *envelope.rcpt_tos)
        if not fault or fault["stored"]:
            self.mails.add(envelope.mail_from or "", envelope.rcpt_tos, envelope.original_content or b"")
        return await server.carry_out(fault) if fault else "250 2.0.0 Kept"


class Conversation(SMTP):
    """One SMTP conversation: before each command it asks whether a fault answers in its place."""

    def __init__(self, mails: Mails, faults: Faults, tokens: MailTokens | None) -> None:
        """`tokens` are those that XOAUTH2 takes; without them it is not offered."""
        self.faults, self.tokens, self.greeted = faults, tokens, False
        super().__init__(
            Mailbox(mails), hostname="sandbox.invalid", ident="Sandbox mailbox", enable_SMTPUTF8=True,
            loop=asyncio.get_running_loop(), auth_require_tls=False, authenticator=lambda *_: AuthResult(success=True),
        )  # fmt: skip
        if tokens is None:
            del self._auth_methods["XOAUTH2"]

    def fault(self, command: str, *recipients: str) -> Fault | None:
        addresses = {"", *(address.lower() for address in recipients)}
        taken = self.faults.take(lambda f: f["command"] == command and f["recipient"].lower() in addresses)
        return taken[0] if taken else None

    async def carry_out(self, fault: Fault) -> str:
        """Return the reply to give; silence and drop never return."""
        if fault["reply"] == "drop" and self.transport:
            self.transport.close()
        if fault["reply"] in ("drop", "silence"):
            await asyncio.Event().wait()
        return str(fault["reply"])

    async def push(self, status: str | bytes) -> None:
        """Send a reply; the first one is the greeting, the only place where CONNECT can go wrong."""
        if not self.greeted:
            self.greeted = True
            if fault := self.fault("CONNECT"):
                status = await self.carry_out(fault)
        await super().push(status if isinstance(status, bytes) else status.encode())

    async def smtp_AUTH(self, arg: str) -> None:  # noqa: N802 - aiosmtpd's name, like those below
        if not await self._faulted("AUTH"):
            await super().smtp_AUTH(arg)

    async def auth_XOAUTH2(self, server: SMTP, args: list[str]) -> AuthResult:  # noqa: N802
        """As Microsoft does it: a refusal is a challenge first, and is said once the client has answered it."""
        if self.tokens and self.tokens.takes_xoauth2(base64.b64decode(args[1]).decode()):
            return AuthResult(success=True)
        await server.challenge_auth('{"status":"400","schemes":"Bearer"}')
        return AuthResult(success=False, handled=False, message=REFUSED)

    async def smtp_MAIL(self, arg: str | None) -> None:  # noqa: N802
        if not await self._faulted("MAIL"):
            await super().smtp_MAIL(arg)

    async def smtp_RCPT(self, arg: str | None) -> None:  # noqa: N802
        if not await self._faulted("RCPT", *re.findall("<(.*?)>", arg or "")):
            await super().smtp_RCPT(arg)

    async def smtp_DATA(self, arg: str) -> None:  # noqa: N802
        """DATA, or its fault before any text was sent."""
        if not await self._faulted("DATA", *(self.envelope.rcpt_tos if self.envelope else [])):
            await super().smtp_DATA(arg)

    async def _faulted(self, command: str, *recipients: str) -> bool:
        fault = self.fault(command, *recipients)
        if fault:
            await self.push(await self.carry_out(fault))
        return bool(fault)


async def serve(port: int, mails: Mails, faults: Faults, tokens: MailTokens) -> asyncio.Server:
    """Listen on a port of 127.0.0.1 (0: any free one). Raises OSError where it is taken."""
    loop = asyncio.get_running_loop()
    return await loop.create_server(
        lambda: Conversation(mails, faults, tokens), "127.0.0.1", port, family=socket.AF_INET
    )
