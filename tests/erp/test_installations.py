"""Every kind of Spectrum that the sandbox can be, what is learned of each, and what all accounting systems promise."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.fake_erp import FakeERP
from support.ledger import RULES as LEDGER_RULES
from support.ledger import Ledger
from support.soap_server import answering, client, http, listed

import erp
from erp import Connection, FieldValue, Learned, Outcome, Phase, ReadError, Rules
from erp.spectrum import RULES
from erp.spectrum.client import Spectrum
from erp.spectrum.fields import SERVICES
from erp.spectrum.learning import digest

CREATED, REFUSED, HELD, UNKNOWN = Outcome.CREATED, Outcome.REFUSED, Outcome.HELD, Outcome.UNKNOWN
CLIENT = ("countersign", "sandbox-secret")
SETTINGS = {
    "SPECTRUM_COMPANY_CODE": "HB",
    "SPECTRUM_AUTHORIZATION_ID": "DEMO-COUNTERSIGN",
    "SPECTRUM_CA_FILE": "",
    "SPECTRUM_CONNECT_TIMEOUT": 2,
    "SPECTRUM_READ_TIMEOUT": 5,
    "SPECTRUM_DEADLINE": 10,
    "SPECTRUM_CLIENT_ID": "",
    "SPECTRUM_CLIENT_SECRET": "",
}


class Sandbox:
    """The sandbox's control interface."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.http = httpx.Client(base_url=f"{url}/sandbox/", trust_env=False)

    def post(self, path: str, **given: object) -> None:
        self.http.post(path, json=given).raise_for_status()

    def become(self, **settings: object) -> None:
        """Be an ordinary installation in everything but these."""
        self.http.delete("personality").raise_for_status()
        self.post("personality", **settings)

    def calls(self, service: str) -> int:
        return sum(call["service"] == service for call in self.http.get("calls").json())


@pytest.fixture(scope="module")
def sandbox_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    ports = ["--spectrum-port", "0", "--smtp-port", "0", "--mailbox-port", "0"]
    command = [sys.executable, "-m", "dev.sandbox", "--data", str(tmp_path_factory.mktemp("sandbox")), *ports]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]) as process:
        try:
            assert process.stdout
            sandbox = Sandbox(process.stdout.readline().split()[1])
            with sandbox.http:
                yield sandbox
        finally:
            process.terminate()


@pytest.fixture
def sandbox(sandbox_process: Sandbox) -> Sandbox:
    """An empty one."""
    sandbox_process.post("reset", seed=False)
    return sandbox_process


@pytest.fixture
def stocked(sandbox: Sandbox) -> Sandbox:
    """One with three open jobs and a complete one."""
    for number, status in (("26-001", "A"), ("26-002", "I"), ("26 003/E", "A"), ("25-001", "C")):
        sandbox.post("jobs", Job_Number=number, Job_Description='Café 8"', Status_Code=status, Create_Date="03/09/2026")
    return sandbox


def request(rules: Rules, number: str = "26-900", **typed: str) -> list[FieldValue]:
    given = {"job_number": number, "job_name": "Harbor Café", "taxable": "N", "price_type": "F"}
    return rules.build_request({"number": number, "name": "Harbor", "city": "Austin"}, given | typed)


def numbers(connection: Connection, status: str = "open", **filters: Any) -> list[str]:
    return [job.number for job in connection.list_jobs(status, **filters).rows]


def learned_at(url: str, **options: Any) -> tuple[Spectrum, Learned]:
    spectrum = client(url, **options)
    return spectrum, spectrum.learn()


