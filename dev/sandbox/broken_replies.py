"""HTTP answers that break on their way: late, in part, in drops or not at all.

`spectrum_faults` decides which call gets one. An answer that ends with ConnectionAbortedError makes the server close
the connection.
"""

import os
import socket
import struct
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

from flask import Response

from dev.sandbox.soap import XML

MEBIBYTE = 1024 * 1024
CLOSE_WITH_RST = struct.pack("ii", 1, 0)


class Silence(Response):
    """No answer until the client gives up or the seconds are over; then the connection is closed."""

    seconds: float = 600

    def __call__(self, environ: dict[str, Any], *_: object) -> Iterable[bytes]:
        connection: socket.socket = environ["werkzeug.socket"]
        connection.settimeout(self.seconds)
        with suppress(OSError):
            connection.recv(1)
        raise ConnectionAbortedError


class Reset(Response):
    """A TCP reset before any answer."""

    def __call__(self, environ: dict[str, Any], *_: object) -> Iterable[bytes]:
        connection: socket.socket = environ["werkzeug.socket"]
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, CLOSE_WITH_RST)
        os.close(connection.detach())
        raise ConnectionAbortedError


def silence(seconds: float) -> Response:
    response = Silence()
    response.seconds = seconds
    return response


def cut(body: bytes) -> Response:
    """Promise the whole body in the head, send half of it, and close the connection."""

    def half() -> Iterator[bytes]:
        yield body[: len(body) // 2]
        raise ConnectionAbortedError

    return _of_length(len(body), half())


def drip(body: bytes, seconds: float) -> Response:
    def drops() -> Iterator[bytes]:
        for position in range(len(body)):
            time.sleep(seconds)
            yield body[position : position + 1]

    return _of_length(len(body), drops())


def huge(body: bytes, mebibytes: int) -> Response:
    def pieces() -> Iterator[bytes]:
        for _ in range(mebibytes):
            yield b" " * MEBIBYTE
        yield body

    return _of_length(mebibytes * MEBIBYTE + len(body), pieces())


def _of_length(length: int, pieces: Iterator[bytes]) -> Response:
    return Response(pieces, content_type=XML, headers={"Content-Length": str(length)})
