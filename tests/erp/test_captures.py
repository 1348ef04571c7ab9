"""Replies in the byte shape of a real Spectrum's: what the product makes of each."""

from pathlib import Path

import pytest

from erp import Outcome, ReadError
from erp.spectrum import soap
from erp.spectrum.answers import Listing, parse_read, parse_write
from erp.spectrum.fields import parameters
from erp.spectrum.http import Passing, Reply
from erp.spectrum.learning import READS

CAPTURES = Path(__file__).parent / "captures"
NAMED_BY = {"GetCustomers": "Customer_Code", "GetInventoryItems": "Item_Code", "GetDedAddon": "Vol_Deduct_Code"}
WHOLE, CAPPED, CUT_TAIL, CUT_SHORT = (
    {"complete": True, "partial": False, "cut": False},
    {"complete": False, "partial": False, "cut": False},
    {"complete": True, "partial": False, "cut": True},
    {"complete": False, "partial": True, "cut": True},
)
JOBS, CUSTOMERS, ACCENTS = ["26-014", "26-014E1"], ["H00012", "S00004", "T00001"], ["26-021", "26-022"]
LISTS = {
    "GetJob.xml": ("GetJob", JOBS, WHOLE),
    "GetJob.accents.xml": ("GetJob", ACCENTS, WHOLE),
    "GetJob.quote.xml": ("GetJob", ["26-030", "26-031"], WHOLE),
    "GetJobMain.xml": ("GetJobMain", JOBS, WHOLE),
    "GetJobDates.xml": ("GetJobDates", JOBS, WHOLE),
    "GetCustomers.xml": ("GetCustomers", CUSTOMERS, WHOLE),
    "GetCustomers.manual-words.xml": ("GetCustomers", CUSTOMERS, WHOLE),
    "GetCustomers.extra-field.xml": ("GetCustomers", CUSTOMERS[:2], WHOLE),
    "GetPhase.xml": ("GetPhase", ["26-014"] * 3, WHOLE),
    "GetPhase.W-row.xml": ("GetPhase", ["26-014"] * 3, CAPPED),
    "GetPhaseEnhanced.xml": ("GetPhaseEnhanced", ["26-014"], WHOLE),
    "wrapper-name.GetDedAddon.xml": ("GetDedAddon", ["BONUS"], WHOLE),
    "wrapper-name.GetInventoryItems.xml": ("GetInventoryItems", ["SAMPLE"], WHOLE),
    "empty.GetJobMain.xml": ("GetJobMain", [], WHOLE),
    "empty.GetJobTitles.xml": ("GetJobTitles", [], WHOLE),
    "consumed-guid.GetJobMain.xml": ("GetJobMain", [], CAPPED),
    "consumed-guid.GetJobMain.spaces.xml": ("GetJobMain", [], CAPPED),
    "cut-tail.1-by-character-count.xml": ("GetJob", ACCENTS, CUT_TAIL),
    "cut-tail.2-after-wrapper.xml": ("GetJob", ACCENTS, CUT_TAIL),
    "cut-tail.3-inside-wrapper-close.xml": ("GetJob", ACCENTS, CUT_TAIL),
    "cut-tail.4-between-rows.xml": ("GetJob", ACCENTS, CUT_SHORT),
    "cut-tail.5-inside-row.xml": ("GetJob", ACCENTS[:1], CUT_SHORT),
}
NOTHING = "Spectrum answered with no row."
CREATED = {
    "write-empty.AddJob.xml": NOTHING,
    "write-empty-returnData.AddJob.xml": NOTHING,
    "write-blank-row.AddJob.xml": "Spectrum answered with 1 row: blank.",
    "write-blank-row.AddJob.spaces.xml": "Spectrum answered with 1 row: blank.",
    "write-good.AddJob.xml": "Spectrum answered with 1 row: G 26-014 Job_Number.",
}
CODES = [("Customer_Code", "I"), ("Status_Code", "I"), ("Taxable_Flag", "M")]
REFUSED = {
    "write-errors.AddJob.manual-print.xml": CODES[:2],
    "write-errors.AddJob.xml": CODES,
    "write-wrapped-errors.AddJob.xml": CODES,
}
TOLD = {
    "fault-client.GetJobContact.xml": "Could not find WebService named: GetJobContact",
    "fault-server.xml": "Error executing Web Service",
    "read-error.GetJob.E-row.xml": "The web service is not Authorized",
    "write-not-authorized.AddJob.xml": "Authorization ID is not setup in the system",
    "wsdl-404.GetJobContact.html": "",
    "GetJob.wsdl.xml": "",
}


def capture(name: str) -> Reply:
    return Reply(200, (CAPTURES / name).read_bytes(), "utf-8")


def read(name: str) -> Listing:
    service = LISTS[name][0] if name in LISTS else "GetJob"
    return parse_read(service, capture(name), NAMED_BY.get(service, "Job_Number"), str)


