"""The common ground of the sandbox's two web addresses: Flask apps, their error answers, and Werkzeug's server."""

import json
import socket
from datetime import datetime
from typing import Any

from flask import Flask, Response, render_template, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import BadRequest, HTTPException
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

CLIENT = ("countersign", "sandbox-secret")  # the id and secret that every token endpoint here knows
POLICY = "default-src 'none'; style-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'"


class Handler(WSGIRequestHandler):
    """One connection, logged to stderr."""

    disable_nagle_algorithm = True  # head and body are two writes: without this each answer waits for an ACK

    def connection_dropped(self, *_: object) -> None:
        """Read no further request: a broken reply may have closed the socket on purpose."""
        self.close_connection = True


class QuietHandler(Handler):
    """One connection, not logged."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None: ...


def serve(port: int, app: Flask, verbose: bool) -> BaseWSGIServer:
    """Return a server on a port of 127.0.0.1 (0: any free one). Raises OSError where the port is taken."""
    with socket.create_server(("127.0.0.1", port), backlog=128) as listener:
        return make_server(
            "127.0.0.1", listener.getsockname()[1], app, threaded=True, fd=listener.fileno(),
            request_handler=Handler if verbose else QuietHandler,
        )  # fmt: skip


def make_app() -> Flask:
    """Return an app with the sandbox's templates, which explains errors in a sentence."""
    app = Flask("dev.sandbox")
    app.jinja_env.trim_blocks = app.jinja_env.keep_trailing_newline = True
    app.template_filter("local_time")(_local_time)
    app.register_error_handler(HTTPException, _explain)
    app.after_request(_protect)
    return app


def posted() -> Any:
    """Return the JSON that was posted, an empty object where there is no body. Raises BadRequest."""
    try:
        return json.loads(request.get_data() or b"{}")
    except ValueError:
        raise BadRequest("The body is not JSON.") from None


def posted_object() -> dict[str, Any]:
    given = posted()
    if not isinstance(given, dict):
        raise BadRequest("The body is not a JSON object.")
    return given


def _local_time(moment: str) -> str:
    return f"{datetime.fromisoformat(moment).astimezone():%b %-d, %Y, %-I:%M:%S %p}"


def _explain(error: HTTPException) -> ResponseReturnValue:
    if request.path.startswith("/sandbox/"):
        return {"error": error.description}, error.code or 500
    return render_template("refused.html", sentence=error.description), error.code or 500


def _protect(response: Response) -> Response:
    if response.mimetype == "text/html":
        response.headers.setdefault("Content-Security-Policy", POLICY)
    return response
