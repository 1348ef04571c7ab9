"""Signing in and out, passwords, and the links that set one."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from io import BytesIO

import pytest
import time_machine
from argon2 import PasswordHasher
from conftest import ENVIRON, PASSWORD, Browser
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.event import listen
from werkzeug.test import TestResponse

import scheduler
from app import create_app
from extensions import db
from models import Delivery, Event, LoginAttempt, Person, TaskRequest, utcnow
from services import accounts, directory

NEW = "a-new-and-longer-one"


def token_of(client: FlaskClient, path: str = "/login") -> str:
    return re.search(r'name="csrf_token" value="([^"]+)"', client.get(path).text)[1]  # type: ignore[index]


def try_to_sign_in(
    app: Flask, email: str, password: str, next_page: str = "", address: str = "10.0.0.1"
) -> TestResponse:
    client = app.test_client()
    return client.post(
        "/login",
        data={"csrf_token": token_of(client), "email": email, "password": password},
        query_string={"next": next_page} if next_page else None,
        environ_base={"REMOTE_ADDR": address},
    )


def ask_for_link(app: Flask, email: str, address: str = "10.0.0.1") -> TestResponse:
    client = app.test_client()
    form = {"csrf_token": token_of(client, "/forgotten"), "email": email}
    answer = client.post("/forgotten", data=form, environ_base={"REMOTE_ADDR": address})
    scheduler.run_task_requests()
    return answer


def set_password(app: Flask, token: str, password: str = NEW) -> TestResponse:
    client = app.test_client()
    return client.post(f"/password/{token}", data={"csrf_token": token_of(client), "password": password})


def note_tries(times: int, email: str, purpose: str = "sign-in", address: str = "10.0.1.1") -> None:
    """As many tries as that, without the time that each would take."""
    for _ in range(times):
        assert accounts.register_attempt(purpose, email, address) is None
    db.session.commit()


@contextmanager
def another_app(environ: dict[str, str]) -> Iterator[Flask]:
    """An app of its own over the same database, such as after a restart."""
    app = create_app(environ)
    yield app
    with app.app_context():
        db.engine.dispose()


# --- signing in -----------------------------------------------------------------------------------------------------


def test_after_the_sign_in_one_lands_where_one_was_going(app: Flask, cast: dict[str, Person]) -> None:
    going = app.test_client().get("/erp/jobs?filter=synced&q=a%26b")
    assert going.status_code == 302
    assert going.location == "/login?next=/erp/jobs?filter%3Dsynced%26q%3Da%2526b"
    answer = try_to_sign_in(app, "approver@example.com", PASSWORD, "/erp/jobs?filter=synced&q=a%26b")
    assert answer.location == "/erp/jobs?filter=synced&q=a%26b"


@pytest.mark.parametrize(
    "elsewhere",
    [
        "//evil.example",
        "https://evil.example",
        "/\\evil.example",
        "javascript:alert(1)",
        "/\tx",
        "//[",
        "\\\\evil",
        "x",
    ],
)
def test_the_sign_in_leads_nowhere_but_to_this_site(app: Flask, elsewhere: str) -> None:
    assert try_to_sign_in(app, "approver@example.com", PASSWORD, elsewhere).location == "/"


@pytest.mark.parametrize(
    ("email", "password"),
    [
        ("approver@example.com", "wrong-but-long-enough"),
        ("nobody@example.com", PASSWORD),
        ("disabled@example.com", PASSWORD),
        ("invited@example.com", ""),
        ("", ""),
        ("a\0b@example.com", PASSWORD),
    ],
)
def test_a_wrong_password_and_a_missing_account_get_the_same_answer(
    app: Flask, cast: dict[str, Person], email: str, password: str
) -> None:
    disabled = Person(email="disabled@example.com", name="Gone", active=False)
    disabled.password_hash = cast["approver"].password_hash
    db.session.add_all([disabled, Person(email="invited@example.com", name="New")])
    db.session.commit()
    answer = try_to_sign_in(app, email, password)
    assert answer.status_code == 422
    assert '<p class="problem" role="alert" id="login-problem">Wrong email or password. Try again.</p>' in answer.text


def test_the_email_is_taken_in_any_case_and_with_spaces_around_it(app: Flask) -> None:
    assert try_to_sign_in(app, "  Approver@Example.COM ", PASSWORD).status_code == 303


def test_an_older_hash_is_made_anew_at_the_sign_in(app: Flask, cast: dict[str, Person]) -> None:
    cast["approver"].password_hash = PasswordHasher(time_cost=1, memory_cost=1024).hash(PASSWORD)
    db.session.commit()
    assert try_to_sign_in(app, "approver@example.com", PASSWORD).status_code == 303
    made_anew = cast["approver"].password_hash or ""
    assert not accounts.HASHER.check_needs_rehash(made_anew)
    assert try_to_sign_in(app, "approver@example.com", PASSWORD).status_code == 303


@pytest.mark.parametrize(("base_url", "secure"), [("http://127.0.0.1:8000", False), ("https://127.0.0.1:8000", True)])
def test_the_cookie_is_for_this_site_and_not_for_scripts(
    environ: dict[str, str], cast: dict[str, Person], base_url: str, secure: bool
) -> None:
    with another_app(environ | {"BASE_URL": base_url}) as app:
        cookie = app.test_client().get("/login", base_url=base_url).headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert ("Secure" in cookie) == secure
    assert "Expires" not in cookie


# --- too many tries -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("email", ["approver@example.com", "nobody@example.com"])
def test_ten_wrong_tries_from_one_address_close_the_account_there_whether_it_exists_or_not(
    app: Flask, email: str
) -> None:
    for number in range(10):
        assert try_to_sign_in(app, email, f"wrong-{number}").status_code == 422
    answer = try_to_sign_in(app, email.upper(), PASSWORD)
    assert answer.status_code == 429
    assert "Too many attempts. Wait 15 minutes, until" in answer.text
    assert try_to_sign_in(app, "controller@example.com", PASSWORD).status_code == 303


def test_the_account_opens_again_after_a_quarter_of_an_hour(app: Flask) -> None:
    with time_machine.travel(utcnow(), tick=False) as clock:
        note_tries(10, "approver@example.com", address="10.0.0.1")
        clock.shift(timedelta(minutes=14, seconds=59))
        assert "Wait 1 minute, until" in try_to_sign_in(app, "approver@example.com", PASSWORD).text
        clock.shift(timedelta(seconds=2))
        assert try_to_sign_in(app, "approver@example.com", PASSWORD).status_code == 303


def test_nobody_locks_a_victim_out_from_another_address(app: Flask) -> None:
    for number in range(60):
        note_tries(1, "approver@example.com", address=f"10.0.9.{number}")
    note_tries(3, "approver@example.com", address="10.0.0.66")
    assert try_to_sign_in(app, "approver@example.com", PASSWORD, address="10.0.0.66").status_code == 429
    assert try_to_sign_in(app, "approver@example.com", PASSWORD).status_code == 303


def test_made_up_addresses_lock_nobody_out_of_the_office_that_they_come_from(app: Flask) -> None:
    for number in range(120):
        note_tries(1, f"{number}@example.com", address="10.0.0.66")
    assert try_to_sign_in(app, "approver@example.com", "wrong-once", address="10.0.0.66").status_code == 422
    assert try_to_sign_in(app, "approver@example.com", PASSWORD, address="10.0.0.66").status_code == 303


def test_who_tries_many_accounts_from_one_address_has_three_tries_for_each(app: Flask) -> None:
    for number in range(50):
        note_tries(1, f"{number}@example.com", address="10.0.0.66")
    note_tries(3, "approver@example.com", address="10.0.0.66")
    assert try_to_sign_in(app, "approver@example.com", PASSWORD, address="10.0.0.66").status_code == 429


@pytest.mark.parametrize("way", ["mailed link", "command"])
def test_setting_a_password_ends_the_wait(app: Flask, cast: dict[str, Person], way: str) -> None:
    note_tries(10, "approver@example.com", address="10.0.0.1")
    assert try_to_sign_in(app, "approver@example.com", PASSWORD).status_code == 429
    if way == "command":
        command = ["users", "passwd", "approver@example.com", "--password-stdin"]
        assert app.test_cli_runner().invoke(args=command, input=NEW).exit_code == 0
    else:
        set_password(app, accounts.link_token(cast["approver"], "reset"))
    assert try_to_sign_in(app, "approver@example.com", NEW).status_code == 303


def test_a_restart_does_not_forget_the_tries(app: Flask, environ: dict[str, str]) -> None:
    note_tries(10, "approver@example.com", address="127.0.0.1")
    with another_app(environ) as after_restart:
        client = after_restart.test_client()
        form = {"csrf_token": token_of(client), "email": "approver@example.com", "password": PASSWORD}
        assert client.post("/login", data=form).status_code == 429


def test_a_success_forgets_the_accounts_wrong_tries(app: Flask) -> None:
    for _ in range(2):
        note_tries(9, "approver@example.com", address="10.0.0.1")
        assert try_to_sign_in(app, "approver@example.com", PASSWORD).status_code == 303


def test_what_was_typed_into_the_email_field_is_not_kept(app: Flask) -> None:
    try_to_sign_in(app, "my-password-by-mistake", "x")
    kept = db.session.scalars(select(LoginAttempt.account)).all()
    assert len(kept) == 1
    assert re.fullmatch("[0-9a-f]{64}", kept[0])


# --- the end of a session -------------------------------------------------------------------------------------------


def copied(app: Flask, signed_in: Browser) -> FlaskClient:
    """The same session cookie in another client."""
    name = app.config["SESSION_COOKIE_NAME"]
    cookie = signed_in.client.get_cookie(name, domain="127.0.0.1")
    assert cookie
    other = app.test_client()
    other.set_cookie(name, cookie.value, domain="127.0.0.1")
    assert other.get("/me").status_code == 200
    return other


def test_a_session_copied_before_the_sign_out_is_refused_afterwards(
    app: Flask, browser: Callable[[str], Browser]
) -> None:
    signed_in = browser("approver")
    copy = copied(app, signed_in)
    assert signed_in.post("/logout").status_code == 303
    for client in (copy, signed_in.client):
        assert client.get("/me").location == "/login?next=/me"


def test_a_new_password_ends_every_other_session_and_keeps_this_one(
    app: Flask, browser: Callable[[str], Browser]
) -> None:
    here, elsewhere = browser("approver"), browser("approver")
    copy = copied(app, here)
    assert here.post("/me/password", {"present_password": PASSWORD, "password": NEW}).status_code == 303
    assert "You were signed out everywhere else" in here.get("/me").text
    assert elsewhere.get("/me").status_code == 302
    assert copy.get("/me").status_code == 302
    assert try_to_sign_in(app, "approver@example.com", PASSWORD).status_code == 422
    assert try_to_sign_in(app, "approver@example.com", NEW).status_code == 303


@pytest.mark.parametrize(
    ("present", "new", "sentence"),
    [
        ("wrong-but-long-enough", NEW, "This is not your current password."),
        (PASSWORD, "elevenchars", "Enter at least 12 characters."),
    ],
)
def test_a_password_is_changed_only_by_who_knows_the_present_one_and_to_a_long_one(
    app: Flask, browser: Callable[[str], Browser], present: str, new: str, sentence: str
) -> None:
    answer = browser("approver").post("/me/password", {"present_password": present, "password": new})
    assert answer.status_code == 422
    assert sentence in answer.text
    assert try_to_sign_in(app, "approver@example.com", PASSWORD).status_code == 303


def test_guessing_the_present_password_in_an_open_session_is_throttled_too(browser: Callable[[str], Browser]) -> None:
    found_open = browser("approver")
    note_tries(9, "approver@example.com", address="127.0.0.1")
    assert found_open.post("/me/password", {"present_password": "a guess", "password": NEW}).status_code == 422
    assert found_open.post("/me/password", {"present_password": PASSWORD, "password": NEW}).status_code == 429


@pytest.mark.parametrize(("stay", "lasts"), [(False, timedelta(hours=12)), (True, timedelta(days=7))])
def test_a_session_ends_when_it_was_not_used_and_lasts_as_long_as_it_is(
    app: Flask, stay: bool, lasts: timedelta
) -> None:
    almost = lasts - timedelta(minutes=1)
    with time_machine.travel(utcnow().replace(microsecond=0), tick=False) as clock:
        client = app.test_client()
        form = {"csrf_token": token_of(client), "email": "approver@example.com", "password": PASSWORD}
        answer = client.post("/login", data=form | ({"stay": "yes"} if stay else {}))
        assert ("Expires" in answer.headers["Set-Cookie"]) == stay
        for _ in range(3):
            clock.shift(almost)
            assert client.get("/me").status_code == 200
        clock.shift(almost)
        assert client.get("/erp/counts", headers={"Unattended": "true"}).status_code == 200
        clock.shift(timedelta(minutes=2))
        assert client.get("/me").location == "/login?next=/me"


def test_disabling_ends_the_sessions_for_good(
    app: Flask, browser: Callable[[str], Browser], cast: dict[str, Person]
) -> None:
    signed_in = browser("approver")
    for active in (False, True):
        directory.change(cast["approver"], None, {"active": active})
        db.session.commit()
        assert signed_in.get("/me").status_code == 302
    assert try_to_sign_in(app, "approver@example.com", PASSWORD).status_code == 303


# --- a forgotten password -------------------------------------------------------------------------------------------


def test_a_forgotten_password_gets_the_same_answer_whether_the_account_exists_or_not(
    app: Flask, cast: dict[str, Person]
) -> None:
    directory.change(cast["clerk"], None, {"active": False})
    db.session.commit()
    answers = {
        re.sub(r'value="[^"]+"', "", ask_for_link(app, f"{name}@example.com").text.replace(name, "somebody"))
        for name in ("approver", "nobody", "clerk")
    }
    assert len(answers) == 1
    deliveries = db.session.scalars(select(Delivery)).all()
    assert [(delivery.kind, delivery.person.name) for delivery in deliveries] == [("reset", "Approver")]


def test_the_request_itself_writes_the_same_whether_the_account_exists_or_not(app: Flask) -> None:
    written: list[list[str]] = []
    listen(db.engine, "before_cursor_execute", lambda *args: written[-1].append(args[2]))
    client = app.test_client()
    for name in ("nobody", "approver", "nobody", "approver"):
        form = {"csrf_token": token_of(client, "/forgotten"), "email": f"{name}@example.com"}
        written.append([])
        client.post("/forgotten", data=form)
    assert written[0] == written[1] == written[2] == written[3] != []


def test_what_was_typed_as_an_email_is_forgotten_once_it_was_looked_up(app: Flask) -> None:
    ask_for_link(app, "my-password-by-mistake")
    assert db.session.query(TaskRequest).count() == 0


def test_a_link_for_nobody_is_refused_at_once(app: Flask) -> None:
    answer = ask_for_link(app, " ")
    assert (answer.status_code, "Enter your email address." in answer.text) == (422, True)
    assert 'aria-invalid="true"' in answer.text


def test_asking_again_within_five_minutes_mails_nothing_more(app: Flask) -> None:
    with time_machine.travel(utcnow(), tick=False) as clock:
        for minutes, mails in ((0, 1), (4, 1), (2, 2)):
            clock.shift(timedelta(minutes=minutes))
            assert ask_for_link(app, "approver@example.com").status_code == 200
            assert db.session.query(Delivery).count() == mails


def test_asking_again_and_again_from_one_address_is_throttled(app: Flask) -> None:
    note_tries(10, "approver@example.com", "reset", "10.0.0.66")
    assert ask_for_link(app, "approver@example.com", "10.0.0.66").status_code == 429
    assert db.session.query(Delivery).count() == 0
    assert try_to_sign_in(app, "approver@example.com", PASSWORD, address="10.0.0.66").status_code == 303


@pytest.mark.parametrize(("purpose", "good_for"), [("reset", timedelta(hours=1)), ("invitation", timedelta(days=7))])
def test_a_link_is_good_once_and_for_its_time(
    app: Flask, cast: dict[str, Person], purpose: str, good_for: timedelta
) -> None:
    with time_machine.travel(utcnow().replace(microsecond=0), tick=False) as clock:
        token = accounts.link_token(cast["approver"], purpose)
        clock.shift(good_for)
        assert app.test_client().get(f"/password/{token}").status_code == 200
        clock.shift(timedelta(seconds=1))
        assert app.test_client().get(f"/password/{token}").status_code == 410
        assert set_password(app, token).status_code == 410
        token = accounts.link_token(cast["approver"], purpose)
        assert set_password(app, token).status_code == 303
        answer = set_password(app, token, "another-one-entirely")
        assert answer.status_code == 410
        assert "This link no longer works" in answer.text
    assert try_to_sign_in(app, "approver@example.com", NEW).status_code == 303


def test_opening_a_link_changes_nothing_however_often_a_scanner_does(app: Flask, cast: dict[str, Person]) -> None:
    token = accounts.link_token(cast["approver"], "reset")
    for method in ("GET", "HEAD", "GET"):
        answer = app.test_client().open(f"/password/{token}", method=method)
        assert answer.status_code == 200
    assert "_user_id" not in answer.headers.get("Set-Cookie", "")
    assert try_to_sign_in(app, "approver@example.com", PASSWORD).status_code == 303
    assert set_password(app, accounts.link_token(cast["approver"], "reset")).status_code == 303


def test_a_password_set_by_a_link_ends_every_session_and_signs_nobody_in(
    app: Flask, browser: Callable[[str], Browser], cast: dict[str, Person]
) -> None:
    elsewhere = browser("approver")
    client = app.test_client()
    address = f"/password/{accounts.link_token(cast['approver'], 'reset')}"
    answer = client.post(address, data={"csrf_token": token_of(client, address), "password": NEW})
    assert answer.location == "/login"
    assert client.get("/me").status_code == 302
    assert elsewhere.get("/me").status_code == 302


def test_a_link_refuses_a_short_password_and_stays_good(app: Flask, cast: dict[str, Person]) -> None:
    token = accounts.link_token(cast["approver"], "reset")
    answer = set_password(app, token, "elevenchars")
    assert answer.status_code == 422
    assert 'aria-invalid="true"' in answer.text
    assert set_password(app, token, "twelve chars").status_code == 303


def test_a_link_opened_by_somebody_else_who_is_signed_in_is_refused(
    app: Flask, browser: Callable[[str], Browser], cast: dict[str, Person]
) -> None:
    address = f"/password/{accounts.link_token(cast['approver'], 'invitation')}"
    somebody_else = browser("manager")
    for answer in (somebody_else.get(address), somebody_else.post(address, {"password": NEW})):
        assert answer.status_code == 403
        assert "This link was emailed to someone else." in answer.text
    assert try_to_sign_in(app, "approver@example.com", PASSWORD).status_code == 303


@pytest.mark.parametrize("change", [{"active": False}, {"email": "elsewhere@example.com"}])
def test_a_link_is_dead_once_the_person_is_disabled_or_has_another_email(
    app: Flask, cast: dict[str, Person], change: dict[str, object]
) -> None:
    token = accounts.link_token(cast["approver"], "reset")
    directory.change(cast["approver"], None, change)
    db.session.commit()
    assert set_password(app, token).status_code == 410


def test_a_link_that_was_tampered_with_or_signed_elsewhere_is_refused(app: Flask, cast: dict[str, Person]) -> None:
    token = accounts.link_token(cast["approver"], "reset")
    other = create_app(ENVIRON | {"SECRET_KEY": "another-key-altogether"})
    with other.app_context():
        foreign = accounts.link_token(
            Person(id=cast["approver"].id, session_version=0, email="approver@example.com"), "reset"
        )
    head, _, tail = token.partition(".")
    for forged in (foreign, f"{head}x.{tail}", "x", accounts.unsubscribe_token(cast["approver"])):
        assert set_password(app, forged).status_code == 410
    assert try_to_sign_in(app, "approver@example.com", PASSWORD).status_code == 303


def test_the_subscription_is_ones_own_to_change(browser: Callable[[str], Browser], cast: dict[str, Person]) -> None:
    approver = browser("approver")
    for form, subscribed in (({}, False), ({"subscribed": "yes"}, True)):
        assert approver.post("/me/subscription", dict(form)).status_code == 303
        assert cast["approver"].subscribed is subscribed
    assert [event.details["changes"] for event in Event.about(cast["approver"])] == [
        [["Subscribe to ERP digest emails", "No", "Yes"]],
        [["Subscribe to ERP digest emails", "Yes", "No"]],
    ]


# --- what anybody may send ------------------------------------------------------------------------------------------

FORM = "application/x-www-form-urlencoded"


@pytest.mark.parametrize("body", [b"a=" + b"x" * 500_000, b"&".join([b"a="] * 160_000)], ids=["long", "many fields"])
@pytest.mark.parametrize("path", ["/login", "/forgotten", "/password/x"])
def test_a_large_form_of_somebody_not_signed_in_is_refused_unread(app: Flask, path: str, body: bytes) -> None:
    stream = BytesIO(body)
    answer = app.test_client().post(path, input_stream=stream, content_length=len(body), content_type=FORM)
    assert answer.status_code == 413
    assert stream.tell() == 0


def test_a_large_form_after_the_sign_in_ended_is_not_read_and_not_kept(app: Flask) -> None:
    stream = BytesIO(b"x" * 500_000)
    answer = app.test_client().post("/admin/projects", input_stream=stream, content_length=500_000, content_type=FORM)
    assert (answer.status_code, stream.tell()) == (302, 0)
    assert answer.location == "/login?next=/admin/projects"
