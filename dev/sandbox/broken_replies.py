"""Answers that go wrong on the wire: replies that send themselves late, in part, in drops or not at all.

Which call gets one is decided in `spectrum_faults`.
"""

import contextlib
import os
import socket
import struct
import time
from dataclasses import dataclass

from dev.sandbox.web import Handler, Reply

MEBIBYTE = 1024 * 1024
CLOSE_WITH_RST = struct.pack("ii", 1, 0)


@dataclass
class Hang(Reply):
    """Nothing at all until the client gives up or the seconds are over; then the connection is closed."""

    seconds: float = 600

    def send(self, handler: Handler) -> None:
        """Wait for the other side to go away."""
        handler.close_connection = True
        handler.connection.settimeout(self.seconds)
        with contextlib.suppress(OSError):
            handler.connection.recv(1)


class Reset(Reply):
    """The connection breaks with a TCP reset before any answer."""

    def send(self, handler: Handler) -> None:
        """Close the socket at once, past the files that the handler holds on it."""
        handler.close_connection = True
        handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, CLOSE_WITH_RST)
        os.close(handler.connection.detach())


class Cut(Reply):
    """The head promises the whole body; half of it comes, then the connection is closed."""

    def send(self, handler: Handler) -> None:
        """Send the first half."""
        handler.close_connection = True
        self.send_head(handler, len(self.body))
        handler.wfile.write(self.body[: len(self.body) // 2])


@dataclass
class Drip(Reply):
    """The body comes a byte at a time."""

    seconds: float = 1

    def send(self, handler: Handler) -> None:
        """Send byte by byte with a pause before each."""
        self.send_head(handler, len(self.body))
        for position in range(len(self.body)):
            time.sleep(self.seconds)
            handler.wfile.write(self.body[position : position + 1])


@dataclass
class Huge(Reply):
    """The body comes after many mebibytes of white space."""

    mebibytes: int = 33

    def send(self, handler: Handler) -> None:
        """Send the padding in pieces, then the body."""
        declaration, _, document = self.body.partition(b"\n")
        self.send_head(handler, len(declaration) + self.mebibytes * MEBIBYTE + len(document))
        handler.wfile.write(declaration)
        for _ in range(self.mebibytes):
            handler.wfile.write(b" " * MEBIBYTE)
        handler.wfile.write(document)
