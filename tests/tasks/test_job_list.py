"""The job list: read past Spectrum's row limit, kept in one pass, and what is said to be gone."""

from collections.abc import Callable, Iterator, Mapping
from contextvars import copy_context
from datetime import timedelta
from threading import Barrier, Thread
from typing import Any

import httpx
import pytest
import time_machine
from conftest import sandboxed
from flask import Flask
from sqlalchemy import event, func, select
from support.fake_erp import FakeERP
from support.jobs import keep_job

import models
import scheduler
from erp import Connection, Customer, ErpJob, Outcome, ReadError, ReadResult
from erp.spectrum.client import Spectrum
from extensions import db
from models import Job, Person, Project, Setting, SettingName, utcnow
from services import connection_state, workflow
from tasks import erp_connection, job_list, job_list_reader

pytestmark = pytest.mark.usefixtures("app")


@pytest.fixture(scope="module")
def spectrum_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with sandboxed(tmp_path_factory.mktemp("sandbox")) as addresses:
        yield addresses["spectrum"]


@pytest.fixture
def thousands(spectrum_url: str) -> Spectrum:
    """A sandbox Spectrum with 1,200 jobs over 30 customers."""
    httpx.post(f"{spectrum_url}/sandbox/reset", json={"jobs": 1200, "seed": False}).raise_for_status()
    return Spectrum(spectrum_url, "HB", "DEMO-COUNTERSIGN")


@pytest.fixture
def put(spectrum_url: str) -> Callable[..., None]:
    """Somebody enters or changes a job in the sandbox Spectrum."""

    def put(number: str, **fields: str) -> None:
        given = {"Job_Number": number, **fields}
        httpx.post(f"{spectrum_url}/sandbox/jobs", json=given).raise_for_status()

    return put


def job(number: str, **fields: str) -> dict[str, str]:
    place = {"Customer_Code": "CASCREST", "Division": "1", "Cost_Center": "TACOMA"}
    return {"Job_Number": number, "Job_Description": "Depot", **place, **fields}


def kept() -> dict[str, Job]:
    return {each.number: each for each in db.session.scalars(select(Job))}


def count_of_gone() -> int | None:
    return db.session.scalar(select(func.count()).where(Job.removed_at.is_not(None)))


def test_more_jobs_than_one_read_returns_are_read_past_the_row_limit_and_kept_with_few_statements(
    app: Flask, thousands: Spectrum
) -> None:
    written: list[str] = []
    with app.app_context():
        event.listen(
            db.engine, "before_cursor_execute", lambda _c, _cur, statement, *_: written.append(statement.split()[0])
        )
        assert job_list.refresh(thousands) == "1200 jobs read: 1200 new, 0 changed, 0 gone."
    assert db.session.scalar(select(func.count()).select_from(Job)) == 1200
    assert written.count("INSERT") <= 3  # PostgreSQL takes a thousand rows at once
    assert written.count("UPDATE") == 1  # the revision of the lists, and no job


def test_a_second_refresh_says_what_is_new_changed_and_gone(
    thousands: Spectrum, spectrum_url: str, put: Callable[..., None]
) -> None:
    job_list.refresh(thousands)
    assert job_list.refresh(thousands) == "1200 jobs read: 0 new, 0 changed, 0 gone."
    put("99-001", Customer_Code="CASCREST", Division="17", Cost_Center="CC13")
    put("11-00199", Job_Description="Renamed", Status_Code="C")
    httpx.delete(f"{spectrum_url}/sandbox/jobs/10-00004").raise_for_status()
    assert job_list.refresh(thousands) == "1200 jobs read: 1 new, 1 changed, 1 gone."
    jobs = kept()
    assert jobs["10-00004"].removed_at
    assert (jobs["11-00199"].name, jobs["11-00199"].status_code) == ("Renamed", "C")
    assert jobs["99-001"].customer_code == "CASCREST"


