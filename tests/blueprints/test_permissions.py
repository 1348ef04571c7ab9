"""Who may do what: every route against every kind of person, against the table here; and what the guard refuses."""

import logging
import re
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest
from conftest import Browser
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from erp import job_key
from extensions import db
from models import Delivery, Event, Job, Level, NotAllowed, Person, Project, utcnow
from services import accounts, cache, directory, workflow

NONE, READ_ONLY, STANDARD, ADMIN = Level


@dataclass(frozen=True)
class Needs:
    """A level on one tool, perhaps the privilege; or being who sent the project."""

    tool: str
    level: Level
    push: bool = False
    or_sender: bool = False


ANYBODY, SIGNED_IN = "anybody", "signed in"
SEE_ERP = Needs("erp", READ_ONLY)
SEE_ONE = Needs("erp", READ_ONLY, or_sender=True)
DECIDE = Needs("erp", STANDARD, push=True)
RUN_ERP = Needs("erp", ADMIN)
SEE_PROJECTS, KEEP_PROJECTS = Needs("projects", READ_ONLY), Needs("projects", ADMIN)
SEE_PEOPLE, KEEP_PEOPLE = Needs("directory", READ_ONLY), Needs("directory", ADMIN)

# The permission table, address by address.
TABLE: dict[str, Needs | str] = {
    "static": ANYBODY,
    "health.healthz": ANYBODY,
    "health.metrics": ANYBODY,  # of this machine
    "health.readyz": ANYBODY,
    "auth.login": ANYBODY,
    "auth.sign_in": ANYBODY,
    "auth.forgotten": ANYBODY,
    "auth.ask_for_link": ANYBODY,
    "auth.save_absence": SIGNED_IN,
    "auth.ask_provider": ANYBODY,
    "auth.answer_of_provider": ANYBODY,
    "auth.password_form": ANYBODY,
    "auth.set_password": ANYBODY,
    "auth.sign_out": SIGNED_IN,
    "auth.me": SIGNED_IN,
    "auth.change_password": SIGNED_IN,
    "auth.subscribe": SIGNED_IN,
    "erp.home": SIGNED_IN,
    "erp.setup_page": SIGNED_IN,
    "projects.ask_delete": KEEP_PROJECTS,
    "projects.delete": KEEP_PROJECTS,
    "projects.tell_apart": KEEP_PROJECTS,
    "erp.jobs": SEE_ERP,
    "erp.counts": SEE_ERP,
    "erp.statistics_page": SEE_ERP,
    "history.index": SEE_ERP,
    "history.as_csv": SEE_ERP,
    "synced_report.as_csv": SEE_ERP,
    "erp.refresh": Needs("erp", STANDARD),
    "approvers.report": RUN_ERP,
    "settings.index": RUN_ERP,
    "settings.connection": RUN_ERP,
    "settings.test": RUN_ERP,
    "settings.pause": RUN_ERP,
    "settings.resume": RUN_ERP,
    "settings.refresh": RUN_ERP,
    "settings.numbers": RUN_ERP,
    "settings.required": RUN_ERP,
    "settings.confirm_job_list": RUN_ERP,
    "job_templates.template": RUN_ERP,
    "job_templates.save_template": RUN_ERP,
    "mails.index": RUN_ERP,
    "mails.row": RUN_ERP,
    "mails.resend": RUN_ERP,
    "mails.test": RUN_ERP,
    "mails.tested": RUN_ERP,
    "mails.unsubscribe": ANYBODY,
    "mails.keep_unsubscribed": ANYBODY,
    "approvals.project": SEE_ONE,
    "receipt.show": SEE_ONE,
    "approvals.standing": SEE_ONE,
    "approvals.add_comment": SEE_ONE,
    "approvals.row": SEE_ERP,
    "approvals.accept_form": DECIDE,
    "approvals.accept": DECIDE,
    "approvals.preview": DECIDE,
    "approvals.number": DECIDE,
    "approvals.reject_form": DECIDE,
    "approvals.reject": DECIDE,
    "approvals.undo_rejection": DECIDE,
    "approvals.tell_apart": DECIDE,
    "approvals.cancel_export": DECIDE,
    "approvals.present": DECIDE,
    "approvals.absent_form": DECIDE,
    "approvals.absent": DECIDE,
    "approvals.copy_phases": DECIDE,
    "bulk.accept_form": DECIDE,
    "bulk.accept": DECIDE,
    "bulk.number": DECIDE,
    "bulk.results": DECIDE,
    "bulk.reject_form": DECIDE,
    "bulk.reject": DECIDE,
    "bulk.undo_rejection": DECIDE,
    "bulk.update_form": DECIDE,
    "bulk.update": DECIDE,
    "bulk.read_jobs": DECIDE,
    "approvals.read_job": DECIDE,
    "linking.choose_project": DECIDE,
    "linking.add_ticked": DECIDE,
    "linking.link_ticked": DECIDE,
    "linking.archive_ticked": DECIDE,
    "linking.bring_back_ticked": DECIDE,
    "linking.link_form": DECIDE,
    "linking.link": DECIDE,
    "linking.unlink_form": DECIDE,
    "linking.unlink": DECIDE,
    "linking.not_ours_form": DECIDE,
    "linking.not_ours": DECIDE,
    "projects.index": SEE_PROJECTS,
    "projects.general": SEE_PROJECTS,
    "projects.add_comment": SEE_PROJECTS,
    "projects.new": KEEP_PROJECTS,
    "projects.create": KEEP_PROJECTS,
    "projects.update": KEEP_PROJECTS,
    "projects.send": KEEP_PROJECTS,
    "projects.retrieve": KEEP_PROJECTS,
    "projects.settle_drift": KEEP_PROJECTS,
    "project_csv.export": SEE_PROJECTS,
    "project_csv.choose": KEEP_PROJECTS,
    "project_csv.preview": KEEP_PROJECTS,
    "project_csv.confirm": KEEP_PROJECTS,
    "directory.index": SEE_PEOPLE,
    "directory.person": SEE_PEOPLE,
    "directory.new": KEEP_PEOPLE,
    "directory.add": KEEP_PEOPLE,
    "directory.save": KEEP_PEOPLE,
    "directory.invite": KEEP_PEOPLE,
    "directory.send_password_link": KEEP_PEOPLE,
    "directory.sign_out_everywhere": KEEP_PEOPLE,
    "directory.forget_account": KEEP_PEOPLE,
}
# What stands in for the parts of an address; the numbers are those of rows that are there.
PARTS: dict[str, object] = {
    "project_id": 1,
    "person_id": 1,
    "job_id": 1,
    "delivery_id": 1,
    "filename": "app.css",
}

