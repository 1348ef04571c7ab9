"""The Company Directory: adding and changing people, who may, what is written down, and who can accept."""

import re
from collections.abc import Callable
from datetime import date, datetime, timedelta
from html import unescape
from zoneinfo import ZoneInfo

import pytest
import time_machine
from conftest import Browser
from flask import Flask
from lxml import html
from sqlalchemy import select

from extensions import db
from models import Delivery, Event, Level, Person, Project
from permissions import TOOLS
from services import directory, workflow
from tasks import digest

FORM = {
    "name": "Nora Lind",
    "email": "nora@example.com",
    "erp": "standard",
    "projects": "none",
    "directory": "none",
    "subscribed": "yes",
    "active": "yes",
}
People = dict[str, Person]
SignIn = Callable[[str], Browser]


def form_of(person: Person, **changes: str | None) -> dict[str, object]:
    """The person's form as the page shows it, with some of it changed; None leaves a box unticked."""
    form: dict[str, object] = {"version": person.version, "name": person.name, "email": person.email}
    form |= {tool: getattr(person, tool).value for tool in ("erp", "projects", "directory")}
    form |= {box: "yes" for box in ("can_push", "subscribed", "active") if getattr(person, box)}
    return {name: value for name, value in (form | changes).items() if value is not None}


@pytest.fixture
def unprivileged(cast: People) -> Person:
    """A directory admin who does not hold Can Push to Accounting: the manager, for these tests."""
    cast["manager"].directory = Level.ADMIN
    db.session.commit()
    return cast["manager"]


def history(person: Person) -> list[tuple[str, str, list[list[str]]]]:
    return [(event.who, event.action, event.details.get("changes", [])) for event in Event.about(person)]


# --- the list -------------------------------------------------------------------------------------------------------


def names(page: str) -> list[str]:
    return re.findall(r'<th scope="row"><a href="/admin/directory/\d+">([^<]+)</a>', page)


def test_the_list_is_searched_by_name_and_email_in_any_case_and_alphabet(browser: SignIn, cast: People) -> None:
    db.session.add(Person(email="asa@example.com", name="Åsa Ek"))
    db.session.commit()
    administrator = browser("administrator")
    assert names(administrator.get("/admin/directory?q=ÅSA").text) == ["Åsa Ek"]
    assert names(administrator.get("/admin/directory?q=ek+asa@").text) == ["Åsa Ek"]
    assert "Nobody here matches “zzz”" in administrator.get("/admin/directory?q=zzz").text


def test_the_list_is_of_the_active_the_disabled_the_approvers_or_all(browser: SignIn, cast: People) -> None:
    directory.change(cast["clerk"], None, {"active": False})
    db.session.commit()
    administrator = browser("administrator")
    shown = {
        show: names(administrator.get(f"/admin/directory?show={show}").text) for show in ("", "disabled", "approvers")
    }
    assert "Clerk" not in shown[""]
    assert len(shown[""]) == 6
    assert shown["disabled"] == ["Clerk"]
    assert shown["approvers"] == ["Approver", "Controller"]
    assert len(names(administrator.get("/admin/directory?show=all").text)) == 7
    assert names(administrator.get("/admin/directory?show=nonsense").text) == shown[""]


# --- adding ---------------------------------------------------------------------------------------------------------


def test_who_is_added_gets_an_invitation_and_nobody_types_a_password(browser: SignIn, cast: People) -> None:
    administrator = browser("administrator")
    assert 'type="password"' not in administrator.get("/admin/directory/new").text
    assert administrator.post("/admin/directory", FORM | {"email": "Nora@Example.com"}).status_code == 303
    nora = Person.by_email("nora@example.com")
    assert nora
    assert nora.password_hash is None
    delivery = db.session.scalars(select(Delivery)).one()
    assert (delivery.kind, delivery.person, delivery.event.person) == ("invitation", nora, cast["administrator"])
    assert [(who, action) for who, action, _ in history(nora)] == [
        ("Administrator", "sent the invitation link"),
        ("Administrator", "added"),
    ]
    assert "Invited" in administrator.get(f"/admin/directory/{nora.id}").text