def test_a_job_whose_customer_no_row_within_the_limit_shows_is_found_through_the_others(
    thousands: Spectrum, put: Callable[..., None]
) -> None:
    put("99-777", Customer_Code="ZULU", Division="17", Cost_Center="CC13")
    assert job_list.refresh(thousands).startswith("1201 jobs read: 1201 new")
    assert kept()["99-777"].customer_code == "ZULU"


def test_jobs_without_a_customer_do_not_keep_the_list_from_being_whole(
    thousands: Spectrum, spectrum_url: str, put: Callable[..., None]
) -> None:
    put("99-778", Customer_Code="", Division="17", Cost_Center="CC13")
    job_list.refresh(thousands)
    httpx.delete(f"{spectrum_url}/sandbox/jobs/99-778").raise_for_status()
    assert job_list.refresh(thousands).endswith("1 gone.")


def test_customer_codes_that_read_like_operators_are_asked_for_literally(
    thousands: Spectrum, put: Callable[..., None]
) -> None:
    for place, customer in enumerate(["A/B", "#1", "ALL", "X,Y"]):
        put(f"99-78{place}", Customer_Code=customer, Division="17", Cost_Center="CC13")
    assert job_list.refresh(thousands) == "1204 jobs read: 1204 new, 0 changed, 0 gone."


def test_customers_longer_than_the_limit_are_narrowed_by_division(erp: FakeERP) -> None:
    erp.cap = 60
    for number in range(200):
        place = {"Division": str(number % 5), "Cost_Center": f"C{number // 5 % 4}"}
        erp.keep(job(f"26-{number:03}", Customer_Code=f"CUST{number // 100}", **place))
    assert job_list.refresh(erp) == "200 jobs read: 200 new, 0 changed, 0 gone."
    assert len({str(call) for call in erp.calls}) == len(erp.calls)  # nothing is asked twice


def test_what_division_does_not_narrow_enough_is_narrowed_by_cost_center_too(erp: FakeERP) -> None:
    erp.cap = 10
    for number in range(200):
        place = {"Division": str(number % 5), "Cost_Center": f"C{number // 5 % 4}"}
        erp.keep(job(f"26-{number:03}", Customer_Code=f"CUST{number // 100}", **place))
    assert job_list.refresh(erp).startswith("200 jobs read: 200 new, 0 changed, 0 gone.")
    assert len(kept()) == 200


def test_a_cost_center_that_only_the_unread_part_has_keeps_the_list_from_being_whole(erp: FakeERP) -> None:
    erp.cap = 10
    for number in range(30):
        erp.keep(job(f"26-{number:03}", Cost_Center=f"C{number // 5}"))
    job_list.refresh(erp)
    assert Setting.read(SettingName.JOB_LIST)["complete"] is False


@pytest.mark.parametrize("blank", [{}, {"Division": "", "Cost_Center": ""}])
def test_after_a_reading_that_can_not_be_known_to_be_whole_nothing_is_gone(
    erp: FakeERP, blank: Mapping[str, str]
) -> None:
    erp.cap = 10
    for number in range(30):
        erp.keep(job(f"26-{number:03}", **blank))
    said = job_list.refresh(erp)
    assert "Spectrum has more jobs than it would list" in said
    del erp.kept["26-001"]
    said = job_list.refresh(erp)
    assert "0 gone" in said
    assert count_of_gone() == 0


def test_jobs_that_only_their_customer_tells_apart_are_never_known_to_be_all(erp: FakeERP) -> None:
    erp.cap = 10
    for number in range(30):
        erp.keep(job(f"26-{number:03}", Customer_Code=f"CUST{number % 4}", Division="", Cost_Center=""))
    assert "30 jobs read" in job_list.refresh(erp)
    assert Setting.read(SettingName.JOB_LIST)["complete"] is False


def test_a_job_that_comes_back_is_no_longer_gone(erp: FakeERP) -> None:
    erp.keep(job("26-014"))
    erp.keep(job("26-015"))
    job_list.refresh(erp)
    away = erp.kept.pop("26-014")
    assert job_list.refresh(erp) == "1 jobs read: 0 new, 0 changed, 1 gone."
    erp.kept["26-014"] = away
    assert job_list.refresh(erp) == "2 jobs read: 0 new, 1 changed, 0 gone."
    assert not kept()["26-014"].removed_at


