"""One HTTP exchange with Spectrum's server, and what it means when it does not come to an end.

Each exchange has a connection of its own: one kept open could have died unseen, and then nobody
could tell whether what was written to it arrived. Nothing here knows SOAP.
"""

import asyncio
import os
import ssl
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx

from erp import Outcome, ReadError

LARGEST_REPLY = 32 * 2**20  # bytes


@dataclass(frozen=True)
class Reply:
    """What came back whole; `charset` as its Content-Type names it, if it does."""

    status: int
    body: bytes
    charset: str | None


class Transport:
    """Exchanges with one server; times in seconds, `deadline` for a whole exchange.

    An unreadable `ca_file` raises OSError. Without one, the system's certificates count.
    """

    def __init__(
        self, url: str, ca_file: str | None, connect_timeout: float, read_timeout: float, deadline: float
    ) -> None:
        self.url = url.rstrip("/")
        self._server = urlsplit(url).netloc.rpartition("@")[2]
        self._trust = ssl.create_default_context(cafile=ca_file)
        self._timeout = httpx.Timeout(read_timeout, connect=connect_timeout)
        self._read_timeout = read_timeout
        self._deadline = deadline

    def get(self, path: str) -> Reply:
        """Fetch; raises Unreadable where no whole reply came."""
        return self._exchange("GET", path, b"", {})

    def post(self, path: str, content: bytes, headers: Mapping[str, str]) -> Reply:
        """Send; raises Unreadable where no whole reply came."""
        return self._exchange("POST", path, content, headers)

    def _exchange(self, method: str, path: str, content: bytes, headers: Mapping[str, str]) -> Reply:
        try:
            # A loop of its own in a thread of its own: the caller's thread may already run one.
            with ThreadPoolExecutor(1) as thread:
                return thread.submit(asyncio.run, self._converse(method, path, content, headers)).result()
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise self._unconnected(error) from None
        except httpx.ReadTimeout:
            cause = f"Spectrum did not answer within {self._read_timeout:g} seconds."
        except TimeoutError:
            cause = f"Spectrum's answer was not complete after {self._deadline:g} seconds."
        except httpx.HTTPError:
            cause = "The connection to Spectrum broke before its answer was complete."
        raise ReadError(Outcome.UNKNOWN, cause)

    async def _converse(self, method: str, path: str, content: bytes, headers: Mapping[str, str]) -> Reply:
        """Asynchronous because only so the deadline also ends a server that drips headers."""
        body = bytearray()
        async with (
            asyncio.timeout(self._deadline),
            httpx.AsyncClient(verify=self._trust, timeout=self._timeout, trust_env=False) as client,
            client.stream(
                method, self.url + path, content=content, headers={**headers, "Accept-Encoding": "identity"}
            ) as response,
        ):
            async for piece in response.aiter_raw():
                body += piece
                if len(body) > LARGEST_REPLY:
                    raise ReadError(Outcome.UNKNOWN, "Spectrum's answer was too large to be one of its answers.")
            return Reply(response.status_code, bytes(body), response.charset_encoding)

    def _unconnected(self, error: Exception) -> ReadError:
        below = _root(error)
        if isinstance(below, ssl.SSLCertVerificationError):
            cause = f"The certificate of {self._server} is not trusted ({below.verify_message}); nothing was sent."
            return ReadError(Outcome.CONFIGURATION, f"{cause} Ask IT to check it, SPECTRUM_URL and SPECTRUM_CA_FILE.")
        cause = f"Spectrum could not be reached at {self._server} ({_why(below)}); nothing was sent."
        return ReadError(Outcome.NOT_SENT, f"{cause} Countersign tries again by itself.")


def _root(error: BaseException) -> BaseException:
    """The error below the errors."""
    some = getattr(error, "exceptions", ())  # one for each address of a name
    below = some[0] if some else error.__cause__ or error.__context__
    return _root(below) if below else error


def _why(error: BaseException) -> str:
    """What the network said, in its own words: such as “Connection refused”."""
    if isinstance(error, ssl.SSLError):
        return "it speaks no TLS there"
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno) if error.errno > 0 else str(error.strerror)  # of names the numbers are below 0
    return "no answer"
