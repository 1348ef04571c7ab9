"""One HTTP exchange with Spectrum's server, and what it means when it does not come to an end.

Each exchange has a connection of its own: one kept open could have died unseen, and then nobody
could tell whether what was written to it arrived. Nothing here knows SOAP.
"""

import asyncio
import os
import ssl
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from urllib.parse import urlsplit

import httpx

from erp import Outcome, ReadError

LARGEST_REPLY = 32 * 2**20  # bytes
AT_ONCE = threading.BoundedSemaphore(2)  # Spectrum was seen to fail at six calls at once, not at three


class Passing(ReadError):
    """A failure that may be over in a moment: a read is tried again."""


@dataclass(frozen=True)
class Reply:
    """A reply as far as it came; `broken` says why not all of it did. `charset` is the Content-Type's, if any."""

    status: int
    body: bytes = field(repr=False)
    charset: str | None = None
    broken: str = ""


class Transport:
    """Exchanges with one server; times in seconds, `deadline` for a whole exchange.

    An unreadable `ca_file` raises OSError. Without one, the system's certificates count.
    """

    def __init__(
        self, url: str, ca_file: str | None, connect_timeout: float, read_timeout: float, deadline: float
    ) -> None:
        self.url = url.rstrip("/")
        self.deadline = deadline
        self._server = urlsplit(url).netloc.rpartition("@")[2]
        self._trust = _trust(ca_file)
        self._timeout = httpx.Timeout(read_timeout, connect=connect_timeout)
        self._read_timeout = read_timeout

    def get(self, path: str, headers: Mapping[str, str]) -> Reply:
        return self._exchange("GET", path, b"", headers, self.deadline)

    def post(self, path: str, content: bytes, headers: Mapping[str, str], deadline: float | None = None) -> Reply:
        return self._exchange("POST", path, content, headers, deadline or self.deadline)

    def _exchange(self, method: str, path: str, content: bytes, headers: Mapping[str, str], deadline: float) -> Reply:
        if not AT_ONCE.acquire(timeout=deadline):
            raise ReadError(Outcome.NOT_SENT, "Other calls to Spectrum did not end; nothing was sent.")
        exchange = _Exchange()
        try:
            call = self._converse(exchange, method, path, content, headers, deadline)
            # A loop of its own in a thread of its own: the caller's thread may already run one.
            with ThreadPoolExecutor(1) as thread:
                thread.submit(asyncio.run, call).result()
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise self._unconnected(error) from None
        except httpx.ReadTimeout:
            exchange.broken = f"Spectrum did not answer within {self._read_timeout:g} seconds."
        except TimeoutError:
            exchange.broken = f"Spectrum's answer was not complete after {self.deadline:g} seconds."
        except httpx.HTTPError:
            exchange.broken = "The connection to Spectrum broke before its answer was complete."
            exchange.passing = True
        finally:
            AT_ONCE.release()
        return exchange.reply()

    async def _converse(
        self,
        exchange: "_Exchange",
        method: str,
        path: str,
        content: bytes,
        headers: Mapping[str, str],
        deadline: float,
    ) -> None:
        """Exchange asynchronously, so that the deadline also ends a server that drips headers."""
        async with (
            asyncio.timeout(deadline),
            httpx.AsyncClient(verify=self._trust, timeout=self._timeout, trust_env=False) as client,
            client.stream(
                method, self.url + path, content=content, headers={**headers, "Accept-Encoding": "identity"}
            ) as response,
        ):
            exchange.status, exchange.charset = response.status_code, response.charset_encoding
            async for piece in response.aiter_bytes():
                exchange.body += piece
                if len(exchange.body) > LARGEST_REPLY:
                    raise ReadError(Outcome.UNKNOWN, "Spectrum's answer was too large to be one of its answers.")

    def _unconnected(self, error: Exception) -> ReadError:
        below = _root(error)
        if isinstance(below, ssl.SSLCertVerificationError):
            told = f"The certificate of {self._server} is not trusted ({below.verify_message}); nothing was sent."
            return ReadError(Outcome.HELD, f"{told} Ask IT to check it, SPECTRUM_URL and SPECTRUM_CA_FILE.")
        told = f"Spectrum could not be reached at {self._server} ({_why(below)}); nothing was sent."
        hosted = " Where Trimble hosts Spectrum, ask Trimble to allow this server's address."
        advice = hosted if isinstance(error, httpx.ConnectTimeout) else ""
        return ReadError(Outcome.NOT_SENT, f"{told} Countersign tries again by itself.{advice}")


@cache
def _trust(ca_file: str | None) -> ssl.SSLContext:
    """Read the certificates once: that takes longer than many a call."""
    return ssl.create_default_context(cafile=ca_file)


@dataclass
class _Exchange:
    """The part of a reply that has come so far."""

    status: int = 0
    charset: str | None = None
    body: bytearray = field(default_factory=bytearray)
    broken: str = ""
    passing: bool = False

    def reply(self) -> Reply:
        if self.broken and not self.body:
            raise (Passing if self.passing else ReadError)(Outcome.UNKNOWN, self.broken)
        return Reply(self.status, bytes(self.body), self.charset, self.broken)


def _root(error: BaseException) -> BaseException:
    some = getattr(error, "exceptions", ())  # one for each address of a name
    below = some[0] if some else error.__cause__ or error.__context__
    return _root(below) if below else error


def _why(error: BaseException) -> str:
    if isinstance(error, ssl.SSLError):
        return "it speaks no TLS there"
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno) if error.errno > 0 else str(error.strerror)  # of names the numbers are below 0
    return "no answer"
