"""Gzip: static files are compressed once and cached by browsers for good, pages are compressed as they go out."""

import gzip
import hashlib
import mimetypes
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from flask import Flask, Response, abort, current_app, request, session
from isal import igzip
from werkzeug.security import safe_join

IMMUTABLE = "public, max-age=31536000, immutable"
MIN_SIZE = 1000  # bytes
COMMENTS = re.compile(rb"^[ \t]*(?://[^\n]*)?\n|^[ \t]+|  // [^\n]*$", re.MULTILINE)  # and the indentation
LEVEL = 2  # of Intel's library: a sixth of the time of gzip's 5, for one byte in ten


@dataclass(frozen=True)
class StaticFile:
    """A file as this process first read it: plain, compressed, and the hash in its address."""

    content: bytes
    compressed: bytes
    version: str


def register(app: Flask) -> None:
    app.view_functions["static"] = serve_static
    app.url_defaults(_add_version)
    app.after_request(_compress_page)
    app.after_request(_ignore_session)


def serve_static(filename: str) -> Response:
    """A static file; cacheable for good under its current hash, else revalidated each time."""
    path = _path(filename)
    if not path.is_file():
        abort(404)
    file = _read(path)
    compressed = _accepts_gzip() and len(file.compressed) < len(file.content)
    kind = mimetypes.guess_type(filename)[0] or "application/octet-stream"
    response = Response(file.compressed if compressed else file.content, mimetype=kind)
    if compressed:
        response.content_encoding = "gzip"
    response.vary.add("Accept-Encoding")
    if request.args.get("v") == file.version:
        response.headers["Cache-Control"] = IMMUTABLE
        return response
    response.headers["Cache-Control"] = "no-cache"
    response.set_etag(file.version + ("-gzip" if compressed else ""))
    response.make_conditional(request)
    return response


def _compress_page(response: Response) -> Response:
    """Compress a page.

    Not open to BREACH: background requests from other sites carry no session cookie (SameSite=Lax), so those responses
    hold no CSRF token and no search term.
    """
    length = response.content_length or 0  # a stream has none
    if response.mimetype != "text/html" or response.content_encoding or length < MIN_SIZE:
        return response
    response.vary.add("Accept-Encoding")
    if _accepts_gzip():
        response.set_data(igzip.compress(response.get_data(), LEVEL, mtime=0))
        response.content_encoding = "gzip"
    return response


def _ignore_session(response: Response) -> Response:
    """Keep “Vary: Cookie” off static files, though Flask-Login reads the session: browsers cache them for good."""
    if request.endpoint == "static":
        session.accessed = False
    return response


def _accepts_gzip() -> bool:
    return request.accept_encodings.quality("gzip") > 0


def _add_version(endpoint: str, values: dict[str, Any]) -> None:
    if endpoint == "static":
        values["v"] = _read(_path(values["filename"])).version


def _path(filename: str) -> Path:
    """The path of a static file, never outside their folder."""
    return Path(safe_join(str(current_app.static_folder), filename) or abort(404))


@cache
def _read(path: Path) -> StaticFile:
    content = path.read_bytes()
    if path.suffix == ".js" and path.parent.name != "vendor":
        content = COMMENTS.sub(b"", content)
    return StaticFile(content, gzip.compress(content, 9, mtime=0), hashlib.sha256(content).hexdigest()[:12])