def test_an_invitation_is_mailed_again_but_not_twice_within_five_minutes(browser: SignIn, cast: People) -> None:
    cast["clerk"].password_hash = None
    db.session.commit()
    administrator, address = browser("administrator"), f"/admin/directory/{cast['clerk'].id}"
    told = (
        "We are emailing the invitation to clerk@example.com.",
        "We emailed clerk@example.com an invitation 3 minutes ago.",
    )
    for minutes, sentence in zip((0, 3), told, strict=True):
        with time_machine.travel(timedelta(minutes=minutes), tick=False):
            assert administrator.post(f"{address}/invite").status_code == 303
            assert sentence in administrator.get(address).text
        assert db.session.query(Delivery).count() == 1


def test_who_has_a_password_is_not_invited(browser: SignIn, cast: People) -> None:
    administrator = browser("administrator")
    page = administrator.get(f"/admin/directory/{cast['clerk'].id}").text
    assert "Resend Invitation" not in page
    assert administrator.post(f"/admin/directory/{cast['clerk'].id}/invite").status_code == 409
    assert db.session.query(Delivery).count() == 0


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"email": "APPROVER@example.com"}, "There is a person with the email approver@example.com already: Approver."),
        ({"email": "no address"}, "Enter an email address"),
        ({"email": "info@weiß.example"}, "Enter an email address"),
        ({"email": "a..b@example.com"}, "Enter an email address"),
        ({"email": ".a@example.com"}, "Enter an email address"),
        ({"email": "a.@example.com"}, "Enter an email address"),
        ({"email": "a@example..com"}, "Enter an email address"),
        ({"email": "a@.example.com"}, "Enter an email address"),
        ({"email": "a@example.com."}, "Enter an email address"),
        ({"email": "a@-example.com"}, "Enter an email address"),
        ({"email": "a@[10.0.0.1]"}, "Enter an email address"),
        ({"email": "x" * 65 + "@example.com"}, "Enter an email address"),
        ({"email": "x" * 250 + "@example.com"}, "Enter an email address"),
        ({"name": "  "}, "Enter a name"),
        ({"name": "x" * 101}, "Enter a name"),
        ({"erp": "owner"}, "Choose one of None, Read Only, Standard, Admin."),
        ({"directory": ""}, "Choose one of None, Read Only, Standard, Admin."),
    ],
)
def test_a_person_with_something_wrong_is_not_added(
    browser: SignIn, cast: People, change: dict[str, str], sentence: str
) -> None:
    answer = browser("administrator").post("/admin/directory", FORM | change)
    assert answer.status_code == 422
    assert re.search(rf'role="alert"[^>]*>{re.escape(sentence)}', answer.text)
    assert 'aria-invalid="true"' in answer.text
    assert db.session.query(Person).count() == len(cast)


# --- changing -------------------------------------------------------------------------------------------------------


def test_a_change_is_an_event_with_who_when_and_what(browser: SignIn, cast: People) -> None:
    administrator, clerk = browser("administrator"), cast["clerk"]
    page = f"/admin/directory/{clerk.id}"
    form = form_of(clerk, name="Clara Kent", erp="read-only", subscribed=None)
    assert administrator.post(page, form).status_code == 303
    assert (clerk.name, clerk.erp, clerk.subscribed) == ("Clara Kent", Level.READ_ONLY, False)
    assert history(clerk) == [
        (
            "Administrator",
            "changed",
            [
                ["Name", "Clerk", "Clara Kent"],
                ["ERP Integrations", "Standard", "Read Only"],
                ["Subscribe to ERP digest emails", "Yes", "No"],
            ],
        )
    ]
    shown = administrator.get(page).text
    assert '<th scope="row">ERP Integrations</th><td>Standard</td><td>Read Only</td>' in shown