class TestLearning:
    @pytest.mark.parametrize(
        ("sign_in", "guid", "cut"), list(product(("none", "basic", "token"), ("any", "fresh", "empty"), (0, 1, 2, 3)))
    )
    def test_each_installation_is_learned_and_then_written_to_at_once(
        self, stocked: Sandbox, sign_in: str, guid: str, cut: int
    ) -> None:
        stocked.become(sign_in=sign_in, wsdl_sign_in=True, guid=guid, cut_tail=cut, success="blank-row")
        _, learned = learned_at(stocked.url, token_client=CLIENT if sign_in == "token" else None)
        assert (learned.problem, learned.jobs) == ("", {"active": 2, "inactive": 1, "complete": 1})
        assert learned.style == {
            "http": sign_in,
            "guid": "empty" if guid == "empty" else "fresh",
            "cut": "yes" if cut else "no",
        }
        kept = Learned.from_json(learned.as_json())
        again = client(stocked.url, token_client=CLIENT if sign_in == "token" else None, learned=kept)
        assert again.create_job(request(RULES)).outcome is CREATED
        assert "26-900" in numbers(again)

    @pytest.mark.parametrize("used_guid", ["no rows", "blank row", "row of spaces"])
    def test_an_installation_that_shows_nothing_is_doubtful_and_not_passed(
        self, sandbox: Sandbox, used_guid: str
    ) -> None:
        sandbox.become(used_guid=used_guid, guid="empty")
        _, learned = learned_at(sandbox.url, guid="fresh")
        assert (learned.doubtful, sum(learned.jobs.values())) == (True, 0)
        assert "lists no job at all" in learned.problem

    @pytest.mark.parametrize("service", SERVICES)
    def test_a_missing_service_is_named_and_only_a_needed_one_is_a_problem(
        self, stocked: Sandbox, service: str
    ) -> None:
        stocked.become(missing=[service])
        if service == "GetJobMain":
            with pytest.raises(ReadError, match=service):
                learned_at(stocked.url)
            return
        _, learned = learned_at(stocked.url)
        missing = [each for each in learned.services if each.problem]
        assert [each.name for each in missing] == [service]
        assert "SPECTRUM_URL" not in missing[0].problem
        assert bool(missing[0].without) != bool(learned.problem)

    def test_settings_overrule_what_is_learned_and_basic_is_tried_only_after_a_401(self, stocked: Sandbox) -> None:
        assert learned_at(stocked.url)[1].style["http"] == "none"
        assert learned_at(stocked.url, auth="basic", guid="empty")[1].style.items() >= {
            ("http", "basic"),
            ("guid", "empty"),
        }
        stocked.become(sign_in="basic")
        with pytest.raises(ReadError, match="HTTP 401"):
            learned_at(stocked.url, auth="none")

    def test_what_was_learned_of_another_address_or_access_does_not_count(self, stocked: Sandbox) -> None:
        stocked.become(guid="empty")
        _, learned = learned_at(stocked.url)
        assert len(numbers(client(stocked.url, learned=learned))) == 3
        assert numbers(client(stocked.url, learned=replace(learned, about="another"))) == []
        others = {digest(stocked.url, *access) for access in (("HB", "A"), ("HC", "A"), ("HB", "B"))}
        assert len(others | {learned.about}) == 4
        assert "DEMO" not in str(learned.as_json())

    def test_an_empty_list_does_not_speak_for_the_guid_that_got_no_answer(self) -> None:
        empty, refused = http(listed()), http("", 400)
        with answering(empty, refused, empty) as (url, _), pytest.raises(ReadError, match="HTTP 400"):
            client(url).learn()

    def test_a_failure_to_learn_leaves_the_client_as_it_was(self, stocked: Sandbox) -> None:
        stocked.become(guid="empty")
        spectrum, _ = learned_at(stocked.url)
        stocked.become(sign_in="token")
        with pytest.raises(ReadError, match="HTTP 401"):
            spectrum.learn()
        stocked.become(guid="empty")
        assert len(numbers(spectrum)) == 3

    def test_a_write_never_learns(self, stocked: Sandbox) -> None:
        stocked.become(sign_in="basic")
        spectrum = client(stocked.url)
        assert [spectrum.create_job(request(RULES)).outcome for _ in range(2)] == [HELD, HELD]

    def test_the_proof_of_a_created_job_outlasts_another_learning(self, stocked: Sandbox) -> None:
        _, learned = learned_at(stocked.url)
        proven = Learned.from_json({**learned.as_json(), "proven": True})
        assert (learned.proven, learned_at(stocked.url, learned=proven)[1].proven) == (False, True)

    def test_it_is_told_in_words(self, stocked: Sandbox) -> None:
        stocked.become(guid="empty")
        assert learned_at(stocked.url)[1].sentences == (
            "Spectrum takes calls without a sign-in to its web server.",
            "Of its open jobs it shows 0 with a new GUID in each call and 3 with an empty GUID;"
            " Countersign calls with an empty GUID.",
            "Its replies come whole.",
            "It lists 2 active, 1 inactive and 1 complete jobs.",
        )


