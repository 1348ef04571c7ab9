"""flask users: what the directory does, on the server, for the first person and the day when the last holder left."""

from datetime import date

import pytest
from conftest import PASSWORD
from flask import Flask

from extensions import db
from models import Event, Level, Person
from services import accounts, directory


def users(app: Flask, *args: str, stdin: str | bytes = "") -> tuple[int, str, str]:
    """Exit code, standard output and standard error of `flask users …`."""
    result = app.test_cli_runner().invoke(args=["users", *args], input=stdin)
    db.session.rollback()
    return result.exit_code, result.stdout, result.stderr


def test_create_adds_a_person_who_can_sign_in(app: Flask) -> None:
    options = ["--name", "Nora Lind", "--erp", "admin", "--directory", "read-only", "--can-push", "--password-stdin"]
    code, said, _ = users(app, "create", "Nora@Example.com", *options, stdin=f"{PASSWORD}\n")
    assert (code, said) == (0, "Added Nora Lind <nora@example.com>.\n")
    nora = Person.by_email("nora@example.com")
    assert nora
    assert (nora.erp, nora.projects, nora.directory) == (Level.ADMIN, Level.NONE, Level.READ_ONLY)
    assert nora.can_push
    assert nora.subscribed
    assert accounts.sign_in("nora@example.com", PASSWORD) is nora
    assert [(event.who, event.action) for event in Event.about(nora)] == [("Countersign", "added")]


@pytest.mark.parametrize(
    ("email", "name", "stdin", "sentence"),
    [
        ("approver@example.com", "X", PASSWORD, "There is a person with the email approver@example.com already"),
        ("no address", "X", PASSWORD, "Enter an email address"),
        ("x@example.com", " ", PASSWORD, "Enter a name"),
        ("x@example.com", "X", "elevenchars\n", "A password has 12 characters or more."),
        ("x@example.com", "X", "", "A password has 12 characters or more."),
        ("x@example.com", "X", b"\xff" * 12 + b"\n", "The password is not in UTF-8."),
        ("x@weiß.example", "X", PASSWORD, "Enter an email address"),
    ],
)
def test_create_says_in_a_sentence_why_it_could_not(
    app: Flask, cast: dict[str, Person], email: str, name: str, stdin: str | bytes, sentence: str
) -> None:
    code, said, complaint = users(app, "create", email, "--name", name, "--password-stdin", stdin=stdin)
    assert (code, said) == (1, "")
    assert sentence in complaint
    assert complaint.count("\n") == 1
    assert db.session.query(Person).count() == len(cast)


def test_set_changes_what_it_names_and_nothing_else(app: Flask, cast: dict[str, Person]) -> None:
    clerk = cast["clerk"]
    options = ["--name", "Clara Kent", "--projects", "admin", "--can-push", "yes", "--subscribed", "no"]
    code, said, _ = users(app, "set", "CLERK@example.com", *options)
    assert (code, said) == (0, "Changed Clara Kent <clerk@example.com>.\n")
    assert (clerk.erp, clerk.projects, clerk.directory) == (Level.STANDARD, Level.ADMIN, Level.NONE)
    assert (clerk.can_push, clerk.subscribed, clerk.active) == (True, False, True)
    assert ["Can Push to Accounting", "No", "Yes"] in Event.about(clerk)[0].details["changes"]
    assert Event.about(clerk)[0].comment == "With flask users, on the server."
    assert users(app, "set", "clerk@example.com", "--can-push", "no")[0] == 0
    assert not clerk.can_push


def test_set_grants_the_privilege_where_nobody_is_left_who_holds_it(app: Flask, cast: dict[str, Person]) -> None:
    for person in cast.values():
        person.can_push = False
    db.session.commit()
    assert users(app, "set", "clerk@example.com", "--can-push", "yes")[0] == 0
    assert cast["clerk"].is_approver


def test_set_gives_the_privilege_a_last_day_and_takes_it_off(app: Flask, cast: dict[str, Person]) -> None:
    assert users(app, "set", "approver@example.com", "--can-push-until", "2020-01-31")[0] == 0
    assert (cast["approver"].can_push_until, cast["approver"].is_approver) == (date(2020, 1, 31), False)
    assert "can-push subscribed can-push-until=2020-01-31" in users(app, "list")[1].replace("  ", " ")
    assert users(app, "set", "approver@example.com", "--can-push-until", "never")[0] == 0
    assert cast["approver"].is_approver


