"""People in a real browser: an invitation, a first sign-in, a reset, and a privilege that goes while a page is open."""

import re
import uuid
from collections.abc import Callable

import httpx
import pytest
from conftest import Live, go_back, wait_until
from playwright.sync_api import Page, expect

from app import create_app
from dev.demo import seed
from extensions import db, writing
from models import Person
from services import accounts

NewPage = Callable[..., Page]
PASSWORD = "level-plumb-and-square"


@pytest.fixture
def email(request: pytest.FixtureRequest) -> str:
    """An address that no other test uses."""
    return f"nora.{abs(hash(request.node.name)) % 100_000}@halvorsen.example"


def link_mailed_to(live: Live, email: str) -> str:
    """The link to set a password in the mail that the sandbox's mailbox received."""

    def found() -> list[str]:
        rows = [row for row in httpx.get(f"{live.mailbox}/sandbox/mails").json() if email in str(row)]
        return [link for row in rows for link in re.findall(rf"{live.url}/password/[\w.-]+", str(row))]

    wait_until(found)
    return found()[-1]


def add_person(page: Page, email: str) -> None:
    page.get_by_role("link", name="Company Directory", exact=True).click()
    page.get_by_role("link", name="Add Person").click()
    page.get_by_label("Name").fill("Nora Lind")
    page.get_by_label("Email", exact=True).fill(email)
    page.get_by_label("ERP Integrations", exact=True).select_option("Standard")
    page.get_by_label("Can Push to Accounting").check()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", name="Nora Lind")).to_be_visible()
    expect(page.get_by_text("Invited", exact=True)).to_be_visible()


def set_password(page: Page, link: str, password: str) -> None:
    page.goto(link)
    page.get_by_label("New Password").fill(password)
    page.get_by_role("button", name="Set Password").click()
    expect(page.get_by_text("Your password is set. Sign in with it now.")).to_be_visible()


def sign_in(page: Page, live: Live, email: str, password: str) -> None:
    page.goto(f"{live.url}/login")
    fill_sign_in(page, email, password)


def fill_sign_in(page: Page, email: str, password: str) -> None:
    page.get_by_label("Email").fill(email)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()


def test_who_is_invited_sets_a_password_signs_in_decides_and_loses_the_privilege_at_the_next_click(
    live: Live, new_page: NewPage, email: str
) -> None:
    administrator, nora = live.sign_in(new_page(), "ingrid.solberg"), new_page()
    add_person(administrator, email)
    link = link_mailed_to(live, email)
    set_password(nora, link, PASSWORD)
    sign_in(nora, live, email, PASSWORD)
    expect(nora.get_by_role("heading", name="Projects in Countersign Not Synced to Spectrum")).to_be_visible()
    expect(nora.get_by_role("link", name="Company Directory")).to_have_count(0)
    accept = nora.get_by_role("button", name=re.compile("^Accept"))
    expect(accept.first).to_be_visible()
    nora.goto(link)
    expect(nora.get_by_role("alert")).to_contain_text("This link no longer works")
    nora.goto(f"{live.url}/erp/jobs")

    administrator.reload()
    expect(administrator.get_by_text("Accounting approver", exact=True)).to_be_visible()
    administrator.get_by_label("Can Push to Accounting").uncheck()
    administrator.get_by_role("button", name="Save").click()
    expect(administrator.get_by_role("rowheader", name="Can Push to Accounting").first).to_be_visible()
    accept.first.click()
    refusal = nora.get_by_text("You need the privilege Can Push to Accounting for this. Ingrid Solberg can grant it.")
    expect(refusal.first).to_be_visible()
    nora.goto(f"{live.url}/erp/jobs")
    expect(accept).to_have_count(0)


@pytest.fixture
def newcomer(live: Live) -> str:
    """The first part of an address with the demo's password, which no other test signs in with."""
    name = f"nora.{uuid.uuid4().hex[:8]}"
    with create_app(live.environ).app_context():
        with writing():
            person = Person(email=f"{name}@halvorsen.example", name="Nora Newcomer", active=True)
            accounts.set_password(person, seed.PASSWORD)
            db.session.add(person)
        db.engine.dispose()
    return name


