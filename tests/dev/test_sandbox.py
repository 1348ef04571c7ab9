"""The sandbox from outside: its Spectrum over SOAP, its mailbox over SMTP, and the pages and controls of both."""

import ast
import html as entities
import re
import signal
import smtplib
import subprocess
import sys
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from flask import Flask
from lxml import etree, html

from config import load
from dev.sandbox.field_tables import parameters
from dev.sandbox.pages import CLIENT as KNOWN
from dev.sandbox.soap import cut_tail
from lib.openid import OpenIDError, Provider
from tasks import mail_delivery

ROOT = Path(__file__).resolve().parents[2]
CAPTURES = ROOT / "tests" / "erp" / "captures"
FREE_PORTS = ["--spectrum-port", "0", "--smtp-port", "0", "--mailbox-port", "0", "--oidc-port", "0"]
FREE_PORTS += ["--person", "Kari Iversen <kari@hb.example>", "--person", "Dana Whitfield <dana@hb.example>"]
SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
TYPES = "http://www.northgate-is.com/proiv/webservices/types"
WRITES = ("AddJob", "AddPhase", "UpdateJob")
READS = ("GetCustomers", "GetJob", "GetJobDates", "GetJobMain", "GetPhase")
JOB = {"Job_Number": "26-014", "Job_Description": "Depot Canopy", "Taxable_Flag": "Y", "Price_Method_Code": "F"}
PHASE = {"Phase_Code": "09910", "Description": "Painting", "Cost_Type": "L", "Price_Method_Code": "J"}
CLIENT = {"grant_type": "client_credentials", "scope": "spectrumapi", "client_id": "countersign"}
CLIENT["client_secret"] = "sandbox-secret"
JOB_ELEMENTS = {field.element for field in parameters("AddJob")}
USED = {"guid": "fresh"}
LISTS = ("GetJob", "GetJob.accents", "GetJob.quote", "GetJobMain", "GetJobDates", "GetCustomers", "GetPhase")
LISTS += ("GetCustomers.manual-words",)
CUTS = {1: "by-character-count", 2: "after-wrapper", 3: "inside-wrapper-close", 4: "between-rows", 5: "inside-row"}
SUCCESSES = [("empty", "", "empty"), ("empty-returnData", "", "empty-data"), ("blank-row", "", "blank-row")]
SUCCESSES += [("blank-row", ".spaces", "row-of-spaces"), ("good", "", "good")]

Rows = list[dict[str, str]]


class Sandbox:
    """A running sandbox: its process, its addresses, and the calls that tests make."""

    def __init__(self, data: Path) -> None:
        command = [sys.executable, "-m", "dev.sandbox", "--data", str(data), *FREE_PORTS]
        self.errors = data / "stderr"
        with self.errors.open("w") as stderr:
            self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=stderr, text=True)
        assert self.process.stdout
        addresses = dict(self.process.stdout.readline().split() for _ in range(4))
        self.spectrum = httpx.Client(base_url=addresses["spectrum"], trust_env=False, timeout=20)
        self.mailbox = httpx.Client(base_url=addresses["mailbox"], trust_env=False, timeout=20)
        self.smtp_address, self.provider = addresses["smtp"], addresses["oidc"]

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        status = self.process.wait(timeout=5)
        for thing in (self.spectrum, self.mailbox, self.process.stdout):
            thing.close()
        return status

    def post(self, service: str, body: str, timeout: float = 20, **headers: str) -> httpx.Response:
        address = f"{str(self.spectrum.base_url).rstrip('/')}/ws/{service}"
        usual = {"Content-Type": "text/xml; charset=utf-8", "SOAPAction": f'"{address}"'}
        return self.spectrum.post(address, content=body, headers=usual | headers, timeout=timeout)

    def call(self, service: str, **values: str) -> httpx.Response:
        return self.post(service, request(service, values))

    def write(self, service: str = "AddJob", **values: str) -> Rows:
        """The error rows of a write; AddJob and AddPhase begin with what they need."""
        usual = {"AddJob": JOB, "AddPhase": PHASE | {"Job_Number": "26-005"}}.get(service, {})
        return rows_of(self.call(service, **(usual | values)))

    def read(self, service: str = "GetJobMain", **values: str) -> Rows:
        return rows_of(self.call(service, **values))

    def numbers(self, **values: str) -> list[str]:
        return [row["Job_Number"] for row in self.read(**values)]

    def control(self, method: str, path: str, given: object = None) -> Any:
        answer = self.spectrum.request(method, f"/sandbox/{path}", json=given)
        answer.raise_for_status()
        return answer.json()

    def fault(self, name: str, service: str = "AddJob", **details: Any) -> None:
        self.control("POST", "faults", {"service": service, "fault": name, **details})

    def be(self, **settings: Any) -> None:
        self.control("POST", "personality", settings)

    def ask(self, path: str, **changes: str) -> Any:
        """The answer of an address that wants the client's four fields."""
        return self.spectrum.post(path, data=CLIENT | changes).json()

    def job(self, number: str = "26-014") -> dict[str, Any] | None:
        return next((job for job in self.control("GET", "jobs") if job["Job_Number"].strip() == number), None)

    def send(self, *recipients: str) -> None:
        raw = "Subject: Gr\u00fc\u00dfe <b>\r\nMIME-Version: 1.0\r\nContent-Type: text/html; charset=utf-8\r\n\r\n"
        host, port = self.smtp_address.split(":")
        with smtplib.SMTP(host, int(port), timeout=20) as conversation:
            conversation.sendmail("app@hb.example", recipients, f"{raw}<script>1</script><p>Rich.\r\n".encode())

    def mails(self) -> list[dict[str, Any]]:
        kept: list[dict[str, Any]] = self.mailbox.get("/sandbox/mails").json()
        return kept


