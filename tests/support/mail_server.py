"""A mail server for tests: the sandbox's, in a thread, with its faults and slow answers."""

import asyncio
import base64
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from aiosmtpd.smtp import SMTP, AuthResult

from dev.sandbox.faults import Faults
from dev.sandbox.mail_provider import MailTokens
from dev.sandbox.mails import Mail, Mails
from dev.sandbox.smtp import Conversation, read


class SlowConversation(Conversation):
    """One that may take its time for the greeting or for the answer to the text, and notes who signs in by token."""

    def __init__(self, post: "Postbox") -> None:
        self.post = post
        super().__init__(post.mails, post.faults, post.tokens)

    async def push(self, status: str | bytes) -> None:
        place = "CONNECT" if not self.greeted else "TEXT" if status == "250 2.0.0 Kept" else ""
        self.post.during(place)
        await asyncio.sleep(self.post.slow.get(place, 0))
        await super().push(status)

    async def auth_XOAUTH2(self, server: SMTP, args: list[str]) -> AuthResult:  # noqa: N802 - aiosmtpd's name
        self.post.signed_in.append(base64.b64decode(args[1]).decode())
        return await super().auth_XOAUTH2(server, args)


class Postbox:
    """`post.fail("RCPT", "451 4.3.0 Later")` has a command answered like that; `post.arrived` is what was kept."""

    def __init__(self, place: Path) -> None:
        self.mails, self.faults = Mails(place), Faults()
        self.slow: dict[str, float] = {}  # seconds, at CONNECT and TEXT
        self.during: Callable[[str], object] = lambda _place: None  # called at each answer
        self.tokens: MailTokens | None = None  # those that XOAUTH2 takes; None: it is not offered
        self.signed_in: list[str] = []  # what XOAUTH2 was given
        self.port, self._conversations = 0, list[Conversation]()
        self._ready, self._over = threading.Event(), asyncio.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        server = await self._loop.create_server(self._converse, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._over.wait()
        server.close()
        for conversation in self._conversations:
            if conversation.transport:
                conversation.transport.abort()

    def _converse(self) -> Conversation:
        self._conversations.append(SlowConversation(self))
        return self._conversations[-1]

    def fail(self, command: str, reply: str, **more: object) -> None:
        """The next such command is answered like that: with a reply, `silence` or `drop`."""
        self.faults.switch_on(read({"command": command, "reply": reply, **more}))

    @property
    def arrived(self) -> list[Mail]:
        """Oldest first."""
        return self.mails.all()[::-1]

    @property
    def recipients(self) -> list[str]:
        """To whom each mail went, in order."""
        return [recipient for mail in self.arrived for recipient in mail.recipients]