def test_saving_without_a_change_writes_nothing_down(browser: SignIn, cast: People) -> None:
    clerk = cast["clerk"]
    assert browser("administrator").post(f"/admin/directory/{clerk.id}", form_of(clerk)).status_code == 303
    assert history(clerk) == []


def test_of_two_admins_changing_one_person_the_second_is_told_and_nothing_of_it_is_applied(
    browser: SignIn, cast: People
) -> None:
    first, second = browser("administrator"), browser("administrator")
    clerk, page = cast["clerk"], f"/admin/directory/{cast['clerk'].id}"
    opened = form_of(clerk)
    assert first.post(page, opened | {"erp": "admin"}).status_code == 303
    answer = second.post(page, opened | {"erp": "none"})
    assert answer.status_code == 409
    assert (
        "Administrator changed Clerk while you had this page open. Nothing that you entered was applied." in answer.text
    )
    assert clerk.erp is Level.ADMIN
    assert '<option value="admin" selected>' in answer.text


def test_who_may_only_look_sees_the_form_closed_and_who_can_open_it(browser: SignIn, cast: People) -> None:
    cast["onlooker"].directory = Level.READ_ONLY
    db.session.commit()
    page = browser("onlooker").get(f"/admin/directory/{cast['clerk'].id}").text
    form = page[page.index('<form class="card"') :]
    controls = re.findall(r"<(?:input|select)(?![^>]*hidden)[^>]*>", form)
    assert len(controls) == 9
    assert all(" disabled" in control for control in controls)
    assert "Save</button>" not in form
    assert "You need Company Directory Admin for this. Administrator can grant it." in form


# --- the privilege --------------------------------------------------------------------------------------------------


def test_a_directory_admin_who_holds_the_privilege_grants_and_takes_it(browser: SignIn, cast: People) -> None:
    administrator, clerk = browser("administrator"), cast["clerk"]
    for ticked in ("yes", None):
        form = form_of(clerk, can_push=ticked)
        assert administrator.post(f"/admin/directory/{clerk.id}", form).status_code == 303
        assert clerk.can_push is bool(ticked)
        assert clerk.is_approver is bool(ticked)
    assert history(clerk) == [
        ("Administrator", "changed", [["Can Push to Accounting", "Yes", "No"]]),
        ("Administrator", "changed", [["Can Push to Accounting", "No", "Yes"]]),
    ]


@pytest.mark.parametrize(("name", "ticked"), [("clerk", "yes"), ("approver", None), ("manager", "yes")])
def test_a_directory_admin_without_the_privilege_neither_grants_nor_takes_it(
    browser: SignIn, cast: People, unprivileged: Person, name: str, ticked: str | None
) -> None:
    admin, person = browser("manager"), cast[name]
    before = person.can_push
    answer = admin.post(f"/admin/directory/{person.id}", form_of(person, can_push=ticked))
    assert answer.status_code == 422
    assert "Only a directory admin who holds Can Push to Accounting can grant or take it." in answer.text
    assert person.can_push is before
    assert admin.post("/admin/directory", FORM | {"can_push": "yes"}).status_code == 422


def test_without_the_privilege_its_box_is_closed_with_the_reason_and_the_rest_can_be_saved(
    browser: SignIn, cast: People, unprivileged: Person
) -> None:
    admin, approver = browser("manager"), cast["approver"]
    page = admin.get(f"/admin/directory/{approver.id}").text
    box = re.search(r'<input id="can_push"[^>]*>', page)
    assert box
    assert " checked disabled" in box[0]
    assert "Only an administrator who has this privilege can grant or remove it. Administrator can grant it." in page
    assert admin.post(f"/admin/directory/{approver.id}", form_of(approver, erp="admin")).status_code == 303
    assert approver.erp is Level.ADMIN
    assert approver.can_push


