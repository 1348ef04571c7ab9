"""The log of a server: a line of JSON per request and per step of an export or a mail, and whatever goes wrong.

Nothing that was typed, signed or kept secret is in it: an address is written as its pattern, a person as a number.
"""

import json
import logging
import math
import time
import uuid
from contextvars import ContextVar
from datetime import UTC, datetime
from threading import Lock

from flask import Response, g, request
from sqlalchemy import inspect
from sqlalchemy.exc import InternalError, OperationalError

SAY_EVERY = 60.0  # seconds
request_id: ContextVar[str] = ContextVar("request_id", default="")
log = logging.getLogger("countersign.request")
work_log = logging.getLogger("countersign.work")


class JsonFormatter(logging.Formatter):
    """A record as one line of JSON; `facts` given as extra come along."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        facts = {"at": at, "level": record.levelname, "request": request_id.get(), "said": record.getMessage()}
        facts |= getattr(record, "facts", {})
        if record.exc_info:
            facts["trace"] = self.formatException(record.exc_info)
        return json.dumps(facts, default=str, ensure_ascii=False)


def set_up() -> None:
    """Write lines to standard error from here on; for processes that serve, not for commands."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter())
    logging.getLogger().addHandler(handler)
    logging.getLogger("countersign").setLevel(logging.INFO)


def begin_request() -> None:
    """Each request gets a number of its own, which its answer and its lines carry."""
    g.began = time.monotonic()
    request_id.set(uuid.uuid4().hex[:12])


def _person() -> int | None:
    """The number of who was asked for already; this asks nobody, not even after a commit."""
    person = inspect(g.get("_login_user"), raiseerr=False)
    return person.identity[0] if person and person.identity else None


def end_request(response: Response) -> Response:
    response.headers["X-Request-Id"] = request_id.get()
    numbers = {name: value for name, value in (request.view_args or {}).items() if isinstance(value, int)}
    facts = {
        "request": request_id.get(),
        "method": request.method,
        "address": str(request.url_rule or "no such address"),
        "status": response.status_code,
        "milliseconds": round((time.monotonic() - g.began) * 1000),
        "person": _person(),
    }
    log.info("request", extra={"facts": facts | numbers})
    return response


class RateLimitedLog:
    """What fails again and again: said with its cause, then once a minute while it lasts, and once when it is over."""

    def __init__(self) -> None:
        self._lock, self._failing = Lock(), set[str]()
        self._said_at, self._complained = dict[str, float](), False

    def failed(self, work: str, error: Exception) -> None:
        """A line, unless the same was said less than a minute ago; the database's own troubles need no traceback."""
        said = error.orig if isinstance(error, OperationalError | InternalError) else None
        cause, now = str(said or repr(error)), time.monotonic()
        what = cause if said else work
        with self._lock:
            self._failing.add(work)
            if now - self._said_at.get(what, -math.inf) < SAY_EVERY:
                return
            self._said_at[what], self._complained = now, True
        work_log.error("%s did not finish; it is tried again: %s", work, cause, exc_info=None if said else error)

    def succeeded(self, work: str) -> None:
        """A line where it was the last of those that failed."""
        with self._lock:
            self._failing.discard(work)
            over = self._complained and not self._failing
            self._complained = self._complained and not over
        if over:
            work_log.warning("%s finished; everything works again", work)