class TestInstallations:
    @pytest.mark.parametrize("success", ["empty", "empty-data", "blank-row", "row-of-spaces", "good"])
    @pytest.mark.parametrize("cut", [0, 1, 2, 3])
    def test_each_success_is_created_unless_its_reply_is_cut(self, sandbox: Sandbox, success: str, cut: int) -> None:
        sandbox.become(success=success, cut_tail=cut, cut_writes=True)
        answer = client(sandbox.url).create_job(request(RULES, job_name="Harbor Café é"))
        assert answer.outcome in ((CREATED, UNKNOWN) if cut == 1 else (UNKNOWN,) if cut else (CREATED,))
        assert sandbox.calls("AddJob") == 1

    @pytest.mark.parametrize("cut", [0, 2, 3])
    @pytest.mark.parametrize("wrapped", [True, False])
    def test_a_refusal_is_one_in_any_wrapper_and_with_its_end_cut(
        self, stocked: Sandbox, wrapped: bool, cut: int
    ) -> None:
        stocked.become(wrap_errors=wrapped, cut_tail=cut, cut_writes=True)
        answer = client(stocked.url).create_job(request(RULES, "26-001"))
        assert [(message.field, message.code) for message in answer.messages] == [("Job_Number", "I")]

    @pytest.mark.parametrize("damage", ["byte", "ampersand", "control"])
    def test_a_damaged_job_is_named_and_kept(self, stocked: Sandbox, damage: str) -> None:
        stocked.become(damage=damage, damaged_job="26-002")
        found = client(stocked.url).list_jobs()
        assert (sorted(job.number for job in found.rows), found.damaged) == (
            ["26 003/E", "26-001", "26-002"],
            ("26-002",),
        )
        assert found.complete

    @pytest.mark.parametrize("cut", [4, 5])
    def test_a_list_that_is_cut_between_or_inside_rows_is_incomplete(self, stocked: Sandbox, cut: int) -> None:
        stocked.become(cut_tail=cut)
        found = client(stocked.url).list_jobs()
        assert (len(found.rows) in (2, 3), found.complete, stocked.calls("GetJobMain")) == (True, False, 3)

    def test_a_fault_under_load_is_asked_again(self, stocked: Sandbox) -> None:
        stocked.become(fault_every=2)
        spectrum = client(stocked.url)
        assert [len(numbers(spectrum)) for _ in range(4)] == [3] * 4

    def test_a_token_that_ended_early_is_fetched_anew_for_a_write_too(self, stocked: Sandbox) -> None:
        stocked.become(sign_in="token")
        spectrum = client(stocked.url, token_client=CLIENT)
        assert len(numbers(spectrum)) == 3
        stocked.http.delete("tokens").raise_for_status()
        assert spectrum.create_job(request(RULES)).outcome is CREATED
        assert stocked.calls("AddJob") == 1

    def test_a_rotated_secret_works_and_the_old_one_does_not(self, stocked: Sandbox) -> None:
        stocked.become(sign_in="token")
        spectrum = client(stocked.url, token_client=CLIENT)
        secret = spectrum.rotate_secret()
        assert secret.until > "2026"
        settings = SETTINGS | {"SPECTRUM_URL": stocked.url, "SPECTRUM_CLIENT_ID": CLIENT[0]}
        settings["SPECTRUM_CLIENT_SECRET"] = CLIENT[1]
        for kept, outcome in ((secret.secret, CREATED), ("", HELD)):
            again = erp.connect(settings, client_secrets=[kept])
            assert again
            assert again.create_job(request(RULES, f"N-{outcome.value}")).outcome is outcome
        assert len(numbers(spectrum)) == 4

    @pytest.mark.parametrize("blanks", ["keep", "reset"])
    def test_an_update_changes_what_it_sends_and_neither_status_nor_create_date(
        self, stocked: Sandbox, blanks: str
    ) -> None:
        stocked.become(update_blanks=blanks)
        spectrum = client(stocked.url)
        job = next(job for job in spectrum.list_jobs().rows if job.number == "26-002")
        dates = next(each for each in spectrum.list_job_dates().rows if each.key == job.key)
        update = RULES.build_update(job.number, {"city": "Fife", "name": 'Pump 8" & more'})
        assert spectrum.update_job(update, job, dates).outcome is CREATED
        after = next(job for job in spectrum.list_jobs().rows if job.number == "26-002")
        later = next(each for each in spectrum.list_job_dates().rows if each.key == job.key)
        assert RULES.differences(update, after.raw, later.raw) == []
        assert (after.raw["City"], after.status, later.raw["Create_Date"]) == ("Fife", "inactive", "03/09/2026")

    def test_no_address_is_no_connection(self) -> None:
        assert erp.connect(SETTINGS | {"SPECTRUM_URL": ""}) is None


