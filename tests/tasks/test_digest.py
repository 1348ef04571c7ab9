"""The daily summary: who gets it, when, once per local date, and what it says."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
import time_machine
from conftest import ENVIRON, INFORMATION
from flask import Flask
from lxml import html
from sqlalchemy import select
from support.mail_server import Postbox

from extensions import db, writing
from models import (
    Delivery,
    DigestDay,
    Export,
    Job,
    Level,
    MailOutcome,
    Person,
    Project,
    Setting,
    SettingName,
    Status,
    utcnow,
)
from services import workflow
from tasks import digest, mail_delivery

ZONE = ZoneInfo("America/Los_Angeles")
MONDAY = datetime(2026, 3, 9, 7, 0, tzinfo=ZONE)
MakeProject = Callable[..., Project]


@pytest.fixture
def environ(database_url: str, post: Postbox) -> dict[str, str]:
    return ENVIRON | {"DATABASE_URL": database_url, "MAIL_PORT": str(post.port)}


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    """A clock that stands still at seven on a Monday, until it is moved."""
    with time_machine.travel(MONDAY, tick=False) as traveller:
        yield traveller


@pytest.fixture
def waiting(make_project: MakeProject, cast: dict[str, Person], clock: time_machine.Traveller) -> Project:
    clock.move_to(MONDAY - timedelta(days=3, hours=2))
    project = make_project()
    workflow.send(project, cast["manager"], "The owner is in a hurry")
    db.session.commit()
    clock.move_to(MONDAY)
    return project


def tick() -> None:
    """What the timetable does again and again."""
    digest.open_due_day()
    mail_delivery.deliver_due()


def links(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip().startswith("http")]


def test_the_summary_goes_to_active_subscribed_approvers_with_the_privilege_and_nobody_else(
    waiting: Project, post: Postbox
) -> None:
    db.session.query(Person).update({"active": False})
    entitled = []
    for number in range(32):
        level, can_push, active, subscribed = list(Level)[number % 4], number & 4, number & 8, number & 16
        person = Person(email=f"p{number}@example.com", name=f"P{number}", erp=level, can_push=bool(can_push))
        person.active, person.subscribed = bool(active), bool(subscribed)
        db.session.add(person)
        if level in (Level.STANDARD, Level.ADMIN) and can_push and active and subscribed:
            entitled.append(person.email)
    db.session.commit()
    tick()
    assert sorted(post.recipients) == sorted(entitled)
    assert len(entitled) == 2


def test_it_goes_once_per_local_date_however_often_the_timetable_ticks(
    waiting: Project, post: Postbox, clock: time_machine.Traveller
) -> None:
    for minute in range(5):
        clock.move_to(MONDAY + timedelta(minutes=minute))
        tick()
    assert sorted(post.recipients) == ["approver@example.com", "controller@example.com"]
    clock.move_to(MONDAY + timedelta(days=1))
    tick()
    assert len(post.arrived) == 4


def test_nothing_goes_before_the_hour_and_a_day_that_was_slept_through_is_caught_up_on_that_day_only(
    waiting: Project, post: Postbox, clock: time_machine.Traveller
) -> None:
    clock.move_to(MONDAY - timedelta(minutes=1))
    tick()
    assert post.arrived == []
    clock.move_to(MONDAY + timedelta(days=2, hours=9))  # down since Monday, up again on Wednesday afternoon
    tick()
    assert len(post.arrived) == 2
    assert [row.day.isoformat() for row in db.session.scalars(select(DigestDay))] == ["2026-03-11"]


def test_only_the_days_of_digest_days_have_a_summary(app: Flask) -> None:
    app.config["DIGEST_DAYS"] = frozenset({1, 2})
    due = [digest.due_day(MONDAY + timedelta(days=day)) for day in range(7)]
    assert [day and day.strftime("%a") for day in due] == [None, "Tue", "Wed", None, None, None, None]


def test_a_day_on_which_nothing_waited_is_done_and_a_project_sent_later_waits_for_the_next(
    make_project: MakeProject, cast: dict[str, Person], post: Postbox, clock: time_machine.Traveller
) -> None:
    project = make_project()
    tick()
    workflow.send(project, cast["manager"])
    db.session.commit()
    clock.move_to(MONDAY + timedelta(hours=1))
    tick()
    assert post.arrived == []
    clock.move_to(MONDAY + timedelta(days=1))
    tick()
    assert len(post.arrived) == 2


@pytest.mark.parametrize(("status", "listed"), [(Status.FAILED, "failed-to-export"), (Status.CHECKING, "exporting")])
def test_an_export_that_failed_or_is_being_checked_is_reason_enough_and_is_told_with_its_cause_and_its_list(
    status: Status, listed: str, waiting: Project, cast: dict[str, Person], template: Job, post: Postbox
) -> None:
    cause = "Spectrum refused to create the job: Customer: HARBRLITE is not there & never was; Division: Unknown."
    export = Export(project=waiting, accepted_by=cast["approver"], template_number=template.number, request=[])
    export.error = cause
    export.field_errors = [["Customer_Code", "HARBRLITE is not there & never was"], ["Division", "Unknown"]]
    db.session.add(export)
    waiting.status = status
    db.session.commit()
    tick()
    text = post.arrived[0].part("plain")
    assert f"{status}: {cause}" in text
    assert text.count("HARBRLITE") == text.count("Unknown") == 1
    assert links(text)[1:] == [f"http://127.0.0.1:8000/erp/jobs?filter={listed}", "http://127.0.0.1:8000/me"]
    assert "1 export needs attention" in text
    assert "wait" not in text.splitlines()[0]


def test_the_summary_tells_what_waits_since_when_by_whom_and_links_to_each(
    waiting: Project, make_project: MakeProject, cast: dict[str, Person], post: Postbox
) -> None:
    younger = make_project(number="26-015", name="Annex")
    workflow.send(younger, cast["manager"])
    db.session.commit()
    tick()
    mail = post.arrived[0]
    text = mail.part("plain")
    assert mail.header("Subject") == "ERP Integrations Daily Summary"
    assert "2 projects wait for accounting" in text
    assert "The oldest has waited for 3 days, since Mar 6, 2026, 5:00 AM." in text
    assert text.index("26-014 Depot Lofts Retail Shell") < text.index("26-015 Annex")
    assert "1735 Jefferson Ave, Tacoma, WA" in text
    assert "Sent by Manager 3 days ago" in text
    assert "Note: The owner is in a hurry" in text
    assert links(text) == [
        f"http://127.0.0.1:8000/approvals/{waiting.id}",
        f"http://127.0.0.1:8000/approvals/{younger.id}",
        "http://127.0.0.1:8000/erp/jobs?filter=ready-to-export",
        "http://127.0.0.1:8000/me",
    ]


def test_five_hundred_waiting_projects_make_a_mail_of_the_oldest_fifty_and_a_link_to_the_rest(
    waiting: Project, cast: dict[str, Person], post: Postbox
) -> None:
    for number in range(499):
        project = workflow.create(cast["manager"], INFORMATION | {"number": f"27-{number:03}", "name": "Depot"})
        workflow.send(project, cast["manager"])
    db.session.commit()
    tick()
    text = post.arrived[0].part("plain")
    assert "500 projects wait for accounting" in text
    assert "and 450 more" in text
    assert len([link for link in links(text) if "/approvals/" in link]) == 50


def test_over_a_week_each_mail_holds_exactly_what_waits_that_morning(
    make_project: MakeProject, cast: dict[str, Person], post: Postbox, clock: time_machine.Traveller
) -> None:
    projects = [make_project(number=f"26-{number:03}") for number in range(7)]
    told = []
    for day in range(7):
        clock.move_to(MONDAY + timedelta(days=day, hours=-1))
        workflow.send(projects[day], cast["manager"])
        if day >= 2:
            workflow.reject(projects[day - 2], cast["approver"], "Not like this.")
        if day == 4:
            workflow.retrieve(projects[day], cast["manager"])
        db.session.commit()
        clock.move_to(MONDAY + timedelta(days=day))
        tick()
        texts = [mail.part("plain") for mail in post.arrived if "approver@example.com" in mail.recipients]
        assert len(texts) == day + 1
        told.append([number for number in range(7) if f"26-{number:03}" in texts[-1]])
        if day == 4:  # so that a later rejection finds it waiting
            workflow.send(projects[day], cast["manager"])
            db.session.commit()
    assert told == [[0], [0, 1], [1, 2], [2, 3], [3], [4, 5], [5, 6]]


@pytest.mark.parametrize(
    ("zone", "change", "digest_time"),
    [
        ("America/Los_Angeles", "2026-03-08", "02:30"),  # 2:30 does not exist
        ("America/Los_Angeles", "2026-11-01", "01:30"),  # 1:30 is twice
        ("Europe/Berlin", "2026-03-29", "02:30"),
        ("Europe/Berlin", "2026-10-25", "02:30"),
        ("Australia/Lord_Howe", "2026-10-04", "02:15"),  # half an hour
        ("Australia/Lord_Howe", "2026-04-05", "01:45"),
        ("America/Santiago", "2026-09-06", "00:00"),  # the day begins at one
    ],
)
def test_a_clock_change_neither_skips_nor_doubles_a_day(
    zone: str, change: str, digest_time: str, app: Flask, waiting: Project, clock: time_machine.Traveller
) -> None:
    app.config["TIMEZONE"], app.config["DIGEST_TIME"] = ZoneInfo(zone), datetime.strptime(digest_time, "%H:%M").time()
    noon = datetime.fromisoformat(f"{change}T12:00").replace(tzinfo=ZoneInfo(zone))
    moment, end = noon.astimezone(UTC) - timedelta(days=1), noon.astimezone(UTC) + timedelta(days=1)
    opened = []
    while moment < end:
        clock.move_to(moment)
        digest.open_due_day()
        days = db.session.scalars(select(DigestDay.day)).all()
        opened += [(day, moment) for day in days if day not in dict(opened)]
        moment += timedelta(minutes=5)
    local = [(day, moment.astimezone(ZoneInfo(zone))) for day, moment in opened]
    assert [day.isoformat() for day, _ in local] == [
        (noon + timedelta(days=days)).date().isoformat() for days in (-1, 0, 1)
    ]
    for day, at in local[1:]:
        wall = datetime.combine(day, app.config["DIGEST_TIME"])
        assert timedelta(0) <= at.replace(tzinfo=None) - wall <= timedelta(hours=1)
    assert db.session.query(Delivery).count() == 6


def test_somebody_who_lost_the_right_or_unsubscribed_before_a_later_try_is_skipped(
    waiting: Project, cast: dict[str, Person], post: Postbox, clock: time_machine.Traveller
) -> None:
    post.fail("RCPT", "451 4.3.0 Later", times=2)
    tick()
    cast["approver"].can_push, cast["controller"].subscribed = False, False
    db.session.commit()
    clock.move_to(MONDAY + timedelta(minutes=1))
    tick()
    assert post.arrived == []
    assert {row.outcome for row in db.session.scalars(select(Delivery))} == {MailOutcome.SKIPPED}


def test_what_could_not_go_out_goes_later_the_same_day_but_never_the_next(
    waiting: Project, post: Postbox, clock: time_machine.Traveller
) -> None:
    with writing():
        Setting.write(SettingName.PAUSED, {"by": "Dana", "at": utcnow().isoformat()})
    tick()
    assert post.arrived == []
    clock.move_to(MONDAY.replace(hour=23, minute=59))
    with writing():
        Setting.write(SettingName.PAUSED, None)
    post.fail("RCPT", "451 4.3.0 Later", recipient="controller@example.com")
    tick()
    assert post.recipients == ["approver@example.com"]
    clock.move_to(MONDAY.replace(day=10, hour=0, minute=5))
    mail_delivery.deliver_due()
    assert post.recipients == ["approver@example.com"]
    late = db.session.scalars(select(Delivery).where(Delivery.outcome == MailOutcome.FAILED)).one()
    assert (late.person.name, late.can_resend) == ("Controller", True)


def test_each_project_that_waits_leads_to_the_forms_of_accept_and_reject(waiting: Project, post: Postbox) -> None:
    tick()
    page = html.document_fromstring(post.arrived[0].part("html"))
    found = {link.text: link.get("href") for link in page.xpath("//p[@class='entry']/a")}
    there = f"http://127.0.0.1:8000/approvals/{waiting.id}"
    assert found == {waiting.title: there, "Accept": f"{there}/accept", "Reject": f"{there}/reject"}
    assert f"Accept {there}/accept" in post.arrived[0].part("plain")


def test_a_summary_asked_for_ahead_of_its_day_goes_once_and_leaves_that_days_own_to_come(
    waiting: Project, post: Postbox, clock: time_machine.Traveller
) -> None:
    tomorrow = MONDAY.replace(tzinfo=None) + timedelta(days=1)
    for _ in range(2):
        digest.send_day(tomorrow, report=lambda _line: None)
    assert len(post.arrived) == 2
    tick()
    assert len(post.arrived) == 4
    clock.move_to(MONDAY + timedelta(days=1))
    tick()
    tick()
    assert len(post.arrived) == 6
