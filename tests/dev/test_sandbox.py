"""The sandbox from outside: its Spectrum over SOAP, its mailbox over SMTP, and the pages and controls of both."""

import ast
import http.client
import signal
import smtplib
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from lxml import etree, html

from dev.sandbox import seed
from dev.sandbox.spectrum import Call
from dev.sandbox.spectrum_faults import unless_reset
from dev.sandbox.store import Store
from erp.spectrum.mapping import parameters, returns

ROOT = Path(__file__).resolve().parent.parent.parent
SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
TYPES = "http://www.northgate-is.com/proiv/webservices/types"
SERVICES = ("AddJob", "AddPhase", "GetJob", "GetJobMain", "GetPhase")
READS = SERVICES[2:]
JOB = {"Job_Number": "26-014", "Job_Description": "Depot Canopy", "Taxable_Flag": "Y", "Price_Method_Code": "F"}
PHASE = {
    "Job_Number": "26-005",
    "Phase_Code": "09910",
    "Description": "Painting",
    "Cost_Type": "L",
    "Price_Method_Code": "J",
}

Rows = list[dict[str, str]]


class Sandbox:
    """A running sandbox: its process, its addresses, and what one says to it."""

    def __init__(self, data: Path) -> None:
        command = [sys.executable, "-m", "sandbox", "--data", str(data)]
        ports = ["--spectrum-port", "0", "--smtp-port", "0", "--mailbox-port", "0"]
        self.process = subprocess.Popen([*command, *ports], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout
        addresses = dict(self.process.stdout.readline().split() for _ in range(3))
        self.spectrum = httpx.Client(base_url=addresses["spectrum"], trust_env=False, timeout=20)
        self.mailbox = httpx.Client(base_url=addresses["mailbox"], trust_env=False, timeout=20)
        self.smtp_address = addresses["smtp"]

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End the process with a signal; its exit status."""
        self.process.send_signal(number)
        status = self.process.wait(timeout=5)
        for thing in (self.spectrum, self.mailbox, self.process.stdout):
            thing.close()
        return status

    def post(
        self, service: str, body: str, headers: dict[str, str] | None = None, timeout: float = 20
    ) -> httpx.Response:
        """Post a body to a service as a SOAP client does."""
        address = f"{str(self.spectrum.base_url).rstrip('/')}/ws/{service}"
        usual = {"Content-Type": "text/xml; charset=utf-8", "SOAPAction": f'"{address}"'}
        return self.spectrum.post(address, content=body, headers=usual | (headers or {}), timeout=timeout)

    def call(self, service: str, **values: str) -> httpx.Response:
        """Call a service with all its parameters, empty where not given."""
        return self.post(service, request(service, values))

    def add(self, **values: str) -> Rows:
        """AddJob with what a job needs, changed by `values`; the error rows."""
        return error_rows(self.call("AddJob", **(JOB | values)))

    def add_phase(self, **values: str) -> Rows:
        """AddPhase likewise."""
        return error_rows(self.call("AddPhase", **(PHASE | values)))

    def read(self, service: str, **values: str) -> Rows:
        """The rows of a read."""
        return read_rows(service, self.call(service, **values))

    def numbers(self, **values: str) -> list[str]:
        """The job numbers that GetJobMain lists."""
        return [row["Job_Number"] for row in self.read("GetJobMain", **values)]

    def control(self, method: str, path: str, given: object = None) -> Any:
        """Use the control interface; its answer."""
        answer = self.spectrum.request(method, f"/sandbox/{path}", json=given)
        answer.raise_for_status()
        return answer.json()

    def fault(self, name: str, service: str = "AddJob", **details: Any) -> None:
        """Switch a fault on."""
        self.control("POST", "faults", {"service": service, "fault": name, **details})

    def job(self, number: str = JOB["Job_Number"]) -> dict[str, Any] | None:
        """A job as received, hidden or not."""
        return next((job for job in self.control("GET", "jobs") if job["Job_Number"].strip() == number), None)

    def send(self, *recipients: str, text: str = "Three wait.\n", page: str = "", subject: str = "Hello") -> None:
        """Send a mail over SMTP."""
        mail = EmailMessage()
        mail["From"], mail["To"], mail["Subject"] = "Countersign <app@hb.example>", ", ".join(recipients), subject
        mail["Message-ID"], mail["Date"] = "<1@hb.example>", "Mon, 09 Mar 2026 07:00:00 -0700"
        mail.set_content(text)
        if page:
            mail.add_alternative(page, subtype="html")
        with self.smtp() as conversation:
            conversation.send_message(mail, "app@hb.example", recipients)

    def smtp(self, timeout: float = 20) -> smtplib.SMTP:
        """An SMTP connection."""
        host, port = self.smtp_address.split(":")
        return smtplib.SMTP(host, int(port), timeout=timeout)

    def smtp_fault(self, command: str, reply: str, **details: Any) -> None:
        """Switch a fault of the mailbox on."""
        given = {"command": command, "reply": reply, **details}
        self.mailbox.post("/sandbox/faults", json=given).raise_for_status()

    def mails(self) -> list[dict[str, Any]]:
        """The mails that are kept, newest first."""
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


def reply_array(response: httpx.Response) -> Any:
    """The reply's returnArray."""
    assert response.status_code == 200, response.text
    assert response.headers["Content-Type"].startswith("text/xml")
    (found,) = etree.fromstring(response.content).findall(f".//{{{TYPES}}}ServiceResponse/returnArray")
    return found


def error_rows(response: httpx.Response) -> Rows:
    """The rows of a write's reply: none is success."""
    rows = reply_array(response).findall("returnData/response")
    return [{child.tag: child.text or "" for child in row} for row in rows]


def read_rows(service: str, response: httpx.Response) -> Rows:
    """The rows of a read's reply."""
    (wrapper,) = reply_array(response).findall(f"returnData/{service[0].lower()}{service[1:]}")
    return [{child.tag: child.text or "" for child in row} for row in wrapper]


def codes(rows: Rows) -> list[tuple[str, str]]:
    """What error rows are about: (code, element)."""
    return [(row["error_code"], row["column"]) for row in rows]


def soap_fault(response: httpx.Response) -> tuple[str, str]:
    """A SOAP fault's code and text."""
    found = etree.fromstring(response.content).find(f".//{{{SOAP}}}Fault")
    return found.findtext("faultcode").split(":")[-1], found.findtext("faultstring")


def eventually(look: Callable[[], Any]) -> Any:
    """What `look` finds, once it finds something."""
    deadline = time.monotonic() + 10
    while not (found := look()):
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.02)
    return found