# name: what the person has, a level per tool and the privilege; None is nobody signed in
ROLES: dict[str, dict[str, object] | None] = {
    f"{tool} {level.value}{' and the privilege' * push}": {tool: level, "can_push": push}
    for tool in ("erp", "projects", "directory")
    for level in Level
    for push in (False, True)
} | {
    "anonymous": None,
    "everything but the privilege": {"erp": ADMIN, "projects": ADMIN, "directory": ADMIN},
    "everything": {"erp": ADMIN, "projects": ADMIN, "directory": ADMIN, "can_push": True},
    "disabled since": {"erp": ADMIN, "projects": ADMIN, "directory": ADMIN, "can_push": True, "active": False},
    "the sender": {"projects": ADMIN, "sender": True},
}
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def expected(needs: Needs | str, role: dict[str, object] | None) -> str:
    if needs == ANYBODY:
        return "open"
    if role is None or role.get("active") is False:
        return "sign in first"
    if isinstance(needs, str) or (needs.or_sender and role.get("sender")):
        return "open"
    level = role.get(needs.tool, NONE)
    if level is NONE:
        return "not there"
    return "open" if level >= needs.level and (role.get("can_push") or not needs.push) else "refused"


def outcome(answer: TestResponse) -> str:
    if answer.status_code == 302 and urlsplit(answer.location).path == "/login":
        return "sign in first"
    assert answer.status_code != 500, answer.text
    return {403: "refused", 404: "not there"}.get(answer.status_code, "open")


