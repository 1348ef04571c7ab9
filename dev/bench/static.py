"""The yardstick: the same bytes, sent by a Flask page that has nothing else to do."""

import os
from functools import cache
from pathlib import Path

from flask import Flask, Response

PAGES = Path(os.environ.get("BENCH_PAGES", ""))
app = Flask(__name__, static_folder=None)


@app.get("/<name>")
def page(name: str) -> Response:
    encoding = {"Content-Encoding": "gzip"} if name.endswith(".gz") else {}
    return Response(_content(name), mimetype="text/html", headers=encoding)


@cache
def _content(name: str) -> bytes:
    return (PAGES / name).read_bytes()