Accounting = tuple[Rules, Connection]


@pytest.fixture(params=["fake", "sandbox", "ledger"])
def accounting(request: pytest.FixtureRequest) -> Accounting:
    """Every accounting system of the tests, empty."""
    made: dict[str, Callable[[], Accounting]] = {
        "fake": lambda: (RULES, FakeERP()),
        "ledger": lambda: (LEDGER_RULES, Ledger()),
        "sandbox": lambda: (RULES, client(request.getfixturevalue("sandbox").url)),
    }
    return made[request.param]()


PHASE = {"Phase_Code": "01100", "Cost_Type": "L", "Description": "Mobilization"}


class TestContract:
    """What every accounting system promises alike, so that tests on a fake mean something."""

    def test_a_job_that_was_created_is_read_back_as_it_was_sent(self, accounting: Accounting) -> None:
        rules, connection = accounting
        sent = request(rules)
        answer = connection.create_job(sent)
        assert (answer.outcome, answer.error, bool(answer.reply)) == (CREATED, "", True)
        (job,) = connection.list_jobs().rows
        wanted = rules.job_from_request(sent)
        assert (job.number, job.name, job.status) == (wanted.number, wanted.name, "active")
        assert rules.differences(sent, job.raw) == []
        assert rules.job_from_raw(job.raw) == job

    def test_a_request_and_a_job_can_be_kept_as_json(self, accounting: Accounting) -> None:
        rules, _ = accounting
        sent = request(rules)
        assert rules.thaw(erp.freeze(sent)) == sent
        assert rules.typed(sent).items() >= {"job_number": "26-900", "job_name": "Harbor Café", "taxable": "N"}.items()

    @pytest.mark.parametrize("number", ["26-900a", "26-900A"])
    def test_a_number_that_is_taken_is_refused_in_any_case(self, accounting: Accounting, number: str) -> None:
        rules, connection = accounting
        connection.create_job(request(rules, "26-900a"))
        answer = connection.create_job(request(rules, number))
        assert answer.outcome is REFUSED
        assert [rules.label(message.field) for message in answer.messages] == [rules.label("job_number")]
        assert len(connection.list_jobs().rows) == 1

    def test_a_required_value_that_is_missing_is_named(self, accounting: Accounting) -> None:
        rules, connection = accounting
        sent = request(rules, taxable="")
        answer = connection.create_job(sent)
        assert (answer.outcome, bool(answer.error)) == (REFUSED, True)
        assert [rules.label(message.field) for message in answer.messages] == [rules.label("taxable")]
        assert list(rules.problems(sent)) == ["taxable"]
        assert connection.list_jobs().rows == []

    def test_filters_show_what_they_ask_for(self, accounting: Accounting) -> None:
        rules, connection = accounting
        for number, center in (("1", "TACOMA"), ("2", "SEATTLE")):
            assert connection.create_job(request(rules, number, cost_center=center)).outcome is CREATED
        assert numbers(connection, cost_center="TACOMA") == ["1"]
        assert numbers(connection, "active") == ["1", "2"]
        assert numbers(connection, "complete") == numbers(connection, "inactive") == []

    def test_phases_are_copied_from_job_to_job_once(self, accounting: Accounting) -> None:
        rules, connection = accounting
        connection.create_job(request(rules, "1"))
        connection.create_job(request(rules, "2"))
        for name in ("Mobilization", "Start"):
            phase = Phase(("01100", "L"), "01100 L", PHASE | {"Description": name})
            assert connection.add_phase("1", phase).outcome is CREATED
        (copied,) = connection.list_phases("1 ").rows
        assert (copied.key, copied.name, copied.raw["Description"]) == (("01100", "L"), "01100 L", "Start")
        assert connection.list_phases("2").rows == []

    def test_a_phase_of_no_job_is_refused(self, accounting: Accounting) -> None:
        rules, connection = accounting
        answer = connection.add_phase("26-900", Phase(("01100", "L"), "01100 L", PHASE))
        assert [rules.label(message.field) for message in answer.messages] == [rules.label("job_number")]

    def test_an_update_changes_the_job(self, accounting: Accounting) -> None:
        rules, connection = accounting
        connection.create_job(request(rules))
        (job,), (dates,) = connection.list_jobs().rows, connection.list_job_dates().rows
        assert connection.update_job(rules.build_update(job.number, {"name": "Pier"}), job, dates).outcome is CREATED
        assert connection.list_jobs().rows[0].name == "Pier"

    def test_every_part_is_fine_and_told_of(self, accounting: Accounting) -> None:
        rules, connection = accounting
        connection.create_job(request(rules))
        learned = connection.learn()
        assert [(each.name, each.problem) for each in learned.services] == [(name, "") for name in rules.services]
        assert (learned.problem, sum(learned.jobs.values()), bool(learned.sentences)) == ("", 1, True)
        assert Learned.from_json(learned.as_json()) == learned
        assert [connection.probe(service) for service in rules.services] == [None] * len(rules.services)

    def test_a_project_and_its_job_stand_side_by_side(self, accounting: Accounting) -> None:
        rules, connection = accounting
        connection.create_job(request(rules))
        (job,) = connection.list_jobs().rows
        found = {
            each.key: each for each in rules.compare({"number": "26-900", "name": "Pier", "city": "Fife"}, job.raw)
        }
        assert (found["number"].differs, found["name"].differs, found["city"].theirs) == (False, True, "Austin")
        assert rules.project_from_job(job.raw)["city"] == "Austin"