def request(service: str, values: dict[str, str], names: list[str] | None = None, prefix: str = "") -> str:
    """A SOAP request; `names` are the parameters it carries, by default all, in order."""
    usual = {"Authorization_ID": "DEMO-COUNTERSIGN", "GUID": str(uuid.uuid4())}
    filled = usual | {"Company_Code": "HB", "pCompany_Code": "HB"} | values
    body = etree.Element(f"{{{TYPES}}}{service}", nsmap={"t": TYPES})
    for name in names if names is not None else [field.element for field in parameters(service)]:
        etree.SubElement(body, prefix + name).text = filled.get(name, "")
    return f'<e:Envelope xmlns:e="{SOAP}"><e:Body>{etree.tostring(body).decode()}</e:Body></e:Envelope>'


def rows_of(response: httpx.Response) -> Rows:
    """The rows of a reply, in whatever wrapper."""
    assert response.status_code == 200, response.text
    rows = etree.fromstring(response.content).iter("response")
    return [{child.tag: child.text or "" for child in row} for row in rows]


def codes(rows: Rows) -> list[tuple[str, str]]:
    return [(row["error_code"], row["column"]) for row in rows]


@contextmanager
def started(data: Path) -> Iterator[Sandbox]:
    running = Sandbox(data)
    try:
        yield running
    finally:
        if running.process.poll() is None:
            running.stop()


@pytest.fixture(scope="module")
def sandbox_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with started(tmp_path_factory.mktemp("sandbox")) as running:
        yield running


@pytest.fixture
def sandbox(sandbox_process: Sandbox) -> Sandbox:
    sandbox_process.control("POST", "reset")
    sandbox_process.mailbox.post("/sandbox/reset")
    return sandbox_process


class TestTheProcess:
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_stops_at_once_even_in_the_middle_of_an_answer(self, tmp_path: Path, number: int) -> None:
        with started(tmp_path) as sandbox:
            sandbox.fault("timeout")
            with pytest.raises(httpx.ReadTimeout):
                sandbox.post("AddJob", request("AddJob", JOB), timeout=0.2)
            assert sandbox.stop(number) == 0

    @pytest.mark.parametrize("option", ["--spectrum-port", "--smtp-port", "--mailbox-port"])
    def test_says_in_a_sentence_that_a_port_is_taken(self, sandbox: Sandbox, tmp_path: Path, option: str) -> None:
        command = [sys.executable, "-m", "dev.sandbox", "--data", str(tmp_path), *FREE_PORTS]
        command += [option, str(sandbox.spectrum.base_url.port)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=20, check=False)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == f"The sandbox cannot start: port {command[-1]} is taken by another program.\n"

    def test_keeps_jobs_calls_and_mails_when_it_is_killed(self, tmp_path: Path) -> None:
        with started(tmp_path) as sandbox:
            sandbox.control("POST", "reset", {"seed": False})
            assert sandbox.write() == []
            sandbox.send("ann@hb.example")
            sandbox.stop(signal.SIGKILL)
        with started(tmp_path) as sandbox:
            assert sandbox.numbers() == ["26-014"]
            assert [call["outcome"] for call in sandbox.control("GET", "calls")][:1] == ["created"]
            assert [mail["to"] for mail in sandbox.mails()] == [["ann@hb.example"]]

    def test_takes_only_the_field_tables_from_the_product(self) -> None:
        of_ours = {path.stem for path in ROOT.glob("*.py")} | {"blueprints", "erp", "services", "tasks", "tables"}
        for path in (ROOT / "dev" / "sandbox").glob("*.py"):
            nodes = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)]
            taken = {node.module for node in nodes if (node.module or "").split(".")[0] in of_ours}
            assert path.name in ("run.py", "field_tables.py") or not taken