def test_what_was_decided_here_about_a_job_survives_the_refresh(erp: FakeERP) -> None:
    erp.keep(job("26-014"))
    job_list.refresh(erp)
    kept()["26-014"].archived = kept()["26-014"].is_template = True
    db.session.commit()
    erp.keep(job("26-014", Job_Description="Renamed"))
    job_list.refresh(erp)
    assert kept()["26-014"].name == "Renamed"
    assert kept()["26-014"].archived
    assert kept()["26-014"].is_template


def test_a_job_that_only_an_export_has_shown_is_never_gone(erp: FakeERP) -> None:
    keep_job(job("26-014"))  # made by Countersign; the operator may not see it
    db.session.commit()
    erp.keep(job("26-015"))
    assert job_list.refresh(erp) == "1 jobs read: 1 new, 0 changed, 0 gone."
    assert count_of_gone() == 0


class During(FakeERP):
    """Something happens here while the list is being read."""

    def __init__(self, happens: Callable[[], None]) -> None:
        super().__init__(job("26-015"))
        self.happens = happens

    def list_jobs(self, status: str = "open", **filters: Any) -> ReadResult[ErpJob]:
        answer = super().list_jobs(status, **filters)
        if status == "complete":
            self.happens()
        return answer


def test_a_job_that_comes_back_while_the_list_is_being_read_is_not_gone(erp: FakeERP) -> None:
    erp.keep(job("26-014"))
    erp.keep(job("26-015"))
    job_list.refresh(erp)
    del erp.kept["26-014"]
    job_list.refresh(erp)

    def exported() -> None:
        keep_job(job("26-014"))
        db.session.commit()

    assert job_list.refresh(During(exported)).endswith("0 gone.")
    assert not kept()["26-014"].removed_at


def test_an_older_reading_does_not_undo_a_newer_one() -> None:
    newer = FakeERP(job("26-014", Job_Description="Newer"), job("26-015"))
    said = job_list.refresh(During(lambda: job_list.refresh(newer) and None))
    assert said == "2 jobs read: 2 new, 0 changed, 0 gone."
    assert kept()["26-014"].name == "Newer"


def test_a_reading_while_the_clock_was_a_year_ahead_does_not_keep_later_ones_out(erp: FakeERP) -> None:
    with time_machine.travel(utcnow() + timedelta(days=365)):
        job_list.refresh(erp)
    erp.keep(job("26-014"))
    job_list.refresh(erp)
    assert "26-014" in kept()


def test_customers_that_can_not_be_read_once_keep_what_was_known_of_them(erp: FakeERP) -> None:
    erp.keep(job("26-014", Customer_Name="Cascade"))
    erp.kept_customers = [Customer("CASCREST", "Cascade Crest", "N", active=False)]
    job_list.refresh(erp)
    erp.missing = {"GetCustomers"}
    job_list.refresh(erp)
    customer = models.Customer.by_code("CASCREST")
    assert customer
    assert (customer.name, customer.taxable, customer.active) == ("Cascade", "N", False)


def test_a_list_that_can_not_be_read_changes_nothing_and_says_so(erp: FakeERP) -> None:
    erp.keep(job("26-014"))
    job_list.refresh(erp)
    erp.reachable = False
    with pytest.raises(ReadError) as failure:
        job_list.refresh(erp)
    assert failure.value.outcome is Outcome.NOT_SENT
    last = Setting.read(SettingName.JOB_LIST)
    assert last["error"] == failure.value.error
    assert last["said"].startswith("1 jobs read")
    assert count_of_gone() == 0


def test_no_transaction_is_open_while_spectrum_is_spoken_to() -> None:
    open_ones: list[bool] = []
    job_list.refresh(During(lambda: open_ones.append(db.session.registry().in_transaction())))
    assert open_ones == [False]


