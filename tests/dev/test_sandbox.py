"""The sandbox from outside: its Spectrum over SOAP, its mailbox over SMTP, and the pages and controls of both."""

import ast
import html as entities
import re
import signal
import smtplib
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from lxml import etree, html

from dev.sandbox import seed
from dev.sandbox.field_tables import ERROR_COLUMNS, parameters, returns
from dev.sandbox.personality import Installation
from dev.sandbox.services import Call
from dev.sandbox.soap import cut_tail
from dev.sandbox.spectrum_faults import unless_reset
from dev.sandbox.store import Store

ROOT = Path(__file__).resolve().parents[2]
CAPTURES = ROOT / "tests" / "erp" / "captures"
SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
TYPES = "http://www.northgate-is.com/proiv/webservices/types"
WRITES = ("AddJob", "AddPhase", "UpdateJob")
READS = ("GetCustomers", "GetJob", "GetJobDates", "GetJobMain", "GetPhase")
JOB = {"Job_Number": "26-014", "Job_Description": "Depot Canopy", "Taxable_Flag": "Y", "Price_Method_Code": "F"}
PHASE = {"Phase_Code": "09910", "Description": "Painting", "Cost_Type": "L", "Price_Method_Code": "J"}
CLIENT = {"grant_type": "client_credentials", "scope": "spectrumapi", "client_id": "countersign"}
SECRET = {"client_secret": "sandbox-secret"}

Rows = list[dict[str, str]]


class Sandbox:
    """A running sandbox: its process, its addresses, and the calls that tests make."""

    def __init__(self, data: Path) -> None:
        ports = ["--spectrum-port", "0", "--smtp-port", "0", "--mailbox-port", "0"]
        command = [sys.executable, "-m", "dev.sandbox", "--data", str(data), *ports]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout
        addresses = dict(self.process.stdout.readline().split() for _ in range(3))
        self.spectrum = httpx.Client(base_url=addresses["spectrum"], trust_env=False, timeout=20)
        self.mailbox = httpx.Client(base_url=addresses["mailbox"], trust_env=False, timeout=20)
        self.smtp_address = addresses["smtp"]

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

    def job(self, number: str = "26-014") -> dict[str, Any] | None:
        return next((job for job in self.control("GET", "jobs") if job["Job_Number"].strip() == number), None)

    def smtp(self, timeout: float = 20) -> smtplib.SMTP:
        host, port = self.smtp_address.split(":")
        return smtplib.SMTP(host, int(port), timeout=timeout)

    def send(self, *recipients: str, timeout: float = 20) -> None:
        raw = "Subject: Gr\u00fc\u00dfe <b>\r\nMIME-Version: 1.0\r\nContent-Type: text/html; charset=utf-8\r\n\r\n"
        with self.smtp(timeout) as conversation:
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


def eventually(look: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 10
    while not (found := look()):
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.02)
    return found


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
        ports = {"--spectrum-port": "0", "--smtp-port": "0", "--mailbox-port": "0"}
        ports[option] = str(sandbox.spectrum.base_url.port)
        words = [word for pair in ports.items() for word in pair]
        command = [sys.executable, "-m", "dev.sandbox", "--data", str(tmp_path), *words]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=20, check=False)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == f"The sandbox cannot start: port {ports[option]} is taken by another program.\n"

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


def captured_rows(name: str) -> Rows:
    """The rows of a captured read, without error columns, as they are on file."""
    rows = [{e.tag: e.text or "" for e in row} for row in etree.fromstring(captured(name)).iter("response")]
    return [
        {name: entities.unescape(text) for name, text in row.items() if name not in ERROR_COLUMNS}
        for row in rows
        if row.get("Error_Code") != "W"
    ]


def put_jobs(sandbox: Sandbox, name: str) -> None:
    """Put the jobs of a captured read into a sandbox without others."""
    sandbox.control("POST", "reset", {"seed": False})
    ours = {field.element for field in parameters("AddJob")}
    for row in captured_rows(name):
        sandbox.control("POST", "jobs", {element: text for element, text in row.items() if element in ours})
        if row.get("Customer_Name"):
            customer = {"code": row["Customer_Code"], "name": row["Customer_Name"]}
            sandbox.control("POST", "customers", customer)


