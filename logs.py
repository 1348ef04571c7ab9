"""The log of a server: a line of JSON per request and per step of an export or a mail, and whatever went wrong.

Nothing that was typed, signed or kept secret is in it: an address is written as its pattern, a person as a number.
"""

import json
import logging
import time
import uuid
from contextvars import ContextVar
from datetime import UTC, datetime

from flask import Response, g, request

request_id: ContextVar[str] = ContextVar("request_id", default="")
log = logging.getLogger("countersign.request")


class Lines(logging.Formatter):
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
    handler.setFormatter(Lines())
    logging.getLogger().addHandler(handler)
    logging.getLogger("countersign").setLevel(logging.INFO)


def begin_request() -> None:
    """Each request gets a number of its own, which its answer and its lines carry."""
    g.began = time.monotonic()
    request_id.set(uuid.uuid4().hex[:12])


def end_request(response: Response) -> Response:
    response.headers["X-Request-Id"] = request_id.get()
    numbers = {name: value for name, value in (request.view_args or {}).items() if isinstance(value, int)}
    facts = {
        "request": request_id.get(),
        "method": request.method,
        "address": str(request.url_rule or "no such address"),
        "status": response.status_code,
        "milliseconds": round((time.monotonic() - g.began) * 1000),
        "person": getattr(g.get("_login_user"), "id", None),  # who was asked for already; this asks nobody
    }
    log.info("request", extra={"facts": facts | numbers})
    return response
