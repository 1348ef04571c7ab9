"""/metrics: the database's counts and the requests of all processes, for a scraper of this machine only."""

import re
import shutil
import subprocess
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
import time_machine
from conftest import ROOT, Browser, serving
from flask import Flask
from support.fault_injection import accept

from extensions import db
from lib.formatting import today
from lib.version import VERSION
from models import Person, Project, Setting, SettingName, utcnow
from services import workflow

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def metrics(app: Flask) -> dict[str, float]:
    """What a scraper at another name of this machine reads, by name and labels."""
    response = app.test_client().get("/metrics", headers={"Host": "127.0.0.1:9999"})
    assert response.status_code == 200
    return parse(response.text)


def parse(text: str) -> dict[str, float]:
    lines = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
    return {name.removeprefix("countersign_"): float(value) for name, _, value in lines}


def test_it_counts_what_waits_went_out_and_happened_last(
    app: Flask, cast: dict[str, Person], make_project: Callable[..., Project]
) -> None:
    waiting = make_project(number="1")
    with time_machine.travel(utcnow() - timedelta(hours=3)):
        workflow.send(waiting, cast["manager"])
    db.session.commit()
    accept("2")
    rejected = make_project(number="3")
    workflow.send(rejected, cast["manager"])
    workflow.reject(rejected, cast["approver"], "Not yet.")
    Setting.write(SettingName.BACKED_UP, "/x.backup")
    Setting.write(SettingName.BACKUP_COPY, {"at": "2026-01-01T00:00:00+00:00", "error": ""})
    db.session.commit()
    app.config |= {"OIDC_ISSUER": "https://sso.example.com", "OIDC_SECRET_EXPIRES": today() + timedelta(days=9)}
    found = metrics(app)
    wanted = {
        f'info{{version="{VERSION}"}}': 1,
        'projects{status="Ready to Export"}': 1,
        'projects{status="Exporting"}': 1,
        'projects{status="Synced"}': 0,
        'exports{kind="export",outcome="under way"}': 1,
        'queue_length{queue="exports"}': 1,
        'queue_length{queue="mails"}': 1,
        'mails{kind="rejection",outcome="under way"}': 1,
        'days_left{item="sign_in_secret"}': 9,
        "paused": 0,
        "mail_held": 0,
        'last_timestamp_seconds{what="backup copy"}': 1767225600,
    }
    assert wanted.items() <= found.items()
    assert found["oldest_waiting_seconds"] == pytest.approx(3 * 3600, abs=60)
    assert found['last_timestamp_seconds{what="backup"}'] == pytest.approx(utcnow().timestamp(), abs=60)


@on_sqlite
def test_every_metric_of_the_alert_rules_in_the_documentation_exists(app: Flask) -> None:
    page = (ROOT / "docs/administration.md").read_text()
    named = set(re.findall(r"countersign_(\w+(?:\{[^}]+\})?)", page.partition("rules:")[2].partition("```")[0]))
    Setting.write(SettingName.BACKED_UP, "/x.backup")
    Setting.write(SettingName.HEARTBEAT, None)
    db.session.commit()
    assert len(named) == 4
    assert named <= metrics(app).keys()


def test_prometheus_finds_nothing_wrong_with_the_alert_rules_in_the_documentation(tmp_path: Path) -> None:
    if not (promtool := shutil.which("promtool")):
        pytest.skip("promtool, which the package prometheus has, was not found")
    page = (ROOT / "docs/administration.md").read_text()
    [scraping, rules] = re.findall("^```yaml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    for kind, text in (("config", scraping), ("rules", rules)):
        (tmp_path / kind).write_text(text)
        done = subprocess.run([promtool, "check", kind, tmp_path / kind], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


@on_sqlite
@pytest.mark.parametrize(
    ("address", "headers"),
    [
        ("192.0.2.7", {}),
        ("127.0.0.1", {"X-Forwarded-For": "192.0.2.7"}),
        ("127.0.0.1", {"Forwarded": "for=192.0.2.7"}),
        ("127.0.0.1", {"Via": "1.1 proxy"}),
        ("192.0.2.7", {"X-Forwarded-For": "127.0.0.1"}),
    ],
)
def test_there_is_no_such_page_for_who_comes_from_elsewhere(app: Flask, address: str, headers: dict[str, str]) -> None:
    client = app.test_client()
    assert client.get("/metrics", environ_overrides={"REMOTE_ADDR": address}, headers=headers).status_code == 404


@on_sqlite
def test_another_host_is_refused_for_every_other_page(app: Flask) -> None:
    assert app.test_client().get("/readyz", headers={"Host": "127.0.0.1:9999"}).status_code == 400


@on_sqlite
def test_a_settings_page_says_the_version(browser: Callable[[str], Browser]) -> None:
    assert f"Countersign {VERSION}" in browser("controller").get("/erp/settings").text


@on_sqlite
def test_requests_are_counted_over_all_processes_of_a_server(environ: dict[str, str]) -> None:
    url = environ["DATABASE_URL"]
    with serving(url, "http://127.0.0.1:1", "127.0.0.1:1") as running:
        for _ in range(40):  # each on a connection of its own, so that every worker gets some
            assert httpx.get(f"{running['BASE_URL']}/healthz").status_code == 200
        found = parse(httpx.get(f"http://localhost:{running['PORT']}/metrics").text)
    name = 'request_seconds_count{address="/healthz",method="GET",status="200"}'
    assert found[name] >= 40  # and one with which the test waited for the server
