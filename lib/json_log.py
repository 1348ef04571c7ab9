"""The server's log: a line of JSON per request, per step of an export or a mail, and per error.

It holds no input, signature or secret: an address is logged as its pattern, a person as an id.
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

REPEAT_AFTER = 60.0  # seconds
request_id: ContextVar[str] = ContextVar("request_id", default="")
log = logging.getLogger("countersign.request")
work_log = logging.getLogger("countersign.work")


class JsonFormatter(logging.Formatter):
    """One line of JSON per record, with the `facts` given as extra."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        facts = {"at": at, "level": record.levelname, "request": request_id.get(), "said": record.getMessage()}
        facts |= getattr(record, "facts", {})
        if record.exc_info:
            facts["trace"] = self.formatException(record.exc_info)
        return json.dumps(facts, default=str, ensure_ascii=False)


def configure() -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter())
    logging.getLogger().addHandler(handler)
    logging.getLogger("countersign").setLevel(logging.INFO)


def begin_request() -> None:
    g.began = time.monotonic()
    request_id.set(uuid.uuid4().hex[:12])


def _person() -> int | None:
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
    """Log a repeated failure once with its cause, then once a minute, and once when it is over."""

    def __init__(self) -> None:
        self._lock, self._failing = Lock(), set[str]()
        self._said_at, self._complained = dict[str, float](), False

    def failed(self, work: str, error: Exception) -> None:
        """Log the failure, unless the same was logged within a minute; database outages need no traceback."""
        said = error.orig if isinstance(error, OperationalError | InternalError) else None
        cause, now = str(said or repr(error)), time.monotonic()
        what = cause if said else work
        with self._lock:
            self._failing.add(work)
            if now - self._said_at.get(what, -math.inf) < REPEAT_AFTER:
                return
            self._said_at[what], self._complained = now, True
        work_log.error("%s did not finish; it is tried again: %s", work, cause, exc_info=None if said else error)

    def succeeded(self, work: str) -> None:
        with self._lock:
            self._failing.discard(work)
            over = self._complained and not self._failing
            self._complained = self._complained and not over
        if over:
            work_log.warning("%s finished; everything works again", work)