class TestTheShapeOfReplies:
    """Byte for byte as captured from real servers, with the captured values on file."""

    @pytest.mark.parametrize(
        "name", ["GetJob.xml", "GetJob.accents.xml", "GetJob.quote.xml", "GetJobMain.xml", "GetJobDates.xml"]
    )
    def test_jobs_are_listed_as_captured(self, sandbox: Sandbox, name: str) -> None:
        put_jobs(sandbox, name)
        assert sandbox.call(name.split(".")[0]).content == captured(name)

    @pytest.mark.parametrize("name", ["GetCustomers.xml", "GetCustomers.manual-words.xml"])
    def test_customers_are_listed_as_captured(self, sandbox: Sandbox, name: str) -> None:
        for row in captured_rows(name):
            customer = {"code": row["Customer_Code"], "name": row["Name"], "taxable": row["Taxable_Flag"]}
            sandbox.control("POST", "customers", customer)
        seeded = rb"    <response>\r\n        <Company_Code>HB</Company_Code>\r\n        <Customer_Code>[A-Z]{6}"
        answer = sandbox.call("GetCustomers").content
        assert re.sub(seeded + rb"(?s:.+?)</response>\r\n", b"", answer) == captured(name)

    @pytest.mark.parametrize(("name", "more"), [("GetPhase.xml", 0), ("GetPhase.W-row.xml", 1)])
    def test_phases_are_listed_as_captured(self, sandbox: Sandbox, name: str, more: int) -> None:
        wanted = ("Phase_Code", "Cost_Type", "Description", "Unit_of_Measure")
        phases = [
            {element: row[element] for element in wanted} | {"Current_Est_Cost": row["Current_Estimate_Dollars"]}
            for row in captured_rows(name)
        ]
        phases += [PHASE] * more
        sandbox.control("POST", "jobs", {"Job_Number": "26-014", "phases": phases})
        sandbox.fault("cap", service="GetPhase", rows=3)
        assert sandbox.call("GetPhase", pJob_Number="26-014").content == captured(name)

    @pytest.mark.parametrize(
        ("name", "setting"),
        [
            ("write-empty.AddJob.xml", {}),
            ("write-empty-returnData.AddJob.xml", {"success": "empty-data"}),
            ("write-blank-row.AddJob.xml", {"success": "blank-row"}),
            ("write-blank-row.AddJob.spaces.xml", {"success": "row-of-spaces"}),
            ("write-good.AddJob.xml", {"success": "good"}),
        ],
    )
    def test_a_write_says_success_in_five_ways(self, sandbox: Sandbox, name: str, setting: dict[str, Any]) -> None:
        sandbox.be(**setting)
        assert sandbox.call("AddJob", **JOB).content == captured(name)
        assert sandbox.job()

    @pytest.mark.parametrize(
        ("name", "setting"),
        [("write-errors.AddJob.xml", {}), ("write-wrapped-errors.AddJob.xml", {"wrap_errors": True})],
    )
    def test_a_write_is_refused_as_captured(self, sandbox: Sandbox, name: str, setting: dict[str, Any]) -> None:
        rows = [dict(zip(("code", "desc", "column"), row.values(), strict=True)) for row in captured_rows(name)]
        sandbox.be(**setting)
        sandbox.fault("error-rows", rows=rows)
        assert sandbox.call("AddJob", **JOB).content == captured(name)

    @pytest.mark.parametrize(
        ("name", "setting", "values"),
        [
            ("read-error.GetJob.E-row.xml", {}, {"Authorization_ID": "OTHER"}),
            ("write-not-authorized.AddJob.xml", {}, {"Authorization_ID": "OTHER"}),
            ("empty.GetJobMain.xml", {}, {"pCustomer_Code": "NOBODY"}),
            ("empty.GetJobMain.xml", {"guid": "empty"}, {}),
            ("consumed-guid.GetJobMain.xml", {"guid": "fresh", "used_guid": "blank row"}, {"GUID": "1"}),
            ("consumed-guid.GetJobMain.spaces.xml", {"guid": "fresh", "used_guid": "row of spaces"}, {"GUID": "1"}),
            ("fault-server.xml", {"fault_every": 2}, {}),
            ("fault-client.GetJobContact.xml", {}, {}),
        ],
    )
    def test_an_answer_without_rows_is_as_captured(
        self, sandbox: Sandbox, name: str, setting: dict[str, Any], values: dict[str, str]
    ) -> None:
        sandbox.be(**setting)
        sandbox.call("GetJobMain", **values)
        service = name.split(".")[1] if name != "fault-server.xml" else "GetJobMain"
        body = request(service if service != "GetJobContact" else "GetJob", JOB | values)
        assert sandbox.post(service, body).content == captured(name)

    def test_a_service_that_is_missing_has_no_description(self, sandbox: Sandbox) -> None:
        sandbox.be(missing=["GetJobDates"])
        for service in ("GetJobDates", "GetJobContact"):
            answer = sandbox.spectrum.get(f"/wsdls/{service}.jws")
            assert answer.status_code == 404
            assert answer.content.replace(service.encode(), b"GetJobContact") == captured("wsdl-404.GetJobContact.html")
        assert b"Could not find WebService named: GetJobDates" in sandbox.call("GetJobDates").content

    def test_a_description_is_as_captured(self, sandbox: Sandbox) -> None:
        answer = sandbox.spectrum.get("/wsdls/GetJob.jws").content
        address = f"{sandbox.spectrum.base_url}".rstrip("/").encode()
        assert answer.replace(address, b"https://spectrum.example.com:8482") == captured("GetJob.wsdl.xml")

    @pytest.mark.parametrize("variant", [1, 2, 3, 4, 5])
    def test_ends_are_cut_as_captured(self, sandbox: Sandbox, variant: int) -> None:
        (file,) = CAPTURES.glob(f"cut-tail.{variant}-*.xml")
        put_jobs(sandbox, "GetJob.accents.xml")
        sandbox.be(cut_tail=variant)
        assert sandbox.call("GetJob").content == captured(file.name)
        assert sandbox.write(Job_Number="26-015") == []  # writes stay whole

    @pytest.mark.parametrize("variant", [2, 3, 4, 5])
    @pytest.mark.parametrize("file", sorted(CAPTURES.glob("write-*.AddJob.xml")), ids=lambda file: file.stem)
    def test_the_end_of_any_write_can_be_cut(self, file: Path, variant: int) -> None:
        text = file.read_bytes().decode()
        cut = cut_tail(text, variant)
        assert file.read_bytes().startswith(cut)
        assert b"</SOAP-ENV" not in cut.partition(b"<SOAP-ENV:Body>")[2]