@pytest.fixture(scope="module")
def sandbox_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    running = Sandbox(tmp_path_factory.mktemp("sandbox"))
    yield running
    running.stop()


@pytest.fixture
def sandbox(sandbox_process: Sandbox) -> Sandbox:
    sandbox_process.control("POST", "reset")
    sandbox_process.mailbox.post("/sandbox/reset")
    return sandbox_process


@contextmanager
def started(data: Path) -> Iterator[Sandbox]:
    """A sandbox of a test's own."""
    running = Sandbox(data)
    try:
        yield running
    finally:
        if running.process.poll() is None:
            running.stop()


class TestTheProcess:
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_stops_at_once_when_told_to_even_in_the_middle_of_an_answer(self, tmp_path: Path, number: int) -> None:
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
        command = [sys.executable, "-m", "sandbox", "--data", str(tmp_path), *words]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=20, check=False)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == f"The sandbox cannot start: port {ports[option]} is taken by another program.\n"

    def test_keeps_jobs_calls_and_mails_when_it_is_killed(self, tmp_path: Path) -> None:
        with started(tmp_path) as sandbox:
            assert sandbox.add() == []
            sandbox.send("ann@hb.example")
            sandbox.stop(signal.SIGKILL)
        with started(tmp_path) as sandbox:
            assert "26-014" in sandbox.numbers()
            assert [call["outcome"] for call in sandbox.control("GET", "calls")][:1] == ["created"]
            assert [mail["to"] for mail in sandbox.mails()] == [["ann@hb.example"]]

    def test_stays_without_jobs_over_a_restart_where_all_were_taken_away(self, tmp_path: Path) -> None:
        with started(tmp_path) as sandbox:
            sandbox.control("POST", "reset", {"seed": False})
        with started(tmp_path) as sandbox:
            assert sandbox.numbers() == []

    def test_takes_only_the_field_tables_from_the_product(self) -> None:
        of_ours = {path.stem for path in ROOT.glob("*.py")} | {"blueprints"}
        imported = {
            f"{node.module}.{name.name}"
            for path in (ROOT / "sandbox").glob("*.py")
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.ImportFrom) and node.module
            for name in node.names
        }
        taken = {name for name in imported if name.split(".")[0] in of_ours | {"erp"}}
        assert taken <= {"erp.fields.Field", "erp.fields.parameters", "erp.fields.returns"}


class TestTheEnvelope:
    @pytest.mark.parametrize("service", SERVICES)
    def test_a_description_names_every_parameter_in_order(self, sandbox: Sandbox, service: str) -> None:
        answer = sandbox.spectrum.get(f"/wsdls/{service}.jws")
        document = etree.fromstring(answer.content)
        names = {"x": "http://www.w3.org/2001/XMLSchema", "s": "http://schemas.xmlsoap.org/wsdl/soap/"}
        found = document.xpath(f"//x:element[@name='{service}']//x:sequence/x:element/@name", namespaces=names)
        assert found == [field.element for field in parameters(service)]
        (location,) = document.xpath("//s:address/@location", namespaces=names)
        assert location == f"{sandbox.spectrum.base_url}/ws/{service}".replace("//ws", "/ws")

    @pytest.mark.parametrize("prefix", ["", f"{{{TYPES}}}"], ids=["unqualified", "qualified"])
    def test_parameters_are_taken_with_and_without_the_namespace(self, sandbox: Sandbox, prefix: str) -> None:
        assert error_rows(sandbox.post("AddJob", request("AddJob", JOB, prefix=prefix))) == []
        assert sandbox.job()

    @pytest.mark.parametrize("service", SERVICES)
    def test_a_parameter_that_is_missing_unknown_or_out_of_order_is_a_server_fault(
        self, sandbox: Sandbox, service: str
    ) -> None:
        declared = [field.element for field in parameters(service)]
        for names in (declared[:-1], declared[1:], [*declared, "Colour"], declared[::-1]):
            answer = sandbox.post(service, request(service, JOB, names))
            assert (answer.status_code, soap_fault(answer)[0]) == (500, "Server")
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
    def test_a_call_that_is_none_is_a_client_fault(self, sandbox: Sandbox, body: str, headers: dict[str, str]) -> None:
        answer = sandbox.post("AddJob", body, headers)
        assert (answer.status_code, soap_fault(answer)[0]) == (500, "Client")
        assert sandbox.job() is None

    def test_an_unknown_service_is_a_client_fault_that_names_it(self, sandbox: Sandbox) -> None:
        code, text = soap_fault(sandbox.post("AddBoat", request("AddJob", JOB)))
        assert code == "Client"
        assert text == "Error identifying Web Service: Could not find WebService named: AddBoat"
        assert sandbox.spectrum.get("/wsdls/AddBoat.jws").status_code == 404

    def test_a_connection_serves_several_calls(self, sandbox: Sandbox) -> None:
        connection = http.client.HTTPConnection(urlsplit(str(sandbox.spectrum.base_url)).netloc)
        connection.request("GET", "/wsdls/GetJob.jws")
        connection.getresponse().read()
        kept = connection.sock
        connection.request("GET", "/wsdls/GetPhase.jws")
        assert connection.getresponse().status == 200
        assert kept is not None
        assert connection.sock is kept
        connection.close()


class TestAccess:
    @pytest.mark.parametrize("service", SERVICES)
    def test_an_unknown_authorization_or_company_may_do_nothing(self, sandbox: Sandbox, service: str) -> None:
        company = "Company_Code" if service.startswith("Add") else "pCompany_Code"
        for wrong in ({"Authorization_ID": "OTHER"}, {"Authorization_ID": ""}, {company: "ZZ"}):
            answer = sandbox.call(service, **(JOB | wrong))
            if service in READS:
                (row,) = read_rows(service, answer)
                code, text = row["Error_Code"], row["Error_Description"]
                assert list(row) == list(returns(service))
            else:
                (row,) = error_rows(answer)
                code, text = row["error_code"], row["desc"]
            assert code == "A"
            assert text.startswith("The Web Service is not authorized.")
        assert sandbox.job() is None

    def test_each_call_needs_an_identifier(self, sandbox: Sandbox) -> None:
        assert codes(sandbox.add(GUID="")) == [("M", "GUID")]
        assert codes(sandbox.add(GUID="x" * 37)) == [("I", "GUID")]

    def test_the_log_of_calls_never_holds_the_authorization(self, sandbox: Sandbox) -> None:
        sandbox.add()
        sandbox.add(State="X")
        sandbox.read("GetPhase", pJob_Number="26-014")
        calls = sandbox.control("GET", "calls")
        assert [(call["service"], call["job_number"], call["outcome"]) for call in calls] == [
            ("AddJob", "26-014", "created"),
            ("AddJob", "26-014", "refused: I State, I Job_Number"),
            ("GetPhase", "26-014", "0 rows"),
        ]
        assert "DEMO-COUNTERSIGN" not in str(calls)