def test_every_route_stands_in_the_permission_table(app: Flask) -> None:
    routes = {rule.endpoint for rule in app.url_map.iter_rules()}
    unlisted = sorted(routes - TABLE.keys())
    assert not unlisted, (
        f"Say in TABLE of test_permissions.py who may use {', '.join(unlisted)}, from the permission table, "
        "and in PARTS what stands in for any new part of an address."
    )
    assert not TABLE.keys() - routes, (
        "These routes are gone; take them out of TABLE in tests/blueprints/test_permissions.py."
    )


@on_sqlite
@pytest.mark.parametrize("role", ROLES)
def test_each_kind_of_person_reaches_what_the_table_says_and_nothing_else(
    app: Flask, make_project: Callable[..., Project], template: Job, cast: dict[str, Person], role: str
) -> None:
    has = ROLES[role]
    project = make_project()
    somebody = None
    if has is not None:
        somebody = Person(email="somebody@example.com", name="Somebody")
        for name, value in has.items():
            setattr(somebody, name, value)
        db.session.add(somebody)
    workflow.send(project, somebody if has and has.get("sender") else cast["manager"])
    accounts.send_link(cast["manager"], "reset", None)
    db.session.commit()
    assert {template.id, project.id, *db.session.scalars(select(Delivery.id))} == {1}
    parts = PARTS | {"token": accounts.unsubscribe_token(cast["manager"])}
    visitor, differing = Visitor(app.test_client(), somebody), {}
    for rule in app.url_map.iter_rules():
        for method in sorted(rule.methods & {"GET", "POST"}):
            address = app.url_map.bind("", "/").build(rule.endpoint, {name: parts[name] for name in rule.arguments})
            answer = visitor.outcome(method, address)
            if answer != expected(TABLE[rule.endpoint], has):
                differing[f"{method} {rule}"] = f"{answer}, should be {expected(TABLE[rule.endpoint], has)}"
    assert differing == {}


class Visitor:
    """Sends requests as pages that this person opened would send them, with a session that is always the latest."""

    def __init__(self, client: FlaskClient, person: Person | None) -> None:
        self.client, self.person, self.kept = client, person, {}
        self._sign_in()
        page = client.get("/me")
        form = page.text if page.status_code == 200 else client.get("/login").text
        self.token = re.search(r'name="csrf_token" value="([^"]+)"', form)[1]  # type: ignore[index]
        with client.session_transaction() as session:
            self.kept = dict(session)

    def _sign_in(self) -> None:
        session_id = self.person and self.person.get_id()
        with self.client.session_transaction() as session:
            session.clear()
            session.update(self.kept | ({"_user_id": session_id, "used": utcnow().timestamp()} if session_id else {}))

    def outcome(self, method: str, address: str) -> str:
        self._sign_in()
        data = {"csrf_token": self.token} if method == "POST" else None
        with closing(self.client.open(address, method=method, data=data)) as response:
            return outcome(response)


@on_sqlite
def test_a_route_without_a_label_is_closed_to_everybody(app: Flask, browser: Callable[[str], Browser]) -> None:
    app.add_url_rule("/unlabelled", "unlabelled", lambda: "secret")
    answer = browser("controller").get("/unlabelled")
    assert answer.status_code == 403
    assert "secret" not in answer.text


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"can_push": False}, 403),
        ({"erp": Level.READ_ONLY}, 403),
        ({"erp": Level.NONE}, 404),
        ({"active": False}, 302),
    ],
)
def test_who_loses_what_it_takes_while_a_page_is_open_is_refused_at_the_next_click(
    browser: Callable[[str], Browser],
    cast: dict[str, Person],
    make_project: Callable[..., Project],
    change: dict[str, object],
    status: int,
) -> None:
    project = make_project()
    workflow.send(project, cast["manager"])
    db.session.commit()
    approver = browser("approver")
    page = approver.get(f"/approvals/{project.id}/reject")
    form = {"version": project.version, "comment": "Wrong city", "csrf_token": approver.token()}
    assert page.status_code == 200
    directory.change(cast["approver"], None, change)
    db.session.commit()
    assert approver.client.post(f"/approvals/{project.id}/reject", data=form).status_code == status
    assert project.status == "Ready to Export"