def test_a_forgotten_password_is_set_anew_through_the_mail_and_ends_the_session_elsewhere(
    live: Live, new_page: NewPage, newcomer: str
) -> None:
    name = newcomer
    address = f"{name}@halvorsen.example"
    elsewhere, page = live.sign_in(new_page(), name), new_page()
    page.goto(f"{live.url}/login")
    page.get_by_role("link", name="Forgot your password?").click()
    page.get_by_label("Email").fill(address)
    page.get_by_role("button", name="Email Me a Link").click()
    expect(page.get_by_text(f"If {address} belongs to someone in the Company Directory")).to_be_visible()
    set_password(page, link_mailed_to(live, address), PASSWORD)
    elsewhere.reload()
    expect(elsewhere.get_by_role("button", name="Sign in")).to_be_visible()
    sign_in(page, live, address, PASSWORD)
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()


def test_what_was_typed_is_sent_again_after_a_sign_in_that_ended_meanwhile(live: Live, new_page: NewPage) -> None:
    page = live.sign_in(new_page(), "kari.iversen")
    page.get_by_role("row").filter(has=page.get_by_text("Not Sent", exact=True)).first.get_by_role("link").click()
    page.get_by_label("Phone").fill("253-555-0177")
    page.context.clear_cookies()
    page.get_by_role("button", name="Update").click()
    expect(page.get_by_role("alert")).to_contain_text("Sign in again to submit what you typed")
    fill_sign_in(page, seed.address("Kari Iversen"), seed.PASSWORD)
    expect(page.get_by_text("253-555-0177")).to_be_visible()
    page.get_by_role("button", name="Submit").click()
    expect(page.get_by_role("heading", name="General Project Information")).to_be_visible()
    page.reload()
    expect(page.get_by_label("Phone")).to_have_value("253-555-0177")


def test_the_directory_says_at_the_field_why_something_can_not_be_saved(live: Live, new_page: NewPage) -> None:
    page = live.sign_in(new_page(), "ingrid.solberg")
    page.get_by_role("link", name="Company Directory", exact=True).click()
    page.get_by_label("Search people").fill("ingrid")
    page.get_by_label("Search people").press("Enter")
    page.get_by_role("link", name="Ingrid Solberg").last.click()
    expect(page.get_by_label("Active", exact=True)).to_be_disabled()
    page.get_by_label("Company Directory", exact=True).select_option("None")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert")).to_contain_text("Ingrid Solberg is the last active directory admin.")
    expect(page.get_by_label("Company Directory", exact=True)).to_have_attribute("aria-invalid", "true")


def test_after_the_sign_out_back_shows_nothing_of_what_was_there(live: Live, new_page: NewPage) -> None:
    page = live.sign_in(new_page(), "dana.whitfield")
    page.goto(f"{live.url}/erp/jobs?filter=synced")
    page.goto(f"{live.url}/erp/jobs")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Password")).to_be_visible()
    for _ in range(2):
        go_back(page)
        expect(page.get_by_label("Password")).to_be_visible()
        expect(page.get_by_role("table")).to_have_count(0)


def test_a_form_submitted_after_a_colleague_signed_in_in_another_tab_is_refused_and_its_text_stays(
    live: Live, new_page: NewPage
) -> None:
    first = live.sign_in(new_page(), "marcus.reed")
    first.goto(f"{live.url}/erp/jobs")
    first.get_by_role("button", name=re.compile("^Reject")).first.click()
    first.get_by_label("Enter a Comment").fill("The ZIP is wrong.")
    second = first.context.new_page()
    second.goto(f"{live.url}/me")
    second.get_by_role("button", name="Sign out").click()
    live.sign_in(second, "dana.whitfield")
    for _ in range(2):
        first.get_by_role("button", name="Reject", exact=True).last.click()
        refusal = first.get_by_text("Marcus Reed opened this form, and Dana Whitfield is signed in now.")
        expect(refusal.first).to_be_visible()
        comment = first.get_by_label("Enter a Comment")
        if not comment.count():  # without JavaScript the text stands in the refusal
            expect(first.get_by_text("The ZIP is wrong.")).to_be_visible()
            break
        expect(comment).to_have_value("The ZIP is wrong.")