WRONG: list[tuple[dict[str, str], str, str]] = [
    *[({element: ""}, "M", element) for element in ("Company_Code", *JOB) if element != "Job_Description"],
    ({"Taxable_Flag": " "}, "M", "Taxable_Flag"),
    ({"Job_Number": "26-01400000"}, "I", "Job_Number"),
    ({"Job_Description": "x" * 26}, "I", "Job_Description"),
    ({"Job_Number": "T-COMM"}, "I", "Job_Number"),
    ({"Job_Number": " t-comm "}, "I", "Job_Number"),
    ({"Job_Number": "23-018"}, "I", "Job_Number"),  # complete
    ({"Job_Number": "26-009"}, "I", "Job_Number"),  # hidden
    ({"Division": "one"}, "I", "Division"),
    ({"Division": "99"}, "I", "Division"),
    ({"Cost_Center": "MARS"}, "I", "Cost_Center"),
    ({"Customer_Code": "NOBODY"}, "I", "Customer_Code"),
    ({"Customer_Code": "TIDEFLATS"}, "I", "Customer_Code"),  # on hold
    ({"Customer_Code": "COMMBAY", "Cost_Center": "TACOMA"}, "I", "Cost_Center"),
    ({"State": "W"}, "I", "State"),
    ({"State": "W1"}, "I", "State"),
    ({"Zip_Code": "٩٨٤٠٢"}, "I", "Zip_Code"),
    ({"Zip_Code": "V5K 0A1"}, "I", "Zip_Code"),
    ({"Phone": "253-555-0142"}, "I", "Phone"),
    ({"Taxable_Flag": "X"}, "I", "Taxable_Flag"),
    ({"Taxable_Flag": "y"}, "I", "Taxable_Flag"),
    ({"Certified_Flag": "T"}, "I", "Certified_Flag"),
    ({"Bill_From_Master": "1"}, "I", "Bill_From_Master"),
    ({"Price_Method_Code": "J"}, "I", "Price_Method_Code"),
    ({"Status_Code": "X"}, "I", "Status_Code"),
    ({"Wage_Rate_Level": "0"}, "I", "Wage_Rate_Level"),
    ({"Total_Units": "-1"}, "I", "Total_Units"),
    ({"Unit_of_Measure": "INCH"}, "I", "Unit_of_Measure"),
    ({"Original_Contract": "1,000"}, "I", "Original_Contract"),
    ({"Latitude": "47.1234567"}, "I", "Latitude"),
    ({"Major_Group_Start": "1."}, "I", "Major_Group_Start"),
    ({"Est_Start_Date": "2026-03-09"}, "I", "Est_Start_Date"),
    ({"Est_Start_Date": "3/9/2026"}, "I", "Est_Start_Date"),
    ({"Est_Start_Date": "02/30/2026"}, "I", "Est_Start_Date"),
    ({"Est_Start_Date": "03/09/2026", "Est_Complete_Date": "03/08/2026"}, "I", "Est_Complete_Date"),
    ({"Start_Date": "03/09/2026", "Complete_Date": "03/08/2025"}, "I", "Complete_Date"),
    ({"Work_State_Tax_Code": "WA", "Work_Local_Tax_Cod": "wa"}, "I", "Work_State_Tax_Code"),
    ({"Track_Davis_Bacon": "Y", "Track_Prevailing_Wage": "F"}, "I", "Track_Davis_Bacon"),
    ({"UDF1": "x"}, "I", "UDF1"),
    ({"Master_Job": "NONE"}, "I", "Master_Job"),
    ({"Master_Job": "23-018"}, "I", "Master_Job"),  # complete
    ({"Standard_Phase_Category": "STD"}, "I", "Standard_Phase_Category"),
]

RIGHT: list[dict[str, str]] = [
    {"Job_Number": "T-COMM2", "Job_Description": "x" * 25},
    {"Customer_Code": "puyallupsd", "Division": "1", "Cost_Center": "tacoma"},
    {"Customer_Code": "COMMBAY", "Cost_Center": "SEATTLE"},
    {"State": "wa", "Zip_Code": "98403-1234", "Phone": "2535550142"},
    {"Est_Start_Date": "02/29/2028", "Est_Complete_Date": "02/29/2028"},
    {"Original_Contract": "-1000.50", "Total_Units": ".5", "Wage_Rate_Level": "9", "Unit_of_Measure": "CY"},
    {"Track_Davis_Bacon": "Y", "Track_Prevailing_Wage": "N", "Status_Code": "C"},
    {"Work_State_Tax_Code": "WA", "Work_County_Tax_Code": "PIERCE"},
    {"Master_Job": "24-107", "Latitude": "47.252877", "Longitude": "-122.444290"},
]


class TestAddJob:
    def test_success_is_an_empty_array_and_the_job_is_kept_as_received(self, sandbox: Sandbox) -> None:
        answer = sandbox.call("AddJob", **(JOB | {"City": " Tacoma "}))
        assert len(reply_array(answer)) == 0
        job = sandbox.job()
        assert job
        assert (job["City"], job["Taxable_Flag"], job["Phone"], job["origin"]) == (" Tacoma ", "Y", "", "AddJob")
        assert not {"Authorization_ID", "GUID"} & set(job)
        assert [row["City"] for row in sandbox.read("GetJob") if row["Job_Number"] == "26-014"] == ["Tacoma"]

    @pytest.mark.parametrize(("values", "code", "column"), WRONG, ids=str)
    def test_a_wrong_value_is_refused_with_its_row(
        self, sandbox: Sandbox, values: dict[str, str], code: str, column: str
    ) -> None:
        before = len(sandbox.control("GET", "jobs"))
        assert codes(sandbox.add(**values)) == [(code, column)]
        assert len(sandbox.control("GET", "jobs")) == before

    @pytest.mark.parametrize("values", RIGHT, ids=str)
    def test_a_right_value_is_taken(self, sandbox: Sandbox, values: dict[str, str]) -> None:
        assert sandbox.add(**values) == []

    def test_all_that_is_wrong_is_said_in_one_answer(self, sandbox: Sandbox) -> None:
        rows = sandbox.add(Job_Number="T-TI", State="X", Taxable_Flag="", Customer_Code="NOBODY")
        assert sorted(codes(rows)) == [
            ("I", "Customer_Code"),
            ("I", "Job_Number"),
            ("I", "State"),
            ("M", "Taxable_Flag"),
        ]
        assert all(row["desc"].endswith(".") for row in rows)

    def test_every_job_of_the_seed_would_be_taken(self, sandbox: Sandbox) -> None:
        seeded = sandbox.control("GET", "jobs")
        sandbox.control("POST", "reset", {"seed": False})
        elements = {field.element for field in parameters("AddJob")}
        refused = {
            job["Job_Number"]: codes(rows)
            for job in seeded
            if (rows := sandbox.add(**{name: text for name, text in job.items() if name in elements}))
        }
        assert refused == {"25-023": [("I", "Customer_Code")]}  # its customer is on hold by now