def test_every_capture_is_read_by_a_test() -> None:
    files = {path.name for path in CAPTURES.iterdir() if path.suffix in (".xml", ".html")}
    assert files == LISTS.keys() | CREATED.keys() | REFUSED.keys() | TOLD.keys()


@pytest.mark.parametrize("name", LISTS)
def test_a_list_shows_its_rows_and_whether_there_may_be_more(name: str) -> None:
    service, names, ends = LISTS[name]
    found = read(name)
    assert [row[NAMED_BY.get(service, "Job_Number")] for row in found.rows] == names
    assert {"complete": found.complete, "partial": found.partial, "cut": found.cut} == ends
    assert found.damaged == ()


@pytest.mark.parametrize(
    ("name", "column", "values"),
    [
        ("GetJob.quote.xml", "Job_Description", ['Pump 8"', "Sand & gravel"]),
        ("GetJob.accents.xml", "Job_Description", ["Façade north", "Crèche annex"]),
        ("cut-tail.1-by-character-count.xml", "Job_Description", ["Façade north", "Crèche annex"]),
        ("GetJobDates.xml", "Est_Start_Date", ["04/01/2026", ""]),
        ("wrapper-name.GetInventoryItems.xml", "Standard_Cost", ["1.5000"]),
        ("GetCustomers.manual-words.xml", "Taxable_Flag", ["Taxable", "Non-Taxable", "No Default"]),
    ],
)
def test_values_come_trimmed_and_unescaped_as_often_as_spectrum_escapes_them(
    name: str, column: str, values: list[str]
) -> None:
    assert [row[column] for row in read(name).rows] == values


@pytest.mark.parametrize("name", CREATED)
def test_a_whole_reply_of_any_assumed_success_is_created_and_described(name: str) -> None:
    answer = parse_write("AddJob", capture(name), str)
    assert (answer.outcome, answer.reply) == (Outcome.CREATED, CREATED[name])


@pytest.mark.parametrize("name", REFUSED)
def test_error_rows_are_refused_field_by_field_in_any_wrapper(name: str) -> None:
    answer = parse_write("AddJob", capture(name), str)
    assert answer.outcome is Outcome.REFUSED
    assert [(message.field, message.code) for message in answer.messages] == REFUSED[name]


@pytest.mark.parametrize("name", [name for name in [*CREATED, *REFUSED] if "manual" not in name])
def test_a_write_whose_reply_is_cut_anywhere_is_never_created(name: str) -> None:
    whole = capture(name).body
    for end in range(len(whole)):
        try:
            outcome = parse_write("AddJob", Reply(200, whole[:end]), str).outcome
        except ReadError as failure:
            outcome = failure.outcome
        assert outcome is Outcome.UNKNOWN or (outcome is Outcome.REFUSED and name in REFUSED)


def test_a_refusal_whose_end_is_cut_is_refused() -> None:
    body = capture("write-errors.AddJob.xml").body.partition(b"</returnData>")[0]
    assert len(parse_write("AddJob", Reply(200, body), str).messages) == 3


def test_an_authorization_that_spectrum_does_not_know_holds_writes_and_reads() -> None:
    answer = parse_write("AddJob", capture("write-not-authorized.AddJob.xml"), str)
    with pytest.raises(ReadError, match="SPECTRUM_AUTHORIZATION_ID") as failure:
        read("read-error.GetJob.E-row.xml")
    assert answer.outcome is failure.value.outcome is Outcome.HELD
    assert "SPECTRUM_AUTHORIZATION_ID" in answer.error


def test_a_service_that_is_missing_holds_and_names_no_java_class() -> None:
    with pytest.raises(ReadError, match="Could not find WebService named: GetJobContact") as failure:
        parse_read("GetJob", capture("fault-client.GetJobContact.xml"), "Job_Number", str)
    assert failure.value.outcome is Outcome.HELD
    assert "northgateis" not in failure.value.error


def test_a_server_fault_may_pass() -> None:
    with pytest.raises(Passing, match="Error executing Web Service"):
        read("fault-server.xml")


def test_the_description_of_get_job_lists_the_parameters_of_our_table() -> None:
    ours = [field.element for field in parameters("GetJob")]
    assert soap.declared("GetJob", capture("GetJob.wsdl.xml").body) == ours


def test_the_page_of_a_description_that_is_missing_is_none() -> None:
    with pytest.raises(soap.Unparsable):
        soap.declared("GetJobContact", capture("wsdl-404.GetJobContact.html").body)


def test_each_service_that_is_tried_in_learning_names_its_rows_by_a_column_that_it_has() -> None:
    assert [named_by for _, named_by in READS.values()] == [NAMED_BY.get(service, "Job_Number") for service in READS]