def test_forget_account_unties_the_company_account(app: Flask, cast: dict[str, Person]) -> None:
    cast["clerk"].oidc_issuer, cast["clerk"].oidc_subject = "https://sso.example", "1"
    db.session.commit()
    told = (0, "Forgot the company account of Clerk <clerk@example.com>.\n", "")
    assert users(app, "forget-account", "clerk@example.com") == told
    assert cast["clerk"].oidc_subject is None
    told = (1, "", "Error: Clerk has no company account.\n")
    assert users(app, "forget-account", "clerk@example.com") == told


def test_set_that_changes_nothing_says_so(app: Flask) -> None:
    assert users(app, "set", "clerk@example.com", "--erp", "standard") == (0, "Clerk is like that already.\n", "")


@pytest.mark.parametrize("command", [["set", "--active", "no"], ["set", "--directory", "standard"], ["disable"]])
def test_the_last_active_directory_admin_stays_one_here_too(
    app: Flask, cast: dict[str, Person], command: list[str]
) -> None:
    code, said, complaint = users(app, command[0], "administrator@example.com", *command[1:])
    assert (code, said) == (1, "")
    assert "Administrator is the last active directory admin." in complaint
    assert cast["administrator"].is_directory_admin


def test_disable_ends_the_sessions_and_the_sign_in(app: Flask, cast: dict[str, Person]) -> None:
    session_id = cast["clerk"].get_id()
    assert users(app, "disable", "clerk@example.com")[0] == 0
    assert accounts.from_session(session_id) is None
    assert accounts.sign_in("clerk@example.com", PASSWORD) is None
    assert users(app, "set", "clerk@example.com", "--active", "yes")[0] == 0
    assert accounts.sign_in("clerk@example.com", PASSWORD) is cast["clerk"]
    assert accounts.from_session(session_id) is None


def test_passwd_sets_the_password_and_ends_the_sessions(app: Flask, cast: dict[str, Person]) -> None:
    session_id = cast["clerk"].get_id()
    code, said, _ = users(app, "passwd", "clerk@example.com", "--password-stdin", stdin="a-new-and-longer-one\r\n")
    assert (code, said) == (0, "Set the password of Clerk <clerk@example.com>.\n")
    assert accounts.HASHER.verify(cast["clerk"].password_hash or "", "a-new-and-longer-one")
    assert accounts.from_session(session_id) is None
    assert "longer" not in said
    assert users(app, "passwd", "clerk@example.com", "--password-stdin", stdin="short")[0] == 1


def test_list_has_a_line_for_everybody(app: Flask, cast: dict[str, Person]) -> None:
    directory.change(cast["clerk"], None, {"active": False, "subscribed": False})
    db.session.add(Person(email="new@example.com", name="New"))
    db.session.commit()
    code, said, _ = users(app, "list")
    assert code == 0
    lines = said.splitlines()
    assert len(lines) == len(cast) + 1
    assert (
        "approver@example.com  Approver  erp=standard projects=read-only directory=none  can-push subscribed" in lines
    )
    assert "clerk@example.com  Clerk  erp=standard projects=none directory=none  disabled" in lines
    assert "new@example.com  New  erp=none projects=none directory=none  subscribed invited" in lines


@pytest.mark.parametrize(
    "command",
    [
        ["set", "x@example.com", "--erp", "admin"],
        ["disable", "x@example.com"],
        ["forget-account", "x@example.com"],
        ["passwd", "x@example.com", "--password-stdin"],
    ],
)
def test_a_person_who_is_not_there_is_named(app: Flask, command: list[str]) -> None:
    code, said, complaint = users(app, *command, stdin=PASSWORD)
    assert (code, said, complaint) == (1, "", "Error: There is no person with the email x@example.com.\n")


@pytest.mark.parametrize(
    "command",
    [
        ["create", "x@example.com"],
        ["create", "x@example.com", "--name", "X"],
        ["create", "x@example.com", "--name", "X", "--erp", "owner", "--password-stdin"],
        ["set", "clerk@example.com"],
        ["set", "clerk@example.com", "--can-push", "maybe"],
        ["set", "clerk@example.com", "--can-push-until", "12/3/2026"],
        ["set"],
        ["passwd", "clerk@example.com"],
        ["nonsense"],
    ],
)
def test_wrong_usage_exits_with_2(app: Flask, command: list[str]) -> None:
    code, said, complaint = users(app, *command, stdin=PASSWORD)
    assert (code, said) == (2, "")
    assert "Usage:" in complaint


@pytest.mark.parametrize("command", ["create", "set", "passwd", "list", "disable", "forget-account"])
def test_each_answers_help(app: Flask, command: str) -> None:
    code, said, _ = users(app, command, "--help")
    assert code == 0
    assert "Usage:" in said
