"""What goes over the wire: static files kept for good by their hash, packed files and pages, nothing packed twice."""

import gzip
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Browser
from flask import Flask, Response
from flask.testing import FlaskClient

from lib import compression
from permissions import public

STATIC = Path(compression.__file__).parent.parent / "static"
STYLES = STATIC / "app.css"
GZIP = {"Accept-Encoding": "gzip, deflate, br"}


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def styles(client: FlaskClient) -> str:
    """The address of the style sheet, as a page names it."""
    found = re.search(r'<link rel="stylesheet" href="([^"]+)"', client.get("/login").text)
    assert found
    return found[1]


def test_every_static_file_of_a_page_is_kept_for_good(client: FlaskClient) -> None:
    addresses = set(re.findall(r'(?:href|src)="(/static/[^"]+)"', client.get("/login").text))
    kept = {address: client.get(address).headers["Cache-Control"] for address in addresses}
    assert len(kept) == 4
    assert set(kept.values()) == {"public, max-age=31536000, immutable"}


@pytest.mark.parametrize("query", ["", "?v=", "?v=000000000000"])
def test_a_file_that_is_not_asked_for_by_its_present_hash_is_not_kept(client: FlaskClient, query: str) -> None:
    assert client.get(f"/static/app.css{query}").headers["Cache-Control"] == "no-cache"


def test_a_static_file_is_packed_for_who_can_unpack_it(client: FlaskClient, styles: str) -> None:
    packed, plain = client.get(styles, headers=GZIP), client.get(styles)
    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.data) == plain.data
    assert int(packed.headers["Content-Length"]) == len(packed.data) < len(plain.data) / 3
    assert packed.headers["Vary"] == plain.headers["Vary"] == "Accept-Encoding"
    assert packed.mimetype == plain.mimetype == "text/css"
    assert "Content-Encoding" not in plain.headers


@pytest.mark.parametrize("accepted", ["identity", "br", "gzip;q=0", ""])
def test_nothing_is_packed_for_who_does_not_ask_for_it(client: FlaskClient, styles: str, accepted: str) -> None:
    for address in (styles, "/login"):
        assert "Content-Encoding" not in client.get(address, headers={"Accept-Encoding": accepted}).headers


def test_a_file_that_did_not_change_is_not_sent_again(client: FlaskClient) -> None:
    first = client.get("/static/app.css", headers=GZIP)
    again = client.get("/static/app.css", headers={**GZIP, "If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    plain = client.get("/static/app.css", headers={"If-None-Match": first.headers["ETag"]})
    assert plain.status_code == 200  # the packed one is another body


def test_a_head_request_says_what_a_get_would_send(client: FlaskClient, styles: str) -> None:
    for address in (styles, "/login"):
        sent, said = client.get(address, headers=GZIP), client.head(address, headers=GZIP)
        assert said.data == b""
        assert said.headers["Content-Encoding"] == "gzip"
        assert abs(int(said.headers["Content-Length"]) - len(sent.data)) < 20  # a page's token differs each time


@pytest.mark.parametrize("name", ["nowhere.css", "../app.py", "%2e%2e/app.py", "", "%00"])
def test_only_files_in_the_folder_are_served(client: FlaskClient, name: str) -> None:
    assert client.get(f"/static/{name}").status_code == 404


def test_a_page_is_packed(browser: Callable[[str], Browser]) -> None:
    approver = browser("approver")
    packed, plain = approver.get("/erp/history", **GZIP), approver.get("/erp/history")
    assert packed.headers["Content-Encoding"] == "gzip"
    assert int(packed.headers["Content-Length"]) == len(packed.data) < len(plain.data)
    assert "<h1>" in gzip.decompress(packed.data).decode()
    assert {"Accept-Encoding", "Cookie"} <= set(packed.vary) & set(plain.vary)
    assert packed.headers["Cache-Control"] == "no-store"


def test_what_is_small_or_no_page_is_left_as_it_is(browser: Callable[[str], Browser]) -> None:
    manager = browser("manager")
    for address in ("/healthz", "/"):
        assert "Content-Encoding" not in manager.get(address, **GZIP).headers


@pytest.mark.parametrize("kind", ["a page that is packed already", "a page that comes piece by piece", "no page"])
def test_a_large_answer_that_is_not_a_whole_plain_page_is_left_as_it_is(
    app: Flask, client: FlaskClient, kind: str
) -> None:
    packed = gzip.compress(STYLES.read_bytes())
    answers: dict[str, Callable[[], Response]] = {
        "a page that is packed already": lambda: Response(packed, headers={"Content-Encoding": "gzip"}),
        "a page that comes piece by piece": lambda: Response(piece for piece in [packed]),
        "no page": lambda: Response(packed, mimetype="text/csv"),
    }
    app.add_url_rule("/large", view_func=public(answers[kind]), endpoint="large")
    assert client.get("/large", headers=GZIP).data == packed


def test_a_script_travels_without_its_comments_and_says_the_same(app: Flask) -> None:
    written = (STATIC / "app.js").read_text()
    served = app.test_client().get("/static/app.js").text
    code = [line.strip().partition("  // ")[0] for line in written.splitlines()]
    assert served.splitlines() == [line for line in code if line and not line.startswith("//")]


def test_the_style_sheets_travel_as_one_without_comments_and_needless_space(client: FlaskClient, styles: str) -> None:
    served = client.get(styles).text

    def dense(text: str) -> str:
        return re.sub(r"/\*.*?\*/|\s", "", text, flags=re.DOTALL)

    parts = [(STATIC / name).read_text().replace('@import "app.css";', "") for name in ("app.css", "media.css")]
    assert dense(served) == dense("".join(parts))
    assert "/*" not in served
    assert "\n" not in served
    for kept in ("min-width:70rem) {", ".bar nav a", "1px solid var(--line)"):
        assert kept.replace(" {", "{") in served
