"""The test of the connection, against the sandbox Spectrum: `spectrum check`, its request, and what it leaves noted."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from conftest import sandboxed
from flask import Flask
from support.fake_erp import FakeERP
from support.jobs import compose, keep_job

import config
import erp as port
import scheduler
from erp import Phase, ReadError
from extensions import db
from models import Person, Setting, SettingName, TaskKind, TaskRequest
from tasks import erp_connection

Fault = Callable[..., None]
NEEDED = ("AddJob", "AddPhase", "GetJob", "GetJobMain", "GetPhase")
ALL_USABLE = "Each of Spectrum's services that Countersign needs can be used."


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with sandboxed(tmp_path_factory.mktemp("sandbox")) as addresses:
        yield addresses["spectrum"]


@pytest.fixture
def fault(address: str, app: Flask) -> Iterator[Fault]:
    """Switch on a fault of the sandbox that the app speaks to, until the test ends."""
    app.config.update(SPECTRUM_URL=address, SPECTRUM_AUTHORIZATION_ID="DEMO-COUNTERSIGN", SPECTRUM_READ_TIMEOUT=2)

    def switch_on(name: str, service: str, **details: object) -> None:
        given = {"fault": name, "service": service, "times": None, **details}
        httpx.post(f"{address}/sandbox/faults", json=given).raise_for_status()

    yield switch_on
    httpx.delete(f"{address}/sandbox/faults").raise_for_status()


def check(app: Flask) -> Any:
    return app.test_cli_runner().invoke(args=["spectrum", "check"])


def test_spectrum_check_says_a_line_per_service_and_exits_0(app: Flask, fault: Fault) -> None:
    result = check(app)
    assert (result.exit_code, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert set(lines) >= {f"{service}: OK." for service in port.rules().services}
    assert lines[-1] == ALL_USABLE


@pytest.mark.parametrize("service", port.rules().services)
def test_a_service_that_is_missing_is_named_and_only_a_needed_one_fails_the_check(
    app: Flask, fault: Fault, service: str
) -> None:
    fault("wsdl-missing", service)
    result = check(app)
    assert result.exit_code == (service in NEEDED)
    named = [line for line in result.stdout.splitlines() if line.startswith(f"{service}: ") and "OK" not in line]
    assert len(named) == 1
    assert ("Without it" in named[0]) == (service not in NEEDED)


def test_the_check_writes_nothing_to_spectrum(app: Flask, fault: Fault, address: str) -> None:
    before = httpx.get(f"{address}/sandbox/jobs").json()
    check(app)
    assert httpx.get(f"{address}/sandbox/jobs").json() == before


def test_a_spectrum_that_is_not_there_fails_every_line(app: Flask) -> None:
    result = check(app)
    assert result.exit_code == 1
    assert result.stdout.count("could not be reached") == len(port.rules().services)
    assert "could not be reached" in result.stderr


def test_a_spectrum_that_is_not_set_up_is_said_in_one_sentence(app: Flask) -> None:
    app.config["SPECTRUM_URL"] = ""
    result = check(app)
    assert (result.exit_code, result.stderr) == (1, "Error: Spectrum is not set up: SPECTRUM_URL is missing.\n")


@pytest.mark.parametrize(
    ("line", "sent"),
    [
        (
            "Proven: Spectrum answered with 1 row: G Job 26-914 DEPOT of customer CASCREST created.",
            "Proven: Spectrum answered with 1 row: G Job ••• ••• of customer ••• created.",
        ),
        (
            "GetPhase: Spectrum refused to list the phases: Harbor Café of c7 is on hold (HTTP 404).",
            "GetPhase: Spectrum refused to list the phases: ••• of ••• is on hold (HTTP 404).",
        ),
        (
            "UpdateJob: Spectrum's UpdateJob does not know Address_1, Work_Local_Tax_Cod.",
            "UpdateJob: Spectrum's UpdateJob does not know Address_1, Work_Local_Tax_Cod.",
        ),
    ],
)
def test_a_report_that_quotes_spectrum_gives_no_job_and_no_customer_away(app: Flask, line: str, sent: str) -> None:
    keep_job({"Job_Number": "25-001", "Job_Description": "Harbor Café"})
    db.session.commit()
    report = erp_connection.report(erp_connection.ConnectionTest(True, "It can be used.", (line,)))
    assert report.splitlines()[1:] == ["It can be used.", sent]


# a hosted Spectrum


def test_a_hosted_spectrum_is_called_with_a_token_where_a_client_is_set(app: Flask, fault: Fault) -> None:
    fault("bearer", "*")
    assert check(app).exit_code == 1
    app.config.update(SPECTRUM_CLIENT_ID="countersign", SPECTRUM_CLIENT_SECRET="a-secret-of-the-client")
    app.extensions.pop("erp")  # it is made once, from the settings
    result = check(app)
    assert (result.exit_code, result.stderr) == (0, "")
    assert "a-secret-of-the-client" not in result.output


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SPECTRUM_AUTH", "token"),
        ("SPECTRUM_AUTH", "digest"),
        ("SPECTRUM_GUID", "old"),
        ("SPECTRUM_SECRET_EXPIRES", "soon"),
        ("SPECTRUM_SECRET_ROTATION", "maybe"),
    ],
)
def test_a_wrong_setting_of_the_connection_stops_the_start_with_a_sentence_that_names_it(name: str, value: str) -> None:
    with pytest.raises(config.SettingsError, match=name):
        config.load({"SECRET_KEY": "0123456789abcdef", name: value})


@pytest.mark.parametrize("name", ["SPECTRUM_CLIENT_ID", "SPECTRUM_CLIENT_SECRET"])
def test_half_a_client_stops_the_start_with_a_sentence_that_names_both(name: str) -> None:
    with pytest.raises(config.SettingsError, match="SPECTRUM_CLIENT_ID and SPECTRUM_CLIENT_SECRET") as error:
        config.load({"SECRET_KEY": "0123456789abcdef", name: "half-of-it"})
    assert "half-of-it" not in error.value.message


# the errand, and what a contact leaves noted


def ask_and_run(by: Person) -> TaskRequest:
    TaskRequest.ask(TaskKind.TEST_CONNECTION, by)
    db.session.commit()
    scheduler.run_task_requests()
    errand = TaskRequest.last(TaskKind.TEST_CONNECTION)
    assert errand and errand.due_at is None
    return errand


def test_the_errand_answers_with_the_verdict_and_a_line_per_service(
    app: Flask, fault: Fault, cast: dict[str, Person]
) -> None:
    errand = ask_and_run(cast["controller"])
    assert errand.succeeded
    assert errand.answer.splitlines()[0] == ALL_USABLE
    fault("wsdl-missing", "AddPhase")
    errand = ask_and_run(cast["controller"])
    assert errand.succeeded is False
    assert errand.answer.startswith("1 of Spectrum's services can't be used as they are.\n")


def contact() -> dict[str, Any]:
    db.session.expire_all()
    noted: dict[str, Any] = Setting.read(SettingName.CONTACT, {})
    return noted


def test_each_contact_leaves_noted_whether_spectrum_could_be_worked_with(app: Flask, fault: Fault) -> None:
    assert contact() == {}
    check(app)
    first = contact()
    assert first["connected"] and "error" not in first
    fault("not-authorized", "GetJobMain")
    erp = erp_connection.connect()
    assert erp
    with pytest.raises(ReadError):
        erp.list_jobs()
    lost = contact()
    assert not lost["connected"]
    assert "SPECTRUM_AUTHORIZATION_ID" in lost["error"]
    assert lost["since"] > first["since"]
    with pytest.raises(ReadError):
        erp.list_jobs()
    assert contact()["since"] == lost["since"]
    assert contact()["error_at"] > lost["error_at"]


def test_a_test_that_does_not_reach_spectrum_leaves_it_not_connected(
    app: Flask, fault: Fault, cast: dict[str, Person]
) -> None:
    assert ask_and_run(cast["controller"]).succeeded
    assert contact()["connected"]
    app.config["SPECTRUM_URL"] = "http://127.0.0.1:1"
    app.extensions.pop("erp")
    assert ask_and_run(cast["controller"]).succeeded is False
    assert not contact()["connected"]


def test_a_refusal_is_an_answer_so_spectrum_counts_as_connected(app: Flask, fault: Fault) -> None:
    fault("error-rows", "AddJob")
    erp = erp_connection.connect()
    assert erp
    erp.create_job(compose({"name": "Depot"}, {}, {"Job_Number": "26-900", "Taxable_Flag": "Y"}))
    assert contact()["connected"]


def test_a_contact_that_works_again_keeps_the_last_error(app: Flask) -> None:
    fake = FakeERP()
    erp = erp_connection.MonitoredERP(fake)
    fake.reachable = False
    erp.add_phase("26-014", Phase(("01", "L"), "01 L", {}))
    fake.reachable = True
    erp.list_jobs()
    noted = contact()
    assert noted["connected"]
    assert "could not be reached" in noted["error"]


def test_a_contact_that_can_not_be_noted_is_a_contact_all_the_same(app: Flask) -> None:
    erp = erp_connection.MonitoredERP(FakeERP())
    Setting.__table__.drop(db.engine)  # type: ignore[attr-defined]  # it is a table
    assert erp.list_jobs().complete