def captured(name: str) -> bytes:
    return (CAPTURES / name).read_bytes()


def put_on_file(sandbox: Sandbox, name: str) -> None:
    """Put the jobs, phases or customers of a captured read into a sandbox without others."""
    sandbox.control("POST", "reset", {"seed": False})
    for customer in sandbox.control("GET", "customers"):
        sandbox.control("POST", "customers", {"code": customer["code"], "active": False})
    phases = []
    for row in etree.fromstring(captured(name)).iter("response"):
        value = {field.tag: entities.unescape(field.text or "") for field in row}
        if "Phase_Code" in value:
            ours = {element: value[element] for element in {"Unit_of_Measure", *PHASE} & value.keys()}
            phases.append(ours | {"Current_Est_Cost": value["Current_Estimate_Dollars"]})
        elif "Job_Number" in value:
            sandbox.control("POST", "jobs", {element: value[element] for element in JOB_ELEMENTS & value.keys()})
        if value.get("Customer_Code"):
            about = {"name": value.get("Customer_Name", value.get("Name")), "taxable": value.get("Taxable_Flag", "")}
            sandbox.control("POST", "customers", {"code": value["Customer_Code"], "active": True} | about)
    if phases:
        sandbox.control("POST", "jobs", {"Job_Number": "26-014", "phases": phases})


# the captured reply; its service, the personality, the values sent, the capture with what is on file
CAPTURED: list[tuple[str, str, dict[str, Any], dict[str, str], str]] = [
    *[(f"{name}.xml", name.split(".")[0], {}, {}, f"{name}.xml") for name in LISTS],
    *[(f"cut-tail.{n}-{how}.xml", "GetJob", {"cut_tail": n}, {}, "GetJob.accents.xml") for n, how in CUTS.items()],
    *[(f"write-{form}.AddJob{more}.xml", "AddJob", {"success": is_set}, JOB, "") for form, more, is_set in SUCCESSES],
    ("write-not-authorized.AddJob.xml", "AddJob", {}, {"Authorization_ID": "OTHER"}, ""),
    ("read-error.GetJob.E-row.xml", "GetJob", {}, {"Authorization_ID": "OTHER"}, ""),
    ("empty.GetJobMain.xml", "GetJobMain", {}, {"pCustomer_Code": "NOBODY"}, ""),
    ("empty.GetJobMain.xml", "GetJobMain", {"guid": "empty"}, {}, ""),
    ("consumed-guid.GetJobMain.xml", "GetJobMain", USED | {"used_guid": "blank row"}, {"GUID": "1"}, ""),
    ("consumed-guid.GetJobMain.spaces.xml", "GetJobMain", USED | {"used_guid": "row of spaces"}, {"GUID": "1"}, ""),
    ("fault-server.xml", "GetJobMain", {"fault_every": 1}, {}, ""),
    ("fault-client.GetJobContact.xml", "GetJob", {"missing": ["GetJob"]}, {}, ""),
]  # fmt: skip


