"""A question without a rejection: comments on both pages of a project, who gets them by mail, and what waits."""

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from html import unescape

import pytest
from conftest import Browser
from flask import Flask
from sqlalchemy import select

from dev.sandbox.mails import Mail
from extensions import db
from models import COMMENTED, Delivery, Event, Job, Person, Project, Side, Status
from services import workflow
from services.outstanding import Summary
from tasks import digest, mail_messages

SignIn = Callable[[str], Browser]
FORM = re.compile(r'<form [^>]*action="([^"]+/comment)".*?</form>', re.DOTALL)
HIDDEN = re.compile(r'<input type="hidden" name="([^"]+)" value="([^"]*)">')
SCRIPT = {"HX-Request": "true", "HX-Target": "div#comments"}
SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def waiting(make_project: Callable[..., Project], cast: dict[str, Person], template: Job) -> Project:
    project = make_project()
    workflow.send(project, cast["manager"])
    db.session.commit()
    return project


def page_of(name: str, project: Project) -> str:
    """The page on which this one of the cast sees the project."""
    return f"/{'admin/projects' if name == 'manager' else 'approvals'}/{project.id}"


def form_on(browser: Browser, page: str) -> tuple[str, dict[str, str]]:
    """The address and the hidden fields of the form that the page shows."""
    found = FORM.search(browser.get(page).text)
    assert found, f"{page} has no form for comments"
    return found[1], {name: unescape(value) for name, value in HIDDEN.findall(found[0])}


def comment(browser: Browser, page: str, text: str, **more: str) -> int:
    address, hidden = form_on(browser, page)
    return browser.client.post(address, data=hidden | {"comment": text} | more).status_code


def comments() -> list[Event]:
    return list(db.session.scalars(select(Event).where(Event.action == COMMENTED).order_by(Event.id)))


def mailed() -> list[str]:
    rows = select(Delivery).where(Delivery.kind == "comment").order_by(Delivery.id)
    return [delivery.person.name for delivery in db.session.scalars(rows)]


@SQLITE
def test_who_may_see_the_page_of_a_project_may_comment_there_and_it_stands_in_the_history(
    browser: SignIn, waiting: Project
) -> None:
    may = {"manager": "projects erp", "onlooker": "projects erp", "clerk": "erp", "approver": "projects erp"}
    for name in (*may, "outsider", "administrator"):
        person = browser(name)
        for tool, page in (("projects", f"/admin/projects/{waiting.id}"), ("erp", f"/approvals/{waiting.id}")):
            allowed, before = tool in may.get(name, ""), len(comments())
            assert (person.get(page).status_code == 200) is allowed
            answer = person.post(f"{page}/comment", {"comment": f"Which\r\n{tool}?\x07"})
            assert answer.status_code == (303 if allowed else 404)
            assert len(comments()) == before + allowed
            if allowed:
                assert answer.location == page
                assert comments()[-1].comment == f"Which\n{tool}?"
                shown = person.get(page).text
                assert f"<b>{name.title()}</b> commented" in shown
                assert f"<blockquote>Which\n{tool}?</blockquote>" in shown


def test_a_comment_changes_neither_status_nor_version_and_a_form_that_is_open_stays_good(
    browser: SignIn, waiting: Project
) -> None:
    version = waiting.version
    assert comment(browser("manager"), page_of("manager", waiting), "Is it urgent?") == 303
    db.session.refresh(waiting)
    assert (waiting.version, waiting.status, waiting.question_to) == (version, Status.READY, Side.ACCOUNTING)
    approver = browser("approver")
    reject = {"version": version, "comment": "No."}
    assert approver.post(f"/approvals/{waiting.id}/reject", reject).status_code == 303
    assert comment(browser("manager"), page_of("manager", waiting), "Why?") == 303
    late = approver.post(f"/approvals/{waiting.id}/reject", reject)
    assert "was rejected by Approver" in late.text


READERS: list[tuple[list[tuple[str, str]], str]] = [
    ([("approver", "Which street?")], "Manager"),
    ([("manager", "Please hurry.")], ""),
    ([("manager", "Hello?"), ("approver", "Yes?"), ("manager", "Hurry.")], "Manager Approver"),
    ([("approver", "One?"), ("controller", "Two?"), ("onlooker", "Three?")], "Manager Manager Approver Controller"),
    ([("approver", "One?"), ("controller", "reject"), ("manager", "Why?")], "Manager Approver Controller"),
    ([("clerk", "One?"), ("manager", "Two?")], ""),
]