def test_without_the_privilege_nobody_redirects_the_mail_that_sets_a_holders_password(
    browser: SignIn, cast: People, unprivileged: Person
) -> None:
    approver = cast["approver"]
    form = form_of(approver, email="mine@example.com")
    answer = browser("manager").post(f"/admin/directory/{approver.id}", form)
    assert answer.status_code == 422
    assert "Only a directory admin who holds it too can change this email." in answer.text
    assert browser("administrator").post(f"/admin/directory/{approver.id}", form).status_code == 303


# --- nobody locks everybody out -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"directory": "standard"}, "Administrator is the last active directory admin. Make somebody else one first."),
        ({"active": None}, "You can't disable yourself. Another directory admin can."),
    ],
)
def test_the_last_active_directory_admin_stays_one(
    browser: SignIn, cast: People, change: dict[str, str | None], sentence: str
) -> None:
    admin = cast["administrator"]
    answer = browser("administrator").post(f"/admin/directory/{admin.id}", form_of(admin, **change))
    assert answer.status_code == 422
    assert sentence in unescape(answer.text)
    assert admin.is_directory_admin
    assert history(admin) == []


def test_nobody_disables_oneself_even_where_there_is_another_admin(
    browser: SignIn, cast: People, unprivileged: Person
) -> None:
    admin = cast["administrator"]
    signed_in = browser("administrator")
    assert signed_in.post(f"/admin/directory/{admin.id}", form_of(admin, active=None)).status_code == 422
    page = signed_in.get(f"/admin/directory/{admin.id}").text
    assert re.search(r'<input id="active"[^>]* disabled', page)
    assert "You can't disable yourself. Another directory admin can." in unescape(page)


def test_an_admin_steps_down_where_another_remains_and_then_that_one_is_the_last(
    browser: SignIn, cast: People, unprivileged: Person
) -> None:
    admin = cast["administrator"]
    assert (
        browser("administrator").post(f"/admin/directory/{admin.id}", form_of(admin, directory="none")).status_code
        == 303
    )
    other = browser("manager")
    assert other.post(f"/admin/directory/{unprivileged.id}", form_of(unprivileged, directory="none")).status_code == 422


@pytest.mark.parametrize(
    ("account", "issuer", "counts"),
    [(None, "", False), ("a-subject", "", False), ("a-subject", "https://login.example.com", True)],
    ids=["invited", "company accounts are switched off", "company account"],
)
def test_an_admin_who_cannot_sign_in_yet_or_any_more_does_not_count_as_another(
    account: str | None, issuer: str, counts: bool, browser: SignIn, cast: People, unprivileged: Person, app: Flask
) -> None:
    unprivileged.password_hash, unprivileged.oidc_subject = None, account
    db.session.commit()
    app.config["OIDC_ISSUER"] = issuer
    admin = cast["administrator"]
    answer = browser("administrator").post(f"/admin/directory/{admin.id}", form_of(admin, directory="none"))
    assert answer.status_code == (303 if counts else 422)


def test_an_email_of_before_that_is_not_taken_today_keeps_nobody_from_saving_the_rest(
    browser: SignIn, cast: People
) -> None:
    clerk = cast["clerk"]
    clerk.email = "old..style@example.com"
    db.session.commit()
    answer = browser("administrator").post(f"/admin/directory/{clerk.id}", form_of(clerk, name="Clara Kent"))
    assert (answer.status_code, clerk.name) == (303, "Clara Kent")


def test_a_disabled_admin_does_not_count_as_another(browser: SignIn, cast: People, unprivileged: Person) -> None:
    directory.change(unprivileged, None, {"active": False})
    db.session.commit()
    admin = cast["administrator"]
    answer = browser("administrator").post(f"/admin/directory/{admin.id}", form_of(admin, directory="none"))
    assert answer.status_code == 422


def test_a_disabled_person_stays_in_the_directory_and_can_come_back(browser: SignIn, cast: People) -> None:
    administrator, clerk = browser("administrator"), cast["clerk"]
    for ticked in (None, "yes"):
        assert administrator.post(f"/admin/directory/{clerk.id}", form_of(clerk, active=ticked)).status_code == 303
        assert clerk.active is bool(ticked)