def test_two_workers_that_refresh_at_once_bring_each_job_in_once(app: Flask) -> None:
    erps: list[Connection] = [FakeERP(*(job(f"26-{number:03}") for number in range(300))) for _ in range(2)]
    together, outcomes = Barrier(2), []

    def work(erp: Connection) -> None:
        with app.app_context():
            together.wait()
            try:
                outcomes.append(job_list.refresh(erp))
            except Exception as problem:  # noqa: BLE001 - whatever went wrong is shown by the assertion
                outcomes.append(repr(problem))
            db.session.remove()

    threads = [Thread(target=copy_context().run, args=(work, erp)) for erp in erps]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(said.startswith("300 jobs read") for said in outcomes), outcomes
    assert db.session.scalar(select(func.count()).select_from(Job)) == 300


@pytest.mark.parametrize(("fate", "said"), [("gone", "no longer lists job 26-014"), ("C", "as complete")])
def test_a_synced_project_says_on_its_pages_and_in_the_list_that_its_job_is_no_longer_in_spectrum(
    make_project: Callable[..., Project],
    cast: dict[str, Person],
    browser: Callable[[str], Any],
    erp: FakeERP,
    fate: str,
    said: str,
) -> None:
    erp.keep(job("26-014"))
    erp.keep(job("26-015"))
    job_list.refresh(erp)
    project = make_project()
    workflow.link(project, cast["approver"], kept()["26-014"], "HB")
    db.session.commit()
    pages = [f"/admin/projects/{project.id}", f"/approvals/{project.id}", "/erp/jobs?filter=synced"]
    approver = browser("approver")
    for address in pages:
        assert "No longer in Spectrum" not in approver.get(address).text
    if fate == "gone":
        del erp.kept["26-014"]
    else:
        erp.keep(job("26-014", Status_Code="C"))
    job_list.refresh(erp)
    for address in pages:
        text = approver.get(address).text
        assert "No longer in Spectrum" in text, address
        assert said in text, address


@pytest.mark.parametrize(("tried", "again"), [(6, True), (4, False)])
def test_a_list_that_could_not_be_read_is_asked_for_again_soon_although_it_is_young(
    app: Flask, spectrum_url: str, tried: int, again: bool
) -> None:
    app.config |= {"SPECTRUM_URL": spectrum_url, "SPECTRUM_AUTHORIZATION_ID": "DEMO-COUNTERSIGN"}
    now = utcnow()
    failed = {"at": now.isoformat(), "error": "Out of reach", "tried": (now - timedelta(minutes=tried)).isoformat()}
    Setting.write(SettingName.JOB_LIST, failed)
    db.session.commit()
    scheduler.refresh_when_old()
    db.session.expire_all()
    assert bool(Setting.read(SettingName.JOB_LIST).get("error")) is not again


# what a list lacks


def read_hundred(erp: FakeERP) -> None:
    for number in range(100):
        erp.keep(job(f"26-{number:03}"))
    job_list.refresh(erp)


@pytest.mark.parametrize(("lost", "kept_as_it_was"), [(100, True), (99, True), (21, True), (20, False), (1, False)])
def test_a_list_that_lost_more_than_a_fifth_takes_nothing_away_and_says_so(
    erp: FakeERP, lost: int, kept_as_it_was: bool
) -> None:
    read_hundred(erp)
    for number in list(erp.kept)[:lost]:
        del erp.kept[number]
    said = job_list.refresh(erp)
    assert count_of_gone() == (0 if kept_as_it_was else lost)
    assert ("The list was kept as it was" in said) is kept_as_it_was
    assert connection_state.job_list()["proven"] is not kept_as_it_was


def test_five_jobs_of_a_small_company_may_be_gone_at_once(erp: FakeERP) -> None:
    for number in range(8):
        erp.keep(job(f"26-{number:03}"))
    job_list.refresh(erp)
    for number in range(5):
        del erp.kept[f"26-{number:03}"]
    assert job_list.refresh(erp).endswith("5 gone.")