def test_a_refusal_says_what_is_missing_and_who_can_grant_it(
    browser: Callable[[str], Browser], make_project: Callable[..., Project]
) -> None:
    make_project()
    text = browser("clerk").get("/approvals/1/accept").text
    assert "You need the privilege Can Push to Accounting for this. Administrator can grant it." in text
    assert "You need ERP Integrations Admin for this" in browser("approver").get("/erp/approvers").text


def test_where_nobody_left_holds_the_privilege_a_refusal_points_to_the_server(
    browser: Callable[[str], Browser], cast: dict[str, Person], make_project: Callable[..., Project]
) -> None:
    make_project()
    cast["administrator"].can_push = False
    db.session.commit()
    text = browser("clerk").get("/approvals/1/accept").text
    assert "Whoever runs the server, with flask users, can grant it." in text


def test_who_may_look_but_not_decide_sees_a_sentence_instead_of_the_buttons(
    browser: Callable[[str], Browser], cast: dict[str, Person], make_project: Callable[..., Project]
) -> None:
    project = make_project()
    workflow.send(project, cast["manager"])
    db.session.commit()
    for path in ("/erp/jobs?filter=ready-to-export", f"/approvals/{project.id}"):
        page = browser("clerk").get(path).text
        assert "You need the privilege Can Push to Accounting for this. Administrator can grant it." in page
        assert not re.search(r"<button[^>]*>(Accept|Reject)", page)
        assert re.search(r"<button[^>]*>Accept", browser("approver").get(path).text)


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1:9", "127.0.0.1:8000@evil.example", "[::1", "127.0.0.1:x"])
def test_a_forged_host_is_refused(app: Flask, host: str) -> None:
    answer = app.test_client().get("/login", headers={"Host": host})
    assert answer.status_code == 400
    assert "evil" not in answer.headers.get("Location", "")


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
    ],
)
def test_a_post_from_another_site_is_refused_and_changes_nothing(
    browser: Callable[[str], Browser], cast: dict[str, Person], headers: dict[str, str]
) -> None:
    answer = browser("approver").post("/me/subscription", {}, **headers)
    assert answer.status_code == 403
    assert "came from another site" in answer.text
    assert cast["approver"].subscribed


def test_a_post_from_our_own_page_is_taken_however_the_address_is_written(
    browser: Callable[[str], Browser], cast: dict[str, Person]
) -> None:
    headers = {"Origin": "http://127.0.0.1:8000", "Sec-Fetch-Site": "same-origin"}
    assert browser("approver").post("/me/subscription", {}, **headers).status_code == 303
    assert not cast["approver"].subscribed


def test_a_post_without_the_forms_token_is_refused(browser: Callable[[str], Browser], cast: dict[str, Person]) -> None:
    answer = browser("approver").client.post("/me/subscription")
    assert answer.status_code == 400
    assert "nothing was saved" in answer.text
    assert cast["approver"].subscribed


def test_a_refusal_is_logged_without_secrets(
    app: Flask, browser: Callable[[str], Browser], cast: dict[str, Person], caplog: pytest.LogCaptureFixture
) -> None:
    stranger = browser("outsider")
    token = accounts.link_token(cast["approver"], "reset")
    with caplog.at_level(logging.WARNING):
        stranger.get("/admin/directory")
        stranger.post(f"/password/{token}", {"password": "a-very-secret-password"})
        page = app.test_client().get("/login").text
        assert "csrf_token" in page
        stranger.post("/me/password", {"present_password": "my-own-guess-at-it", "password": "short"})
    refusals = [record.getMessage() for record in caplog.records if "refused" in record.getMessage()]
    assert len(refusals) >= 2
    assert f"to {cast['outsider'].id} from 127.0.0.1" in refusals[0]
    assert not any(secret in caplog.text for secret in (token, "a-very-secret-password", "my-own-guess-at-it"))


def test_a_number_beyond_what_the_database_holds_is_an_address_with_nothing_there(
    browser: Callable[[str], Browser],
) -> None:
    assert browser("controller").get(f"/approvals/{10**30}").status_code == 404
    assert browser("administrator").get(f"/admin/directory/{2**31}").status_code == 404