# --- a person's page -------------------------------------------------------------------------------------------------


def test_a_preset_fills_in_the_usual_access_and_saves_nothing(browser: SignIn, cast: People) -> None:
    administrator, clerk = browser("administrator"), cast["clerk"]
    for address, name in ((f"/admin/directory/{clerk.id}", "Clerk"), ("/admin/directory", "Nora")):
        form = form_of(clerk, name=name, preset="approver") | ({} if name == "Clerk" else {"email": "nora@example.com"})
        page = html.fromstring(administrator.post(address, form).text)
        chosen = [page.xpath(f'//select[@id="{tool}"]/option[@selected]')[0].text for tool in TOOLS]
        assert chosen == ["Standard", "Read Only", "None"]
        assert page.get_element_by_id("can_push").get("checked") is not None
        assert page.get_element_by_id("name").get("value") == name
    assert clerk.projects is Level.NONE and Person.by_email("nora@example.com") is None


def test_a_preset_grants_no_privilege_through_who_lacks_it(browser: SignIn, unprivileged: Person, cast: People) -> None:
    form = form_of(cast["clerk"], preset="approver")
    page = html.fromstring(browser("manager").post(f"/admin/directory/{cast['clerk'].id}", form).text)
    assert page.get_element_by_id("can_push").get("checked") is None


def test_a_persons_page_says_the_last_sign_in_and_what_each_level_allows(browser: SignIn, cast: People) -> None:
    administrator = browser("administrator")
    assert "Last sign-in: never" in administrator.get(f"/admin/directory/{cast['clerk'].id}").text
    browser("clerk")
    page = administrator.get(f"/admin/directory/{cast['clerk'].id}").text
    assert re.search(r"Last sign-in: <time[^>]*>less than a minute ago", page)
    assert "With Can Push to Accounting: accept, reject" in page


def test_ones_own_page_says_when_the_digest_goes_out(app: Flask, browser: SignIn) -> None:
    assert "One email at 7:00 AM every day (America/Los_Angeles)" in browser("approver").get("/me").text
    app.config["DIGEST_DAYS"] = frozenset({0, 2, 4})
    assert "at 7:00 AM on Monday, Wednesday and Friday" in browser("approver").get("/me").text


# --- who can accept -------------------------------------------------------------------------------------------------

ONE = "Only Controller can accept projects."
UNSUBSCRIBED = "No accounting approver is subscribed to the digest"
NOBODY_WAITED_FOR = "Nobody can accept projects."
NOBODY = "Nobody can accept the 1 project waiting."


@pytest.mark.parametrize(
    ("changes", "waiting", "said"),
    [
        ({}, True, []),
        ({"approver": {"active": False}}, True, [ONE]),
        ({"approver": {"can_push": False}}, True, [ONE]),
        ({"approver": {"erp": Level.READ_ONLY}}, True, [ONE]),
        ({"approver": {"subscribed": False}, "controller": {"subscribed": False}}, True, [UNSUBSCRIBED]),
        ({"approver": {"active": False}, "controller": {"subscribed": False}}, True, [ONE, UNSUBSCRIBED]),
        ({"approver": {"can_push": False}, "controller": {"can_push": False}}, False, [NOBODY_WAITED_FOR]),
        ({"approver": {"can_push": False}, "controller": {"can_push": False}}, True, [NOBODY]),
    ],
)
def test_the_erp_page_warns_where_too_few_can_accept_or_nobody_is_told(
    browser: SignIn,
    cast: People,
    make_project: Callable[..., Project],
    changes: dict[str, dict[str, object]],
    waiting: bool,
    said: list[str],
) -> None:
    if waiting:
        workflow.send(make_project(), cast["manager"])
    for name, change in changes.items():
        directory.change(cast[name], None, change)
    db.session.commit()
    page = browser("onlooker").get("/erp/jobs").text
    assert [sentence for sentence in (ONE, UNSUBSCRIBED, NOBODY_WAITED_FOR, NOBODY) if sentence in page] == said
    assert bool(re.search(rf'role="alert"[^>]*>{NOBODY}', page)) is (NOBODY in said)