class TestTheShapeOfReplies:
    @pytest.mark.parametrize(
        ("name", "service", "settings", "values", "on_file"), CAPTURED, ids=lambda it: str(it)[:40]
    )
    def test_a_reply_has_the_bytes_of_a_captured_one(
        self, sandbox: Sandbox, name: str, service: str, settings: dict[str, Any], values: dict[str, str], on_file: str
    ) -> None:
        if on_file:
            put_on_file(sandbox, on_file)
        sandbox.be(**settings)
        if settings.get("guid") == "fresh":
            assert len(sandbox.read(**values)) > 1
        assert sandbox.call(service, **values).content == captured(name).replace(b"GetJobContact", service.encode())

    def test_a_list_that_is_too_long_ends_as_captured(self, sandbox: Sandbox) -> None:
        put_on_file(sandbox, "GetPhase.xml")
        sandbox.write("AddPhase", Job_Number="26-014")
        sandbox.fault("cap", service="GetPhase", rows=3)
        assert sandbox.call("GetPhase").content == captured("GetPhase.W-row.xml")

    @pytest.mark.parametrize(("name", "wrapped"), [("write-errors", False), ("write-wrapped-errors", True)])
    def test_a_write_is_refused_as_captured(self, sandbox: Sandbox, name: str, wrapped: bool) -> None:
        captured_rows = etree.fromstring(captured(f"{name}.AddJob.xml")).iter("response")
        rows = [dict(zip(("code", "desc", "column"), (e.text for e in row), strict=True)) for row in captured_rows]
        sandbox.be(wrap_errors=wrapped)
        sandbox.fault("error-rows", rows=rows)
        assert sandbox.call("AddJob", **JOB).content == captured(f"{name}.AddJob.xml")

    def test_a_service_is_described_as_captured_or_missing(self, sandbox: Sandbox) -> None:
        address = str(sandbox.spectrum.base_url).rstrip("/").encode()
        described = sandbox.spectrum.get("/wsdls/GetJob.jws").content
        assert described.replace(address, b"https://spectrum.example.com:8482") == captured("GetJob.wsdl.xml")
        answer = sandbox.spectrum.get("/wsdls/GetJobContact.jws")
        assert (answer.status_code, answer.content) == (404, captured("wsdl-404.GetJobContact.html"))


@pytest.mark.parametrize("variant", [2, 3, 4, 5])
def test_the_end_of_any_write_can_be_cut(variant: int) -> None:
    for file in CAPTURES.glob("write-*.AddJob.xml"):
        cut = cut_tail(file.read_bytes().decode(), variant)
        assert file.read_bytes().startswith(cut)
        assert b"</nis:" not in cut


class TestCalls:
    @pytest.mark.parametrize("content_type", ["text/xml; charset=utf-8", "text/plain", "application/xml"])
    def test_a_call_is_taken_in_each_form_that_was_seen(self, sandbox: Sandbox, content_type: str) -> None:
        for number, prefix in (("1", ""), ("2", f"{{{TYPES}}}")):
            body = request("AddJob", JOB | {"Job_Number": number}, prefix=prefix)
            assert rows_of(sandbox.post("AddJob", body, **{"Content-Type": content_type})) == []
            assert sandbox.job(number)

    @pytest.mark.parametrize("service", WRITES + READS)
    def test_any_other_call_is_a_fault(self, sandbox: Sandbox, service: str) -> None:
        declared = [field.element for field in parameters(service)]
        for names in (declared[:-1], [*declared, "Colour"], declared[::-1]):
            answer = sandbox.post(service, request(service, JOB, names))
            assert (answer.status_code, b"SOAP-ENV:Server" in answer.content) == (500, True)
        whole = request(service, JOB)
        for body in ("no XML", f"<!DOCTYPE a [<!ENTITY b 'c'>]>{whole}", whole.replace(TYPES, "urn:other")):
            assert b"SOAP-ENV:Client" in sandbox.post(service, body).content
        assert b"SOAP-ENV:Client" in sandbox.post(service, whole, SOAPAction=f"/ws/{service}").content
        assert sandbox.job() is None


# values that are refused with an I row for their element, each beside what else the call needs
REFUSED: dict[str, dict[str, list[str]]] = {
    "AddJob": {
        "Job_Number": [" t-comm ", "26-009", "26/014"],  # on file, hidden, a sign that keys must not hold
        "Division": ["99", "one"],
        "Customer_Code": ["NOBODY", "TIDEFLATS"],  # TIDEFLATS is on hold
        "Zip_Code": ["V5K 0A1"],
        "Phone": ["253-555-0142"],
        "Price_Method_Code": ["J"],
        "Original_Contract": ["1,000"],
        "Est_Start_Date": ["02/30/2026", "2026-03-09"],
        "Master_Job": ["23-018"],  # complete
    },
    "AddPhase": {"Job_Number": ["23-018"], "Phase_Code": ["09-910"], "Cost_Type": ["X"]},
    "UpdateJob": {
        "Job_Number": ["NONE"],
        "Customer_Code": ["PIERCECO"],  # the job has a contract
        "Est_Complete_Date": ["02/01/2026"],  # before the start that is on file
    },
}


