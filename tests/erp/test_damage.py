"""Replies damaged anywhere: a write is never believed, and a read loses no more than what the damage hit."""

import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.soap_server import TYPES, data, envelope, listed, reply, row

from erp import Outcome, ReadError
from erp.spectrum.answers import Listing, parse_read, parse_write
from erp.spectrum.http import Reply
from erp.spectrum.salvage import LOST

JOBS = [
    {"Job_Number": f"26-0{place}", "Job_Description": name, "City": "Zürich", "Status_Code": "A", "Error_Code": " "}
    for place, name in enumerate(["Façade", "Sand &amp; gravel", "Pump 8&amp;quot;", "Pier 7"], start=10)
]
NAMES = [job["Job_Number"] for job in JOBS]
LIST = listed(*JOBS).encode()
SUCCESSES = [reply(""), reply(data()), reply(data(row(""))), reply(data(row("G", "Noted"))), reply(data(row("S")))]
REFUSALS = [reply(data(row("I", "Taken", "Job_Number"))), reply(f"<returnData><x>{row('M')}</x></returnData>")]
BAD = st.sampled_from([b"\x00", b"\x0b", b"\xff", b"\xc3", b"&", b"<", b"&nbsp;", b"&#11;"])


def read(body: bytes) -> Listing:
    return parse_read("GetJobMain", Reply(200, body, "utf-8"), "Job_Number", str)


def outcome(body: bytes) -> Outcome:
    try:
        return parse_write("AddJob", Reply(200, body, "utf-8"), str).outcome
    except ReadError as failure:
        return failure.outcome


WHOLE = {job["Job_Number"]: job for job in read(LIST).rows}


def row_ends() -> list[int]:
    ends, found = [], 0
    for _ in JOBS:
        found = LIST.index(b"</response>", found) + len(b"</response>")
        ends.append(found)
    return ends


def assert_kept(found: Listing, names: list[str]) -> None:
    """These rows are all there, each value as in the whole reply."""
    rows = {job["Job_Number"]: job for job in found.rows}
    assert [rows.get(name) for name in names] == [WHOLE[name] for name in names]


class TestWrites:
    @given(st.sampled_from(SUCCESSES + REFUSALS), st.data())
    def test_a_cut_reply_is_never_created(self, whole: str, data: st.DataObject) -> None:
        body = whole.encode()
        assert outcome(body[: data.draw(st.integers(0, len(body) - 1))]) is not Outcome.CREATED

    @given(st.sampled_from(SUCCESSES + REFUSALS), BAD, st.data())
    def test_a_reply_with_a_character_that_has_no_place_in_xml_is_never_created(
        self, whole: str, bad: bytes, data: st.DataObject
    ) -> None:
        body = whole.encode()
        place = data.draw(st.integers(0, len(body)))
        assert outcome(body[:place] + bad + body[place:]) is not Outcome.CREATED

    @given(st.binary(max_size=200), st.booleans())
    def test_arbitrary_bytes_are_unknown(self, junk: bytes, enveloped: bool) -> None:
        assert outcome(envelope("@").encode().replace(b"@", junk) if enveloped else junk) is Outcome.UNKNOWN


class TestReads:
    @given(st.integers(0, len(LIST) - 1))
    def test_a_cut_reply_shows_each_row_before_the_cut_and_is_complete_only_past_the_last(self, end: int) -> None:
        before = [name for name, place in zip(NAMES, row_ends(), strict=True) if place <= end]
        try:
            found = read(LIST[:end])
        except ReadError:
            assert before == []
            return
        assert [job["Job_Number"] for job in found.rows] == before
        assert_kept(found, before)
        assert found.complete == (b"</" in LIST[row_ends()[-1] : end])
        assert found.partial != found.complete

    @given(st.integers(LIST.index(b"<response>"), row_ends()[-1]), BAD)
    def test_a_bad_character_costs_at_most_its_own_row_and_is_told(self, place: int, bad: bytes) -> None:
        found = read(LIST[:place] + bad + LIST[place:])
        hit = next(name for name, end in zip(NAMES, row_ends(), strict=True) if place <= end)
        assert_kept(found, [name for name in NAMES if name != hit])
        whole = WHOLE[hit] in found.rows and found.complete
        named = [name.replace(bad.decode(errors="replace"), "") for name in found.damaged]  # a bare & may be meant
        assert whole or hit in named or not found.complete
        assert not any(LOST in job["Job_Number"] for job in found.rows)

    @given(st.binary(max_size=40), st.integers(0, len(LIST)), st.integers(0, 40))
    def test_overwriting_anything_never_loses_a_row_before_it_unless_nothing_is_readable(
        self, junk: bytes, place: int, gone: int
    ) -> None:
        try:
            found = read(LIST[:place] + junk + LIST[place + gone :])
        except ReadError as failure:
            assert failure.outcome in (Outcome.UNKNOWN, Outcome.REFUSED)
            return
        assert_kept(found, [name for name, end in zip(NAMES, row_ends(), strict=True) if end <= place])

    @pytest.mark.parametrize(
        ("value", "shown"),
        [
            (b"Pump \x0b 8", f"Pump {LOST} 8"),
            (b"Caf\xe9", f"Caf{LOST}"),
            (b"Sand & gravel", "Sand & gravel"),
            (b"a < b", f"a {LOST} b"),
            (b"1&nbsp;2", "1&nbsp;2"),
        ],
    )
    def test_a_damaged_value_is_replaced_and_its_job_named(self, value: bytes, shown: str) -> None:
        found = read(listed(*JOBS[:2], {"Job_Number": "26-099", "City": "@"}).encode().replace(b"@", value))
        assert found.rows[-1]["City"] == shown
        assert (found.damaged, found.complete) == (("26-099",), True)

    def test_a_job_whose_number_is_damaged_is_not_listed_under_another_and_the_list_is_incomplete(self) -> None:
        found = read(LIST.replace(b"26-011", b"26\xff011"))
        assert_kept(found, [name for name in NAMES if name != "26-011"])
        assert (len(found.rows), found.complete) == (3, False)

    @pytest.mark.parametrize("charset", ["utf-8", "iso-8859-1", "no-such", None])
    @pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
    def test_utf_8_is_read_as_such_whatever_the_header_says(self, charset: str | None, mark: bytes) -> None:
        found = parse_read("GetJobMain", Reply(200, mark + LIST, charset), "Job_Number", str)
        assert_kept(found, NAMES)
        assert found.damaged == ()

    @pytest.mark.parametrize("piece", ["<response>", "</response>", "<City>", "&#", "<response><a_b", "<"])
    def test_damage_from_end_to_end_takes_no_long_time(self, piece: str) -> None:
        body = f"<n:GetJobMainResponse xmlns:n='{TYPES}'>{piece * 1_000_000}</response>".encode()
        began = time.process_time()
        with suppress(ReadError):
            assert not any(job["Job_Number"] for job in read(body).rows)
        assert time.process_time() - began < 20

    @pytest.mark.parametrize("dtd", ['<!DOCTYPE x [<!ENTITY a "b">]>', "<!doctype html>", '<!ENTITY a "b">'])
    def test_a_dtd_is_refused(self, dtd: str) -> None:
        with pytest.raises(ReadError):
            read(dtd.encode() + LIST)
        with pytest.raises(ReadError):
            read(dtd.encode() + LIST[:-5])
