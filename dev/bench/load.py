"""The load: connections that stay open and ask again as soon as they are answered, from one thread that does no more.

It speaks as much HTTP as gunicorn's answers need, because a whole client would take more of the machine than they do.
"""

import selectors
import socket
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

Address = tuple[str, int]


@dataclass
class Round:
    """The result of a round: answers by status, and the seconds from first request to last answer."""

    statuses: Counter[int] = field(default_factory=Counter)
    seconds: float = 0
    own_seconds: float = 0  # of processor time that the load itself took
    waits: list[float] = field(default_factory=list)  # seconds, of each answer

    @property
    def rate(self) -> float:
        return self.statuses.total() / self.seconds

    @property
    def milliseconds(self) -> float:
        return 1000 / self.rate

    @property
    def slowest_hundredth(self) -> float:
        """Milliseconds that 99 of 100 answers took at most."""
        return 1000 * sorted(self.waits)[int(0.99 * (len(self.waits) - 1))]


def run(address: Address, requests: Iterator[bytes], connections: int = 8, seconds: float = 600) -> Round:
    """Ask until there are no more requests or the time is over; raises ConnectionError where the server hangs up."""
    first = [(_open(address), request) for _, request in zip(range(connections), requests, strict=False)]
    found, begun, own = Round(), time.perf_counter(), time.process_time()
    with selectors.DefaultSelector() as selector:
        for connection, request in first:
            connection.ask(request)
            selector.register(connection.socket, selectors.EVENT_READ, connection)
        while selector.get_map():
            for key, _ in selector.select():
                status = key.data.answer()
                if status is None:
                    continue
                found.statuses[status] += 1
                found.waits.append(time.perf_counter() - key.data.asked_at)
                following = next(requests, None) if time.perf_counter() - begun < seconds else None
                if following is None:
                    selector.unregister(key.fileobj)
                    key.data.socket.close()
                else:
                    key.data.ask(following)
    found.seconds, found.own_seconds = time.perf_counter() - begun, time.process_time() - own
    return found


def _open(address: Address) -> "_Connection":
    """One connection, and a moment for the server to take it: of a bunch, one process alone would take too many."""
    connection = _Connection(address)
    time.sleep(0.01)
    return connection


class _Connection:
    def __init__(self, address: Address) -> None:
        self.socket = socket.create_connection(address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._came = bytearray()
        self.asked_at = 0.0

    def ask(self, request: bytes) -> None:
        self._came.clear()
        self.asked_at = time.perf_counter()
        self.socket.sendall(request)

    def answer(self) -> int | None:
        piece = self.socket.recv(1 << 18)
        if not piece:
            raise ConnectionError("The server closed a connection that should stay open.")
        self._came += piece
        end = self._came.find(b"\r\n\r\n")
        if end < 0:
            return None
        status, length = int(self._came[9:12]), 0
        head = bytes(self._came[:end]).lower()
        if status not in (204, 304):
            length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
        return status if len(self._came) >= end + 4 + length else None