class TestWrites:
    @pytest.mark.parametrize("service", REFUSED)
    def test_a_wrong_value_is_refused_with_its_row(self, sandbox: Sandbox, service: str) -> None:
        before = sandbox.control("GET", "jobs")
        for element, values in REFUSED[service].items():
            for value in values:
                sent = {"Job_Number": "26-005"} if service == "UpdateJob" else {}
                assert codes(sandbox.write(service, **(sent | {element: value}))) == [("I", element)], value
        assert sandbox.control("GET", "jobs") == before
        assert "DEMO-COUNTERSIGN" not in str(sandbox.control("GET", "calls"))

    def test_checks_come_in_stages(self, sandbox: Sandbox) -> None:
        wrong = {"Taxable_Flag": "", "Price_Method_Code": "", "State": "X1", "Job_Number": "T-TI"}
        assert codes(sandbox.write(**wrong)) == [("M", "Taxable_Flag"), ("M", "Price_Method_Code")]
        assert codes(sandbox.write(**(wrong | {"Taxable_Flag": "Y", "Price_Method_Code": "F"}))) == [("I", "State")]
        assert codes(sandbox.write(Job_Number="T-TI", Division="9")) == [("I", "Job_Number"), ("I", "Division")]

    def test_too_long_values_are_cut_silently(self, sandbox: Sandbox) -> None:
        assert sandbox.write(Job_Description="x" * 30, State="Washington") == []
        assert (sandbox.job() or {})["Job_Description"] == "x" * 25

    def test_an_update_changes_only_values_that_are_not_blank_and_no_contract(self, sandbox: Sandbox) -> None:
        before = sandbox.job("26-005") or {}
        assert sandbox.write("UpdateJob", Job_Number="26-005", Job_Description="Bldg C", Contract_Number="X") == []
        assert sandbox.job("26-005") == before | {"Job_Description": "Bldg C"}
        sandbox.write()
        for expected in ([], [("I", "Customer_Code")]):  # the first makes a contract
            assert codes(sandbox.write("UpdateJob", Job_Number="26-014", Customer_Code="CASCREST")) == expected

    @pytest.mark.parametrize(("option", "status", "same"), [("keep", "I", True), ("reset", "A", False)])
    def test_blank_status_and_creation_date_of_an_update(
        self, sandbox: Sandbox, option: str, status: str, same: bool
    ) -> None:
        sandbox.be(update_blanks=option)
        for sent, expected in (({}, (status, same)), ({"Status_Code": "C", "Create_Date": "10/06/2025"}, ("C", True))):
            sandbox.write("UpdateJob", Job_Number="25-056", City="Tacoma", **sent)
            job = sandbox.job("25-056") or {}
            assert (job["Status_Code"], job["Create_Date"] == "10/06/2025") == expected


class TestReads:
    def test_superselect_chooses(self, sandbox: Sandbox) -> None:
        for selection, customers in ((" pierceco ", 1), ("?IERCECO", 1), ("IERCECO", 0), ("S/SZ", 2), ("T*,S*", 4)):
            found = {row["Customer_Code"] for row in sandbox.read(pCustomer_Code=selection)}
            assert (selection, len(found)) == (selection, customers)
        assert sandbox.numbers(pCustomer_Code="all") == sandbox.numbers(pDivision="*") == sandbox.numbers()
        assert sandbox.numbers(pCost_Center="SERV*") == []  # cost center and status know no operators

    def test_customers_are_active_or_all(self, sandbox: Sandbox) -> None:
        counts = [len(sandbox.read("GetCustomers", pStatus=status)) for status in ("", "I", "ALL")]
        assert counts == [13, 14, 14]

    @pytest.mark.parametrize("divisions", [True, False])
    def test_more_than_five_hundred_rows_end_with_a_warning(self, sandbox: Sandbox, divisions: bool) -> None:
        given = {"jobs": 600, "seed": False, "divisions": divisions}
        assert sandbox.control("POST", "reset", given) == {"jobs": 600}
        *rows, last = sandbox.read()
        assert (len(rows), last["Error_Code"], last["Job_Number"]) == (500, "W", " ")
        assert len({row["Division"] for row in rows}) == (10 if divisions else 1)

    def test_odd_numbers_come_sorted_by_right_justified_number(self, sandbox: Sandbox) -> None:
        sandbox.control("POST", "reset", {"seed": False, "odd": True})
        numbers = sandbox.numbers()
        assert {"7", "19/04", "22 110", "24-107E1", "25-4-1-07"} < set(numbers)
        assert numbers == sorted(numbers, key=lambda number: number.rjust(10))