def test_with_four_eyes_who_sent_a_project_can_not_accept_it(
    app: Flask,
    browser: Callable[[str], Browser],
    cast: dict[str, Person],
    make_project: Callable[..., Project],
    template: Job,
) -> None:
    app.config["FOUR_EYES"] = True
    project = make_project()
    workflow.send(project, cast["approver"])
    db.session.commit()
    sender = browser("approver")
    sentence = "You sent this project, so another accounting approver must accept it."
    page = sender.get(f"/approvals/{project.id}").text
    assert sentence in page
    assert re.search(r"<button[^>]* disabled[^>]*>Accept", page)
    for answer in (
        sender.get(f"/approvals/{project.id}/accept"),
        sender.post(f"/approvals/{project.id}/accept", {"version": project.version}),
    ):
        assert answer.status_code == 409
        assert sentence in answer.text
    with pytest.raises(NotAllowed, match=re.escape(sentence)):
        workflow.accept(project, cast["approver"], [], template, "HB")
    assert project.status == "Ready to Export"
    assert browser("controller").get(f"/approvals/{project.id}/accept").status_code == 200


def test_with_four_eyes_who_sent_a_project_can_not_link_it_either(
    app: Flask,
    browser: Callable[[str], Browser],
    cast: dict[str, Person],
    make_project: Callable[..., Project],
    template: Job,
) -> None:
    app.config["FOUR_EYES"] = True
    project = make_project()
    workflow.send(project, cast["approver"])
    db.session.commit()
    sentence = "You sent this project, so another accounting approver must link it."
    form = {"version": project.version, "job": template.number, "job_number": template.number, "job_id": template.id}
    sender, page = browser("approver"), f"/approvals/{project.id}"
    for shown in (sender.get(page).text, sender.get("/erp/jobs").text):
        assert f'<button name="link" disabled title="{sentence}">Link' in shown
    assert re.search(r'<button name="link">Link', browser("controller").get(page).text)
    project.suggested_job_key = job_key(template.number)
    db.session.commit()
    assert re.search(r"<button disabled>Link to it instead", sender.get(page).text)
    form["version"] = project.version
    answer = sender.post(f"{page}/link", form)
    assert answer.status_code == 409
    assert sentence in answer.text
    assert project.status == "Ready to Export"
    workflow.link(project, cast["controller"], template, "HB")
    assert project.status == "Synced"


def test_without_four_eyes_who_sent_a_project_may_accept_it_too(
    browser: Callable[[str], Browser], cast: dict[str, Person], make_project: Callable[..., Project]
) -> None:
    project = make_project()
    workflow.send(project, cast["approver"])
    db.session.commit()
    assert browser("approver").get(f"/approvals/{project.id}/accept").status_code == 200


def test_a_decision_stands_when_who_took_it_is_disabled_afterwards(
    cast: dict[str, Person], make_project: Callable[..., Project]
) -> None:
    project = make_project()
    workflow.send(project, cast["manager"])
    workflow.reject(project, cast["approver"], "Wrong city")
    directory.change(cast["approver"], None, {"active": False})
    db.session.commit()
    assert project.status == "Rejected"
    assert db.session.query(Event).filter_by(action="rejected").one().who == "Approver"


@pytest.mark.parametrize("slow", [False, True], ids=["read at once", "read slowly"])
def test_what_somebody_may_changes_with_the_next_click_however_lately_they_were_remembered(
    browser: Callable[[str], Browser], cast: dict[str, Person], monkeypatch: pytest.MonkeyPatch, slow: bool
) -> None:
    if slow:  # what takes long to read may be some seconds old, but never who somebody is
        monkeypatch.setattr(cache, "SLOW", -1)
    approver = browser("approver")
    assert approver.get("/erp/jobs").status_code == 200
    directory.change(cast["approver"], None, {"erp": Level.NONE})
    db.session.commit()
    assert approver.get("/erp/jobs").status_code == 404
    directory.change(cast["approver"], None, {"active": False})
    db.session.commit()
    assert approver.get("/erp/jobs").location.startswith("/login")