class TestCalls:
    @pytest.mark.parametrize("prefix", ["", f"{{{TYPES}}}"], ids=["unqualified", "qualified"])
    @pytest.mark.parametrize("content_type", ["text/xml; charset=utf-8", "text/plain", "application/xml"])
    def test_parameters_are_taken_with_and_without_the_namespace(
        self, sandbox: Sandbox, prefix: str, content_type: str
    ) -> None:
        answer = sandbox.post("AddJob", request("AddJob", JOB, prefix=prefix), **{"Content-Type": content_type})
        assert rows_of(answer) == []
        assert sandbox.job()

    @pytest.mark.parametrize("service", WRITES + READS)
    def test_a_parameter_that_is_missing_unknown_or_out_of_order_is_a_server_fault(
        self, sandbox: Sandbox, service: str
    ) -> None:
        declared = [field.element for field in parameters(service)]
        for names in (declared[:-1], declared[1:], [*declared, "Colour"], declared[::-1]):
            answer = sandbox.post(service, request(service, JOB, names))
            assert (answer.status_code, b"SOAP-ENV:Server" in answer.content) == (500, True)
        assert sandbox.job() is None

    @pytest.mark.parametrize(
        ("body", "headers"),
        [
            ("not XML", {}),
            ("<!DOCTYPE a [<!ENTITY b 'c'>]>" + request("AddJob", JOB), {}),
            (request("AddJob", JOB).replace(TYPES, "urn:other"), {}),
            (request("AddJob", JOB).replace(SOAP, "http://www.w3.org/2003/05/soap-envelope"), {}),
            (request("GetJob", {}), {}),
            (request("AddJob", JOB), {"SOAPAction": "/ws/AddJob"}),
            (request("AddJob", JOB), {"Content-Type": "application/json"}),
        ],
        ids=["no XML", "document type", "namespace", "SOAP 1.2", "other service", "SOAPAction", "Content-Type"],
    )
    def test_a_malformed_call_is_a_client_fault(self, sandbox: Sandbox, body: str, headers: dict[str, str]) -> None:
        answer = sandbox.post("AddJob", body, **headers)
        assert (answer.status_code, b"SOAP-ENV:Client" in answer.content) == (500, True)
        assert sandbox.job() is None

    def test_the_log_of_calls_never_holds_the_authorization(self, sandbox: Sandbox) -> None:
        sandbox.write()
        sandbox.write(State="X")
        sandbox.read("GetPhase", pJob_Number="26-014")
        calls = sandbox.control("GET", "calls")
        assert [(call["service"], call["job_number"], call["outcome"]) for call in calls] == [
            ("AddJob", "26-014", "created"),
            ("AddJob", "26-014", "refused: I State"),
            ("GetPhase", "26-014", "0 rows"),
        ]
        assert "DEMO-COUNTERSIGN" not in str(calls)


# service, the values, the error row
WRONG: list[tuple[str, dict[str, str], str, str]] = [
    *[("AddJob", {element: ""}, "M", element) for element in ("Company_Code", *JOB) if element != "Job_Description"],
    ("AddJob", {"Taxable_Flag": " "}, "M", "Taxable_Flag"),
    ("AddJob", {"Job_Number": " t-comm "}, "I", "Job_Number"),
    ("AddJob", {"Job_Number": "26-009"}, "I", "Job_Number"),  # hidden
    ("AddJob", {"Job_Number": "26/014"}, "I", "Job_Number"),
    ("AddJob", {"Division": "99"}, "I", "Division"),
    ("AddJob", {"Cost_Center": "MARS"}, "I", "Cost_Center"),
    ("AddJob", {"Customer_Code": "NOBODY"}, "I", "Customer_Code"),
    ("AddJob", {"Customer_Code": "TIDEFLATS"}, "I", "Customer_Code"),  # on hold
    ("AddJob", {"Customer_Code": "COMMBAY", "Cost_Center": "TACOMA"}, "I", "Cost_Center"),
    ("AddJob", {"Zip_Code": "V5K 0A1"}, "I", "Zip_Code"),
    ("AddJob", {"Phone": "253-555-0142"}, "I", "Phone"),
    ("AddJob", {"Taxable_Flag": "y"}, "I", "Taxable_Flag"),
    ("AddJob", {"Price_Method_Code": "J"}, "I", "Price_Method_Code"),
    ("AddJob", {"Original_Contract": "1,000"}, "I", "Original_Contract"),
    ("AddJob", {"Est_Start_Date": "02/30/2026"}, "I", "Est_Start_Date"),
    ("AddJob", {"Est_Start_Date": "03/09/2026", "Est_Complete_Date": "03/08/2026"}, "I", "Est_Complete_Date"),
    ("AddJob", {"Work_State_Tax_Code": "WA", "Work_Local_Tax_Cod": "wa"}, "I", "Work_State_Tax_Code"),
    ("AddJob", {"Track_Davis_Bacon": "Y", "Track_Prevailing_Wage": "F"}, "I", "Track_Davis_Bacon"),
    ("AddJob", {"UDF1": "x"}, "I", "UDF1"),
    ("AddJob", {"Master_Job": "23-018"}, "I", "Master_Job"),  # complete
    ("AddPhase", {"Job_Number": "23-018"}, "I", "Job_Number"),  # complete
    ("AddPhase", {"Phase_Code": "09-910"}, "I", "Phase_Code"),
    ("AddPhase", {"Description": ""}, "M", "Description"),
    ("AddPhase", {"Cost_Type": "X"}, "I", "Cost_Type"),
    ("AddPhase", {"Company_Code": "ZZ"}, "A", "Authorization_ID"),
    ("UpdateJob", {"Job_Number": ""}, "M", "Job_Number"),
    ("UpdateJob", {"Job_Number": "NONE"}, "I", "Job_Number"),
    ("UpdateJob", {"Job_Number": "26-005", "Customer_Code": "PIERCECO"}, "I", "Customer_Code"),  # has a contract
    ("UpdateJob", {"Job_Number": "26-005", "Est_Complete_Date": "02/01/2026"}, "I", "Est_Complete_Date"),
    ("UpdateJob", {"Job_Number": "26-005", "Phone": "253-555-0142"}, "I", "Phone"),
]