class TestPersonalities:
    @pytest.mark.parametrize(("guid", "answers"), [("any", [1, 1, 1]), ("fresh", [0, 1, 0]), ("empty", [1, 0, 0])])
    def test_guids(self, sandbox: Sandbox, guid: str, answers: list[bool]) -> None:
        sandbox.be(guid=guid)
        assert [bool(sandbox.numbers(GUID=sent)) for sent in ("", "one", "one")] == answers
        assert bool(sandbox.read("GetJob", GUID="one")) == (guid != "empty")  # each service for itself

    def test_basic_sign_in(self, sandbox: Sandbox) -> None:
        sandbox.be(sign_in="basic")
        basic = {"Authorization": "Basic SEI6REVNTy1DT1VOVEVSU0lHTg=="}  # HB:DEMO-COUNTERSIGN
        answers = [sandbox.post("GetJob", request("GetJob", {}), **headers) for headers in ({}, basic)]
        assert [answer.status_code for answer in answers] == [401, 200]

    def test_a_token_expires_and_a_rotated_secret_stops_at_once(self, sandbox: Sandbox) -> None:
        sandbox.be(sign_in="token", wsdl_sign_in=True)
        assert sandbox.call("GetJob").status_code == sandbox.spectrum.get("/wsdls/GetJob.jws").status_code == 401
        given = sandbox.ask("/connect/token")
        bearer = {"Authorization": f"Bearer {given['access_token']}"}
        assert given["expires_in"] == 3600
        assert rows_of(sandbox.post("GetJob", request("GetJob", {}), **bearer))
        sandbox.control("DELETE", "tokens")
        assert sandbox.post("GetJob", request("GetJob", {}), **bearer).status_code == 401
        sandbox.be(token_seconds=0)
        bearer = {"Authorization": f"Bearer {sandbox.ask('/connect/token')['access_token']}"}
        assert sandbox.post("GetJob", request("GetJob", {}), **bearer).status_code == 401
        rotated = sandbox.ask("/secretRotation")
        assert rotated.keys() == {"client_secret", "estimated_expiration"}
        assert sandbox.ask("/connect/token") == {"error": "invalid_client"}
        assert sandbox.ask("/connect/token", client_secret=rotated["client_secret"])["access_token"]

    @pytest.mark.parametrize("path", ["/connect/token", "/secretRotation"])
    def test_no_token_without_a_right_and_living_secret(self, sandbox: Sandbox, path: str) -> None:
        sandbox.be(sign_in="token", self_rotation=False)
        assert sandbox.ask(path, scope="other") == {"error": "invalid_scope"}
        assert sandbox.ask(path, client_secret="other") == {"error": "invalid_client"}
        assert sandbox.ask("/secretRotation") == {"error": "unauthorized_client"}
        sandbox.be(secret_expired=True)
        assert sandbox.ask(path) == {"error": "invalid_client"}

    def test_it_stumbles_over_every_third_read_and_over_calls_at_once(self, sandbox: Sandbox) -> None:
        sandbox.be(fault_every=3)
        assert [sandbox.call("GetJob").status_code for _ in range(6)] == [200, 200, 500, 200, 200, 500]
        sandbox.be(fault_every=0, fault_above=1)
        sandbox.fault("slow", service="*", times=None, milliseconds=300)
        with ThreadPoolExecutor(2) as both:
            answers = [both.submit(sandbox.call, "GetJob") for _ in range(2)]
        assert sorted(answer.result().status_code for answer in answers) == [200, 500]

    @pytest.mark.parametrize(
        ("damage", "found"), [("byte", b"Tem\xe9plate"), ("ampersand", b"Tem&plate"), ("control", b"Tem\x0bplate")]
    )
    def test_one_row_is_damaged(self, sandbox: Sandbox, damage: str, found: bytes) -> None:
        sandbox.be(damage=damage, damaged_job="T-COMM")
        answer = sandbox.call("GetJobMain").content
        assert answer.count(found) == 1
        with pytest.raises(etree.XMLSyntaxError):
            etree.fromstring(answer)

    def test_the_page_shows_and_changes_it(self, sandbox: Sandbox) -> None:
        sandbox.be(guid="fresh", cut_tail=4, missing=["GetJob", "GetPhase"], self_rotation=False)
        before = sandbox.control("GET", "personality")
        (form,) = tree(sandbox.spectrum.get("/personality")).xpath("//form[@action='/personality']")
        assert sandbox.spectrum.post("/personality", data=dict(form.form_values())).status_code == 303
        assert sandbox.control("GET", "personality") == before
        assert "Unusual behavior" in sandbox.spectrum.get("/").text
        sandbox.spectrum.post("/personality", data={"ordinary": "yes"})
        assert sandbox.control("DELETE", "personality")["guid"] == "any"


