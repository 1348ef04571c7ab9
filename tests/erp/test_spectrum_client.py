"""Spectrum over real HTTP: one test or more for each row of the outcome table, reads, and what never leaks.

Faults that the sandbox Spectrum can play are played there; what needs odd bytes or an odd socket has a
server of a few lines here.
"""

import asyncio
import logging
import re
import socket
import ssl
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread
from typing import Any
from uuid import UUID

import httpx
import pytest
import trustme
from lxml import etree
from support.fake_erp import FakeERP

from erp import ERP, Message, Outcome, ReadError, ReadResult, WriteResult
from erp.spectrum.answers import masked
from erp.spectrum.client import Spectrum
from erp.spectrum.fields import SERVICES
from erp.spectrum.mapping import parameters

AUTHORIZATION_ID, COMPANY = "DEMO-COUNTERSIGN", "HB"
NOT_AUTHORIZED = "The Web Service is not authorized. Authorization ID is not setup in the system."
JOB = {
    "Job_Number": "26-900",
    "Job_Description": "Harbor Café",
    "City": "Austin",
    "Taxable_Flag": "N",
    "Price_Method_Code": "F",
}
PHASE = {
    "Job_Number": "26-900",
    "Phase_Code": "01100",
    "Description": "Mobilization",
    "Cost_Type": "L",
    "Price_Method_Code": "J",
}
TYPES = "http://www.northgate-is.com/proiv/webservices/types"
CREATED, REFUSED, UNKNOWN = Outcome.CREATED, Outcome.REFUSED, Outcome.UNKNOWN
CONFIGURATION, NOT_SENT = Outcome.CONFIGURATION, Outcome.NOT_SENT

Behaviour = Callable[[socket.socket, bytes], None]
Details = dict[str, Any]


def client(url: str, **options: Any) -> Spectrum:
    given = {"connect_timeout": 2, "read_timeout": 5, "deadline": 10, **options}
    return Spectrum(url, COMPANY, AUTHORIZATION_ID, **given)


# The sandbox Spectrum


class Sandbox:
    """The sandbox's control interface."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.http = httpx.Client(base_url=f"{url}/sandbox/", trust_env=False)

    def post(self, path: str, **given: object) -> None:
        self.http.post(path, json=given).raise_for_status()

    def fault(self, fault: str, service: str = "*", times: int | None = 1, **parameters: object) -> None:
        self.post("faults", fault=fault, service=service, times=times, **parameters)

    def read(self, path: str) -> list[Details]:
        rows: list[Details] = self.http.get(path).json()
        return rows


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
    sandbox_process.post("reset", seed=False)
    return sandbox_process


# A server of a few lines

TLS_HELLO = b"\x16"


def request_of(connection: socket.socket) -> bytes:
    """Read one HTTP request whole, or the hello of a client that wants TLS."""
    received = connection.recv(65536)
    while b"\r\n\r\n" not in received and not received.startswith(TLS_HELLO):
        received += more(connection)
    head, _, body = received.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: (\d+)", head)
    while length and len(body) < int(length[1]):
        body += more(connection)
    return head + b"\r\n\r\n" + body


def more(connection: socket.socket) -> bytes:
    received = connection.recv(65536)
    if not received:
        raise ConnectionError
    return received


@contextmanager
def server(behave: Behaviour, trust: ssl.SSLContext | None = None) -> Iterator[str]:
    """Answer each connection's request with `behave`, then close; gives the address."""

    def serve() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with suppress(OSError), connection:
                    stream = trust.wrap_socket(connection, server_side=True) if trust else connection
                    with stream:
                        behave(stream, request_of(stream))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = Thread(target=serve)
        thread.start()
        try:
            yield f"{'https' if trust else 'http'}://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def http(body: bytes | str, status: int = 200, content_type: str = "text/xml; charset=utf-8") -> bytes:
    content = body.encode() if isinstance(body, str) else body
    head = f"HTTP/1.1 {status} x\r\nContent-Type: {content_type}\r\nContent-Length: {len(content)}\r\n\r\n"
    return head.encode() + content


def saying(answer: bytes) -> Behaviour:
    return lambda connection, _: connection.sendall(answer)


def envelope(content: str) -> str:
    soap = "http://schemas.xmlsoap.org/soap/envelope/"
    return f'<e:Envelope xmlns:e="{soap}" xmlns:n="{TYPES}"><e:Header/><e:Body>{content}</e:Body></e:Envelope>'