@SQLITE
def test_accounting_writes_to_the_sender_and_others_to_the_approvers_who_commented_or_decided(
    browser: SignIn, cast: dict[str, Person], make_project: Callable[..., Project]
) -> None:
    people = {name: browser(name) for name in ("manager", "approver", "controller", "onlooker", "clerk")}
    for number, (steps, readers) in enumerate(READERS):
        project, before = make_project(number=f"26-{number}"), len(mailed())
        workflow.send(project, cast["manager"])
        db.session.commit()
        for name, text in steps:
            if text == "reject":
                workflow.reject(project, cast[name], "No.")
                db.session.commit()
            else:
                assert comment(people[name], page_of(name, project), text) == 303
        assert mailed()[before:] == readers.split(), steps


@SQLITE
def test_nobody_gets_a_mail_of_what_they_wrote_nor_does_who_left(
    browser: SignIn, cast: dict[str, Person], waiting: Project
) -> None:
    waiting.sent_by = cast["approver"]  # who is an approver as well
    db.session.commit()
    comment(browser("approver"), page_of("approver", waiting), "To myself?")
    assert mailed() == []
    comment(browser("controller"), page_of("controller", waiting), "To you?")
    comment(browser("approver"), page_of("approver", waiting), "To you all?")
    assert mailed() == ["Approver", "Controller"]
    cast["controller"].active = False
    db.session.commit()
    comment(browser("approver"), page_of("approver", waiting), "Still there?")
    assert mailed() == ["Approver", "Controller"]


@SQLITE
def test_the_mail_quotes_the_comment_and_an_answer_reaches_who_wrote_it(browser: SignIn, waiting: Project) -> None:
    comment(browser("approver"), page_of("approver", waiting), "Which street?\nThe old one?")
    comment(browser("manager"), page_of("manager", waiting), "The new one.")
    mails = [mail_messages.compose(each) for each in db.session.scalars(select(Delivery).order_by(Delivery.id))]
    asked, answered = (Mail(1, "", [], "", mail.as_bytes()) for mail in mails)
    assert asked.header("Subject") == "ERP Project Comment: 26-014 Depot Lofts Retail Shell"
    assert (asked.header("To"), asked.header("Reply-To")) == ("manager@example.com", "approver@example.com")
    assert "> Which street?\r\n> The old one?" in asked.part("plain")
    assert f"http://127.0.0.1:8000/admin/projects/{waiting.id}" in asked.part("plain")
    assert (answered.header("To"), answered.header("Reply-To")) == ("approver@example.com", "manager@example.com")
    assert f"http://127.0.0.1:8000/approvals/{waiting.id}" in answered.part("plain")


@SQLITE
def test_a_refused_comment_is_said_at_its_field_and_stays_typed(browser: SignIn, waiting: Project) -> None:
    too_long = "2,001 characters long; it can hold 2,000."
    for name in ("manager", "approver"):
        person = browser(name)
        for text, sentence in (("", "Enter a comment."), (" \n ", "Enter a comment."), ("x" * 2001, too_long)):
            for headers in ({}, SCRIPT):
                answer = person.post(f"{page_of(name, waiting)}/comment", {"comment": text}, **headers)
                assert answer.status_code == 422
                assert 'aria-invalid="true" aria-describedby="new-comment-problem"' in answer.text
                assert sentence in answer.text
                assert f">{text.strip()}</textarea>" in answer.text
                assert ("<html" in answer.text) is (headers == {})
    assert comments() == []


@SQLITE
def test_with_a_script_the_comment_comes_back_alone_and_is_announced(browser: SignIn, waiting: Project) -> None:
    approver = browser("approver")
    answer = approver.post(f"/approvals/{waiting.id}/comment", {"comment": "Which street?"}, **SCRIPT)
    assert answer.status_code == 200 and answer.text.lstrip().startswith('<div id="comments">')
    assert "Your comment was added. Manager is notified by email." in answer.headers["HX-Trigger"]
    assert "<blockquote>Which street?</blockquote>" in answer.text


