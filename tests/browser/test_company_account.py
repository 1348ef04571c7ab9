"""The company's account and absence in a real browser, beside an OpenID provider that is down at first."""

import shutil
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from conftest import CHEAP, ENVIRON, INFORMATION, PASSWORD, serving
from playwright.sync_api import Page, expect
from support.openid_provider import CLIENT_ID, CLIENT_SECRET, tell

from app import create_app
from extensions import db
from models import Level, Person
from services import workflow


@pytest.fixture(scope="module")
def server(provider: str, migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server where the company's account is the only way in, with an approver and a project that waits."""
    place = tmp_path_factory.mktemp("company")
    shutil.copy(migrated_sqlite, place / "company.db")
    oidc = {"OIDC_ISSUER": provider, "OIDC_CLIENT_ID": CLIENT_ID, "OIDC_CLIENT_SECRET": CLIENT_SECRET}
    settings = {**oidc, "OIDC_NAME": "Halvorsen", "OIDC_ONLY": "yes", "RUN_SCHEDULER": "no"}
    nowhere = "http://127.0.0.1:1"
    with serving(f"sqlite:///{place / 'company.db'}", nowhere, nowhere, **settings) as environ:
        app = create_app(environ)
        with app.app_context():
            approver = Person(email="approver@example.com", name="Approver", erp=Level.STANDARD, can_push=True)
            approver.password_hash = CHEAP.hash(PASSWORD)
            db.session.add(approver)
            workflow.send(workflow.create(None, INFORMATION), approver)
            db.session.commit()
            db.session.remove()
            db.engine.dispose()
        yield environ["BASE_URL"]


def test_the_button_leads_through_the_provider_to_where_a_mail_led_and_a_door_stays_while_it_is_down(
    server: str, provider: str, page: Page
) -> None:
    there = f"{server}/approvals/1"
    tell(provider, "metadata: error")
    page.goto(there)
    expect(page.get_by_label("Password")).to_have_count(0)
    page.get_by_role("link", name="Sign in with Halvorsen").click()
    expect(page.get_by_role("alert")).to_have_text(
        "You are not signed in: Halvorsen answered with an error. If it happens again, tell whoever runs Countersign."
    )
    page.goto(f"{server}/login?local=1")
    page.get_by_label("Email").fill("approver@example.com")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.get_by_role("button", name="Sign out").click()

    tell(provider)
    page.goto(there)
    page.get_by_role("link", name="Sign in with Halvorsen").click()
    expect(page.get_by_role("heading", name="26-014 Depot Lofts Retail Shell")).to_be_visible()
    assert page.url == there
    expect(page.get_by_role("link", name="Approver")).to_be_visible()

    page.get_by_role("link", name="Approver").click()
    today = datetime.now(ZoneInfo(ENVIRON["TIMEZONE"])).date()
    until = today + timedelta(days=3)
    page.get_by_label("Away From").fill(today.isoformat())
    page.get_by_label("Away Until").fill(until.isoformat())
    page.get_by_role("button", name="Save Absence").click()
    expect(page.get_by_text("Your absence was saved.")).to_be_visible()
    page.goto(there)
    expect(page.get_by_text(f"Approver is away until {until:%b} {until.day}")).to_be_visible()
    page.goto(f"{server}/me")
    page.get_by_label("Away From").fill("")
    page.get_by_label("Away Until").fill("")
    page.get_by_role("button", name="Save Absence").click()
    page.goto(there)
    expect(page.get_by_text("is away until")).to_have_count(0)