class TestWrites:
    @pytest.mark.parametrize(("service", "values", "code", "column"), WRONG, ids=str)
    def test_a_wrong_value_is_refused_with_its_row(
        self, sandbox: Sandbox, service: str, values: dict[str, str], code: str, column: str
    ) -> None:
        before = sandbox.control("GET", "jobs")
        assert codes(sandbox.write(service, **values)) == [(code, column)]
        assert sandbox.control("GET", "jobs") == before

    def test_checks_come_in_stages(self, sandbox: Sandbox) -> None:
        wrong = {"Taxable_Flag": "", "State": "X1", "Job_Number": "T-TI"}
        for given, expected in [({}, [("M", "Taxable_Flag")]), ({"Taxable_Flag": "Y"}, [("I", "State")])]:
            assert codes(sandbox.write(**(wrong | given))) == expected
        assert codes(sandbox.write(Job_Number="T-TI", Customer_Code="X")) == [
            ("I", "Job_Number"),
            ("I", "Customer_Code"),
        ]

    def test_every_job_of_the_seed_would_be_taken(self, sandbox: Sandbox) -> None:
        seeded = sandbox.control("GET", "jobs")
        sandbox.control("POST", "reset", {"seed": False})
        ours = {field.element for field in parameters("AddJob")}
        answers = {job["Job_Number"]: sandbox.write(**{e: job[e] for e in ours & job.keys()}) for job in seeded}
        assert [number for number, rows in answers.items() if rows] == ["25-023"]  # its customer is on hold by now

    def test_too_long_values_are_cut_silently(self, sandbox: Sandbox) -> None:
        assert sandbox.write(Job_Description="x" * 30, State="Washington") == []
        job = sandbox.job() or {}
        assert (job["Job_Description"], job["State"]) == ("x" * 25, "Wa")

    def test_an_update_changes_only_the_values_that_are_not_blank(self, sandbox: Sandbox) -> None:
        before = sandbox.job("26-005") or {}
        assert sandbox.write("UpdateJob", Job_Number="26-005", Job_Description="Bldg C", Contract_Number="X") == []
        assert sandbox.job("26-005") == before | {"Job_Description": "Bldg C"}

    def test_an_update_gives_a_contract_only_to_a_job_without_one(self, sandbox: Sandbox) -> None:
        sandbox.write()
        for expected in ([], [("I", "Customer_Code")]):
            assert codes(sandbox.write("UpdateJob", Job_Number="26-014", Customer_Code="CASCREST")) == expected

    @pytest.mark.parametrize(("option", "status", "same"), [("keep", "I", True), ("reset", "A", False)])
    def test_blank_status_and_creation_date_of_an_update(
        self, sandbox: Sandbox, option: str, status: str, same: bool
    ) -> None:
        sandbox.be(update_blanks=option)
        sandbox.write("UpdateJob", Job_Number="25-056", City="Tacoma")
        job = sandbox.job("25-056") or {}
        assert (job["Status_Code"], job["Create_Date"] == "10/06/2025") == (status, same)
        sandbox.write("UpdateJob", Job_Number="25-056", Status_Code="C", Create_Date="10/06/2025")
        job = sandbox.job("25-056") or {}
        assert (job["Status_Code"], job["Create_Date"]) == ("C", "10/06/2025")

    def test_a_phase_is_replaced_and_shares_its_description(self, sandbox: Sandbox) -> None:
        sandbox.write("AddPhase", Original_Est_Hours="8")
        assert sandbox.write("AddPhase", Cost_Type="M", Description="") == []
        assert sandbox.write("AddPhase", Description="Coatings") == []
        phases = sandbox.read("GetPhase", pJob_Number="26-005")
        assert [(p["Cost_Type"], p["Description"], p["Estimated_Hours"]) for p in phases] == [
            ("L", "Coatings", ".00"),
            ("M", "Coatings", ".00"),
        ]


