"""Small answers: static files are packed once and kept by browsers for good, pages are packed as they go out."""

import gzip
import hashlib
import mimetypes
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from flask import Flask, Response, abort, current_app, request, session
from isal import igzip
from werkzeug.security import safe_join

IMMUTABLE = "public, max-age=31536000, immutable"
SMALLEST = 1000  # bytes; below it packing saves nothing worth the while
PAGE_LEVEL = 2  # of Intel's library: a sixth of the time of gzip's 5, for one byte in ten


@dataclass(frozen=True)
class StaticFile:
    """A file as it was when this process first read it: plain, packed, and the hash that its address carries."""

    content: bytes
    packed: bytes
    version: str


def register(app: Flask) -> None:
    """Serve static files and pages from here."""
    app.view_functions["static"] = serve_static
    app.url_defaults(_add_version)
    app.after_request(_pack)
    app.after_request(_same_for_everybody)


def serve_static(filename: str) -> Response:
    """A static file; for good where it is asked for by its present hash, else to be asked for again each time."""
    path = _path(filename)
    if not path.is_file():
        abort(404)
    file = _read(path)
    packed = _takes_gzip() and len(file.packed) < len(file.content)
    kind = mimetypes.guess_type(filename)[0] or "application/octet-stream"
    response = Response(file.packed if packed else file.content, mimetype=kind)
    if packed:
        response.content_encoding = "gzip"
    response.vary.add("Accept-Encoding")
    response.set_etag(file.version + ("-gzip" if packed else ""))
    response.headers["Cache-Control"] = IMMUTABLE if request.args.get("v") == file.version else "no-cache"
    response.make_conditional(request)
    return response


def _pack(response: Response) -> Response:
    """Pack a page. Its token can not be guessed by lengths: what another site asks for in secret comes without the
    session's SameSite cookie, so its answer has neither a token nor what was searched for."""
    length = response.content_length or 0  # what comes piece by piece has none
    if response.mimetype != "text/html" or response.content_encoding or length < SMALLEST:
        return response
    response.vary.add("Accept-Encoding")
    if _takes_gzip():
        response.set_data(igzip.compress(response.get_data(), PAGE_LEVEL, mtime=0))
        response.content_encoding = "gzip"
    return response


def _same_for_everybody(response: Response) -> Response:
    """A browser keeps a static file across sign-ins: not “Vary: Cookie”, though Flask-Login looks into each session."""
    if request.endpoint == "static":
        session.accessed = False
    return response


def _takes_gzip() -> bool:
    return request.accept_encodings.quality("gzip") > 0


def _add_version(endpoint: str, values: dict[str, Any]) -> None:
    if endpoint == "static":
        values["v"] = _read(_path(values["filename"])).version


def _path(filename: str) -> Path:
    """Where it is, never outside the folder of static files."""
    return Path(safe_join(str(current_app.static_folder), filename) or abort(404))


@cache
def _read(path: Path) -> StaticFile:
    content = path.read_bytes()
    return StaticFile(content, gzip.compress(content, 9, mtime=0), hashlib.sha256(content).hexdigest()[:12])
