"""Signing in with the company's account, against a provider in a process of its own that does as it is told."""

import re
from collections.abc import Callable
from datetime import timedelta
from html import unescape
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import time_machine
from conftest import ENVIRON, PASSWORD, Browser
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from support.openid_provider import CLIENT_ID, CLIENT_SECRET, tell
from werkzeug.test import TestResponse

import config
from extensions import db
from lib import openid
from models import Delivery, Event, Level, Person, utcnow
from services import accounts, company_accounts, directory
from tasks import mail_messages

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def environ(database_url: str, provider: str) -> dict[str, str]:
    tell(provider)
    settings = {"OIDC_ISSUER": provider, "OIDC_CLIENT_ID": CLIENT_ID, "OIDC_CLIENT_SECRET": CLIENT_SECRET}
    return ENVIRON | settings | {"DATABASE_URL": database_url, "OIDC_NAME": "Halvorsen"}


def go(client: FlaskClient, start: str = "/login/oidc") -> TestResponse:
    """From the product to the provider and back, as a browser goes."""
    answer = client.get(start)
    if answer.status_code != 302:
        return answer
    back = urlsplit(httpx.get(answer.location).headers["Location"])
    return client.get(f"{back.path}?{back.query}")


def signed_in(client: FlaskClient) -> bool:
    return client.get("/me").status_code == 200


def sentence(answer: TestResponse) -> str:
    found = re.search(r'role="alert"[^>]*>([^<]+)', answer.text)
    return unescape(found[1]) if found else ""


def events(person: Person) -> list[str]:
    return [event.action for event in Event.about(person)]


# --- the way there and back -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["", "post"], ids=["basic", "post"])
def test_who_has_an_account_signs_in_and_lands_where_a_mail_led(
    app: Flask, provider: str, cast: dict[str, Person], fault: str
) -> None:
    tell(provider, fault)
    client = app.test_client()
    going = client.get("/erp/jobs?filter=synced&q=a%26b")
    page = client.get(going.location).text
    start = unescape(re.search(r'href="(/login/oidc[^"]*)">Sign in with Halvorsen<', page)[1])  # type: ignore[index]
    answer = go(client, start)
    assert answer.location == "/erp/jobs?filter=synced&q=a%26b"
    assert client.get("/me").text.count("Approver") > 0
    asked = httpx.get(f"{provider}/asked").json()
    assert (asked["response_type"], asked["response_mode"], asked["code_challenge_method"]) == ("code", "query", "S256")
    assert asked["redirect_uri"] == "http://127.0.0.1:8000/login/oidc/callback"


@pytest.mark.parametrize("elsewhere", ["//evil.example", "https://evil.example", "/\\evil.example"])
def test_next_leads_nowhere_but_to_this_site(app: Flask, elsewhere: str) -> None:
    assert go(app.test_client(), f"/login/oidc?next={elsewhere}").location == "/"


FAULTS = {
    "another issuer": "Halvorsen has another issuer than OIDC_ISSUER. Check OIDC_ISSUER.",
    "endpoint over http": "Halvorsen does not say where to sign in safely.",
    "no endpoints": "Halvorsen does not say where to sign in safely.",
    "metadata: error": "Halvorsen answered with an error.",
    "metadata: page": "Halvorsen sent an answer that is not understood.",
    "metadata: list": "Halvorsen sent an answer that is not understood.",
    "metadata: huge": "Halvorsen sent an answer that is far too large.",
    "metadata: silence": "Halvorsen can't be reached. Try again in a minute.",
    "metadata: drop": "Halvorsen can't be reached. Try again in a minute.",
    "metadata: elsewhere": "Halvorsen sent an answer that is not understood.",
    "keys: error": "Halvorsen answered with an error.",
    "keys: silence": "Halvorsen can't be reached. Try again in a minute.",
    "keys: list": "Halvorsen sent an answer that is not understood.",
    "access_denied": "Halvorsen did not let you in. Try again.",
    "server_error": "Halvorsen answered with an error. Try again.",
    "login_required": "Halvorsen answered with an error. Try again.",
    "no code": "Halvorsen answered with an error. Try again.",
    "wrong state": "this sign-in did not begin in this browser, or it was used already. Try again.",
    "answer of another issuer": "this answer is not from Halvorsen. Try again.",
    "invalid_client": "Halvorsen refused Countersign. Check OIDC_CLIENT_ID and OIDC_CLIENT_SECRET.",
    "invalid_grant": "Halvorsen no longer accepts this sign-in. Try again.",
    "token: error": "Halvorsen answered with an error.",
    "token: page": "Halvorsen sent an answer that is not understood.",
    "token: huge": "Halvorsen sent an answer that is far too large.",
    "token: silence": "Halvorsen can't be reached. Try again in a minute.",
    "token: drop": "Halvorsen can't be reached. Try again in a minute.",
    "token: elsewhere": "Halvorsen sent an answer that is not understood.",
    "no ID token": "Halvorsen did not say who you are.",
} | dict.fromkeys(
    [
        *("wrong issuer", "wrong audience", "two audiences", "wrong nonce", "no nonce", "expired", "not yet", "no end"),
        *("no subject", "empty subject", "wrong access token", "unknown key", "bad signature", "unsigned"),
        *("signed with the secret", "no token at all"),
    ],
    "Halvorsen sent an answer that cannot be trusted.",
)