class TestReads:
    @pytest.mark.parametrize("service", READS)
    def test_a_row_has_the_elements_of_its_table_in_order(self, sandbox: Sandbox, service: str) -> None:
        assert tuple(sandbox.read(service)[0]) == returns(service)

    def test_a_blank_status_means_active_and_inactive(self, sandbox: Sandbox) -> None:
        assert set(sandbox.numbers(pStatus_Code="I")) == {"25-023", "25-056", "T-RESI"}
        assert set(sandbox.numbers(pStatus_Code="C")) == {"23-018", "23-044", "24-009"}
        assert set(sandbox.numbers()) == {n for status in "AI" for n in sandbox.numbers(pStatus_Code=status)}

    @pytest.mark.parametrize(("status", "count"), [("", 13), ("I", 14), ("ALL", 14)])
    def test_customers_are_active_or_all(self, sandbox: Sandbox, status: str, count: int) -> None:
        rows = sandbox.read("GetCustomers", pStatus=status)
        assert len(rows) == count
        assert {row["Taxable_Flag"] for row in rows} == {"Y", "N", ""}

    @pytest.mark.parametrize(
        ("selection", "customers"),
        [
            (" pierceco ", {"PIERCECO"}),
            ("PUY*", {"PUYALLUPSD"}),
            ("?IERCECO", {"PIERCECO"}),
            ("IERCECO", set()),
            ("S/SZ", {"SOUNDCU", "SUMNERCITY"}),
            ("T*,S*", {"TACOMACITY", "TIDEFLATS", "SOUNDCU", "SUMNERCITY"}),
            ("#T*,S*,A*,C*,H*,N*,P*,R*", {""}),
            ("PIERCE.O", set()),
        ],
    )
    def test_superselect_chooses(self, sandbox: Sandbox, selection: str, customers: set[str]) -> None:
        assert {row["Customer_Code"] for row in sandbox.read(pCustomer_Code=selection)} == customers
        assert sandbox.numbers(pCustomer_Code="all") == sandbox.numbers(pDivision="*") == sandbox.numbers()

    def test_status_and_cost_center_know_no_operators(self, sandbox: Sandbox) -> None:
        assert sandbox.numbers(pCost_Center="SERV*") == []
        assert sandbox.numbers(pCost_Center="service", pStatus_Code="I") == ["25-023"]
        (row,) = sandbox.read("GetJob", pStatus_Code="*")
        assert (row["Error_Code"], row["Error_Column"]) == ("I", "pStatus_Code")

    @pytest.mark.parametrize("divisions", [True, False])
    def test_more_than_five_hundred_rows_end_with_a_warning(self, sandbox: Sandbox, divisions: bool) -> None:
        given = {"jobs": 600, "seed": False, "divisions": divisions}
        assert sandbox.control("POST", "reset", given) == {"jobs": 600}
        *rows, last = sandbox.read()
        assert (len(rows), last["Error_Code"], last["Job_Number"]) == (500, "W", " ")
        assert len({row["Division"] for row in rows}) == (10 if divisions else 1)

    def test_odd_numbers_come_sorted_by_right_justified_number(self, sandbox: Sandbox) -> None:
        sandbox.control("POST", "reset", {"seed": False, "odd": True})
        numbers = ["7", "118-2", "19/04", "22 110", "26-031", "OFFICE", "24-107E1", "24-107E2", "25-4-1-07"]
        assert sandbox.numbers() == sorted(numbers, key=lambda number: number.rjust(10))
        names = {row["Job_Number"]: row["Job_Description"] for row in sandbox.read()}
        assert names["26-031"] == "Sand & Gravel &quot;North&quot;"


