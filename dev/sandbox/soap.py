"""SOAP 1.1 in and out: what a call carries, and the bodies of replies and faults.

What a service does with it is in `spectrum`; how an answer goes wrong on its way is in `delivery`.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from lxml import etree
from lxml.builder import ElementMaker

from erp.spectrum.mapping import parameters

SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
TYPES = "http://www.northgate-is.com/proiv/webservices/types"
XML = "text/xml; charset=utf-8"

_soap = ElementMaker(namespace=SOAP, nsmap={"SOAP-ENV": SOAP})
_types = ElementMaker(namespace=TYPES, nsmap={"ns1": TYPES})
_plain = ElementMaker()


class SoapError(Exception):
    """A call that is not understood; `code` is Client or Server."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code, self.text = code, text


class Row(NamedTuple):
    """An error row: code (A, I, M, G, E), text, and the element that it is about."""

    code: str
    desc: str
    column: str = ""


def read_call(service: str, body: bytes) -> dict[str, str]:
    """The parameters of a call by element. Raises SoapError unless all declared ones are there, in order."""
    call = _payload(body)
    if call.tag != f"{{{TYPES}}}{service}":
        raise SoapError("Client", f"Error executing Web Service: the request is not {service} in {TYPES}.")
    if any(child.tag not in (name := etree.QName(child).localname, f"{{{TYPES}}}{name}") for child in call):
        raise SoapError("Client", "Error executing Web Service: a parameter is in an unknown namespace.")
    declared = [field.element for field in parameters(service)]
    sent = [etree.QName(child).localname for child in call]
    if sent != declared:
        raise SoapError("Server", f"Error executing Web Service: {_difference(sent, declared)}")
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


def _difference(sent: list[str], declared: list[str]) -> str:
    missing = [name for name in declared if name not in sent]
    unknown = [name for name in sent if name not in declared]
    if missing:
        return f"missing {', '.join(missing)}."
    return f"unknown {', '.join(unknown)}." if unknown else "the parameters are not in the declared order."


def write_reply(rows: Iterable[Row]) -> bytes:
    """The answer of AddJob and AddPhase: nothing in it is success."""
    responses = [
        _plain.response(_plain.error_code(row.code), _plain.desc(row.desc), _plain.column(row.column)) for row in rows
    ]
    return _response(*([_plain.returnData(*responses)] if responses else []))


def read_reply(service: str, rows: Iterable[Mapping[str, str]]) -> bytes:
    """The answer of a read: its wrapper, with a `response` for each row."""
    wrapper = _plain(service[0].lower() + service[1:])
    for row in rows:
        response = etree.SubElement(wrapper, "response")
        for name, value in row.items():
            etree.SubElement(response, name).text = value
    return _response(_plain.returnData(wrapper))


def fault(code: str, text: str) -> bytes:
    """A SOAP fault."""
    return _envelope(_soap.Fault(_plain.faultcode(f"SOAP-ENV:{code}"), _plain.faultstring(text)))


def _response(*content: etree._Element) -> bytes:
    return _envelope(_types.ServiceResponse(_plain.returnArray(*content)))


def _envelope(content: etree._Element) -> bytes:
    document = _soap.Envelope(_soap.Body(content))
    written: bytes = etree.tostring(document, xml_declaration=True, encoding="UTF-8")
    return written