@pytest.mark.parametrize("fault", FAULTS)
def test_each_way_to_misbehave_ends_in_a_sentence_and_no_session(
    app: Flask, provider: str, cast: dict[str, Person], monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    monkeypatch.setattr(openid, "DEADLINE", 1)
    tell(provider, fault)
    client = app.test_client()
    answer = go(client)
    assert answer.status_code in (400, 403, 502)
    assert sentence(answer).startswith(f"You are not signed in: {FAULTS[fault]}")
    assert not signed_in(client)
    assert cast["approver"].oidc_subject is None
    tell(provider)
    assert go(client).status_code == 302
    assert signed_in(client)


def test_an_answer_is_good_once_and_in_the_browser_that_asked(app: Flask) -> None:
    client, other = app.test_client(), app.test_client()
    back = httpx.get(client.get("/login/oidc").location).headers["Location"]
    assert other.get(back).status_code == 400
    assert client.get(back).status_code == 302
    assert client.get(back).status_code == 400


def test_new_keys_of_the_provider_are_fetched(app: Flask, provider: str) -> None:
    assert go(app.test_client()).status_code == 302
    tell(provider, "rotated")
    assert go(app.test_client()).status_code == 302


def test_the_product_works_while_the_provider_is_down(app: Flask, browser: Callable[[str], Browser]) -> None:
    app.config["OIDC_ISSUER"] = "http://127.0.0.1:1"
    answer = app.test_client().get("/login/oidc")
    assert (answer.status_code, "Halvorsen can't be reached" in sentence(answer)) == (502, True)
    assert browser("approver").get("/me").status_code == 200


# --- who it is ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("verified", "ties"), [(True, True), ("true", True), (None, True), (False, False), ("false", False), ("no", False)]
)
def test_an_account_is_tied_by_an_email_that_is_not_called_unverified(
    app: Flask, provider: str, cast: dict[str, Person], verified: object, ties: bool
) -> None:
    tell(provider, email="Approver@Example.COM", email_verified=verified)
    client = app.test_client()
    answer = go(client)
    assert signed_in(client) is ties
    assert bool(cast["approver"].oidc_subject) is ties
    assert events(cast["approver"]) == ["tied the company account"] * ties
    assert ties or "is not verified. Ask Administrator." in sentence(answer)