@pytest.fixture(params=["fake", "spectrum", "ledger"])
def out_of_reach(request: pytest.FixtureRequest) -> Connection:
    fake: FakeERP | Ledger = FakeERP() if request.param == "fake" else Ledger()
    fake.reachable = False
    return client("http://127.0.0.1:9") if request.param == "spectrum" else fake


class TestOutOfReach:
    def test_a_write_is_not_sent_and_a_read_says_so(self, out_of_reach: Connection) -> None:
        rules = LEDGER_RULES if isinstance(out_of_reach, Ledger) else RULES
        assert out_of_reach.create_job(request(rules)).outcome is Outcome.NOT_SENT
        for read in (out_of_reach.list_jobs, out_of_reach.list_customers, out_of_reach.learn):
            with pytest.raises(ReadError, match="could not be reached") as failure:
                read()
            assert failure.value.outcome is Outcome.NOT_SENT


class TestFake:
    def test_a_planned_answer_comes_once_and_the_job_is_there_if_planned(self) -> None:
        fake = FakeERP()
        fake.next_create(erp.WriteResult(UNKNOWN, "No answer."), created=True)
        fake.next_create(erp.WriteResult(UNKNOWN, "No answer."), created=False)
        outcomes = [fake.create_job(request(RULES, number)).outcome for number in ("1", "2", "3")]
        assert outcomes == [UNKNOWN, UNKNOWN, CREATED]
        assert fake.kept.keys() == {"1", "3"}

    def test_more_jobs_than_the_cap_are_an_incomplete_list(self) -> None:
        fake = FakeERP({"Job_Number": "1"}, {"Job_Number": "2", "Customer_Code": "CITY"})
        fake.cap = 1
        assert fake.list_jobs().complete is False
        assert [job.number for job in fake.list_jobs(customer="city").rows] == ["2"]

    def test_a_service_that_is_missing_holds(self) -> None:
        fake = FakeERP()
        fake.missing = {"GetCustomers"}
        with pytest.raises(ReadError) as failure:
            fake.list_customers()
        assert failure.value.outcome is HELD


def test_an_adapter_is_loaded_by_the_name_of_its_system(monkeypatch: pytest.MonkeyPatch) -> None:
    assert erp.rules() is RULES
    monkeypatch.setitem(erp.ADAPTERS, "Ledger", "support.ledger")
    monkeypatch.setattr(erp, "SYSTEM", "Ledger")
    assert erp.rules() is LEDGER_RULES
    assert isinstance(erp.connect({}), Ledger)


def test_pages_load_the_rules_without_any_http() -> None:
    code = "import sys, erp; erp.rules().label('taxable'); sys.exit('httpx' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], check=False).returncode == 0
