"""Spectrum over real HTTP: what goes out, each outcome, reads that are repeated, and what never leaks."""

import asyncio
import gzip
import logging
import re
import socket
import ssl
import struct
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import trustme
from lxml import etree
from support.soap_server import (
    AUTHORIZATION_ID,
    COMPANY,
    TYPES,
    answering,
    client,
    data,
    envelope,
    fault,
    http,
    listed,
    reply,
    row,
    server,
)

from erp import Connection, ErpJob, FieldValue, JobDates, Message, Outcome, Phase, ReadError, WriteResult, freeze, rules
from erp.spectrum.answers import redactor
from erp.spectrum.fields import SERVICES, parameters
from erp.spectrum.system import values_of

CREATED, REFUSED, HELD = Outcome.CREATED, Outcome.REFUSED, Outcome.HELD
NOT_SENT, UNKNOWN = Outcome.NOT_SENT, Outcome.UNKNOWN
REQUEST = rules().build_request(
    {"number": "26-900", "name": "Harbor", "city": "Austin"},
    {"job_number": "26-900", "job_name": "Harbor Café", "taxable": "N", "price_type": "F"},
)
JOB = values_of(REQUEST)
LISTED = http(listed({"Job_Number": "26-900", "Status_Code": "A"}))
PASSING = http(fault("Server", "Error executing Web Service"), 500)
ACCESS = "SPECTRUM_AUTHORIZATION_ID"


def create_at(answer: bytes, **options: Any) -> WriteResult:
    with answering(answer) as (url, received):
        result = client(url, **options).create_job(REQUEST)
        assert len(received) == 1, "a write is sent once"
        return result


def call_in(request: str) -> etree._Element:
    return etree.fromstring(request.partition("\r\n\r\n")[2].encode())[0][0]


def sent_values(request: str) -> dict[str, str]:
    return {child.tag: child.text for child in call_in(request) if child.text}