def test_a_form_that_is_submitted_twice_gives_one_comment_and_another_form_another(
    app: Flask, browser: SignIn, waiting: Project
) -> None:
    """Out: _is_repeated, or the lock on PostgreSQL."""
    approver, page = browser("approver"), page_of("approver", waiting)
    address, hidden = form_on(approver, page)
    clients = [browser("approver") for _ in range(4)]
    for each in clients:
        hidden_here = form_on(each, page)[1] | {"form_number": hidden["form_number"]}
        each.data = hidden_here | {"comment": "Any news?"}  # type: ignore[attr-defined]

    def submit(each: Browser) -> int:
        with app.app_context():
            return each.client.post(address, data=each.data).status_code  # type: ignore[attr-defined]

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(submit, clients)) == [303] * 4
    assert (len(comments()), mailed()) == (1, ["Manager"])
    assert comment(approver, page, "Any news?") == 303  # the same words in a form that was opened later
    again = hidden | {"comment": "Really?"}  # and other words, after Back
    assert approver.client.post(address, data=again).status_code == 303
    assert [event.comment for event in comments()] == ["Any news?", "Any news?", "Really?"]


@SQLITE
def test_a_form_that_another_person_opened_is_refused_and_shows_nothing_typed(
    browser: SignIn, waiting: Project
) -> None:
    address, hidden = form_on(browser("approver"), page_of("approver", waiting))
    controller = browser("controller")
    answer = controller.client.post(address, data=hidden | {"comment": "In confidence"})
    assert answer.status_code in (400, 409)
    assert "Approver opened this form, and Controller is signed in now." in answer.text
    assert comments() == []


QUESTIONS: list[tuple[list[tuple[str, str]], Side | None]] = [
    ([("approver", "Which street?")], Side.SENDER),
    ([("manager", "Is it urgent?")], Side.ACCOUNTING),
    ([("approver", "Which street?"), ("manager", "The new one.")], None),
    ([("approver", "Which street?"), ("manager", "Which do you have?")], Side.ACCOUNTING),
    ([("approver", "Which street?"), ("controller", "And which ZIP?")], Side.SENDER),
    ([("approver", "Thanks.")], None),
    ([("approver", "Which street?"), ("retrieve", "")], None),
    ([("manager", "Is it urgent?"), ("retrieve", ""), ("send", "")], Side.ACCOUNTING),
    ([("manager", "Is it urgent?"), ("reject", "")], None),
]


@SQLITE
def test_a_comment_waits_for_the_other_side_until_it_answers_or_decides(
    browser: SignIn, cast: dict[str, Person], make_project: Callable[..., Project]
) -> None:
    people = {name: browser(name) for name in ("manager", "approver", "controller")}
    for number, (steps, waits_for) in enumerate(QUESTIONS):
        project = make_project(number=f"26-{number}")
        workflow.send(project, cast["manager"])
        db.session.commit()
        for name, text in steps:
            if name in people:
                more = {"no_answer": "yes"} if text == "Thanks." else {}
                comment(people[name], page_of(name, project), text, **more)
                db.session.refresh(project)
            elif name == "reject":
                workflow.reject(project, cast["approver"], "No.")
            else:
                getattr(workflow, name)(project, cast["manager"])
        db.session.commit()
        assert project.question_to is waits_for, steps


@SQLITE
def test_lists_and_the_daily_summary_say_which_question_waits_for_whom(
    browser: SignIn, waiting: Project, make_project: Callable[..., Project]
) -> None:
    make_project(number="26-099")
    approver, manager = browser("approver"), browser("manager")
    for name, text, waits_for in (("approver", "Which street?", "Manager"), ("manager", "Which one?", "accounting")):
        comment(browser(name), page_of(name, waiting), text)
        for page in (approver.get("/erp/jobs").text, manager.get("/admin/projects").text):
            assert page.count(f"Question for {waits_for}") == 1
        digest.open_day(digest.local(digest.utcnow()).date())
        delivery = db.session.scalars(select(Delivery).where(Delivery.kind == "digest")).first()
        assert delivery
        said = " ".join(Mail(1, "", [], "", mail_messages.compose(delivery).as_bytes()).part("plain").split())
        assert f"1 question waits for an answer {'-' * 30}" in said
        assert f"{name.title()} asked {waits_for} less than a minute ago: {text}" in said
    comment(approver, page_of("approver", waiting), "The new one.")
    assert "Question for" not in approver.get("/erp/jobs").text
    assert Summary.now().question_count == 0