class TestAddPhase:
    @pytest.mark.parametrize(
        ("values", "code", "column"),
        [
            ({"Job_Number": "NONE"}, "I", "Job_Number"),
            ({"Job_Number": "23-018"}, "I", "Job_Number"),  # complete
            ({"Phase_Code": ""}, "M", "Phase_Code"),
            ({"Phase_Code": "09-910"}, "I", "Phase_Code"),
            ({"Alt_Phase_Code": "09-910"}, "I", "Alt_Phase_Code"),
            ({"Description": ""}, "M", "Description"),
            ({"Cost_Type": "X"}, "I", "Cost_Type"),
            ({"Price_Method_Code": "X"}, "I", "Price_Method_Code"),
            ({"Unit_of_Measure": "XX"}, "I", "Unit_of_Measure"),
            ({"Original_Est_Hours": "many"}, "I", "Original_Est_Hours"),
            ({"Phase_Cost_Center": "MARS"}, "I", "Phase_Cost_Center"),
            ({"Status_Code": "X"}, "I", "Status_Code"),
            ({"Company_Code": "ZZ"}, "A", ""),
        ],
        ids=str,
    )
    def test_a_wrong_value_is_refused_with_its_row(
        self, sandbox: Sandbox, values: dict[str, str], code: str, column: str
    ) -> None:
        assert codes(sandbox.add_phase(**values)) == [(code, column)]
        assert sandbox.read("GetPhase", pJob_Number="26-005") == []

    def test_the_company_may_be_left_out(self, sandbox: Sandbox) -> None:
        assert sandbox.add_phase(Company_Code="") == []

    def test_a_phase_that_is_there_is_replaced(self, sandbox: Sandbox) -> None:
        sandbox.add_phase(Original_Est_Hours="8")
        assert sandbox.add_phase(Description="Painting and staining") == []
        (phase,) = sandbox.read("GetPhase", pJob_Number="26-005")
        assert (phase["Description"], phase["Estimated_Hours"]) == ("Painting and staining", "")
        assert [call["outcome"] for call in sandbox.control("GET", "calls")][:2] == ["created", "updated"]

    def test_the_cost_types_of_a_phase_share_its_description(self, sandbox: Sandbox) -> None:
        sandbox.add_phase(Cost_Type="L")
        assert sandbox.add_phase(Cost_Type="M", Description="") == []
        assert sandbox.add_phase(Cost_Type="S", Description="Coatings") == []
        phases = sandbox.read("GetPhase", pJob_Number="26-005")
        assert [(phase["Cost_Type"], phase["Description"]) for phase in phases] == [
            ("L", "Coatings"),
            ("M", "Coatings"),
            ("S", "Coatings"),
        ]


class TestReading:
    @pytest.mark.parametrize("service", READS)
    def test_a_row_has_what_the_service_returns_in_order(self, sandbox: Sandbox, service: str) -> None:
        row = sandbox.read(service)[0]
        assert tuple(row) == tuple(returns(service))
        assert (row["Error_Code"], row["Error_Description"]) == (" ", "")

    def test_no_rows_are_an_empty_wrapper(self, sandbox: Sandbox) -> None:
        assert sandbox.read("GetJobMain", pCustomer_Code="NOBODY") == []

    def test_a_blank_status_means_active_and_inactive(self, sandbox: Sandbox) -> None:
        def read(status: str) -> set[str]:
            return set(sandbox.numbers(pStatus_Code=status))

        assert len(read("A")) > 20
        assert read("I") == {"25-023", "25-056", "T-RESI"}
        assert read("C") == {"23-018", "23-044", "24-009"}
        assert read("") == read("A") | read("I")

    @pytest.mark.parametrize("status", ["", "A", "C", "I"])
    def test_a_hidden_job_is_in_no_answer(self, sandbox: Sandbox, status: str) -> None:
        sandbox.add_phase(Job_Number="26-009")
        assert "26-009" not in sandbox.numbers(pStatus_Code=status)
        assert sandbox.read("GetPhase", pJob_Number="26-009", pStatus_Code=status) == []

    @pytest.mark.parametrize(
        ("selection", "customers"),
        [
            ("PUYALLUPSD", {"PUYALLUPSD"}),
            (" pierceco ", {"PIERCECO"}),
            ("PUY*", {"PUYALLUPSD"}),
            ("*CO", {"PIERCECO"}),
            ("?IERCECO", {"PIERCECO"}),
            ("IERCECO", set()),
            ("COMMBAY,X*", {"COMMBAY"}),
            ("S/SZ", {"SOUNDCU", "SUMNERCITY"}),
            ("T*,S*", {"TACOMACITY", "TIDEFLATS", "SOUNDCU", "SUMNERCITY"}),
            ("PIERCE.O", set()),
        ],
    )
    def test_superselect_chooses(self, sandbox: Sandbox, selection: str, customers: set[str]) -> None:
        rows = sandbox.read("GetJobMain", pCustomer_Code=selection)
        assert {row["Customer_Code"] for row in rows} == customers

    def test_superselect_chooses_all_and_everything_but(self, sandbox: Sandbox) -> None:
        everything = sandbox.numbers()
        assert sandbox.numbers(pCustomer_Code="all") == sandbox.numbers(pDivision="*") == everything
        others = sandbox.read("GetJobMain", pCustomer_Code="#P*,T*", pDivision="#4")
        assert not {row["Customer_Code"][:1] for row in others} & {"P", "T"}
        assert {row["Division"] for row in others} == {"1", "2", "3", "5"}

    def test_status_and_cost_center_know_no_operators(self, sandbox: Sandbox) -> None:
        assert sandbox.numbers(pCost_Center="SERV*") == []
        assert sandbox.numbers(pCost_Center="service", pStatus_Code="I") == ["25-023"]
        (row,) = sandbox.read("GetJob", pStatus_Code="*")
        assert (row["Error_Code"], row["Error_Column"]) == ("I", "pStatus_Code")

    def test_people_are_filters_that_no_main_row_returns(self, sandbox: Sandbox) -> None:
        assert len(sandbox.numbers(pEstimator="DOKAFOR")) == 6
        assert {row["Estimator"] for row in sandbox.read("GetJob", pEstimator="DOK*")} == {"DOKAFOR"}

    def test_a_customer_has_a_name(self, sandbox: Sandbox) -> None:
        rows = sandbox.read("GetJobMain", pCustomer_Code="PIERCECO")
        assert {row["Customer_Name"] for row in rows} == {"Pierce County Public Works"}

    def test_more_than_five_hundred_rows_end_with_a_warning(self, sandbox: Sandbox) -> None:
        sandbox.control("POST", "reset", {"jobs": 600, "seed": False})
        *rows, last = sandbox.read("GetJobMain")
        assert len(rows) == 500
        assert {name: text for name, text in last.items() if text} == {
            "Error_Code": "W",
            "Error_Description": "WARNING - Number of returnable records exceeds maximum number of records allowed.",
        }
        assert 0 < len(sandbox.read("GetJobMain", pCustomer_Code="CUST0001")) <= 100

    def test_the_phases_of_a_job_come_with_their_estimates(self, sandbox: Sandbox) -> None:
        phases = sandbox.read("GetPhase", pJob_Number="t-comm")
        assert len(phases) == 120
        assert len(sandbox.read("GetPhase", pJob_Number="T-CIVIL")) == 40
        assert all(phase["Estimated_Quantity"] and phase["Current_Estimated_Dollars"] for phase in phases)
        labor = sandbox.read("GetPhase", pJob_Number="T-COMM", pCost_Type="L")
        assert {phase["Cost_Type"] for phase in labor} == {"L"}


