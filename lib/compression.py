"""Compression: static files are compressed once and cached by browsers for good, pages as they go out.

A file with a `.br` beside it is sent as that one to whoever takes Brotli; everything else is gzip.
"""

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
CSS_COMMENTS = re.compile(rb"/\*.*?\*/|\n\s*|(?<=,) | (?={)", re.DOTALL)  # and what space a browser does not need
IMPORT = re.compile(rb'@import "([^"]+)";')
LEVEL = 2  # of Intel's library: a sixth of the time of gzip's 5, for one byte in ten


@dataclass(frozen=True)
class StaticFile:
    """A file as this process first read it: plain, compressed, and the hash in its address."""

    content: bytes
    packed: dict[str, bytes]  # by encoding, the smallest first
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
    encoding = next((each for each in file.packed if _accepts(each)), "")
    kind = mimetypes.guess_type(filename)[0] or "application/octet-stream"
    response = Response(file.packed.get(encoding, file.content), mimetype=kind)
    if encoding:
        response.content_encoding = encoding
    response.vary.add("Accept-Encoding")
    if request.args.get("v") == file.version:
        response.headers["Cache-Control"] = IMMUTABLE
        return response
    response.headers["Cache-Control"] = "no-cache"
    response.set_etag(f"{file.version}-{encoding}")
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
    if _accepts("gzip"):
        response.set_data(igzip.compress(response.get_data(), LEVEL, mtime=0))
        response.content_encoding = "gzip"
    return response


def _ignore_session(response: Response) -> Response:
    """Keep “Vary: Cookie” off static files, though Flask-Login reads the session: browsers cache them for good."""
    if request.endpoint == "static":
        session.accessed = False
    return response


def _accepts(encoding: str) -> bool:
    return request.accept_encodings.quality(encoding) > 0


def _add_version(endpoint: str, values: dict[str, Any]) -> None:
    if endpoint == "static":
        values["v"] = _read(_path(values["filename"])).version


def _path(filename: str) -> Path:
    return Path(safe_join(str(current_app.static_folder), filename) or abort(404))


@cache
def _read(path: Path) -> StaticFile:
    content = path.read_bytes()
    if path.suffix == ".css":
        content = IMPORT.sub(lambda found: _read(path.with_name(found[1].decode())).content, content)
        content = CSS_COMMENTS.sub(b"", content)
    if path.suffix == ".js" and path.parent.name != "vendor":
        content = COMMENTS.sub(b"", content)
    brotli = path.with_name(f"{path.name}.br")
    packed = {"br": brotli.read_bytes()} if brotli.exists() else {}
    packed["gzip"] = gzip.compress(content, 9, mtime=0)
    smaller = {encoding: body for encoding, body in packed.items() if len(body) < len(content)}
    return StaticFile(content, smaller, hashlib.sha256(content).hexdigest()[:12])
