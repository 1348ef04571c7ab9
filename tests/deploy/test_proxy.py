"""The real proxy in front of the real server: TLS, headers, addresses that nobody can forge, the proxy's own pages."""

import re
import shutil
import sqlite3
import ssl
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from conftest import ENVIRON, ROOT, wait_until
from support.proxy import Front, fronted

import config

FORGED = {
    "X-Forwarded-For": "203.0.113.9",
    "X-Forwarded-Proto": "http",
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Prefix": "/evil",
    "X-Real-IP": "203.0.113.9",
    "Forwarded": "for=203.0.113.9;host=evil.example;proto=http",
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("front")


@pytest.fixture(scope="module")
def front(place: Path, migrated_sqlite: Path) -> Iterator[Front]:
    shutil.copy(migrated_sqlite, place / "front.db")
    with fronted(f"sqlite:///{place / 'front.db'}", place) as running:
        yield running


@pytest.fixture
def client(front: Front) -> Iterator[httpx.Client]:
    with front.client() as browser:
        yield browser


def test_every_page_carries_the_headers_that_keep_it_safe(client: httpx.Client) -> None:
    answer = client.get("/login")
    assert answer.status_code == 200
    assert answer.headers["strict-transport-security"] == "max-age=31536000"
    assert answer.headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["server"] == "nginx"
    assert all(len(answer.headers.get_list(name)) == 1 for name in answer.headers)
    assert {"Secure", "HttpOnly", "SameSite=Lax"} <= set(answer.headers["set-cookie"].split("; "))


def test_a_static_file_is_served_by_way_of_the_proxy(client: httpx.Client) -> None:
    answer = client.get("/static/app.css")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/css; charset=utf-8")
    assert answer.headers["strict-transport-security"]


def test_plain_http_is_moved_to_the_address_of_base_url(front: Front) -> None:
    for host in ("localhost", "evil.example"):
        answer = httpx.get(f"{front.plain_url}/erp/jobs?filter=synced", headers={"Host": host})
        assert (answer.status_code, answer.headers["location"]) == (301, f"{front.url}/erp/jobs?filter=synced")


def test_plain_http_on_the_port_of_tls_is_moved_too(front: Front) -> None:
    answer = httpx.get(front.url.replace("https", "http") + "/me")
    assert (answer.status_code, answer.headers["location"]) == (301, f"{front.url}/me")


@pytest.mark.parametrize(
    ("version", "spoken"),
    [(ssl.TLSVersion.TLSv1_1, False), (ssl.TLSVersion.TLSv1_2, True), (ssl.TLSVersion.TLSv1_3, True)],
)
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
def test_tls_is_spoken_from_1_2_on(version: ssl.TLSVersion, spoken: bool, front: Front) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version
    with httpx.Client(verify=context) as old:
        try:
            assert spoken == (old.get(f"{front.url}/healthz").status_code == 200)
        except httpx.ConnectError as refused:
            assert not spoken, refused
            assert "alert protocol version" in str(refused)


def test_the_address_of_a_sign_in_is_the_real_one_whatever_the_browser_claims(front: Front, place: Path) -> None:
    with front.client("127.0.0.7") as forger:
        token = re.findall(r'name="csrf_token" value="([^"]+)"', forger.get("/login").text)[0]
        form = {"csrf_token": token, "email": "somebody@example.com", "password": "not-the-password"}
        assert forger.post("/login", data=form, headers=FORGED).status_code == 422
    with sqlite3.connect(place / "front.db") as database:
        assert {address for (address,) in database.execute("SELECT address FROM attempt")} == {"127.0.0.7"}


def test_what_is_refused_is_logged_with_the_real_address(front: Front, place: Path) -> None:
    with front.client("127.0.0.8") as forger:
        assert forger.post("/login", headers={"Sec-Fetch-Site": "cross-site", **FORGED}).status_code == 403
    wait_until(lambda: "from 127.0.0.8" in (place / "log").read_text())
    assert "203.0.113.9" not in (place / "log").read_text()


def test_no_forged_header_moves_a_link(client: httpx.Client) -> None:
    answer = client.get("/erp/jobs", headers=FORGED)
    assert (answer.status_code, answer.headers["location"]) == (302, "/login?next=/erp/jobs")
    assert "evil" not in answer.text


def test_another_host_is_refused(client: httpx.Client) -> None:
    assert client.get("/login", headers={"Host": "evil.example"}).status_code == 400


def test_the_proxy_takes_as_much_as_the_server_and_no_more(front: Front, client: httpx.Client) -> None:
    limit = config.load(ENVIRON)["MAX_CONTENT_LENGTH"]
    assert f"client_max_body_size {limit // 2**20}m;" in (ROOT / "deploy" / "nginx.conf").read_text()
    answer = client.post("/login", content=bytes(limit + 1))
    assert (answer.status_code, answer.headers["strict-transport-security"]) == (413, "max-age=31536000")
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")


@pytest.mark.parametrize("path", ["/login", "/forgotten"])
def test_whoever_sends_passwords_faster_than_people_type_waits_and_others_do_not(path: str, front: Front) -> None:
    with front.client(f"127.0.1.{len(path)}") as flood, front.client("127.0.0.9") as other:
        answers = [flood.post(path) for _ in range(40)]
        slowed = [answer for answer in answers if "Wait a moment" in answer.text]
        assert [answer.status_code for answer in slowed] == [429] * len(slowed) != []
        assert slowed[0].headers["retry-after"] == "30"
        assert slowed[0].headers["strict-transport-security"] == "max-age=31536000"
        assert "Wait a moment" not in answers[0].text
        assert flood.get(path).status_code == 200
        assert "Wait a moment" not in other.post(path).text


def test_the_metrics_are_not_for_whoever_comes_by_way_of_the_proxy(client: httpx.Client) -> None:
    assert client.get("/metrics").status_code == 404


def test_while_the_server_is_away_a_page_says_so(tmp_path: Path, migrated_sqlite: Path) -> None:
    shutil.copy(migrated_sqlite, tmp_path / "away.db")
    with fronted(f"sqlite:///{tmp_path / 'away.db'}", tmp_path) as front, front.client() as client:
        front.server.terminate()
        front.server.wait()
        for answer in (client.get("/erp/jobs"), client.post("/login")):
            assert (answer.status_code, "Back in a minute" in answer.text) == (503, True)
            assert answer.headers["retry-after"] == "30"
            assert answer.headers["strict-transport-security"] == "max-age=31536000"
            assert answer.headers["content-security-policy"].startswith("default-src 'none'")