def test_where_anybody_can_make_an_account_a_verified_email_is_wanted(
    app: Flask, provider: str, cast: dict[str, Person], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(company_accounts, "OPEN_TO_ANYBODY", (provider,))
    tell(provider, email_verified=None)
    assert "is not verified" in sentence(go(app.test_client()))
    tell(provider)
    assert go(app.test_client()).status_code == 302


def test_once_tied_the_email_does_not_matter_and_no_other_account_of_it_comes_in(
    app: Flask, provider: str, cast: dict[str, Person]
) -> None:
    assert go(app.test_client()).status_code == 302
    tell(provider, email="married@example.com", email_verified=False)
    client = app.test_client()
    assert go(client).status_code == 302
    assert signed_in(client)
    assert events(cast["approver"]) == ["tied the company account"]
    tell(provider, sub="subject-2")
    assert sentence(go(app.test_client())) == "Approver signs in with another company account. Ask Administrator."


@pytest.mark.parametrize("tied", [False, True])
def test_who_is_disabled_is_refused(app: Flask, cast: dict[str, Person], tied: bool) -> None:
    if tied:
        go(app.test_client())
    directory.change(cast["approver"], None, {"active": False})
    db.session.commit()
    client = app.test_client()
    assert sentence(go(client)) == "Approver can't sign in to Countersign any more. Ask Administrator."
    assert not signed_in(client)


@pytest.mark.parametrize("email", ["stranger@example.com", None, 7, "no address", "a\nb@example.com"])
def test_who_is_unknown_is_told_whom_to_ask(app: Flask, provider: str, cast: dict[str, Person], email: object) -> None:
    tell(provider, email=email)
    client = app.test_client()
    assert sentence(go(client)).endswith("Ask Administrator.")
    assert not signed_in(client)
    assert db.session.query(Person).count() == len(cast)


@pytest.mark.parametrize(
    ("name", "called"),
    [
        ("Nora Lind", "Nora Lind"),
        (None, "nora"),
        (["x"], "nora"),
        ("Zo\u0065\u0301\0 Lind", "Zoé Lind"),
        ("\0", "nora"),
    ],
)
def test_who_is_unknown_is_added_with_no_level_where_that_is_wanted(
    app: Flask, provider: str, name: object, called: str
) -> None:
    app.config["OIDC_CREATE_PEOPLE"] = True
    claims = {"roles": ["admin"], "erp": "admin", "directory": "admin", "can_push": True}
    tell(provider, email="nora@example.com", sub="nora", name=name, **claims)
    client = app.test_client()
    assert go(client).status_code == 302
    nora = Person.by_email("nora@example.com")
    assert nora
    assert (nora.name, nora.erp, nora.projects, nora.directory, nora.can_push) == (called, *[Level.NONE] * 3, False)
    assert events(nora) == ["tied the company account", "added"]
    assert signed_in(client)


@pytest.mark.parametrize("claims", [{"sub": "subject-1\0"}, {"email": "approver\x07@example.com"}])
def test_an_account_that_only_looks_like_another_is_refused(
    app: Flask, provider: str, cast: dict[str, Person], claims: dict[str, str]
) -> None:
    """Out: the comparison of the subject with what is left of it."""
    tell(provider, **claims)
    client = app.test_client()
    assert sentence(go(client)).startswith("You are not signed in")
    assert not signed_in(client) and not cast["approver"].oidc_subject


# --- the session ----------------------------------------------------------------------------------------------------


def test_such_a_session_lasts_twelve_hours_and_is_renewed_silently(app: Flask, provider: str) -> None:
    with time_machine.travel(utcnow().replace(microsecond=0), tick=False) as clock:
        client = app.test_client()
        go(client)
        for _ in range(3):
            clock.shift(timedelta(hours=4) - timedelta(seconds=5))
            assert client.get("/me").status_code == 200
        clock.shift(timedelta(seconds=20))
        renewal = client.get("/erp/jobs?q=x")
        assert renewal.location == "/login/oidc?next=/erp/jobs?q%3Dx&silent=yes"
        assert client.post("/me/subscription").status_code != 303
        there = client.get(renewal.location).location
        assert parse_qs(urlsplit(there).query)["prompt"] == ["none"]
        tell(provider, "login_required")
        back = httpx.get(there).headers["Location"]
        assert client.get(back).location == "/login?next=/erp/jobs?q%3Dx"
        assert client.get("/erp/jobs").location == "/login?next=/erp/jobs"


def test_a_session_that_was_ended_everywhere_is_not_renewed(app: Flask, cast: dict[str, Person]) -> None:
    with time_machine.travel(utcnow(), tick=False) as clock:
        client = app.test_client()
        go(client)
        cast["approver"].end_sessions()
        db.session.commit()
        clock.shift(timedelta(hours=12, seconds=1))
        assert client.get("/me").location == "/login?next=/me"


def test_only_the_companys_account_signs_in_and_one_door_stays(app: Flask) -> None:
    app.config["OIDC_ONLY"] = True
    client = app.test_client()
    assert 'name="password"' not in client.get("/login").text
    assert "Sign in with Halvorsen" in client.get("/login").text
    page = client.get("/login?local=1&next=/me").text
    token = re.search(r'name="csrf_token" value="([^"]+)"', page)[1]  # type: ignore[index]
    form = {"csrf_token": token, "email": "approver@example.com", "password": "wrong"}
    assert 'name="password"' in client.post("/login?local=1&next=/me", data=form).text
    assert client.post("/login?local=1&next=/me", data=form | {"password": PASSWORD}).location == "/me"


def test_where_the_companys_account_is_the_only_way_in_an_invitation_leads_there_and_to_no_password(
    app: Flask, cast: dict[str, Person]
) -> None:
    app.config["OIDC_ONLY"] = True
    accounts.send_link(cast["clerk"], "invitation", cast["administrator"])
    db.session.commit()
    mail = mail_messages.compose(db.session.scalars(select(Delivery)).one())
    for text in (mail.body, mail.html):
        assert "http://127.0.0.1:8000/login/oidc" in text and "Sign in with Halvorsen" in text
        assert "/password/" not in text and "Choose a password" not in text


def test_what_was_typed_waits_until_the_account_signed_in_in_another_tab(app: Flask) -> None:
    client = app.test_client()
    go(client)
    token = re.search(r'name="csrf_token" value="([^"]+)"', client.get("/me").text)[1]  # type: ignore[index]
    cookies, ours = app.config["SESSION_COOKIE_NAME"], {"Origin": "http://127.0.0.1:8000"}
    client.delete_cookie(cookies, domain="127.0.0.1")
    kept_page = client.post("/me/subscription", data={"csrf_token": token, "subscribed": "yes"}, headers=ours)
    names = re.compile(r'<input type="hidden" name="([^"]+)" value="([^"]*)">')
    form = {name: unescape(value) for name, value in names.findall(kept_page.text.partition("Show What I Typed")[0])}
    assert "You were signed out" in client.post("/login", data=form, headers=ours).text
    go(client)
    assert "Submit your changes?" in client.post("/login", data=form, headers=ours).text


# --- the settings ---------------------------------------------------------------------------------------------------

FULL = {"SECRET_KEY": "0123456789abcdef", "OIDC_CLIENT_ID": "x", "OIDC_CLIENT_SECRET": "y"}
MICROSOFT = "https://login.microsoftonline.com"


@pytest.mark.parametrize(
    "issuer",
    [
        *(f"{MICROSOFT}/{tenant}/v2.0" for tenant in ("common", "organizations", "Consumers")),
        f"{MICROSOFT}/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0",
        *("http://sso.example.com", "sso.example.com", "https://sso.example.com?x=1", "https://u@sso.example.com"),
    ],
)
def test_an_issuer_behind_which_anybody_can_be_is_refused_at_the_start(database_url: str, issuer: str) -> None:
    with pytest.raises(config.SettingsError, match=r"^OIDC_ISSUER must"):
        config.load({**FULL, "OIDC_ISSUER": issuer})


@pytest.mark.parametrize(
    "issuer", [f"{MICROSOFT}/3f1c/v2.0", "https://accounts.google.com", "http://localhost:8080/realms/x"]
)
def test_an_issuer_of_ones_own_is_taken(database_url: str, issuer: str) -> None:
    assert config.load({**FULL, "OIDC_ISSUER": issuer})["OIDC_ISSUER"] == issuer


@pytest.mark.parametrize(
    "given", [{"OIDC_CLIENT_ID": "x"}, {"OIDC_ONLY": "yes"}, {"OIDC_ISSUER": "https://sso.example"}]
)
def test_half_of_the_settings_is_refused(database_url: str, given: dict[str, str]) -> None:
    with pytest.raises(config.SettingsError, match="must be set too"):
        config.load({"SECRET_KEY": "0123456789abcdef", **given})


def test_without_a_provider_there_is_no_such_door(app: Flask) -> None:
    app.config["OIDC_ISSUER"] = ""
    for path in ("/login/oidc", "/login/oidc/callback"):
        assert "is not set up here" in sentence(app.test_client().get(path))
    assert "Sign in with" not in app.test_client().get("/login").text
    assert db.session.scalars(select(Delivery)).all() == []