def test_the_approver_report_says_who_can_accept_today_who_is_subscribed_and_why_not(
    browser: SignIn, cast: People
) -> None:
    cast["administrator"].subscribed = False
    db.session.add(Person(email="new@example.com", name="Newcomer", erp=Level.STANDARD, can_push=True))
    db.session.commit()
    page = browser("controller").get("/erp/approvers").text
    rows = re.findall(
        r"<tr>\s*<th scope=\"row\">(.*?)</th>\s*<td[^>]*>(.*?)</td>\s*<td[^>]*>(.*?)</td>\s*<td>(.*?)</td>", page
    )
    assert rows == [
        ("Administrator", "No", "No", "Needs ERP Integrations Standard or more"),
        ("Approver", "Yes", "Yes", ""),
        ("Controller", "Yes", "Yes", ""),
        ("Newcomer", "No", "Yes", "Has not set a password yet"),
    ]
    assert re.search(r'aria-current="page">Approvers', page)


# --- a privilege that ends, absence, and the buttons of a person's page ---------------------------------------------

NOON_IN_TACOMA = datetime(2026, 12, 3, 12, tzinfo=ZoneInfo("America/Los_Angeles"))


@pytest.mark.parametrize("typed", ["2026-12-03", "12/3/2026"])
def test_the_privilege_ends_with_its_last_local_day(
    browser: SignIn, cast: People, make_project: Callable[..., Project], typed: str
) -> None:
    approver = cast["approver"]
    workflow.send(project := make_project(), cast["manager"])
    db.session.commit()
    with time_machine.travel(NOON_IN_TACOMA, tick=False) as clock:
        form = form_of(approver, can_push_until=typed)
        assert browser("administrator").post(f"/admin/directory/{approver.id}", form).status_code == 303
        assert history(approver)[0][2] == [["Can Push to Accounting Until", "", "Dec 3, 2026"]]
        signed_in = browser("approver")
        clock.shift(timedelta(hours=11, minutes=59))
        assert signed_in.get(f"/approvals/{project.id}/reject").status_code == 200
        assert "Until Dec 3" in signed_in.get("/me").text
        clock.shift(timedelta(minutes=2))
        assert not approver.is_approver
        assert signed_in.get(f"/approvals/{project.id}/reject").status_code == 403
        assert names(browser("administrator").get("/admin/directory?show=approvers").text) == ["Controller"]


def test_a_last_day_in_the_past_may_be_entered_and_a_text_that_is_no_day_may_not(browser: SignIn, cast: People) -> None:
    administrator, page = browser("administrator"), f"/admin/directory/{cast['approver'].id}"
    answer = administrator.post(page, form_of(cast["approver"], can_push_until="soon"))
    assert (answer.status_code, "Enter a date, such as 12/31/2026." in answer.text) == (422, True)
    assert administrator.post(page, form_of(cast["approver"], can_push_until="2020-01-31")).status_code == 303
    assert not cast["approver"].is_approver
    assert 'value="2020-01-31"' in administrator.get(page).text
    assert administrator.post(page, form_of(cast["approver"], can_push_until="")).status_code == 303
    assert cast["approver"].is_approver


@pytest.mark.parametrize("ended", [False, True])
def test_only_who_holds_the_privilege_changes_its_last_day(
    browser: SignIn, cast: People, unprivileged: Person, ended: bool
) -> None:
    if ended:
        unprivileged.can_push, unprivileged.can_push_until = True, date(2020, 1, 31)
        db.session.commit()
    approver = cast["approver"]
    answer = browser("manager").post(f"/admin/directory/{approver.id}", form_of(approver, can_push_until="2030-01-01"))
    assert answer.status_code == 422
    assert "Only a directory admin who holds Can Push to Accounting can change this day." in answer.text
    assert approver.can_push_until is None