class TestTheControlInterface:
    def test_the_seed_is_a_contractor_to_practise_on(self, sandbox: Sandbox) -> None:
        jobs = sandbox.control("GET", "jobs")
        templates = {job["Job_Number"]: job for job in jobs if job["Job_Number"].startswith("T-")}
        assert len(jobs) == 30
        assert len(templates) == 6
        assert {job["Price_Method_Code"] for job in templates.values()} == set("FTCU")
        assert [number for number, job in templates.items() if job["Status_Code"] == "I"] == ["T-RESI"]
        assert all(job["phases"] for job in templates.values())
        assert [job["Job_Number"] for job in jobs if job["hidden"]] == ["26-009"]

    def test_generated_jobs_are_the_same_every_time(self, sandbox: Sandbox) -> None:
        def generated() -> list[dict[str, str]]:
            assert sandbox.control("POST", "reset", {"jobs": 250, "seed": False}) == {"jobs": 250}
            return [{**job, "arrived_at": ""} for job in sandbox.control("GET", "jobs")]

        jobs = generated()
        assert jobs == generated()
        for element, several in (("Customer_Code", 3), ("Division", 10), ("Cost_Center", 10)):
            assert len({job[element] for job in jobs}) == several

    def test_generated_jobs_stand_beside_the_seed(self, sandbox: Sandbox) -> None:
        assert sandbox.control("POST", "reset", {"jobs": 10}) == {"jobs": 40}

    def test_a_job_can_be_added_changed_hidden_and_taken_away(self, sandbox: Sandbox) -> None:
        sandbox.control("POST", "jobs", {"Job_Number": "26-020", "City": "Orting", "phases": [PHASE]})
        sandbox.control("POST", "jobs", {"Job_Number": "26-020", "Status_Code": "C"})
        (row,) = (row for row in sandbox.read("GetJobMain", pStatus_Code="C") if row["Job_Number"] == "26-020")
        assert row["City"] == "Orting"
        assert sandbox.control("POST", "jobs", {"Job_Number": "26-020", "hidden": True})["phases"]
        assert "26-020" not in sandbox.numbers(pStatus_Code="C")
        sandbox.control("DELETE", "jobs/26-020")
        assert sandbox.job("26-020") is None

    @pytest.mark.parametrize("given", [{"City": "Orting"}, {"Job_Number": "1", "Town": "Orting"}, [1]])
    def test_a_job_without_number_or_with_unknown_elements_is_refused(self, sandbox: Sandbox, given: object) -> None:
        answer = sandbox.spectrum.post("/sandbox/jobs", json=given)
        assert answer.status_code == 400
        assert answer.json()["error"]

    @pytest.mark.parametrize(
        "given",
        [
            {"service": "AddJob", "fault": "earthquake"},
            {"service": "AddBoat", "fault": "reset"},
            {"fault": "reset"},
            {"service": "AddJob", "fault": "reset", "created": "yes"},
            {"service": "AddJob", "fault": "reset", "seconds": 1},
            {"service": "AddJob", "fault": "reset", "times": 0},
            {"service": "AddJob", "fault": "error-rows", "rows": ["I"]},
        ],
    )
    def test_a_fault_that_is_none_is_refused_in_a_sentence(self, sandbox: Sandbox, given: dict[str, Any]) -> None:
        answer = sandbox.spectrum.post("/sandbox/faults", json=given)
        assert answer.status_code == 400
        assert answer.json()["error"].endswith(".")

    def test_faults_are_used_up_in_order_and_only_by_their_service(self, sandbox: Sandbox) -> None:
        sandbox.fault("e-row", times=2)
        sandbox.fault("abort")
        assert sandbox.numbers()
        assert [codes(sandbox.add())[0][0] for _ in range(3)] == ["E", "E", "A"]
        assert sandbox.add() == []
        assert sandbox.control("GET", "faults") == []

    def test_a_fault_without_a_number_holds_until_it_is_switched_off(self, sandbox: Sandbox) -> None:
        sandbox.fault("abort", service="*", times=None)
        assert codes(sandbox.add()) == codes(sandbox.add()) == [("A", "")]
        (fault,) = sandbox.control("GET", "faults")
        assert sandbox.control("DELETE", f"faults/{fault['id']}") == []
        assert sandbox.add() == []

    def test_a_standing_condition_holds_beside_a_counted_incident(self, sandbox: Sandbox) -> None:
        sandbox.fault("hidden", times=None)
        sandbox.fault("good-row")
        assert codes(sandbox.add()) == [("G", "")]
        assert "26-014" not in sandbox.numbers()
        assert sandbox.job()