RESET = {"service": "AddJob", "fault": "reset"}
WRONG: dict[str, list[Any]] = {
    "faults": [RESET | {"fault": "x"}, RESET | {"service": "x"}, RESET | {"created": "yes"}, RESET | {"times": 0}],
    "personality": [{"mood": "bad"}, {"guid": "old"}, {"cut_tail": True}, [1]],
    "jobs": [{"Job_Number": "1", "Town": "X"}, {}],
    "customers": [{"name": "City"}],
}


class TestFaults:
    def test_a_broken_answer_ends_as_its_fault_says(self, sandbox: Sandbox) -> None:
        short, broken = {"seconds": 0.1}, httpx.RemoteProtocolError
        faults = [("timeout", short, broken), ("cut", {}, broken), ("reset", {"created": True}, httpx.ReadError)]
        for fault, details, error in [*faults, ("drip", {"seconds": 1}, httpx.ReadTimeout)]:
            sandbox.fault(fault, **details)
            with pytest.raises(error):
                sandbox.post("AddJob", request("AddJob", JOB | {"Job_Number": fault}), timeout=0.5)
        assert [bool(sandbox.job(fault)) for fault, _, _ in faults] == [False, True, True]
        assert sandbox.errors.read_text() == ""

    def test_counted_faults_are_used_up_in_order_and_others_hold(self, sandbox: Sandbox) -> None:
        sandbox.fault("e-row", times=2)
        sandbox.fault("abort", service="AddPhase", times=None)
        assert [codes(sandbox.write()) for _ in range(3)] == [[("E", "Job_Number")]] * 2 + [[]]
        assert codes(sandbox.write("AddPhase")) == codes(sandbox.write("AddPhase")) == [("A", "")]
        (fault,) = sandbox.control("GET", "faults")
        assert sandbox.control("DELETE", f"faults/{fault['id']}") == []
        assert sandbox.write("AddPhase") == []

    @pytest.mark.parametrize("path", WRONG)
    def test_a_wrong_instruction_is_refused_in_a_sentence(self, sandbox: Sandbox, path: str) -> None:
        for given in WRONG[path]:
            answer = sandbox.spectrum.post(f"/sandbox/{path}", json=given)
            assert (answer.status_code, answer.json()["error"][-1]) == (400, ".")


def tree(answer: httpx.Response) -> Any:
    """A page, parsed."""
    assert answer.status_code == 200
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    return html.fromstring(answer.text)


class TestThePages:
    def test_a_new_job_comes_first_until_it_is_deleted(self, sandbox: Sandbox) -> None:
        new = {"Job_Number": "26/020", "Job_Description": "<b>Depot</b>", "phases": [PHASE]}
        assert sandbox.control("POST", "jobs", new)["phases"]
        first = tree(sandbox.spectrum.get("/")).xpath("//tbody/tr")[0]
        assert [cell.text_content().strip() for cell in first][:2] == ["26/020", "<b>Depot</b>"]
        assert tree(sandbox.spectrum.get(first.xpath(".//a/@href")[0])).xpath("//td/text()[.='Painting']")
        sandbox.control("POST", "jobs", {"Job_Number": "26/020", "hidden": True})
        assert "26/020" not in sandbox.numbers()
        sandbox.control("DELETE", "jobs/26/020")
        assert sandbox.spectrum.get("/jobs/26/020").status_code == 404

    def test_every_fault_can_be_switched_on_and_off_by_its_form(self, sandbox: Sandbox) -> None:
        for site, count in ((sandbox.spectrum, 30), (sandbox.mailbox, 2)):
            forms = tree(site.get("/faults")).xpath("//form[@action='/faults']")
            assert len(forms) == count
            for form in forms:
                assert site.post("/faults", data=dict(form.form_values())).status_code == 303
            assert [fault["times"] for fault in site.get("/sandbox/faults").json()][: count - 1] == [1] * (count - 1)
            assert "Faults are switched on" in site.get("/").text
            for form in tree(site.get("/faults")).xpath("//form[@action='/faults/off']"):
                site.post("/faults/off", data=dict(form.form_values()))
            assert site.get("/sandbox/faults").json() == []

    def test_a_mail_is_kept_as_received_and_can_do_nothing(self, sandbox: Sandbox) -> None:
        sandbox.send("a@hb.example", "b@hb.example")
        (mail,) = sandbox.mails()
        assert (mail["n"], mail["to"], mail["subject"]) == (1, ["a@hb.example", "b@hb.example"], "Gr\u00fc\u00dfe <b>")
        raw = sandbox.mailbox.get(tree(sandbox.mailbox.get("/")).xpath("//tbody//a/@href")[1])
        assert (raw.headers["Content-Type"], b"<p>Rich.\r\n" in raw.content) == ("message/rfc822", True)
        (frame,) = tree(sandbox.mailbox.get("/mails/1")).xpath("//iframe[@sandbox='']/@src")
        policy = sandbox.mailbox.get(frame).headers["Content-Security-Policy"]
        assert policy.startswith("sandbox; default-src 'none'")