class TestPersonalities:
    @pytest.mark.parametrize(("guid", "answers"), [("any", [1, 1, 1]), ("fresh", [0, 1, 0]), ("empty", [1, 0, 0])])
    def test_guids(self, sandbox: Sandbox, guid: str, answers: list[bool]) -> None:
        sandbox.be(guid=guid)
        assert [bool(sandbox.numbers(GUID=sent)) for sent in ("", "one", "one")] == answers
        assert bool(sandbox.read("GetJob", GUID="one")) == (guid != "empty")  # each service for itself

    def test_basic_sign_in(self, sandbox: Sandbox) -> None:
        sandbox.be(sign_in="basic")
        assert sandbox.call("GetJob").status_code == 401
        sandbox.spectrum.auth = ("HB", "DEMO-COUNTERSIGN")
        try:
            assert sandbox.read("GetJob")
        finally:
            sandbox.spectrum.auth = None

    def test_a_token_expires_and_a_rotated_secret_stops_at_once(self, sandbox: Sandbox) -> None:
        sandbox.be(sign_in="token", wsdl_sign_in=True)
        assert sandbox.call("GetJob").status_code == 401
        assert sandbox.spectrum.get("/wsdls/GetJob.jws").status_code == 401
        given = sandbox.spectrum.post("/connect/token", data=CLIENT | SECRET).json()
        bearer = {"Authorization": f"Bearer {given['access_token']}"}
        assert given["expires_in"] == 3600
        assert rows_of(sandbox.post("GetJob", request("GetJob", {}), **bearer))
        sandbox.control("DELETE", "tokens")
        assert sandbox.post("GetJob", request("GetJob", {}), **bearer).status_code == 401
        rotated = sandbox.spectrum.post("/secretRotation", data=CLIENT | SECRET).json()
        assert rotated.keys() == {"client_secret", "estimated_expiration"}
        assert sandbox.spectrum.post("/connect/token", data=CLIENT | SECRET).json() == {"error": "invalid_client"}
        form = CLIENT | {"client_secret": rotated["client_secret"]}
        assert sandbox.spectrum.post("/connect/token", data=form).is_success

    @pytest.mark.parametrize(
        ("setting", "path", "form"),
        [
            ({"secret_expired": True}, "/connect/token", CLIENT | SECRET),
            ({"secret_expired": True}, "/secretRotation", CLIENT | SECRET),
            ({"self_rotation": False}, "/secretRotation", CLIENT | SECRET),
            ({}, "/connect/token", CLIENT | SECRET | {"scope": "other"}),
            ({}, "/connect/token", CLIENT | {"client_secret": "other"}),
            ({"token_seconds": 0}, "/connect/token", {}),
        ],
    )
    def test_no_token_without_a_right_and_living_secret(
        self, sandbox: Sandbox, setting: dict[str, Any], path: str, form: dict[str, str]
    ) -> None:
        sandbox.be(sign_in="token", **setting)
        assert sandbox.spectrum.post(path, data=form).status_code == 400

    def test_it_stumbles_over_every_third_read_and_over_calls_at_once(self, sandbox: Sandbox) -> None:
        sandbox.be(fault_every=3)
        assert [sandbox.call("GetJob").status_code for _ in range(6)] == [200, 200, 500, 200, 200, 500]
        sandbox.be(fault_every=0, fault_above=1)
        sandbox.fault("slow", service="GetPhase", milliseconds=300)
        slow = subprocess.Popen([sys.executable, "-c", f"import httpx; httpx.post({str(sandbox.spectrum.base_url)!r})"])
        slow.wait()
        assert sandbox.call("GetJob").status_code == 200

    @pytest.mark.parametrize(
        ("damage", "found"), [("byte", b"Tem\xe9plate"), ("ampersand", b"Tem&plate"), ("control", b"Tem\x0bplate")]
    )
    def test_one_row_is_damaged(self, sandbox: Sandbox, damage: str, found: bytes) -> None:
        sandbox.be(damage=damage, damaged_job="T-COMM")
        answer = sandbox.call("GetJobMain").content
        assert answer.count(found) == 1
        with pytest.raises(etree.XMLSyntaxError):
            etree.fromstring(answer)

    @pytest.mark.parametrize(
        "given", [{"mood": "bad"}, {"guid": "old"}, {"cut_tail": True}, {"missing": "GetJob"}, [1]]
    )
    def test_an_unknown_setting_is_refused_in_a_sentence(self, sandbox: Sandbox, given: object) -> None:
        answer = sandbox.spectrum.post("/sandbox/personality", json=given)
        assert answer.status_code == 400
        assert answer.json()["error"].endswith(".")

    def test_the_page_shows_and_changes_it(self, sandbox: Sandbox) -> None:
        sandbox.be(guid="fresh", cut_tail=4, missing=["GetJob", "GetPhase"], self_rotation=False)
        before = sandbox.control("GET", "personality")
        (form,) = tree(sandbox.spectrum.get("/personality")).xpath("//form[@action='/personality']")
        assert sandbox.spectrum.post("/personality", data=dict(form.form_values())).status_code == 303
        assert sandbox.control("GET", "personality") == before
        assert "not the ordinary" in sandbox.spectrum.get("/").text
        sandbox.spectrum.post("/personality", data={"ordinary": "yes"})
        assert sandbox.control("DELETE", "personality")["guid"] == "any"


