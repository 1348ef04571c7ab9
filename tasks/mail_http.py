"""One POST to a token endpoint or to Microsoft Graph, with a deadline for the whole of it."""

import asyncio
import json
import ssl
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import httpx
from flask import current_app

from models import utcnow
from tasks.mail_errors import MailFailure

CONNECT, DEADLINE = 20, 120  # seconds
LARGEST_REPLY = 2**20  # bytes
LONGEST_WAIT = timedelta(days=1)


class NoReply(Exception):
    """No whole answer came. `failure` is None where the request may have arrived."""

    def __init__(self, failure: MailFailure | None, cause: str) -> None:
        super().__init__(cause)
        self.failure, self.cause = failure, cause


@dataclass(frozen=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def wait(self) -> timedelta | None:
        """The pause that the server asks for (Retry-After, in seconds or as a date), a day at most."""
        asked = self.headers.get("retry-after", "").strip()
        try:
            span = timedelta(seconds=int(asked)) if asked.isdecimal() else _until(asked)
        except (ValueError, OverflowError):
            return None
        return min(max(span, timedelta(0)), LONGEST_WAIT)

    @property
    def error(self) -> str:
        try:
            answer = json.loads(self.body)
            error = answer["error"]
            if isinstance(error, dict):
                return f"{error['code']}: {error['message']}"
            return f"{error}: {answer.get('error_description', '')}"
        except (ValueError, KeyError, TypeError, AttributeError):
            return ""


def _until(date: str) -> timedelta:
    at = parsedate_to_datetime(date)
    return (at if at.tzinfo else at.replace(tzinfo=UTC)) - utcnow()


def post(
    url: str,
    form: Mapping[str, str] | None = None,
    content: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    why: str = "",
) -> Reply:
    """POST, and the whole answer. Raises NoReply; `why` names the setting to look at where the address is wrong."""
    trust = ssl.create_default_context()
    if ca_file := current_app.config["MAIL_CA_FILE"]:
        trust.load_verify_locations(ca_file)
    host = urlsplit(url).netloc
    try:
        # A loop of its own in a thread of its own: the caller's thread may already run one.
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(asyncio.run, _exchange(url, trust, form, content, headers or {})).result()
    except (httpx.ConnectError, httpx.ConnectTimeout) as error:
        raise _unconnected(host, error, why) from error
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        raise NoReply(MailFailure.MISCONFIGURED, f"{url} is not an address. {why}".strip()) from error
    except (httpx.HTTPError, TimeoutError) as error:
        raise NoReply(None, f"{host} did not answer.") from error


async def _exchange(
    url: str,
    trust: ssl.SSLContext,
    form: Mapping[str, str] | None,
    content: bytes | None,
    headers: Mapping[str, str],
) -> Reply:
    """Exchange asynchronously, so that the deadline also ends a server that drips its answer."""
    body = bytearray()
    limits = httpx.Timeout(DEADLINE, connect=CONNECT)
    async with (
        asyncio.timeout(DEADLINE),
        httpx.AsyncClient(verify=trust, timeout=limits, trust_env=False) as client,
        client.stream("POST", url, data=form, content=content, headers=headers) as response,
    ):
        async for piece in response.aiter_bytes():
            body += piece
            if len(body) > LARGEST_REPLY:
                raise httpx.ReadError("too large")
        return Reply(response.status_code, response.headers, bytes(body))


def _unconnected(host: str, error: BaseException, why: str) -> NoReply:
    below = error
    while below.__cause__ or below.__context__:
        below = below.__cause__ or below.__context__  # type: ignore[assignment]  # one of them is there
    if isinstance(below, ssl.SSLCertVerificationError):
        cause = f"No safe connection to {host}, its certificate is wrong: {below.verify_message}."
        return NoReply(MailFailure.MISCONFIGURED, f"{cause} For a certificate of your own CA, set MAIL_CA_FILE.")
    return NoReply(MailFailure.UNREACHABLE, f"{host} cannot be reached. {why}".strip())
