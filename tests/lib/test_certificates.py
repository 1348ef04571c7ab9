"""The end of a certificate is read from whatever form of it there is."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from lib import certificates

KEY = ec.generate_private_key(ec.SECP256R1())


def certificate(end: datetime, name: str = "spectrum.example.com") -> bytes:
    called = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    begun = x509.CertificateBuilder(subject_name=called, issuer_name=called, public_key=KEY.public_key())
    begun = begun.serial_number(2**150).not_valid_before(end - timedelta(days=400)).not_valid_after(end)
    names = x509.SubjectAlternativeName([x509.DNSName(f"{n}.{name}") for n in range(200)])
    return begun.add_extension(names, critical=False).sign(KEY, SHA256()).public_bytes(Encoding.DER)


@pytest.mark.parametrize("year", [1999, 2026, 2049, 2050, 2999])
def test_the_end_is_read_with_a_year_of_two_and_of_four_digits(year: int) -> None:
    end = datetime(year, 2, 28, 23, 59, 58, tzinfo=UTC)
    assert certificates.end_of(certificate(end)) == end


def test_the_oldest_form_without_a_version_is_read_too() -> None:
    newer = certificate(datetime(2027, 3, 31, tzinfo=UTC))
    assert newer[8:13] == b"\xa0\x03\x02\x01\x02"
    whole = (len(newer) - 4 - 5).to_bytes(2)
    fields = (int.from_bytes(newer[6:8]) - 5).to_bytes(2)
    older = newer[:2] + whole + newer[4:6] + fields + newer[13:]
    assert certificates.end_of(older) == datetime(2027, 3, 31, tzinfo=UTC)


@pytest.mark.parametrize("text", [b"", b"0", b"0\x00", b"\x30\x82", b"Not a certificate", b"0\x020\x00"])
def test_what_is_no_certificate_is_a_value_error(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        certificates.end_of(text)


def test_a_certificate_that_is_cut_off_has_an_end_or_is_refused() -> None:
    end = datetime(2027, 3, 31, tzinfo=UTC)
    whole = certificate(end)
    for length in range(len(whole)):
        with suppress(ValueError):
            assert certificates.end_of(whole[:length]) == end