class TestFaultsThatAnswer:
    @pytest.mark.parametrize(
        ("fault", "details", "expected"),
        [
            ("not-authorized", {}, [("A", "")]),
            ("abort", {}, [("A", "")]),
            ("time-out-has-occurred", {}, [("A", "")]),
            ("e-row", {}, [("E", "Job_Number")]),
            ("unknown-code", {}, [("Z", "")]),
            (
                "error-rows",
                {
                    "rows": [
                        {"code": "I", "desc": "No.", "column": "City"},
                        {"code": "M", "desc": "Yes.", "column": "UDF1"},
                    ]
                },
                [("I", "City"), ("M", "UDF1")],
            ),
        ],
    )
    def test_rows_instead_of_work(
        self, sandbox: Sandbox, fault: str, details: dict[str, Any], expected: list[tuple[str, str]]
    ) -> None:
        sandbox.fault(fault, **details)
        assert codes(sandbox.add()) == expected
        assert sandbox.job() is None

    def test_the_seen_text_of_a_refusal(self, sandbox: Sandbox) -> None:
        sandbox.fault("not-authorized", service="GetJob")
        (row,) = sandbox.read("GetJob")
        assert row["Error_Description"] == (
            "The Web Service is not authorized. Authorization ID is not setup in the system."
        )

    def test_a_good_row_is_a_success_but_not_for_a_call_that_is_refused(self, sandbox: Sandbox) -> None:
        sandbox.fault("good-row", times=2)
        assert codes(sandbox.add(State="X")) == [("I", "State")]
        assert codes(sandbox.add()) == [("G", "")]
        assert sandbox.job()

    @pytest.mark.parametrize("created", [False, True])
    @pytest.mark.parametrize("status", [200, 500])
    @pytest.mark.parametrize("blamed", ["Client", "Server"])
    def test_a_soap_fault(self, sandbox: Sandbox, blamed: str, status: int, created: bool) -> None:
        sandbox.fault(f"fault-{blamed.lower()}", status=status, created=created)
        answer = sandbox.call("AddJob", **JOB)
        assert (answer.status_code, soap_fault(answer)[0]) == (status, blamed)
        assert bool(sandbox.job()) == created

    @pytest.mark.parametrize("created", [False, True])
    @pytest.mark.parametrize(
        ("fault", "details", "status", "looks_right"),
        [
            ("status", {"status": 403}, 403, lambda answer: "xml" not in answer.text),
            ("html", {}, 200, lambda answer: "<h1>" in answer.text),
            ("redirect", {}, 307, lambda answer: answer.headers["Location"] == "/ws/AddJob"),
            ("empty", {}, 200, lambda answer: answer.content == b""),
            ("dtd", {}, 200, lambda answer: "<!ENTITY" in answer.text),
            ("drip", {"seconds": 0.0001}, 200, lambda answer: len(reply_array(answer)) == 0),
            ("huge", {}, 200, lambda answer: len(answer.content) > 32 * 1024 * 1024),
        ],
    )
    def test_an_answer_of_another_kind(
        self,
        sandbox: Sandbox,
        fault: str,
        details: dict[str, Any],
        status: int,
        looks_right: Callable[[httpx.Response], bool],
        created: bool,
    ) -> None:
        sandbox.fault(fault, created=created, **details)
        answer = sandbox.call("AddJob", **JOB)
        assert answer.status_code == status
        assert looks_right(answer)
        assert bool(sandbox.job()) == created

    @pytest.mark.parametrize("declared", [True, False])
    def test_an_answer_in_latin_1(self, sandbox: Sandbox, declared: bool) -> None:
        sandbox.fault("latin-1", service="GetJobMain", declared=declared)
        answer = sandbox.call("GetJobMain", pEstimator="RCHEN", pDivision="4", pCustomer_Code="RAINIERFD")
        assert "Café".encode("latin-1") in answer.content
        if declared:
            assert [row["Job_Description"] for row in read_rows("GetJobMain", answer)] == ["Walk-in Freezer Café Bay"]
        else:
            with pytest.raises(etree.XMLSyntaxError):
                etree.fromstring(answer.content)

    def test_without_a_token_a_hosted_installation_answers_401(self, sandbox: Sandbox) -> None:
        sandbox.fault("bearer", service="*", times=None)
        assert sandbox.call("AddJob", **JOB).status_code == 401
        form = {"grant_type": "client_credentials", "scope": "spectrumapi", "client_id": "a", "client_secret": "b"}
        assert sandbox.spectrum.post("/connect/token", data=form | {"scope": "other"}).status_code == 400
        token = sandbox.spectrum.post("/connect/token", data=form).json()["access_token"]
        answer = sandbox.post("AddJob", request("AddJob", JOB), {"Authorization": f"Bearer {token}"})
        assert error_rows(answer) == []


class TestFaultsThatDoNotAnswer:
    @pytest.mark.parametrize(
        ("fault", "details", "error", "created"),
        [
            ("timeout", {}, httpx.ReadTimeout, False),
            ("created-then-timeout", {}, httpx.ReadTimeout, True),
            ("timeout", {"seconds": 0.1}, httpx.RemoteProtocolError, False),
            ("created-then-timeout", {"seconds": 0.1}, httpx.RemoteProtocolError, True),
            ("reset", {"created": False}, httpx.ReadError, False),
            ("reset", {"created": True}, httpx.ReadError, True),
            ("cut", {"created": False}, httpx.RemoteProtocolError, False),
            ("cut", {"created": True}, httpx.RemoteProtocolError, True),
            ("drip", {"seconds": 0.5}, httpx.ReadTimeout, True),
        ],
    )
    def test_the_client_learns_nothing(
        self, sandbox: Sandbox, fault: str, details: dict[str, Any], error: type[Exception], created: bool
    ) -> None:
        sandbox.fault(fault, **details)
        with pytest.raises(error):
            sandbox.post("AddJob", request("AddJob", JOB), timeout=0.3)
        assert eventually(lambda: sandbox.control("GET", "calls"))
        assert bool(sandbox.job()) == created

    @pytest.mark.parametrize(
        ("details", "error"), [({"reset": True}, httpx.ReadError), ({"hang": 0.1}, httpx.RemoteProtocolError)]
    )
    def test_a_job_may_appear_after_the_connection_broke(
        self, sandbox: Sandbox, details: dict[str, Any], error: type[Exception]
    ) -> None:
        sandbox.fault("late-commit", seconds=0.3, **details)
        with pytest.raises(error):
            sandbox.call("AddJob", **JOB)
        assert [call["outcome"] for call in sandbox.control("GET", "calls")] == ["nothing"]
        assert eventually(sandbox.job)