class TestFaults:
    def test_faults_are_used_up_in_order_and_only_by_their_service(self, sandbox: Sandbox) -> None:
        sandbox.fault("e-row", times=2)
        sandbox.fault("abort")
        assert sandbox.numbers()
        assert [codes(sandbox.write())[0][0] for _ in range(3)] == ["E", "E", "A"]
        assert sandbox.write() == []
        assert sandbox.control("GET", "faults") == []

    def test_a_fault_without_a_number_holds_until_it_is_switched_off(self, sandbox: Sandbox) -> None:
        sandbox.fault("abort", service="*", times=None)
        assert codes(sandbox.write()) == codes(sandbox.write()) == [("A", "")]
        (fault,) = sandbox.control("GET", "faults")
        assert sandbox.control("DELETE", f"faults/{fault['id']}") == []
        assert sandbox.write() == []

    @pytest.mark.parametrize(
        ("fault", "details", "status", "said"),
        [
            ("unknown-code", {}, 200, b"<error_code>Z"),
            ("fault-client", {}, 500, b"SOAP-ENV:Client"),
            ("fault-server", {"status": 200}, 200, b"SOAP-ENV:Server"),
            ("status", {"status": 403}, 403, b"not available"),
            ("html", {}, 200, b"<h1>"),
            ("redirect", {}, 307, b""),
            ("empty", {}, 200, b""),
            ("dtd", {}, 200, b"<!ENTITY"),
            ("latin-1", {"declared": False}, 200, b"\xf1"),
            ("drip", {"seconds": 0.0001}, 200, b"<returnArray></returnArray>"),
            ("huge", {}, 200, b" " * 33 * 2**20),
        ],
    )
    @pytest.mark.parametrize("created", [False, True])
    def test_an_answer_of_another_kind(
        self, sandbox: Sandbox, fault: str, details: dict[str, Any], status: int, said: bytes, created: bool
    ) -> None:
        sandbox.fault(fault, created=created, **details)
        answer = sandbox.call("AddJob", **JOB)
        assert (answer.status_code, said in answer.content) == (status, True)
        assert bool(sandbox.job()) == created

    @pytest.mark.parametrize(
        ("fault", "details", "error", "created"),
        [
            ("timeout", {}, httpx.ReadTimeout, False),
            ("created-then-timeout", {"seconds": 0.1}, httpx.RemoteProtocolError, True),
            ("reset", {"created": False}, httpx.ReadError, False),
            ("reset", {"created": True}, httpx.ReadError, True),
            ("cut", {"created": True}, httpx.RemoteProtocolError, True),
            ("drip", {"seconds": 0.5}, httpx.ReadTimeout, True),
        ],
    )
    def test_an_answer_that_breaks(
        self, sandbox: Sandbox, fault: str, details: dict[str, Any], error: type[Exception], created: bool
    ) -> None:
        sandbox.fault(fault, **details)
        with pytest.raises(error):
            sandbox.post("AddJob", request("AddJob", JOB), timeout=0.3)
        assert eventually(lambda: sandbox.control("GET", "calls"))
        assert bool(sandbox.job()) == created

    def test_a_job_may_appear_after_the_connection_broke(self, sandbox: Sandbox) -> None:
        sandbox.fault("late-commit", seconds=0.3, reset=True)
        with pytest.raises(httpx.ReadError):
            sandbox.call("AddJob", **JOB)
        assert [call["outcome"] for call in sandbox.control("GET", "calls")] == ["nothing"]
        assert eventually(sandbox.job)

    @pytest.mark.parametrize("reset", [False, True])
    def test_late_work_is_not_done_in_a_sandbox_that_was_reset_meanwhile(self, tmp_path: Path, reset: bool) -> None:
        store = Store(tmp_path / "spectrum.db")
        seed.fill(store)
        sent = {field.element: "" for field in parameters("AddJob")} | JOB
        sent |= {"Authorization_ID": "DEMO-COUNTERSIGN", "Company_Code": "HB"}
        late = unless_reset(Call(store, Installation(), "AddJob", sent))
        if reset:
            store.clear()
            seed.fill(store)
        late()
        assert (store.job("26-014") is None) == reset

    def test_conditions_change_the_rules_of_a_call(self, sandbox: Sandbox) -> None:
        for fault, details in (("required", {}), ("customer-on-hold", {"customer": "cascrest"})):
            sandbox.fault(fault, **details)
        assert codes(sandbox.write()) == [("M", "Tax_Class_Code")]
        assert codes(sandbox.write(Customer_Code="CASCREST")) == [("I", "Customer_Code")]
        sandbox.fault("hidden", times=None)
        sandbox.fault("drop-field", element="City")
        assert sandbox.write(City="Orting") == []
        assert "26-014" not in sandbox.numbers()
        assert "City" not in (sandbox.job() or {})
        sandbox.fault("wsdl-missing")
        assert [sandbox.spectrum.get("/wsdls/AddJob.jws").status_code for _ in range(2)] == [404, 200]
        sandbox.fault("bearer", service="*")
        assert sandbox.call("GetJob").status_code == 401

    @pytest.mark.parametrize(
        "given",
        [
            {"service": "AddJob", "fault": "earthquake"},
            {"service": "AddBoat", "fault": "reset"},
            {"service": "AddJob", "fault": "reset", "created": "yes"},
            {"service": "AddJob", "fault": "reset", "seconds": 1},
            {"service": "AddJob", "fault": "reset", "times": 0},
        ],
    )
    def test_an_unknown_fault_is_refused_in_a_sentence(self, sandbox: Sandbox, given: dict[str, Any]) -> None:
        answer = sandbox.spectrum.post("/sandbox/faults", json=given)
        assert answer.status_code == 400
        assert answer.json()["error"].endswith(".")


def tree(answer: httpx.Response) -> Any:
    """A page, parsed."""
    assert answer.status_code == 200
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    return html.fromstring(answer.text)