class TestTheCall:
    """What goes out."""

    def test_every_declared_parameter_is_present_in_order_with_the_endpoint_as_soap_action(self) -> None:
        with answering(http(reply(""))) as (url, received):
            assert client(url + "/").create_job(REQUEST).outcome is CREATED
        call = call_in(received[0])
        values = {child.tag: child.text or "" for child in call}
        assert received[0].startswith("POST /ws/AddJob HTTP/1.1\r\n")
        for header in (f"SOAPAction: {url}/ws/AddJob", "Content-Type: text/xml; charset=utf-8"):
            assert f"\r\n{header}\r\n" in received[0]
        assert re.search("(?i)\r\naccept-encoding: identity\r\n", received[0])
        assert call.tag == f"{{{TYPES}}}AddJob"
        assert list(values) == [field.element for field in parameters("AddJob")]
        assert UUID(values.pop("GUID")).version == 4
        access = {"Authorization_ID": AUTHORIZATION_ID, "Company_Code": COMPANY}
        assert {element: value for element, value in values.items() if value} == {**JOB, **access}

    def test_a_request_that_was_kept_is_sent_as_it_was_frozen(self) -> None:
        with answering(http(reply(""))) as (url, received):
            client(url).create_job(rules().thaw(freeze(REQUEST)))
        assert sent_values(received[0]).items() >= JOB.items()

    @pytest.mark.parametrize(("style", "guids"), [("fresh", 3), ("empty", 1)])
    def test_a_guid_is_fresh_in_each_call_or_empty_as_the_setting_says(self, style: str, guids: int) -> None:
        with answering(http(reply(""))) as (url, received):
            spectrum = client(url, guid=style)
            assert [spectrum.create_job(REQUEST).outcome for _ in range(3)] == [CREATED] * 3
        assert len({sent_values(request).get("GUID") for request in received}) == guids

    def test_an_update_sends_what_changes_and_repeats_status_and_create_date(self) -> None:
        update = rules().build_update("26 014/E1", {"name": "Pier 7", "phone": "(253) 555-0129", "city": ""})
        foreign = FieldValue("Customer_Code", "Customer", "H00012", "project")
        job, dates = ErpJob("26 014/E1", raw={"Status_Code": "I"}), JobDates("x", {"Create_Date": "03/09/2026"})
        with answering(http(reply("", "UpdateJob"))) as (url, received):
            assert client(url).update_job([*update, foreign], job, dates).outcome is CREATED
        values = sent_values(received[0])
        assert len(call_in(received[0])) == 94
        assert {element: values[element] for element in values.keys() - {"GUID", "Authorization_ID"}} == {
            "Company_Code": COMPANY,
            "Job_Number": "26 014/E1",
            "Job_Description": "Pier 7",
            "Phone": "2535550129",
            "Status_Code": "I",
            "Create_Date": "03/09/2026",
        }

    def test_filters_are_asked_for_literally_although_they_take_operators(self) -> None:
        with answering(LISTED) as (url, received):
            client(url).list_jobs("complete", customer="A*B,C/#?\ufffd", division="all", cost_center="N*")
        assert {k: v for k, v in sent_values(received[0]).items() if k.startswith("p")} == {
            "pCompany_Code": COMPANY,
            "pStatus_Code": "C",
            "pCustomer_Code": "A?B?C????",
            "pDivision": "AL?",
            "pCost_Center": "N*",
        }

    def test_a_proxy_of_the_environment_is_not_used(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
        assert create_at(http(reply(""))).outcome is CREATED

    def test_a_call_works_in_a_thread_that_runs_an_event_loop(self) -> None:
        async def call(url: str) -> WriteResult:
            return client(url).create_job(REQUEST)

        with answering(http(reply(""))) as (url, _), ThreadPoolExecutor(1) as thread:
            assert thread.submit(lambda: asyncio.run(call(url))).result().outcome is CREATED

    @pytest.mark.parametrize(
        ("text", "told"),
        [("nul \x00", "cannot be sent"), ("half \ud800", "cannot be sent"), ("lost \ufffd", "could not be read")],
    )
    def test_a_value_that_xml_cannot_hold_or_that_was_not_read_is_refused_and_not_sent(
        self, text: str, told: str
    ) -> None:
        spectrum = client("http://127.0.0.1:9")
        answers = [
            spectrum.create_job([FieldValue("City", "City", text, "project")]),
            spectrum.add_phase("26-1", Phase(("1", "L"), "1 L", {"Phase_Code": "1", "Description": text})),
        ]
        assert [answer.outcome for answer in answers] == [REFUSED] * 2
        assert all(told in answer.error for answer in answers)


def packed(body: bytes) -> bytes:
    """An answer of a server that compresses although it was asked not to."""
    return http(body, content_type="text/xml\r\nContent-Encoding: gzip")


DUPLICATE = data(row("I", "Taken.", "Job_Number"))
WRITES: list[tuple[Outcome, bytes, str]] = [
    (CREATED, http(reply("")), ""),
    (CREATED, http(reply("<returnData/>")), ""),
    (CREATED, http(reply(data(row("G", "Contract created")))), ""),
    (CREATED, http(reply(data(row("S")))), ""),
    (CREATED, http(reply(data(row(" "), row("G")))), ""),
    (CREATED, http(reply(f"<returnData><any>{row('')}</any></returnData>")), ""),
    (CREATED, http(reply("<!-- 1 -->")), ""),
    (CREATED, packed(gzip.compress(reply("").encode())), ""),
    (UNKNOWN, packed(gzip.compress(reply("").encode())[:-40]), ""),
    (UNKNOWN, packed(gzip.compress(b"x" * (32 * 2**20 + 1))), "too large to be one of its answers"),
    (CREATED, http(envelope("<n:ServiceResponse><returnArray/></n:ServiceResponse>")), ""),
    (CREATED, http(reply(data(row("G", "señor"))).encode("latin-1"), content_type="text/xml; charset=ISO-8859-1"), ""),
    (REFUSED, http(reply(DUPLICATE)), "Spectrum refused to create the job: Spectrum Job ID: Taken."),
    (REFUSED, http(reply(data(row("A", "Time out has occurred")))), "Time out has occurred"),
    (REFUSED, http(reply(data(row("G", "Noted"), row("E", "The record is in use.")))), "The record is in use"),
    (REFUSED, http(reply(DUPLICATE)[:-40]), "Taken"),
    (REFUSED, http(reply(data(row("I", "Caf\xe9"))).encode("latin-1")), "Caf"),
    (HELD, http(reply(data(row("A", "Not known", "Authorization_ID")))), ACCESS),
    (HELD, http(reply(data(row("I", "Invalid company code", "Company_Code")))), ACCESS),
    (HELD, http(reply(data(row("A", "The Web Service is not authorized.")))), ACCESS),
    (HELD, http("", 401), ACCESS),
    (HELD, http("", 403), ACCESS),
    (HELD, http("<html/>", 404), "SPECTRUM_URL"),
    (HELD, http(fault("Client", "a.b.C: Could not find it"), 500), "AddJob: Could not find it. Ask IT to check"),
    (HELD, http(fault("Client", "Could not find it")), "SPECTRUM_URL"),
    (UNKNOWN, PASSING, "Error executing Web Service"),
    (UNKNOWN, http(fault("MustUnderstand", "")), ""),
    *((UNKNOWN, http(reply(""), status), "") for status in (201, 202, 301, 400, 500, 502)),
    *((UNKNOWN, http(reply(DUPLICATE), status), "") for status in (201, 400, 500, 503)),
    (UNKNOWN, b"HTTP/1.1 307 x\r\nLocation: /ws/AddJob\r\nContent-Length: 0\r\n\r\n", "HTTP 307"),
    (UNKNOWN, b"", "broke before its answer was complete"),
    (UNKNOWN, b"HTTP/1.1 200 OK\r\nContent-Le", "broke"),
    (UNKNOWN, b"not HTTP at all\r\n\r\n", "broke"),
    (UNKNOWN, http(reply(""))[:-1], "broke"),
    (UNKNOWN, http(reply("") + "?" * 9)[:-9], "broke"),
    (UNKNOWN, b"HTTP/1.1 200 OK\r\n\r\n" + reply("").encode()[:-12], ""),
    (UNKNOWN, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n<e:En\r\n", "broke"),
    *(
        (UNKNOWN, http(body), "")
        for body in [
            "<html/>",
            "<AddJobResponse/>",
            envelope(""),
            envelope("<n:AddJobResponse/>"),
            envelope("<n:AddJobResponse><returnArray/><returnArray/></n:AddJobResponse>"),
            envelope("<n:AddJobResponse><returnData/></n:AddJobResponse>"),
            envelope("<n:AddPhaseResponse><returnArray/></n:AddPhaseResponse>"),
            envelope("<AddJobResponse><returnArray/></AddJobResponse>"),
            envelope("<n:AddJobResponse><returnArray/></n:AddJobResponse><other/>"),
            envelope("<e:Fault/>"),
            reply("ERROR"),
            reply("<error/>"),
            reply("<returnData>ERROR</returnData>"),
            reply("<returnData><addJob/></returnData>"),
            reply(data("<response/>")),
            reply(data("<response>ERROR</response>")),
            reply(data("<response><desc>Job added</desc></response>")),
            reply(data("<response><error_code><b>G</b></error_code></response>")),
            reply(data("<response><error_code>G</error_code><error_code>I</error_code></response>")),
            reply(data(row("", "Something happened"))),
            reply(data(row("W", "More"))),
            reply(data(row("g"))),
            reply(data(row("I", "Taken"), row("Z"))),
            reply("") + "<more/>",
            reply("&undefined;"),
            '<!DOCTYPE x [<!ENTITY a "b">]>' + reply(""),
        ]
    ),
    (UNKNOWN, http("x" * (32 * 2**20 + 1)), "too large to be one of its answers"),
]


class TestWrites:
    @pytest.mark.parametrize(
        ("outcome", "answer", "told"), WRITES, ids=[f"{n}-{o.value}" for n, (o, _, _) in enumerate(WRITES)]
    )
    def test_an_answer_has_one_outcome_and_the_write_is_sent_once(
        self, outcome: Outcome, answer: bytes, told: str
    ) -> None:
        result = create_at(answer)
        assert result.outcome is outcome
        assert told in result.error
        assert bool(result.messages) == (outcome is REFUSED)
        assert bool(result.reply) == (outcome is CREATED)
        assert ("It may have arrived all the same" in result.error) == (outcome is UNKNOWN)

    def test_several_rows_are_several_messages_in_one_sentence(self) -> None:
        body = reply(data(row("I", "Unknown.", "Customer_Code"), row("M", "Required", "Tax_Class_Code")))
        answer = create_at(http(body))
        assert answer.error == "Spectrum refused to create the job: Customer: Unknown.; Tax Class Code: Required."
        assert answer.messages == (
            Message("Customer_Code", "Unknown.", "I"),
            Message("Tax_Class_Code", "Required", "M"),
        )

    @pytest.mark.parametrize("drip", ["head", "body"])
    def test_an_answer_that_drips_ends_at_the_deadline(self, drip: str) -> None:
        def behave(connection: socket.socket, _: bytes) -> None:
            answer = http(reply(""))
            at_once = answer.index(b"\r\n\r\n") + 5 if drip == "body" else 0
            connection.sendall(answer[:at_once])
            for byte in answer[at_once:]:
                connection.sendall(bytes([byte]))
                time.sleep(0.02)

        with server(behave) as url:
            result = client(url, deadline=0.4).create_job(REQUEST)
        assert result.outcome is UNKNOWN
        assert result.error.startswith("Spectrum's answer was not complete after 0.4 seconds.")

    def test_silence_ends_at_the_read_timeout(self) -> None:
        done = threading.Event()
        with server(lambda *_: done.wait(5) and None) as url:
            result = client(url, read_timeout=0.3).create_job(REQUEST)
            done.set()
        assert result.outcome is UNKNOWN
        assert result.error.startswith("Spectrum did not answer within 0.3 seconds.")

    def test_a_connection_reset_after_the_request_leaves_it_open(self) -> None:
        def reset(connection: socket.socket, _: bytes) -> None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

        with server(reset) as url:
            assert client(url).create_job(REQUEST).outcome is UNKNOWN


@contextmanager
def tls_server(directory: Path, name: str) -> Iterator[tuple[str, str]]:
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    ca_file = directory / "ca.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    with server(lambda connection, _: connection.sendall(http(reply(""))), context) as url:
        yield url, str(ca_file)


class TestNotConnected:
    @pytest.mark.parametrize(
        ("name", "trusted", "outcome"),
        [("127.0.0.1", True, CREATED), ("127.0.0.1", False, HELD), ("other.example.com", True, HELD)],
    )
    def test_a_certificate_that_is_not_trusted_holds_and_names_the_ca_file(
        self, tmp_path: Path, name: str, trusted: bool, outcome: Outcome
    ) -> None:
        with tls_server(tmp_path, name) as (url, ca_file):
            answer = client(url, ca_file=ca_file if trusted else None).create_job(REQUEST)
        assert answer.outcome is outcome
        assert ("SPECTRUM_CA_FILE" in answer.error and "nothing was sent" in answer.error) == (outcome is HELD)

    def test_a_refused_connection_is_not_sent(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        assert client(f"http://127.0.0.1:{port}").create_job(REQUEST) == WriteResult(
            NOT_SENT,
            f"Spectrum could not be reached at 127.0.0.1:{port} (Connection refused); nothing was sent."
            " Countersign tries again by itself.",
        )

    def test_a_name_that_is_not_found_is_not_sent(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def unknown(*_: object, **__: object) -> None:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

        monkeypatch.setattr(socket, "getaddrinfo", unknown)
        answer = client("https://spectrum.example.com:8482").create_job(REQUEST)
        assert answer.outcome is NOT_SENT
        assert "spectrum.example.com:8482 (Name or service not known)" in answer.error

    def test_a_connection_that_is_never_taken_is_not_sent_and_asks_trimble_to_allow_the_address(self) -> None:
        with socket.socket() as listener, socket.socket() as first, socket.socket() as second:
            listener.bind(("127.0.0.1", 0))
            listener.listen(0)
            for waiting in (first, second):  # fill the queue: Linux then lets further ones wait
                waiting.setblocking(False)
                waiting.connect_ex(listener.getsockname())
            url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            answer = client(url, connect_timeout=0.3).create_job(REQUEST)
        assert answer.outcome is NOT_SENT
        assert "ask Trimble to allow this server's address" in answer.error

    def test_a_server_without_tls_is_not_sent_to(self) -> None:
        with answering(http("", 400)) as (url, _):
            answer = client(url.replace("http://", "https://")).create_job(REQUEST)
        assert (answer.outcome, "(it speaks no TLS there)" in answer.error) == (NOT_SENT, True)

    @pytest.mark.parametrize(
        "read",
        [
            lambda erp: erp.list_jobs(),
            lambda erp: erp.list_job_dates(),
            lambda erp: erp.list_phases("26-900"),
            lambda erp: erp.list_customers(),
            lambda erp: erp.learn(),
        ],
    )
    def test_a_read_says_so_at_once(self, read: Callable[[Connection], object]) -> None:
        with pytest.raises(ReadError, match="could not be reached") as failure:
            read(client("http://127.0.0.1:9"))
        assert failure.value.outcome is NOT_SENT


CUT = LISTED[: LISTED.index(b"</response>") + 12].replace(b"Content-Length: ", b"X-Length: ")
READ_ERROR = {"Error_Code": "E", "Error_Description": "Not yours", "Error_Column": "Customer_Code"}


class TestReads:
    def test_a_third_call_waits_until_one_of_two_is_answered(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            spectrum = client(f"http://127.0.0.1:{listener.getsockname()[1]}")
            threads = [threading.Thread(target=spectrum.list_jobs) for _ in range(4)]
            for thread in threads:
                thread.start()
            waiting = [listener.accept()[0] for _ in range(2)]
            listener.settimeout(0.3)
            with pytest.raises(TimeoutError):
                listener.accept()
            listener.settimeout(5)
            for answered in range(4):
                with waiting.pop(0) as connection:
                    connection.recv(65536)
                    connection.sendall(LISTED)
                if answered < 2:
                    waiting.append(listener.accept()[0])
            for thread in threads:
                thread.join()

    @pytest.mark.parametrize(
        "first",
        [PASSING, http("", 502), http("", 503), http("", 504), http("junk"), b"", CUT],
    )
    def test_what_may_pass_is_asked_again(self, first: bytes) -> None:
        with answering(first, first, LISTED) as (url, received):
            found = client(url).list_jobs()
        assert [job.number for job in found.rows] == ["26-900"]
        assert (found.complete, len(received)) == (True, 3)
        assert len({sent_values(request)["GUID"] for request in received}) == 3

    @pytest.mark.parametrize(
        ("answer", "outcome"),
        [
            (http(fault("Client", "No such service"), 500), HELD),
            (http("", 401), HELD),
            (http("", 404), HELD),
            (http("", 400), UNKNOWN),
            (http(listed(READ_ERROR)), REFUSED),
            (http(listed(READ_ERROR | {"Error_Column": "Authorization_ID"})), HELD),
            (http(listed(READ_ERROR | {"Error_Column": "pCompany_Code"})), HELD),
            (http(listed({"Job_Number": "1", "Error_Code": "?"})), UNKNOWN),
        ],
    )
    def test_what_does_not_pass_is_asked_once(self, answer: bytes, outcome: Outcome) -> None:
        with answering(answer) as (url, received), pytest.raises(ReadError) as failure:
            client(url).list_jobs()
        assert (failure.value.outcome, len(received)) == (outcome, 1)

    def test_a_third_failure_is_told_and_the_best_of_three_cut_lists_is_kept_as_incomplete(self) -> None:
        with answering(PASSING) as (url, received), pytest.raises(ReadError, match="Error executing"):
            client(url).list_jobs()
        assert len(received) == 3
        with answering(http("junk"), CUT, http("junk")) as (url, _):
            found = client(url).list_jobs()
        assert ([job.number for job in found.rows], found.complete) == (["26-900"], False)

    def test_no_try_begins_after_the_deadline(self) -> None:
        with answering(PASSING) as (url, received), pytest.raises(ReadError, match="Error executing"):
            client(url, deadline=1.5, pauses=(2.0,)).list_jobs()
        assert len(received) == 1

    def test_jobs_come_with_their_numbers_as_they_are_and_columns_of_newer_releases_are_left_out(self) -> None:
        numbers = ["  7", "26-01-4", "26/014", "26 014E1", "ALL"]
        body = listed(*({"Job_Number": n, "Status_Code": s} for n, s in zip(numbers, "AIC A", strict=True)))
        with answering(http(body.replace("<City>", "<Newer>1</Newer><City>"))) as (url, _):
            found = client(url).list_jobs().rows
        assert [job.number for job in found] == ["7", *numbers[1:]]
        assert [job.status for job in found] == ["active", "inactive", "complete", "active", "active"]
        assert "Newer" not in found[0].raw

    def test_more_rows_than_the_limit_are_an_incomplete_list_without_the_blank_row(self) -> None:
        warning = {"Error_Code": "W", "Error_Description": "WARNING - Number of returnable records exceeds maximum"}
        with answering(http(listed({"Job_Number": "1"}, warning))) as (url, _):
            found = client(url).list_jobs()
        assert ([job.number for job in found.rows], found.complete) == (["1"], False)

    def test_a_damaged_job_is_named(self) -> None:
        body = listed({"Job_Number": "1"}, {"Job_Number": "2", "City": "A & B"})
        with answering(http(body)) as (url, _):
            assert client(url).list_jobs().damaged == ("2",)

    def test_the_second_way_asks_with_the_other_guid_once(self) -> None:
        with answering(LISTED) as (url, received):
            spectrum = client(url)
            for second_way in (False, True, False):
                spectrum.list_jobs(second_way=second_way)
        assert ["GUID" in sent_values(request) for request in received] == [True, False, True]

    def test_phases_of_a_number_with_an_operator_bring_no_other_jobs_along(self) -> None:
        phases = [{"Job_Number": number, "Phase_Code": "01100", "Cost_Type": "L"} for number in ("26*", "26-1")]
        with answering(http(listed(*phases, service="GetPhase"))) as (url, received):
            found = client(url).list_phases("26*").rows
        assert [(phase.key, phase.name) for phase in found] == [(("01100", "L"), "01100 L")]
        assert sent_values(received[0])["pJob_Number"] == "26?"

    @pytest.mark.parametrize(
        ("flag", "taxable"),
        [("N", "N"), ("Y", "Y"), ("", ""), ("Taxable", "Y"), ("Non-Taxable", "N"), ("No Default", "")],
    )
    def test_a_customer_is_taxable_in_any_of_the_words_that_spectrum_has(self, flag: str, taxable: str) -> None:
        body = listed({"Customer_Code": "H1", "Taxable_Flag": flag, "Status": "Inactive"}, service="GetCustomers")
        with answering(http(body)) as (url, received):
            (found,) = client(url).list_customers().rows
        assert (found.taxable, found.active, sent_values(received[0])["pStatus"]) == (taxable, False, "ALL")


def wsdl(elements: list[str]) -> str:
    lines = "".join(f'<x:element name="{element}" type="x:string"/>' for element in elements)
    call = f'<x:element name="AddPhase"><x:complexType><x:sequence>{lines}</x:sequence></x:complexType></x:element>'
    return f'<definitions xmlns:x="http://www.w3.org/2001/XMLSchema"><types><x:schema>{call}</x:schema></types></definitions>'


OURS = [field.element for field in parameters("AddPhase")]


class TestProbe:
    @pytest.mark.parametrize(
        ("body", "told"),
        [
            (wsdl(OURS), None),
            (wsdl([*OURS, "Extra"]), "Spectrum's AddPhase wants Extra: other fields than Countersign sends."),
            (wsdl(OURS[:-1]), "Spectrum's AddPhase does not know Status_Code: other fields than Countersign sends."),
            (wsdl(OURS[::-1]), "Spectrum's AddPhase takes its fields in another order than Countersign sends."),
            ("<html/>", "Spectrum's description of AddPhase cannot be read. Ask IT to check SPECTRUM_URL."),
            ("no XML", "Spectrum's description of AddPhase cannot be read. Ask IT to check SPECTRUM_URL."),
        ],
    )
    def test_a_description_is_compared_with_our_table(self, body: str, told: str | None) -> None:
        with answering(http(body)) as (url, _):
            assert client(url).probe("AddPhase") == told

    @pytest.mark.parametrize(("other", "blamed"), [(200, False), (404, True)])
    def test_a_missing_description_blames_the_address_only_where_the_others_are_missing_too(
        self, other: int, blamed: bool
    ) -> None:
        with answering(http("<html/>", 404), http("<x/>", other)) as (url, _):
            assert ("SPECTRUM_URL" in (client(url).probe("UpdateJob") or "")) == blamed


TOKEN, CLIENT = "tok-4711-zzz", ("id", "client-secret-8822")


def token(seconds: int = 3600, name: str = TOKEN) -> bytes:
    return http(f'{{"access_token": "{name}", "expires_in": {seconds}}}')


def paths(received: list[str]) -> list[str]:
    return [request.split()[1] for request in received]


class TestToken:
    def test_a_token_is_kept_until_shortly_before_its_end(self) -> None:
        for seconds, fetched in ((3600, 1), (20, 2), (10**400, 1)):
            with answering(token(seconds), http(reply("")), http(reply("")) if fetched == 1 else token()) as (url, got):
                spectrum = client(url, token_client=CLIENT)
                spectrum.create_job(REQUEST)
                spectrum.create_job(REQUEST)
            assert paths(got).count("/connect/token") == fetched

    def test_a_kept_token_that_is_refused_is_fetched_anew_once(self) -> None:
        answers = (token(), LISTED, http("", 401), token(name="second"), http("", 401))
        with answering(*answers) as (url, received):
            spectrum = client(url, token_client=CLIENT)
            spectrum.list_jobs()
            with pytest.raises(ReadError) as failure:
                spectrum.list_jobs()
        assert failure.value.outcome is HELD
        assert paths(received)[1:] == ["/ws/GetJobMain", "/ws/GetJobMain", "/connect/token", "/ws/GetJobMain"]
        assert "Bearer second" in received[-1]

    @pytest.mark.parametrize(
        ("answer", "outcome"),
        [
            (http("{}", 400), HELD),
            (http("{}", 401), HELD),
            (http("{}"), NOT_SENT),
            (http("[]"), NOT_SENT),
            (http("[" * 200_000), NOT_SENT),
            (http('{"access_token": "a\\nb"}'), NOT_SENT),
            (http("", 503), NOT_SENT),
            (b"", NOT_SENT),
        ],
    )
    def test_without_a_token_nothing_is_sent(self, answer: bytes, outcome: Outcome) -> None:
        with answering(answer) as (url, received):
            result = client(url, token_client=CLIENT).create_job(REQUEST)
        assert (result.outcome, paths(received)) == (outcome, ["/connect/token"])
        assert ("client secret" in result.error) == (outcome is HELD)

    @pytest.mark.parametrize(
        ("said", "until"),
        [("2026-12-01T00:00:00Z", "2026-12-01"), ("12/01/2026 00:00", "2026-12-01"), ("soon", "")],
    )
    def test_a_rotated_secret_is_used_from_then_on(self, said: str, until: str) -> None:
        rotated = http(f'{{"client_secret": "new-one", "estimated_expiration": "{said}"}}')
        with answering(token(), LISTED, rotated, token(), LISTED) as (url, received):
            spectrum = client(url, token_client=CLIENT)
            spectrum.list_jobs()
            new = spectrum.rotate_secret()
            spectrum.list_jobs()
        assert (new.secret, new.until) == ("new-one", until)
        assert "new-one" not in repr(new)
        assert paths(received)[2:] == ["/secretRotation", "/connect/token", "/ws/GetJobMain"]
        assert f"client_secret={CLIENT[1]}" in received[2]
        assert "client_secret=new-one" in received[3]

    @pytest.mark.parametrize(
        ("answer", "outcome"),
        [
            (http("", 400), HELD),
            (http("{}"), UNKNOWN),
            (http("[" * 200_000), UNKNOWN),
            (http('{"client_secret": "half \\ud800"}'), UNKNOWN),
            (b"", UNKNOWN),
        ],
    )
    def test_a_rotation_that_fails_says_so(self, answer: bytes, outcome: Outcome) -> None:
        with answering(answer) as (url, _), pytest.raises(ReadError, match="Spectrum") as failure:
            client(url, token_client=CLIENT).rotate_secret()
        assert failure.value.outcome is outcome


class TestSecrets:
    """The Authorization ID, the GUID, the client secret and tokens are never told, even where a server does."""

    @pytest.mark.parametrize("form", ["row", "fault"])
    @pytest.mark.parametrize("style", ["token", "basic"])
    def test_a_server_that_quotes_them_is_redacted(
        self, form: str, style: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        basic = b64encode(f"{COMPANY}:{AUTHORIZATION_ID}".encode()).decode()
        secrets = [AUTHORIZATION_ID, TOKEN, CLIENT[1]] if style == "token" else [AUTHORIZATION_ID, basic]

        def quote(connection: socket.socket, request: bytes) -> None:
            if b"/connect/token" in request:
                connection.sendall(token())
                return
            secrets.append(re.findall(r"<GUID>(.+)</GUID>", request.decode())[0])
            text = f"no: {' '.join(secrets).upper()} {' '.join(secrets)}!"
            body = reply(data(row("A", text, secrets[-1]))) if form == "row" else fault("Client", text)
            connection.sendall(http(body))

        with server(quote) as url:
            spectrum = client(url, auth=style, token_client=CLIENT if style == "token" else None)
            answer = spectrum.create_job(REQUEST)
        told = f"{answer!r} {spectrum!r} {caplog.text}".casefold()
        assert answer.outcome in (REFUSED, HELD)
        assert "no: ••• •••" in told
        assert [secret for secret in secrets if secret.casefold() in told] == []

    def test_a_secret_that_is_part_of_another_leaves_no_rest_of_it(self) -> None:
        assert redactor(["4711", "tok-4711-zzz"])("no: tok-4711-zzz") == "no: •••"

    def test_they_are_in_no_failure(self) -> None:
        with pytest.raises(ReadError) as failure:
            client("http://127.0.0.1:9", token_client=CLIENT).list_jobs()
        told = f"{failure.value!r} {failure.value.error}"
        assert AUTHORIZATION_ID not in told
        assert CLIENT[1] not in told

    def test_a_job_that_holds_the_same_letters_is_read_as_it_is(self) -> None:
        with answering(http(listed({"Job_Number": "1", "Job_Description": AUTHORIZATION_ID}))) as (url, _):
            assert client(url).list_jobs().rows[0].name == AUTHORIZATION_ID


def test_each_service_that_is_called_has_a_table_and_a_word_for_what_it_does() -> None:
    from erp.spectrum.answers import DEED

    assert DEED.keys() == SERVICES.keys()
    assert all(parameters(service) for service in SERVICES)
