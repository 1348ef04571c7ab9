"""The end of a certificate, without the library for that: 8 MB and a twentieth of a second of every start, for a date.

Python has checked the form of a certificate that came by TLS, so only the way to the date is needed here.
"""

from datetime import UTC, datetime

VERSION, SHORT_TIME = 0xA0, 0x17  # tags: the first field, which may be missing; a time whose year has two digits
VALIDITY = 3  # the place of the field, after number, algorithm and issuer
CENTURY_TURNS = "50"  # the short year from which it is 19…


def end_of(certificate: bytes) -> datetime:
    """The moment from which a certificate (DER) is no longer good; raises ValueError where it says none."""
    try:
        ((_, whole),) = _values(certificate)
        fields = [content for tag, content in _values(_values(whole)[0][1]) if tag != VERSION]
        tag, end = _values(fields[VALIDITY])[1]
    except IndexError:
        raise ValueError("It is no certificate") from None
    text = end.decode("ascii")
    if tag == SHORT_TIME:
        text = ("19" if text >= CENTURY_TURNS else "20") + text
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)


def _values(der: bytes) -> list[tuple[int, bytes]]:
    """The values that follow each other, as tag and content."""
    found = []
    while der:
        size, begin = der[1], 2
        if size > 0x7F:  # so many bytes hold the size
            begin += size & 0x7F
            size = int.from_bytes(der[2:begin])
        found.append((der[0], der[begin : begin + size]))
        der = der[begin + size :]
    return found