class TestThePages:
    def test_the_newest_job_comes_first(self, sandbox: Sandbox) -> None:
        sandbox.write(Job_Description="<b>Depot</b> & Canopy")
        first = tree(sandbox.spectrum.get("/")).xpath("//tbody/tr")[0]
        assert [cell.text_content().strip() for cell in first][:2] == ["26-014", "<b>Depot</b> & Canopy"]
        job = tree(sandbox.spectrum.get(first.xpath(".//a/@href")[0]))
        assert job.xpath("//tr[th='Taxable_Flag']/td/text()") == ["Y"]

    def test_a_page_that_is_not_there_says_so(self, sandbox: Sandbox) -> None:
        answer = sandbox.spectrum.get("/jobs/NONE")
        assert (answer.status_code, "There is no job NONE." in answer.text) == (404, True)
        assert sandbox.mailbox.get("/mails/99").status_code == 404
        assert sandbox.spectrum.post("/jobs/NONE").status_code == 405

    def test_a_job_can_be_added_changed_hidden_and_deleted_by_control(self, sandbox: Sandbox) -> None:
        sandbox.control("POST", "jobs", {"Job_Number": "26/020", "City": "Orting", "phases": [PHASE]})
        assert sandbox.control("POST", "jobs", {"Job_Number": "26/020", "hidden": True})["phases"]
        assert "26/020" not in sandbox.numbers()
        assert sandbox.spectrum.get("/jobs/26/020").is_success
        sandbox.control("DELETE", "jobs/26/020")
        assert sandbox.job("26/020") is None
        assert sandbox.spectrum.post("/sandbox/jobs", json={"Job_Number": "1", "Town": "X"}).status_code == 400

    def test_every_fault_can_be_switched_on_and_off_by_its_form(self, sandbox: Sandbox) -> None:
        forms = tree(sandbox.spectrum.get("/faults")).xpath("//form[@action='/faults']")
        for form in forms:
            fields = dict(form.form_values())
            sandbox.control("DELETE", "faults")
            assert sandbox.spectrum.post("/faults", data=fields).status_code == 303
            (fault,) = sandbox.control("GET", "faults")
            assert (fault["fault"], fault["service"], fault["times"]) == (fields["fault"], "AddJob", 1)
        assert len(forms) > 25
        assert "Faults are switched on" in sandbox.spectrum.get("/").text
        off = tree(sandbox.spectrum.get("/faults")).xpath("//form[@action='/faults/off']")[0]
        assert sandbox.spectrum.post("/faults/off", data=dict(off.form_values())).status_code == 303
        assert sandbox.control("GET", "faults") == []

    def test_data_can_be_loaded_from_the_page(self, sandbox: Sandbox) -> None:
        assert sandbox.spectrum.post("/data", data={"jobs": "20", "odd": "yes"}).status_code == 303
        assert len(sandbox.control("GET", "jobs")) == 30 + 9 + 20


class TestTheMailbox:
    def test_a_mail_is_kept_as_received_and_can_do_nothing(self, sandbox: Sandbox) -> None:
        sandbox.send("a@hb.example", "b@hb.example")
        (mail,) = sandbox.mails()
        assert (mail["n"], mail["to"], mail["subject"]) == (1, ["a@hb.example", "b@hb.example"], "Gr\u00fc\u00dfe <b>")
        links = tree(sandbox.mailbox.get("/")).xpath("//tbody//a")
        assert [(link.text, link.get("href")) for link in links][1] == (".eml", "/mails/1.eml")
        raw = sandbox.mailbox.get("/mails/1.eml")
        assert (raw.headers["Content-Type"], b"<p>Rich.\r\n" in raw.content) == ("message/rfc822", True)
        (frame,) = tree(sandbox.mailbox.get("/mails/1")).xpath("//iframe")
        assert frame.get("sandbox") == ""
        policy = sandbox.mailbox.get(frame.get("src")).headers["Content-Security-Policy"]
        assert policy.startswith("sandbox; default-src 'none'")

    def test_a_fault_is_answered_until_it_is_switched_off_by_form(self, sandbox: Sandbox) -> None:
        bounce = tree(sandbox.mailbox.get("/faults")).xpath("//form[.//button='Bounce everything']")[0]
        assert sandbox.mailbox.post("/faults", data=dict(bounce.form_values())).status_code == 303
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            sandbox.send("a@hb.example")
        off = tree(sandbox.mailbox.get("/faults")).xpath("//form[@action='/faults/off']")[0]
        sandbox.mailbox.post("/faults/off", data=dict(off.form_values()))
        sandbox.send("a@hb.example")
        assert len(sandbox.mails()) == 1

    @pytest.mark.parametrize(("reply", "said"), [("silence", "timed out"), ("drop", "closed")])
    @pytest.mark.parametrize(("command", "stored"), [("DATA", False), ("TEXT", False), ("TEXT", True)])
    def test_a_conversation_ends_without_an_answer(
        self, sandbox: Sandbox, command: str, stored: bool, reply: str, said: str
    ) -> None:
        given = {"command": command, "reply": reply, "stored": stored}
        sandbox.mailbox.post("/sandbox/faults", json=given).raise_for_status()
        with pytest.raises((TimeoutError, smtplib.SMTPServerDisconnected)) as ended:
            sandbox.send("a@hb.example", timeout=0.5)
        assert said in str(ended.value)
        assert eventually(lambda: len(sandbox.mails()) == stored)

    @pytest.mark.parametrize(
        "given",
        [
            {"command": "HELO", "reply": "451 No"},
            {"command": "RCPT", "reply": "451 No\r\n250 Yes"},
            {"command": "RCPT", "reply": "451 No", "times": -1},
            {"command": "RCPT", "reply": "451 No", "colour": "red"},
        ],
    )
    def test_an_unknown_fault_is_refused(self, sandbox: Sandbox, given: dict[str, Any]) -> None:
        answer = sandbox.mailbox.post("/sandbox/faults", json=given)
        assert answer.status_code == 400
        assert answer.json()["error"].endswith(".")