class TestFaultsThatChangeTheRules:
    def test_a_dropped_field_is_answered_as_success(self, sandbox: Sandbox) -> None:
        sandbox.fault("drop-field", element="City")
        assert sandbox.add(City="Orting", State="WA") == []
        (row,) = (row for row in sandbox.read("GetJobMain") if row["Job_Number"] == "26-014")
        assert (row["City"], row["State"]) == ("", "WA")
        assert "City" not in (sandbox.job() or {})

    def test_a_hidden_job_still_stops_a_second_one(self, sandbox: Sandbox) -> None:
        sandbox.fault("hidden")
        assert sandbox.add() == []
        assert "26-014" not in sandbox.numbers()
        assert codes(sandbox.add()) == [("I", "Job_Number")]

    @pytest.mark.parametrize("customer", ["*", "cascrest"])
    def test_a_customer_on_hold(self, sandbox: Sandbox, customer: str) -> None:
        sandbox.fault("customer-on-hold", customer=customer, times=None)
        assert codes(sandbox.add(Customer_Code="CASCREST")) == [("I", "Customer_Code")]
        assert bool(sandbox.add(Customer_Code="PIERCECO")) == (customer == "*")

    def test_one_more_required_element(self, sandbox: Sandbox) -> None:
        sandbox.fault("required", times=None)
        assert codes(sandbox.add()) == [("M", "Tax_Class_Code")]
        assert sandbox.add(Tax_Class_Code="STD") == []

    def test_a_smaller_cap(self, sandbox: Sandbox) -> None:
        sandbox.fault("cap", service="GetPhase", rows=3)
        rows = sandbox.read("GetPhase", pJob_Number="T-COMM")
        assert [row["Error_Code"] for row in rows] == [" ", " ", " ", "W"]

    def test_a_missing_description_does_not_touch_the_calls(self, sandbox: Sandbox) -> None:
        sandbox.fault("wsdl-missing")
        assert sandbox.add() == []
        assert sandbox.spectrum.get("/wsdls/AddJob.jws").status_code == 404
        assert sandbox.spectrum.get("/wsdls/AddJob.jws").status_code == 200

    def test_slow_calls_take_their_time(self, sandbox: Sandbox) -> None:
        sandbox.fault("slow", milliseconds=300)
        before = time.monotonic()
        assert sandbox.add() == []
        assert time.monotonic() - before > 0.3


def tree(answer: httpx.Response) -> Any:
    """A page, parsed."""
    assert answer.status_code == 200
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    return html.fromstring(answer.text)


class TestThePages:
    def test_the_newest_job_stands_first_and_says_how_it_came(self, sandbox: Sandbox) -> None:
        sandbox.add(Job_Description="<b>Depot</b> & Canopy")
        first, second = tree(sandbox.spectrum.get("/")).xpath("//tbody/tr")[:2]
        assert [cell.text_content().strip() for cell in first][:2] == ["26-014", "<b>Depot</b> & Canopy"]
        assert "over AddJob" in first.text_content()
        assert "over AddJob" not in second.text_content()
        job = tree(sandbox.spectrum.get(first.xpath(".//a/@href")[0]))
        assert job.xpath("//tr[th='Taxable_Flag']/td/text()") == ["Y"]

    def test_a_template_shows_its_phases(self, sandbox: Sandbox) -> None:
        job = tree(sandbox.spectrum.get("/jobs/T-CIVIL"))
        assert job.xpath("//caption/text()") == ["40 phases"]

    def test_what_is_not_there_says_so(self, sandbox: Sandbox) -> None:
        answer = sandbox.spectrum.get("/jobs/NONE")
        assert answer.status_code == 404
        assert "There is no job NONE." in answer.text
        assert sandbox.mailbox.get("/mails/99").status_code == 404
        assert sandbox.spectrum.post("/jobs/NONE").status_code == 405

    def test_every_fault_can_be_switched_on_and_off_by_its_form(self, sandbox: Sandbox) -> None:
        forms = tree(sandbox.spectrum.get("/faults")).xpath("//form[@action='/faults']")
        for form in forms:
            fields = dict(form.form_values())
            sandbox.control("DELETE", "faults")
            assert sandbox.spectrum.post("/faults", data=fields).status_code == 303
            (fault,) = sandbox.control("GET", "faults")
            assert (fault["fault"], fault["service"], fault["times"]) == (fields["fault"], "AddJob", 1)
        assert len(forms) > 25
        off = tree(sandbox.spectrum.get("/faults")).xpath("//form[@action='/faults/off']")[0]
        assert sandbox.spectrum.post("/faults/off", data=dict(off.form_values())).status_code == 303
        assert sandbox.control("GET", "faults") == []

    def test_a_form_without_times_holds_until_switched_off(self, sandbox: Sandbox) -> None:
        rows = "I | No. | City\n\nM | Missing. | State\n"
        sandbox.spectrum.post("/faults", data={"fault": "error-rows", "service": "*", "times": "", "rows": rows})
        assert codes(sandbox.add()) == codes(sandbox.add()) == [("I", "City"), ("M", "State")]
        assert "Faults are switched on: error-rows" in sandbox.spectrum.get("/").text

    def test_a_form_that_makes_no_sense_is_refused_in_words(self, sandbox: Sandbox) -> None:
        answer = sandbox.spectrum.post("/faults", data={"fault": "slow", "service": "AddJob", "milliseconds": "long"})
        assert answer.status_code == 400
        assert "Give a number" in answer.text