def test_who_is_away_is_named_where_projects_wait_and_gets_no_digest(
    browser: SignIn, cast: People, make_project: Callable[..., Project]
) -> None:
    workflow.send(project := make_project(), cast["manager"])
    db.session.commit()
    with time_machine.travel(NOON_IN_TACOMA, tick=False) as clock:
        approver = browser("approver")
        form = {"away_from": "12/2/2026", "away_until": "2026-12-03"}
        assert approver.post("/me/absence", form).status_code == 303
        for name, path in (("manager", f"/admin/projects/{project.id}"), ("controller", f"/approvals/{project.id}")):
            assert "Approver is away until Dec 3." in browser(name).get(path).text
        assert "Away until Dec 3" in browser("administrator").get("/admin/directory").text
        assert ONE in browser("onlooker").get("/erp/jobs").text
        assert "Away until Dec 3" in browser("controller").get("/erp/approvers").text
        assert [person.name for person in digest._recipients(date(2026, 12, 3))] == ["Controller"]
        assert [person.name for person in digest._recipients(date(2026, 12, 4))] == ["Approver", "Controller"]
        clock.shift(timedelta(hours=12))
        assert "is away" not in browser("manager").get(f"/admin/projects/{project.id}").text
        assert browser("approver").post("/me/absence", {"away_from": "", "away_until": ""}).status_code == 303
        assert (cast["approver"].away_from, cast["approver"].away_until) == (None, None)


@pytest.mark.parametrize(
    ("first", "last", "sentence"),
    [
        ("2026-12-02", "", "Enter both days, or leave both empty."),
        ("", "2026-12-02", "Enter both days, or leave both empty."),
        ("2026-12-03", "2026-12-02", "The last day is before the first one."),
        ("2026-12-03", "31/12/2026", "Enter a date, such as 12/3/2026."),
    ],
)
def test_an_absence_that_makes_no_sense_is_not_kept(
    browser: SignIn, cast: People, first: str, last: str, sentence: str
) -> None:
    answer = browser("approver").post("/me/absence", {"away_from": first, "away_until": last})
    assert answer.status_code == 422
    assert re.search(rf'role="alert"[^>]*>{sentence}', answer.text)
    assert cast["approver"].away_from is None


def test_a_directory_admin_emails_a_password_link_and_signs_somebody_out_everywhere(
    browser: SignIn, cast: People, unprivileged: Person
) -> None:
    admin, elsewhere, page = browser("manager"), browser("approver"), f"/admin/directory/{cast['approver'].id}"
    shown = admin.get(page).text
    for button, path in {"Email a Password Link": "password-link", "Sign Out Everywhere": "sign-out"}.items():
        assert f'<button form="{path}">{button}</button>' in shown
        assert admin.post(f"{page}/{path}").status_code == 303
    assert "Forget Company Account" not in shown
    assert db.session.scalars(select(Delivery)).one().kind == "reset"
    assert elsewhere.get("/me").status_code == 302
    assert [action for _, action, _ in history(cast["approver"])] == ["ended every session", "sent the reset link"]


def test_a_company_account_is_forgotten_by_a_button(browser: SignIn, cast: People, unprivileged: Person) -> None:
    approver = cast["approver"]
    approver.oidc_issuer, approver.oidc_subject = "https://sso.example", "1"
    db.session.commit()
    admin, elsewhere, page = browser("manager"), browser("approver"), f"/admin/directory/{approver.id}"
    assert "Forget Company Account</button>" in admin.get(page).text
    assert admin.post(f"{page}/forget-account").status_code == 303
    assert approver.oidc_subject is None
    assert elsewhere.get("/me").status_code == 302
    assert history(approver)[0][:2] == ("Manager", "forgot the company account")
    assert admin.post(f"{page}/forget-account").status_code == 303
    assert "Approver has no company account." in admin.get(page).text
