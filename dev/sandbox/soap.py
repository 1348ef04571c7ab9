"""SOAP 1.1 as a Spectrum server speaks it: reading calls, and replies byte for byte in the shape of captured ones.

Services are in `services`; replies that break on their way are in `broken_replies`.
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from html import escape
from typing import NamedTuple

from lxml import etree

from dev.sandbox.field_tables import parameters

SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
TYPES = "http://www.northgate-is.com/proiv/webservices/types"
XML = "text/xml; charset=utf-8"
ENVELOPE = (
    "<SOAP-ENV:Envelope {encoding}xmlns:SOAP-ENV='" + SOAP + "'><SOAP-ENV:Header></SOAP-ENV:Header><SOAP-ENV:Body>"
    "{content}</SOAP-ENV:Body></SOAP-ENV:Envelope>"
)
ENCODING = (
    "SOAP-ENV:encodingStyle='http://schemas.xmlsoap.org/soap/encoding/' xmlns:xsd='http://www.w3.org/2001/XMLSchema'"
    " xmlns:xsi='http://www.w3.org/2001/XMLSchema-instance' "
)
NOT_FOUND = (
    "Error identifying Web Service: class com.northgateis.proiv.ws.servlet.WebServiceIdentificationException:"
    " Could not find WebService named: {service}"
)
OVERLOADED = "Error executing Web Service"


class SoapError(Exception):
    """A call that the server rejects; `code` is Client or Server."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code, self.text = code, text


class Row(NamedTuple):
    """An error row: code (A, I, M, G, E, W), text, and the element that it is about."""

    code: str
    desc: str
    column: str = ""


def read_call(service: str, body: bytes) -> dict[str, str]:
    """Return the parameters of a call by element. Raises SoapError unless all declared ones are there, in order."""
    call = _payload(body)
    if call.tag != f"{{{TYPES}}}{service}":
        raise SoapError("Client", f"Error executing Web Service: the request is not {service} in {TYPES}.")
    sent = [etree.QName(child).localname for child in call]
    if any(child.tag not in (name, f"{{{TYPES}}}{name}") for child, name in zip(call, sent, strict=True)):
        raise SoapError("Client", "Error executing Web Service: a parameter is in an unknown namespace.")
    if sent != [field.element for field in parameters(service)]:
        raise SoapError("Server", OVERLOADED)
    return {name: child.text or "" for name, child in zip(sent, call, strict=True)}


def _payload(body: bytes) -> etree._Element:
    parser = etree.XMLParser(resolve_entities=False, no_network=True, remove_comments=True)
    try:
        root = etree.fromstring(body, parser)
    except etree.XMLSyntaxError:
        raise SoapError("Client", "The request is not well-formed XML.") from None
    if root.getroottree().docinfo.doctype:
        raise SoapError("Client", "The request must not have a document type.")
    found = root.findall(f"{{{SOAP}}}Body/*") if root.tag == f"{{{SOAP}}}Envelope" else []
    if len(found) != 1:
        raise SoapError("Client", "The request is not a SOAP 1.1 envelope with one element in its Body.")
    return found[0]


def fault(code: str, text: str) -> str:
    content = f"<faultcode>SOAP-ENV:{code}</faultcode><faultstring>{escape(text, quote=False)}</faultstring>"
    return ENVELOPE.format(encoding="", content=f"<SOAP-ENV:Fault>{content}</SOAP-ENV:Fault>")


def read_reply(service: str, rows: Iterable[Mapping[str, str]]) -> str:
    return reply(service, f"\r\n\r\n{_wrapped(service, ''.join(map(write_row, rows)))}")


def write_reply(service: str, rows: Iterable[Row], wrapped: bool = False) -> str:
    written = "".join(write_row({"error_code": row.code, "desc": row.desc, "column": row.column}) for row in rows)
    content = _wrapped(service, written) if written and wrapped else written
    return reply(service, f"\r\n\r\n{content}" if content else None)


def reply(service: str, data: str | None) -> str:
    """Write the envelope of a reply around the content of returnData; None leaves returnData out."""
    array = "" if data is None else f"<returnData>{data}</returnData>"
    content = f"<nis:{service}Response xmlns:nis='{TYPES}'><returnArray>{array}</returnArray></nis:{service}Response>"
    return ENVELOPE.format(encoding=ENCODING, content=content)


def write_row(values: Mapping[str, str]) -> str:
    return _write_row(tuple(values.items()))


@lru_cache(maxsize=10_000)  # lists are read again and again
def _write_row(values: tuple[tuple[str, str], ...]) -> str:
    fields = "".join(
        f"        <{name}>{quoted(value)}</{name}>\r\n" if value else f"        <{name}/>\r\n" for name, value in values
    )
    return f"    <response>\r\n{fields}    </response>\r\n"


def quoted(value: str) -> str:
    """Escape a value: a quotation mark twice, everything else once."""
    return escape(value.replace('"', "&quot;"), quote=False) if set(value) & set('"&<>') else value


def _wrapped(service: str, rows: str) -> str:
    wrapper = service[0].lower() + service[1:]
    return f"<{wrapper}>\r\n{rows}</{wrapper}>\r\n"


def cut_tail(body: str, variant: int) -> bytes:
    """Cut the end off a reply: 1 by as many bytes as it has two-byte letters, 2 after the wrapper, 3 inside the
    wrapper's end tag, 4 after the last row, 5 inside the last row. 0 leaves it whole."""
    data_end = body.find("</returnData>") if "</returnData>" in body else body.find("</returnArray>")
    if variant in (0, 1) or data_end < 0:
        return body.encode()[: len(body) if variant == 1 else None]
    rows_end = body.rfind("\r\n</", 0, data_end) + 2 if "\r\n</" in body[:data_end] else data_end
    field = body.rfind("        <", 0, max(body.rfind("        <Error_Code"), body.rfind("        <desc")))
    ends = {2: data_end, 3: rows_end + 4, 4: rows_end, 5: field + 16 if field > 0 else rows_end}
    return body[: ends[variant]].encode()