class TestTheMailbox:
    def test_a_mail_is_kept_as_received(self, sandbox: Sandbox) -> None:
        raw = b"Subject: x\r\n\r\n.dot\r\n\xe9 and \xc3\xa9\r\n"
        with sandbox.smtp() as conversation:
            conversation.sendmail("app@hb.example", ["a@hb.example", "b@hb.example"], raw)
        assert sandbox.mailbox.get("/mails/1.eml").content == raw
        assert sandbox.mailbox.get("/mails/1.eml").headers["Content-Type"] == "message/rfc822"
        assert sandbox.mails()[0]["to"] == ["a@hb.example", "b@hb.example"]

    def test_mails_are_listed_newest_first_and_decoded(self, sandbox: Sandbox) -> None:
        sandbox.send("a@hb.example", subject="First")
        sandbox.send("a@hb.example", subject="Größe – 26-014", text="Grüße\n", page="<p>Grüße</p>")
        newest, first = sandbox.mails()
        assert (newest["n"], first["n"], first["subject"], first["html"]) == (2, 1, "First", "")
        assert (newest["from"], newest["subject"]) == ("app@hb.example", "Größe – 26-014")
        assert (newest["text"].strip(), newest["html"].strip()) == ("Grüße", "<p>Grüße</p>")
        assert (newest["message_id"], newest["date"]) == ("<1@hb.example>", "Mon, 09 Mar 2026 07:00:00 -0700")
        assert ["To", "a@hb.example"] in newest["headers"]

    def test_the_list_links_to_each_mail_and_its_raw_message(self, sandbox: Sandbox) -> None:
        sandbox.send("a@hb.example", subject="<b>Hello</b>")
        links = tree(sandbox.mailbox.get("/")).xpath("//tbody//a")
        assert [(link.text, link.get("href")) for link in links] == [
            ("<b>Hello</b>", "/mails/1"),
            (".eml", "/mails/1.eml"),
        ]

    def test_the_html_of_a_mail_can_do_nothing(self, sandbox: Sandbox) -> None:
        sandbox.send("a@hb.example", text="Plain.", page="<script>alert(1)</script><p>Rich.</p>")
        page = tree(sandbox.mailbox.get("/mails/1"))
        (frame,) = page.xpath("//iframe")
        assert frame.get("sandbox") == ""
        assert not page.xpath("//script")
        answer = sandbox.mailbox.get(frame.get("src"))
        assert "Rich." in answer.text
        assert answer.headers["Content-Security-Policy"].startswith("sandbox; default-src 'none'")

    def test_any_login_is_taken(self, sandbox: Sandbox) -> None:
        with sandbox.smtp() as conversation:
            assert conversation.login("app", "secret")[0] == 235

    def test_mails_are_forgotten_on_reset(self, sandbox: Sandbox) -> None:
        sandbox.send("a@hb.example")
        sandbox.mailbox.post("/sandbox/reset")
        assert sandbox.mails() == []
        assert sandbox.mailbox.get("/mails/1.eml").status_code == 404


class TestFaultsOfTheMailbox:
    @pytest.mark.parametrize(
        ("command", "error"),
        [
            ("CONNECT", smtplib.SMTPConnectError),
            ("MAIL", smtplib.SMTPSenderRefused),
            ("RCPT", smtplib.SMTPRecipientsRefused),
            ("DATA", smtplib.SMTPDataError),
            ("TEXT", smtplib.SMTPDataError),
        ],
    )
    @pytest.mark.parametrize("reply", ["451 4.3.0 Later", "550 5.1.1 No such mailbox"])
    def test_a_command_is_refused_once(
        self, sandbox: Sandbox, command: str, reply: str, error: type[smtplib.SMTPException]
    ) -> None:
        sandbox.smtp_fault(command, reply)
        with pytest.raises(error) as refusal:
            sandbox.send("a@hb.example")
        assert reply[:3] in str(refusal.value)
        assert sandbox.mails() == []
        sandbox.send("a@hb.example")
        assert len(sandbox.mails()) == 1

    def test_a_sign_in_is_refused(self, sandbox: Sandbox) -> None:
        sandbox.smtp_fault("AUTH", "535 5.7.8 Wrong password", times=None)
        with sandbox.smtp() as conversation, pytest.raises(smtplib.SMTPAuthenticationError):
            conversation.login("app", "secret")

    def test_one_recipient_is_refused_and_the_other_not(self, sandbox: Sandbox) -> None:
        sandbox.smtp_fault("RCPT", "550 5.1.1 No such mailbox", recipient="B@hb.example", times=None)
        sandbox.send("a@hb.example", "b@hb.example")
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            sandbox.send("b@hb.example")
        assert [mail["to"] for mail in sandbox.mails()] == [["a@hb.example"]]

    @pytest.mark.parametrize(
        ("reply", "error"), [("silence", TimeoutError), ("drop", smtplib.SMTPServerDisconnected)], ids=str
    )
    @pytest.mark.parametrize(("command", "stored"), [("DATA", False), ("TEXT", False), ("TEXT", True)])
    def test_the_conversation_ends_without_an_answer(
        self, sandbox: Sandbox, command: str, stored: bool, reply: str, error: type[Exception]
    ) -> None:
        sandbox.smtp_fault(command, reply, stored=stored)
        conversation = sandbox.smtp(timeout=0.5)
        with pytest.raises((error, smtplib.SMTPServerDisconnected)) as ended:
            conversation.sendmail("app@hb.example", ["a@hb.example"], b"Subject: x\r\n\r\ny\r\n")
        conversation.close()
        assert ("timed out" in str(ended.value)) == (reply == "silence")
        assert eventually(lambda: len(sandbox.mails()) == stored)

    def test_everything_bounces_until_it_is_switched_off_by_form(self, sandbox: Sandbox) -> None:
        bounce = tree(sandbox.mailbox.get("/faults")).xpath("//form[.//button='Bounce everything']")[0]
        assert sandbox.mailbox.post("/faults", data=dict(bounce.form_values())).status_code == 303
        for _ in range(2):
            with pytest.raises(smtplib.SMTPRecipientsRefused):
                sandbox.send("a@hb.example")
        off = tree(sandbox.mailbox.get("/faults")).xpath("//form[@action='/faults/off']")[0]
        sandbox.mailbox.post("/faults/off", data=dict(off.form_values()))
        sandbox.send("a@hb.example")
        assert len(sandbox.mails()) == 1

    @pytest.mark.parametrize(
        "given",
        [
            {"command": "HELO", "reply": "451 No"},
            {"command": "RCPT", "reply": "250 Fine"},
            {"command": "RCPT", "reply": "451 No\r\n250 Yes"},
            {"command": "RCPT", "reply": "451 No", "times": -1},
            {"command": "RCPT", "reply": "451 No", "colour": "red"},
            {"command": "RCPT", "reply": "451 No", "stored": "yes"},
        ],
    )
    def test_a_fault_that_is_none_is_refused(self, sandbox: Sandbox, given: dict[str, Any]) -> None:
        answer = sandbox.mailbox.post("/sandbox/faults", json=given)
        assert answer.status_code == 400
        assert answer.json()["error"].endswith(".")


@pytest.mark.parametrize("reset", [False, True])
def test_what_comes_late_does_not_come_into_a_sandbox_that_was_reset_meanwhile(tmp_path: Path, reset: bool) -> None:
    store = Store(tmp_path / "spectrum.db")
    seed.fill(store)
    sent = {field.element: "" for field in parameters("AddJob")}
    sent |= {"Authorization_ID": "DEMO-COUNTERSIGN", "GUID": str(uuid.uuid4()), "Company_Code": "HB", "Division": "1"}
    sent |= {"Job_Number": "26-901", "Job_Description": "Depot", "Taxable_Flag": "Y", "Price_Method_Code": "F"}
    late = unless_reset(Call(store, "AddJob", sent))
    if reset:
        store.clear()
        seed.fill(store)
    late()
    assert (store.job("26-901") is None) == reset