@pytest.mark.parametrize(("lost", "others"), [("A", "C"), ("C", "A")])
def test_a_few_jobs_are_not_gone_where_no_open_or_no_complete_job_is_shown_at_all(
    erp: FakeERP, lost: str, others: str
) -> None:
    for number in range(23):
        erp.keep(job(f"26-{number:03}", Status_Code=lost if number < 3 else others))
    job_list.refresh(erp)
    erp.kept = {number: row for number, row in erp.kept.items() if row["Status_Code"] == others}
    assert "The list was kept as it was" in job_list.refresh(erp)
    assert count_of_gone() == 0


def test_a_person_who_says_that_it_is_right_has_the_list_taken_over(
    erp: FakeERP, browser: Callable[[str], Any]
) -> None:
    read_hundred(erp)
    erp.kept = {number: row for number, row in erp.kept.items() if number < "26-010"}
    job_list.refresh(erp)
    controller = browser("controller")
    assert "This Is Right" in controller.get("/erp/settings").text
    job_list.refresh(erp)
    assert count_of_gone() == 0  # looking changes nothing
    assert controller.post("/erp/settings/job-list-is-right").status_code == 303
    job_list.refresh(erp)
    assert count_of_gone() == 90
    assert "This Is Right" not in controller.get("/erp/settings").text


def test_what_was_confirmed_is_that_list_and_no_shorter_one(erp: FakeERP, browser: Callable[[str], Any]) -> None:
    read_hundred(erp)
    erp.kept = {number: row for number, row in erp.kept.items() if number < "26-010"}
    job_list.refresh(erp)
    browser("controller").post("/erp/settings/job-list-is-right")
    erp.kept.clear()
    job_list.refresh(erp)
    assert count_of_gone() == 0


def test_a_company_without_jobs_is_believed_once_a_person_says_so(erp: FakeERP, browser: Callable[[str], Any]) -> None:
    assert "Spectrum listed no jobs." in job_list.refresh(erp)
    assert not connection_state.job_list()["proven"]
    browser("controller").post("/erp/settings/job-list-is-right")
    job_list.refresh(erp)
    assert connection_state.job_list()["proven"]
    assert "listed no jobs" not in job_list.refresh(erp)
    assert erp_connection.test(erp).passed


def test_the_check_is_not_passed_where_nothing_is_listed_because_there_were_jobs_before(erp: FakeERP) -> None:
    read_hundred(erp)
    erp.kept.clear()
    tested = erp_connection.test(erp)
    assert (tested.passed, tested.sentence) == (False, "Spectrum lists no job at all.")


def test_a_list_that_the_other_way_shows_whole_is_taken_from_there(erp: FakeERP) -> None:
    read_hundred(erp)
    erp.second_way_only = True
    erp.keep(job("26-100"))
    assert job_list.refresh(erp) == "101 jobs read: 1 new, 0 changed, 0 gone."
    assert connection_state.job_list()["proven"]


def test_after_a_restore_an_unproven_list_ends_no_waiting(erp: FakeERP) -> None:
    read_hundred(erp)
    Setting.write(SettingName.RESTORED, {"at": utcnow().isoformat()})
    db.session.commit()
    erp.kept.clear()
    job_list.refresh(erp)
    assert Setting.read(SettingName.RESTORED)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("large_customers", [False, True])
def test_eight_thousand_jobs_without_divisions_are_listed_whole(erp: FakeERP, large_customers: bool) -> None:
    for number in range(8000):
        customer = number % 7 if large_customers else number % 160  # the former have more jobs than one read returns
        place = {"Customer_Code": f"CU{customer:03}", "Division": "", "Cost_Center": f"CC{number % 23}"}
        status = "AICCCCCCCC"[number // 23 % 10]
        erp.keep(job(f"{number:06}", **place, Status_Code=status, Project_Manager=f"PM{number % 31}"))
    found = job_list_reader.read(erp, {})
    assert (len(found.jobs), found.complete) == (8000, True)
    assert found.calls == len(erp.calls) < 600