BACK = "http://127.0.0.1:8000/login/oidc/callback"


class TestOpenIDProvider:
    """The product's own client signs in with it."""

    def test_signs_in_whoever_is_chosen_and_renews_without_a_page(self, sandbox: Sandbox) -> None:
        provider = Provider(sandbox.provider, "countersign", "sandbox-secret", "the sandbox")
        with httpx.Client(base_url=sandbox.provider, trust_env=False) as browser:
            silent = browser.get(provider.authorization_url(BACK, "state-0", "nonce-0", "v" * 43, True))
            assert silent.headers["location"] == f"{BACK}?error=login_required&state=state-0"
            page = browser.get(provider.authorization_url(BACK, "state-1", "nonce-1", "v" * 43, False)).text
            links = dict(re.findall(r'<a href="(/answer[^"]+)">([^<]+)</a>', page))
            assert list(links.values()) == ["Kari Iversen", "Dana Whitfield", "Sam Newcomer"]
            dana = next(entities.unescape(link) for link, name in links.items() if name == "Dana Whitfield")
            for answer, nonce in (
                (browser.get(dana), "nonce-1"),
                (browser.get(provider.authorization_url(BACK, "state-2", "nonce-2", "v" * 43, True)), "nonce-2"),
            ):
                code = parse_qs(urlsplit(answer.headers["location"]).query)["code"][0]
                claims = provider.claims(code, BACK, nonce, "v" * 43)
                assert (claims["email"], claims["email_verified"]) == ("dana@hb.example", True)
                assert claims["name"] == "Dana Whitfield"
            with pytest.raises(OpenIDError, match="no longer accepts"):
                provider.claims(code, BACK, nonce, "v" * 43)

    def test_answers_countersign_on_this_machine_only(self, sandbox: Sandbox) -> None:
        right = Provider(sandbox.provider, "countersign", "sandbox-secret", "the sandbox")
        other = Provider(sandbox.provider, "another", "x", "the sandbox")
        with pytest.raises(OpenIDError, match="OIDC_CLIENT_SECRET"):
            other.claims("no-code", BACK, "nonce", "v" * 43)
        for provider, back in ((other, BACK), (right, "https://evil.example/login/oidc/callback")):
            address = provider.authorization_url(back, "state", "nonce", "v" * 43, False)
            assert httpx.get(address, trust_env=False).status_code == 400


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
class TestMailProvider:
    """The product's own ways to send mail by token work with it."""

    @pytest.mark.parametrize("way", ["oauth", "graph"])
    def test_takes_mail_with_its_token_only(
        self, sandbox: Sandbox, way: str, app: Flask, environ: dict[str, str]
    ) -> None:
        provider, port = str(sandbox.mailbox.base_url).rstrip("/"), sandbox.smtp_address.rpartition(":")[2]
        names = ("TENANT", "CLIENT_ID", "CLIENT_SECRET", "TOKEN_URL")
        values = ("sandbox", *KNOWN, f"{provider}/oauth/token")
        settings = {f"MAIL_OAUTH_{name}": value for name, value in zip(names, values, strict=True)}
        settings |= {"MAIL_AUTH": way, "MAIL_PORT": port, "MAIL_GRAPH_URL": f"{provider}/v1.0"}
        settings |= {"MAIL_USERNAME": "erp@hb.example", "MAIL_DEFAULT_SENDER": "erp@hb.example"}
        app.config |= load(environ | settings)
        worked, said = mail_delivery.send_test("it@hb.example")
        assert worked, said
        assert [mail["to"] for mail in sandbox.mails()] == [["it@hb.example"]]
        app.extensions["mail token"] = replace(app.extensions["mail token"], text="forged")
        assert mail_delivery.send_test("it@hb.example")[0]
        assert app.extensions["mail token"].text != "forged"  # it was refused, and another one fetched
        app.extensions["mail token"], app.config["MAIL_OAUTH_CLIENT_SECRET"] = None, "another"
        worked, said = mail_delivery.send_test("it@hb.example")
        assert not worked
        assert "MAIL_OAUTH_CLIENT_SECRET" in said
        assert len(sandbox.mails()) == 2