def reply(content: str, service: str = "AddJob") -> str:
    return envelope(f"<n:{service}Response><returnArray>{content}</returnArray></n:{service}Response>")


def row(code: str, desc: str = "", column: str = "") -> str:
    return f"<response><error_code>{code}</error_code><desc>{desc}</desc><column>{column}</column></response>"


def data(*rows: str) -> str:
    return f"<returnData>{''.join(rows)}</returnData>"


def add_job_at(behave: Behaviour, **options: Any) -> WriteResult:
    with server(behave) as url:
        return client(url, **options).add_job(JOB)


class TestTheCall:
    """What goes out."""

    def test_every_declared_parameter_is_present_in_order_with_the_endpoint_as_soap_action(self) -> None:
        received: list[bytes] = []

        def behave(connection: socket.socket, request: bytes) -> None:
            received.append(request)
            connection.sendall(http(reply("")))

        with server(behave) as url:
            assert client(url + "/").add_job(JOB).outcome is CREATED
        head, _, body = received[0].partition(b"\r\n\r\n")
        call = etree.fromstring(body)[0][0]
        values = {child.tag: child.text or "" for child in call}
        assert head.startswith(b"POST /ws/AddJob HTTP/1.1\r\n")
        assert f"SOAPAction: {url}/ws/AddJob\r\n".encode() in head
        assert b"Content-Type: text/xml; charset=utf-8\r\n" in head
        assert call.tag == f"{{{TYPES}}}AddJob"
        assert list(values) == [field.element for field in parameters("AddJob")]
        assert UUID(values.pop("GUID")).version == 4
        access = {"Authorization_ID": AUTHORIZATION_ID, "Company_Code": COMPANY}
        assert {element: value for element, value in values.items() if value} == {**JOB, **access}

    def test_each_call_has_a_connection_and_a_guid_of_its_own(self) -> None:
        guids: list[bytes] = []

        def behave(connection: socket.socket, request: bytes) -> None:
            guids.extend(re.findall(rb"<GUID>(.+)</GUID>", request))
            connection.sendall(http(reply("")))

        with server(behave) as url:
            spectrum = client(url)
            assert [spectrum.add_job(JOB).outcome for _ in range(3)] == [CREATED] * 3
        assert len(set(guids)) == 3

    def test_a_proxy_of_the_environment_is_not_used(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
        assert add_job_at(saying(http(reply("")))).outcome is CREATED

    def test_a_call_works_in_a_thread_that_runs_an_event_loop(self) -> None:
        async def call(url: str) -> WriteResult:
            return client(url).add_job(JOB)

        with server(saying(http(reply("")))) as url:
            assert asyncio.run(call(url)).outcome is CREATED

    @pytest.mark.parametrize("text", ["nul \x00", "half \ud800"])
    def test_a_value_that_xml_cannot_hold_is_refused_and_not_sent(self, text: str) -> None:
        answer = client("http://127.0.0.1:9").add_job({**JOB, "City": text})
        assert answer == WriteResult(REFUSED, "A value holds a character that cannot be sent to Spectrum.")


class TestCreated:
    """Blank, G or S in a whole, well-formed, correctly named reply."""

    @pytest.mark.parametrize("fault", [None, "good-row"])
    def test_the_sandbox_makes_the_job(self, sandbox: Sandbox, fault: str | None) -> None:
        if fault:
            sandbox.fault(fault)
        assert client(sandbox.url).add_job(JOB) == WriteResult(CREATED)
        assert [(job["Job_Number"], job["Job_Description"]) for job in sandbox.read("jobs")] == [
            ("26-900", "Harbor Café")
        ]

    @pytest.mark.parametrize(
        "body",
        [
            reply(""),
            reply("<returnData/>"),
            reply(data(row("G", "Contract created"))),
            reply(data(row("S"))),
            reply(data(row(""))),
            reply(data(row(" "))),
            reply(data(row("G"), row("G"))),
            reply("<!-- 1 -->"),
            envelope("<n:ServiceResponse><returnArray/></n:ServiceResponse>"),
            envelope(f'<AddJobResponse xmlns="{TYPES}"><returnArray><returnData/></returnArray></AddJobResponse>'),
        ],
    )
    def test_a_recognised_success_is_created(self, body: str) -> None:
        assert add_job_at(saying(http(body))) == WriteResult(CREATED)

    def test_latin_1_is_read_where_the_xml_or_the_header_declares_it(self, sandbox: Sandbox) -> None:
        sandbox.fault("latin-1", declared=True)
        assert client(sandbox.url).add_job(JOB).outcome is CREATED
        body = reply(data(row("G", "señor"))).encode("latin-1")
        assert add_job_at(saying(http(body, content_type="text/xml; charset=ISO-8859-1"))).outcome is CREATED
        declared = b'<?xml version="1.0" encoding="ISO-8859-1"?>' + body
        assert add_job_at(saying(http(declared, content_type="text/xml; charset=utf-8"))).outcome is CREATED


class TestRefused:
    """A, I, M and E rows: failed, with each field's message."""

    @pytest.mark.parametrize(
        ("fault", "message"),
        [
            ("not-authorized", Message("Authorization_ID", NOT_AUTHORIZED, "A")),
            ("abort", Message("", "The Web Service was aborted.", "A")),
            ("time-out-has-occurred", Message("", "Time out has occurred", "A")),
            ("e-row", Message("Job_Number", "The record is in use by another operator.", "E")),
        ],
    )
    def test_an_error_row_is_a_message(self, sandbox: Sandbox, fault: str, message: Message) -> None:
        sandbox.fault(fault)
        answer = client(sandbox.url).add_job(JOB)
        assert (answer.outcome, answer.messages) == (REFUSED, (message,))

    def test_several_rows_are_several_messages_in_one_sentence(self) -> None:
        body = reply(data(row("I", "Unknown.", "Customer_Code"), row("M", "Required", "Tax_Class_Code")))
        answer = add_job_at(saying(http(body)))
        assert answer.cause == "Spectrum refused to create the job: Customer: Unknown.; Tax Class Code: Required."
        assert [message.element for message in answer.messages] == ["Customer_Code", "Tax_Class_Code"]

    def test_a_good_row_beside_an_invalid_one_changes_nothing(self) -> None:
        answer = add_job_at(saying(http(reply(data(row("G", "Noted"), row("I", "Taken", "Job_Number"))))))
        assert answer.outcome is REFUSED
        assert answer.messages == (Message("Job_Number", "Taken", "I"),)


class TestConfiguration:
    """What no repeating mends: the sentence names the setting."""

    @pytest.mark.parametrize(
        ("status", "setting"),
        [(401, "SPECTRUM_AUTHORIZATION_ID"), (403, "SPECTRUM_AUTHORIZATION_ID"), (404, "SPECTRUM_URL")],
    )
    def test_a_status_names_the_setting(self, sandbox: Sandbox, status: int, setting: str) -> None:
        sandbox.fault("status", status=status)
        answer = client(sandbox.url).add_job(JOB)
        assert answer.outcome is CONFIGURATION
        assert setting in answer.cause

    @pytest.mark.parametrize("status", [200, 500])
    def test_a_client_fault_names_the_setting_and_says_what_spectrum_said(self, sandbox: Sandbox, status: int) -> None:
        sandbox.fault("fault-client", status=status)
        answer = client(sandbox.url).add_job(JOB)
        assert answer.outcome is CONFIGURATION
        assert "Could not find WebService named: AddJob" in answer.cause
        assert "SPECTRUM_URL" in answer.cause

    @pytest.mark.parametrize(("name", "trusted"), [("127.0.0.1", False), ("other.example.com", True)])
    def test_a_certificate_that_is_not_trusted_names_the_ca_file(
        self, tmp_path: Path, name: str, trusted: bool
    ) -> None:
        with tls_server(tmp_path, name) as (url, ca_file):
            answer = client(url, ca_file=ca_file if trusted else None).add_job(JOB)
        assert answer.outcome is CONFIGURATION
        assert "SPECTRUM_CA_FILE" in answer.cause
        assert "nothing was sent" in answer.cause

    def test_a_certificate_of_the_ca_file_is_trusted(self, tmp_path: Path) -> None:
        with tls_server(tmp_path, "127.0.0.1") as (url, ca_file):
            assert client(url, ca_file=ca_file).add_job(JOB).outcome is CREATED


@contextmanager
def tls_server(directory: Path, name: str) -> Iterator[tuple[str, str]]:
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    ca_file = directory / "ca.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    with server(saying(http(reply(""))), context) as url:
        yield url, str(ca_file)


class TestNotSent:
    """Nothing left this machine, so trying again is safe."""

    def test_a_refused_connection_is_not_sent(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        assert client(f"http://127.0.0.1:{port}").add_job(JOB) == WriteResult(
            NOT_SENT,
            f"Spectrum could not be reached at 127.0.0.1:{port} (Connection refused); nothing was sent."
            " Countersign tries again by itself.",
        )

    def test_a_name_that_is_not_found_is_not_sent(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def unknown(*_: object, **__: object) -> None:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

        monkeypatch.setattr(socket, "getaddrinfo", unknown)
        answer = client("https://spectrum.example.com:8482").add_job(JOB)
        assert answer.outcome is NOT_SENT
        assert "spectrum.example.com:8482 (Name or service not known)" in answer.cause

    def test_a_connection_that_is_never_taken_is_not_sent(self) -> None:
        with socket.socket() as listener, socket.socket() as first, socket.socket() as second:
            listener.bind(("127.0.0.1", 0))
            listener.listen(0)
            for waiting in (first, second):  # fill the queue: Linux then lets further ones wait
                waiting.setblocking(False)
                waiting.connect_ex(listener.getsockname())
            url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            answer = client(url, connect_timeout=0.3).add_job(JOB)
        assert (answer.outcome, "(no answer)" in answer.cause) == (NOT_SENT, True)

    def test_a_server_without_tls_is_not_sent_to(self) -> None:
        with server(saying(http("", 400))) as url:
            answer = client(url.replace("http://", "https://")).add_job(JOB)
        assert (answer.outcome, "(it speaks no TLS there)" in answer.cause) == (NOT_SENT, True)


class TestUnknown:
    """The job may exist: whatever is not exactly an answer."""

    @pytest.mark.parametrize("created", [True, False])
    @pytest.mark.parametrize(
        ("fault", "parameters"),
        [
            ("fault-server", {"status": 500}),
            ("fault-server", {"status": 200}),
            ("unknown-code", {}),
            ("status", {"status": 400}),
            ("status", {"status": 503}),
            ("html", {"status": 200}),
            ("html", {"status": 500}),
            ("redirect", {"status": 301}),
            ("redirect", {"status": 307}),
            ("empty", {}),
            ("cut", {}),
            ("huge", {}),
            ("latin-1", {"declared": False}),
            ("dtd", {}),
            ("reset", {}),
        ],
    )
    def test_an_answer_that_is_none_leaves_it_open(
        self, sandbox: Sandbox, fault: str, parameters: Details, created: bool
    ) -> None:
        sandbox.fault(fault, times=None, created=created, **parameters)
        answer = client(sandbox.url).add_job(JOB)
        assert answer.outcome is UNKNOWN
        assert answer.cause.endswith("It may have arrived all the same; Countersign looks in Spectrum by itself.")
        assert len(sandbox.read("calls")) == 1
        assert len(sandbox.read("jobs")) == created

    def test_an_answer_of_more_than_32_mebibytes_is_cut_off(self, sandbox: Sandbox) -> None:
        sandbox.fault("huge")
        cause = client(sandbox.url).add_job(JOB).cause
        assert cause.startswith("Spectrum's answer was too large to be one of its answers.")

    @pytest.mark.parametrize("status", [201, 202, 301, 400, 500, 502])
    @pytest.mark.parametrize("content", ["", data(row("I", "Taken", "Job_Number"))])
    def test_an_answer_under_another_status_leaves_it_open(self, status: int, content: str) -> None:
        assert add_job_at(saying(http(reply(content), status))).outcome is UNKNOWN

    @pytest.mark.parametrize("fault", ["timeout", "created-then-timeout"])
    def test_a_read_timeout_leaves_it_open(self, sandbox: Sandbox, fault: str) -> None:
        sandbox.fault(fault)
        answer = client(sandbox.url, read_timeout=0.3).add_job(JOB)
        assert answer.outcome is UNKNOWN
        assert answer.cause.startswith("Spectrum did not answer within 0.3 seconds.")

    def test_a_body_that_drips_ends_at_the_deadline(self, sandbox: Sandbox) -> None:
        sandbox.fault("drip", seconds=0.05)
        answer = client(sandbox.url, deadline=0.5).add_job(JOB)
        assert answer.outcome is UNKNOWN
        assert answer.cause.startswith("Spectrum's answer was not complete after 0.5 seconds.")

    def test_a_head_that_drips_ends_at_the_deadline(self) -> None:
        def drip(connection: socket.socket, _: bytes) -> None:
            for byte in http(reply("")):
                connection.sendall(bytes([byte]))
                time.sleep(0.05)

        answer = add_job_at(drip, deadline=0.5)
        assert answer.cause.startswith("Spectrum's answer was not complete after 0.5 seconds.")

    @pytest.mark.parametrize(
        "answer",
        [
            b"",
            b"HTTP/1.1 200 OK\r\nContent-Le",
            b"not HTTP at all\r\n\r\n",
            http(reply(""))[:-1],
            b"HTTP/1.1 200 OK\r\n\r\n" + reply("").encode()[:-12],
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n<e:En\r\n",
        ],
    )
    def test_a_connection_that_ends_too_early_leaves_it_open(self, answer: bytes) -> None:
        assert add_job_at(saying(answer)).outcome is UNKNOWN

    def test_a_connection_reset_after_the_request_leaves_it_open(self) -> None:
        def reset(connection: socket.socket, _: bytes) -> None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

        assert add_job_at(reset).outcome is UNKNOWN

    @pytest.mark.parametrize(
        "body",
        [
            "<AddJobResponse/>",
            envelope(""),
            envelope("<n:AddJobResponse/>"),
            envelope("<n:AddJobResponse><returnArray/><returnArray/></n:AddJobResponse>"),
            envelope("<n:AddJobResponse><returnData/></n:AddJobResponse>"),
            envelope("<n:AddPhaseResponse><returnArray/></n:AddPhaseResponse>"),
            envelope("<AddJobResponse><returnArray/></AddJobResponse>"),
            envelope("<n:AddJobResponse><returnArray/></n:AddJobResponse><other/>"),
            envelope("</e:Body><e:Body><n:AddJobResponse><returnArray/></n:AddJobResponse>"),
            envelope("<e:Fault/>"),
            envelope("<e:Fault><faultcode>e:MustUnderstand</faultcode></e:Fault>"),
            reply("ERROR"),
            reply("<error/>"),
            reply("<returnData>ERROR</returnData>"),
            reply("<returnData><addJob/></returnData>"),
            reply(data("<response/>")),
            reply(data("<response>ERROR</response>")),
            reply(data("<response><desc>Job added</desc></response>")),
            reply(data("<response><error_code><b>G</b></error_code></response>")),
            reply(data("<response><error_code>G</error_code><error_code>I</error_code></response>")),
            reply(data("<response><error_code>G</error_code><other/></response>")),
            reply(data(row("", "Something happened"))),
            reply(data(row("W", "More"))),
            reply(data(row("g"))),
            reply(data(row("I", "Taken"), row("Z"))),
            reply("") + "<more/>",
            reply("&undefined;"),
        ],
    )
    def test_a_reply_that_is_anything_else_leaves_it_open(self, body: str) -> None:
        answer = add_job_at(saying(http(body)))
        assert (answer.outcome, answer.messages) == (UNKNOWN, ())

    def test_an_unknown_character_set_leaves_it_open(self) -> None:
        assert add_job_at(saying(http(reply(""), content_type="text/xml; charset=wtf-8"))).outcome is UNKNOWN


class TestReads:
    def test_values_come_trimmed_and_by_every_declared_element(self) -> None:
        fields = "<Job_Number> 26-1 </Job_Number><City>Austin </City><Error_Code> </Error_Code>"
        body = reply(data(f"<getJobMain><response>{fields}</response></getJobMain>"), "GetJobMain")
        with server(saying(http(body))) as url:
            found = client(url).jobs()
        assert {element: value for element, value in found.rows[0].items() if value} == {
            "Job_Number": "26-1",
            "City": "Austin",
        }
        assert len(found.rows[0]) == 35

    @pytest.mark.parametrize("content", ["", data(), data("<getJobMain/>")])
    def test_an_empty_wrapper_is_an_empty_listing(self, content: str) -> None:
        with server(saying(http(reply(content, "GetJobMain")))) as url:
            assert client(url).jobs() == ReadResult([], complete=True)

    def test_more_rows_than_the_limit_are_an_incomplete_listing_without_the_blank_row(self, sandbox: Sandbox) -> None:
        sandbox.post("reset", seed=False, jobs=30)
        sandbox.fault("cap", rows=10)
        spectrum = client(sandbox.url)
        capped, whole = spectrum.jobs(), spectrum.jobs()
        assert (len(capped.rows), capped.complete) == (10, False)
        assert all(row["Job_Number"] for row in capped.rows)
        assert whole.complete

    @pytest.mark.parametrize(
        ("fault", "parameters", "outcome"),
        [
            ("not-authorized", {}, CONFIGURATION),
            ("fault-client", {}, CONFIGURATION),
            ("status", {"status": 404}, CONFIGURATION),
            ("abort", {}, REFUSED),
            ("error-rows", {}, REFUSED),
            ("unknown-code", {}, UNKNOWN),
            ("fault-server", {}, UNKNOWN),
            ("cut", {}, UNKNOWN),
            ("huge", {}, UNKNOWN),
            ("reset", {}, UNKNOWN),
        ],
    )
    def test_a_read_that_gives_nothing_to_rely_on_is_unreadable(
        self, sandbox: Sandbox, fault: str, parameters: Details, outcome: Outcome
    ) -> None:
        sandbox.fault(fault, service="GetJobMain", **parameters)
        with pytest.raises(ReadError) as failure:
            client(sandbox.url).jobs()
        assert failure.value.outcome is outcome
        assert failure.value.cause == str(failure.value)

    @pytest.mark.parametrize(
        "fields", ["", "<City>Austin</City>", "<Job_Number>1</Job_Number><Error_Code>?</Error_Code>"]
    )
    def test_a_row_that_is_neither_a_job_nor_a_warning_is_unreadable(self, fields: str) -> None:
        body = reply(data(f"<getJobMain><response>{fields}</response></getJobMain>"), "GetJobMain")
        with server(saying(http(body))) as url, pytest.raises(ReadError) as failure:
            client(url).jobs()
        assert failure.value.outcome is UNKNOWN

    def test_phases_of_a_number_with_an_operator_bring_no_other_jobs_along(self, sandbox: Sandbox) -> None:
        phase = {element: value for element, value in PHASE.items() if element != "Job_Number"}
        for number in ("26*", "26-1"):
            sandbox.post("jobs", Job_Number=number, Status_Code="A", phases=[phase])
        assert [row["Job_Number"] for row in client(sandbox.url).phases("26*").rows] == ["26*"]


class TestProbe:
    @pytest.mark.parametrize("service", SERVICES)
    def test_a_service_that_is_there_and_takes_our_fields_is_fine(self, sandbox: Sandbox, service: str) -> None:
        assert client(sandbox.url).probe(service) is None

    def test_a_missing_description_names_the_address(self, sandbox: Sandbox) -> None:
        sandbox.fault("wsdl-missing", service="AddJob")
        assert "SPECTRUM_URL" in (client(sandbox.url).probe("AddJob") or "")

    @pytest.mark.parametrize(
        ("elements", "sentence"),
        [
            (
                ["Job_Number_2"],
                "Spectrum's AddPhase does not know Job_Number and wants Job_Number_2: "
                "other fields than Countersign sends.",
            ),
            (["Job_Number", "Extra"], "Spectrum's AddPhase wants Extra: other fields than Countersign sends."),
            ([], "Spectrum's AddPhase does not know Job_Number: other fields than Countersign sends."),
        ],
    )
    def test_fields_that_differ_from_ours_are_named(self, elements: list[str], sentence: str) -> None:
        ours = [field.element for field in parameters("AddPhase")]
        place = ours.index("Job_Number")
        with server(saying(http(wsdl([*ours[:place], *elements, *ours[place + 1 :]])))) as url:
            assert client(url).probe("AddPhase") == sentence

    def test_another_order_is_said(self) -> None:
        with server(saying(http(wsdl([field.element for field in reversed(parameters("AddPhase"))])))) as url:
            assert "in another order" in (client(url).probe("AddPhase") or "")

    @pytest.mark.parametrize("body", ["<html/>", "no XML", ""])
    def test_something_that_is_no_description_is_said(self, body: str) -> None:
        with server(saying(http(body))) as url:
            assert client(url).probe("AddPhase") == (
                "Spectrum's description of AddPhase cannot be read. Ask IT to check SPECTRUM_URL."
            )

    def test_an_unreachable_server_is_said(self) -> None:
        assert "could not be reached" in (client("http://127.0.0.1:9").probe("AddJob") or "")


def wsdl(elements: list[str]) -> str:
    lines = "".join(f'<x:element name="{element}" type="x:string"/>' for element in elements)
    call = f'<x:element name="AddPhase"><x:complexType><x:sequence>{lines}</x:sequence></x:complexType></x:element>'
    return f'<definitions xmlns:x="http://www.w3.org/2001/XMLSchema"><types><x:schema>{call}</x:schema></types></definitions>'


class TestToken:
    """A hosted Spectrum wants a token with each call."""

    def test_a_call_with_client_id_and_secret_carries_a_token(self, sandbox: Sandbox) -> None:
        sandbox.fault("bearer", times=None)
        assert client(sandbox.url).add_job(JOB).outcome is CONFIGURATION
        assert client(sandbox.url, token_client=("id", "s")).add_job(JOB).outcome is CREATED

    @pytest.mark.parametrize(
        ("answer", "outcome"),
        [
            (http("{}", 400), CONFIGURATION),
            (http("{}", 401), CONFIGURATION),
            (http("{}"), NOT_SENT),
            (http("[]"), NOT_SENT),
            (http('{"access_token": "a\\nb"}'), NOT_SENT),
            (http("", 503), NOT_SENT),
            (b"", NOT_SENT),
        ],
    )
    def test_without_a_token_nothing_is_sent(self, answer: bytes, outcome: Outcome) -> None:
        paths: list[bytes] = []

        def behave(connection: socket.socket, request: bytes) -> None:
            paths.append(request.split()[1])
            connection.sendall(answer)

        assert add_job_at(behave, token_client=("id", "s")).outcome is outcome
        assert paths == [b"/connect/token"]


class TestSecrets:
    """The Authorization ID, the GUID and tokens are never told, even where the server quotes them."""

    TOKEN, CLIENT_SECRET = "tok-4711-zzz", "client-secret-8822"

    @pytest.mark.parametrize("form", ["row", "fault"])
    def test_a_server_that_quotes_them_is_masked(self, form: str, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG)
        secrets = [AUTHORIZATION_ID, self.TOKEN, self.CLIENT_SECRET]

        def quote(connection: socket.socket, request: bytes) -> None:
            if b"/connect/token" in request:
                connection.sendall(http(f'{{"access_token": "{self.TOKEN}"}}'))
                return
            secrets.append(re.findall(r"<GUID>(.+)</GUID>", request.decode())[0])
            text = f"no: {' '.join(secrets).upper()} {' '.join(secrets)}!"
            fault = f"<e:Fault><faultcode>e:Client</faultcode><faultstring>{text}</faultstring></e:Fault>"
            connection.sendall(http(reply(data(row("A", text, secrets[-1]))) if form == "row" else envelope(fault)))

        answer = add_job_at(quote, token_client=("id", self.CLIENT_SECRET))
        told = f"{answer!r} {caplog.text}".casefold()
        assert answer.outcome in (REFUSED, CONFIGURATION)
        assert "no: ••• •••" in told
        assert len(secrets) == 4
        assert [secret for secret in secrets if secret.casefold() in told] == []

    def test_a_secret_that_is_part_of_another_leaves_no_rest_of_it(self) -> None:
        assert masked({"desc": "no: tok-4711-zzz"}, ["4711", "tok-4711-zzz"]) == {"desc": "no: •••"}

    def test_they_are_in_no_representation_and_no_failure(self) -> None:
        spectrum = client("http://127.0.0.1:9", token_client=("id", self.CLIENT_SECRET))
        with pytest.raises(ReadError) as failure:
            spectrum.jobs()
        told = f"{spectrum!r} {failure.value!r} {failure.getrepr(style='long')}"
        assert AUTHORIZATION_ID not in told
        assert self.CLIENT_SECRET not in told

    def test_a_job_that_holds_the_same_letters_is_read_as_it_is(self) -> None:
        fields = f"<Job_Number>1</Job_Number><Job_Description>{AUTHORIZATION_ID}</Job_Description>"
        body = reply(data(f"<getJobMain><response>{fields}</response></getJobMain>"), "GetJobMain")
        with server(saying(http(body))) as url:
            assert client(url).jobs().rows[0]["Job_Description"] == AUTHORIZATION_ID


@pytest.fixture(params=["fake", "sandbox"])
def accounting(request: pytest.FixtureRequest) -> ERP:
    """Both accounting systems of the tests, empty."""
    return FakeERP() if request.param == "fake" else client(request.getfixturevalue("sandbox").url)


class TestContract:
    """What the fake and the sandbox promise alike, so that tests on the fake mean something."""

    def test_a_job_that_was_added_is_read_back(self, accounting: ERP) -> None:
        assert accounting.add_job(JOB) == WriteResult(CREATED)
        found = accounting.jobs()
        assert [row["Job_Description"] for row in found.rows] == ["Harbor Café"]
        assert found.rows[0].keys() >= {"Phone", "Price_Method_Code", "Error_Code"}
        assert accounting.job_details().rows[0]["City"] == "Austin"

    @pytest.mark.parametrize("number", ["26-900a", "26-900A"])
    def test_a_number_that_is_taken_is_refused_in_any_case(self, accounting: ERP, number: str) -> None:
        accounting.add_job({**JOB, "Job_Number": "26-900a"})
        answer = accounting.add_job({**JOB, "Job_Number": number})
        assert answer.outcome is REFUSED
        assert [(message.element, message.code) for message in answer.messages] == [("Job_Number", "I")]
        assert len(accounting.jobs().rows) == 1

    def test_each_required_value_that_is_missing_is_named(self, accounting: ERP) -> None:
        answer = accounting.add_job({"Job_Number": "26-900"})
        assert answer.outcome is REFUSED
        assert answer.cause
        assert [(message.element, message.code) for message in answer.messages] == [
            ("Taxable_Flag", "M"),
            ("Price_Method_Code", "M"),
        ]
        assert accounting.jobs().rows == []

    @pytest.mark.parametrize(("status", "numbers"), [("", ["1", "2"]), ("A", ["1"]), ("I", ["2"]), ("C", ["3"])])
    def test_a_blank_status_reads_active_and_inactive_jobs(
        self, accounting: ERP, status: str, numbers: list[str]
    ) -> None:
        for number, code in (("1", ""), ("2", "I"), ("3", "C")):
            accounting.add_job({**JOB, "Job_Number": number, "Status_Code": code})
        assert [row["Job_Number"] for row in accounting.jobs(status=status).rows] == numbers
        assert [row["Job_Number"] for row in accounting.job_details(status=status).rows] == numbers

    def test_phases_are_added_and_updated_and_read_by_job(self, accounting: ERP) -> None:
        accounting.add_job(JOB)
        accounting.add_job({**JOB, "Job_Number": "26-901"})
        for description in ("Mobilization", "Start"):
            assert accounting.add_phase({**PHASE, "Description": description}) == WriteResult(CREATED)
        found = accounting.phases("26-900 ")
        assert [(row["Phase_Code"], row["Cost_Type"], row["Description"]) for row in found.rows] == [
            ("01100", "L", "Start")
        ]
        assert accounting.phases("26-901") == ReadResult([], complete=True)

    def test_a_phase_of_no_job_is_refused(self, accounting: ERP) -> None:
        answer = accounting.add_phase(PHASE)
        assert answer.outcome is REFUSED
        assert [(message.element, message.code) for message in answer.messages] == [("Job_Number", "I")]

    def test_every_service_is_fine(self, accounting: ERP) -> None:
        assert [accounting.probe(service) for service in SERVICES] == [None] * 5


@pytest.fixture(params=["fake", "spectrum"])
def out_of_reach(request: pytest.FixtureRequest) -> ERP:
    fake = FakeERP(JOB)
    fake.reachable = False
    return fake if request.param == "fake" else client("http://127.0.0.1:9")


class TestOutOfReach:
    def test_a_write_is_not_sent(self, out_of_reach: ERP) -> None:
        assert out_of_reach.add_job(JOB).outcome is NOT_SENT
        assert out_of_reach.add_phase(PHASE).outcome is NOT_SENT

    @pytest.mark.parametrize(
        "read", [lambda erp: erp.jobs(), lambda erp: erp.job_details(), lambda erp: erp.phases("26-900")]
    )
    def test_a_read_is_unreadable(self, out_of_reach: ERP, read: Callable[[ERP], ReadResult]) -> None:
        with pytest.raises(ReadError) as failure:
            read(out_of_reach)
        assert failure.value.outcome is NOT_SENT

    def test_a_probe_says_so(self, out_of_reach: ERP) -> None:
        assert "could not be reached" in (out_of_reach.probe("AddJob") or "")


class TestFake:
    def test_a_planned_answer_comes_once_and_the_job_is_there_if_planned(self) -> None:
        fake = FakeERP()
        fake.next_add_job(WriteResult(UNKNOWN, "No answer."), created=True)
        fake.next_add_job(WriteResult(UNKNOWN, "No answer."), created=False)
        outcomes = [fake.add_job({**JOB, "Job_Number": number}).outcome for number in ("1", "2", "3")]
        assert outcomes == [UNKNOWN, UNKNOWN, CREATED]
        assert fake.kept.keys() == {"1", "3"}
        assert [service for service, _ in fake.calls] == ["AddJob"] * 3

    def test_more_jobs_than_the_cap_are_an_incomplete_listing(self) -> None:
        fake = FakeERP(JOB, {**JOB, "Job_Number": "26-901", "Customer_Code": "CITY"})
        fake.cap = 1
        assert fake.jobs().complete is False
        assert fake.jobs(customer="city") == ReadResult(fake.jobs(customer="CITY").rows, complete=True)
