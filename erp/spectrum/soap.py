"""The XML of Spectrum's SOAP 1.1: a request out, the rows of a reply in. For `erp.spectrum` only.

Two ways to read a reply. `parse_strict` takes nothing but a whole, well-formed one, because a reply that was guessed at
could say "created" when nothing was. `parse_tolerant` also takes what is left of a damaged one, and says so.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from lxml import etree

from erp.spectrum import salvage
from erp.spectrum.fields import parameters

SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
TYPES = "http://www.northgate-is.com/proiv/webservices/types"
SCHEMA = "http://www.w3.org/2001/XMLSchema"


class Unparsable(Exception):
    """The reply is not one that Spectrum gives."""


class Fault(Exception):
    """A SOAP fault; `code` is Client, Server or another word of SOAP."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(code)
        self.code = code
        self.text = text


@dataclass(frozen=True)
class Answer:
    """The rows of a reply. Not `complete` where rows may be missing; `cut` where it does not end as it should."""

    rows: list[salvage.Row]
    complete: bool = True
    cut: bool = False


def request(service: str, values: Mapping[str, str]) -> bytes:
    """Return a call with every declared parameter in order; ValueError where XML cannot hold a value."""
    envelope = etree.Element(f"{{{SOAP}}}Envelope", nsmap={"soapenv": SOAP})
    call = etree.SubElement(etree.SubElement(envelope, f"{{{SOAP}}}Body"), f"{{{TYPES}}}{service}", nsmap={"t": TYPES})
    for field in parameters(service):
        etree.SubElement(call, field.element).text = values.get(field.element, "")
    return bytes(etree.tostring(envelope, xml_declaration=True, encoding="UTF-8"))


def parse_strict(service: str, reply: bytes, charset: str | None = None) -> list[dict[str, str]]:
    """Return the rows of a whole reply, element to trimmed value; Fault or Unparsable where there are none."""
    text, intact = salvage.decode(reply, charset)
    _expect(intact)
    answer = _answer(service, _root(text))
    array = _only(_children(answer, "returnArray"))
    return [_values(response) for data in _children(array, "returnData") for response in _responses(data)]


def parse_tolerant(service: str, reply: bytes, charset: str | None = None) -> Answer:
    """Return the rows that can be read, as far as the reply came; Fault or Unparsable where it is none at all."""
    text, intact = salvage.decode(reply, charset)
    try:
        _expect(intact)
        root = _root(text)
    except Unparsable:
        return _salvaged(service, text)
    responses = [each for each in _answer(service, root).iter() if _name(each) == "response"]
    return Answer(
        [salvage.read_fields((_name(child), _all_text(child), False) for child in each) for each in responses]
    )


def _salvaged(service: str, text: str) -> Answer:
    _refuse_dtd(text)
    found = salvage.rows(service, text)
    if found is None:
        raise Unparsable
    return Answer(*found, cut=not text.rstrip().endswith("Envelope>"))


def declared(service: str, wsdl: bytes) -> list[str]:
    schema = f"{{{SCHEMA}}}element"
    root = _root(salvage.decode(wsdl, None)[0])
    call = _only([element for element in root.iter(schema) if element.get("name") == service])
    return [element.get("name", "") for element in call.iterdescendants(schema)]


def _root(text: str) -> etree._Element:
    """Parse without touching DTDs, entities or the network."""
    _refuse_dtd(text)
    try:
        parser = etree.XMLParser(
            encoding="utf-8",  # whatever a declaration says: it is text already
            resolve_entities=False,
            no_network=True,
            load_dtd=False,
            remove_comments=True,
            remove_pis=True,
        )
        return etree.fromstring(text.encode(), parser)
    except (etree.XMLSyntaxError, ValueError):
        raise Unparsable from None


def _refuse_dtd(text: str) -> None:
    _expect(not re.search("<!(?:DOCTYPE|ENTITY)", text, re.IGNORECASE))


def _answer(service: str, envelope: etree._Element) -> etree._Element:
    _expect(envelope.tag == f"{{{SOAP}}}Envelope")
    body = _only([part for part in _children(envelope, "Header", "Body") if part.tag == f"{{{SOAP}}}Body"])
    answer = _only(_children(body))
    if answer.tag == f"{{{SOAP}}}Fault":
        found = {_name(child): _all_text(child) for child in answer}
        raise Fault(found.get("faultcode", "").rpartition(":")[2], found.get("faultstring", ""))
    # The manual's examples say AddJobResponse; its text can be read as the plain word.
    _expect(answer.tag in (f"{{{TYPES}}}{service}Response", f"{{{TYPES}}}ServiceResponse"))
    return answer


def _responses(data: etree._Element) -> list[etree._Element]:
    """Return the `response` elements; they may stand in a wrapper, which has many names but is not empty."""
    children = _children(data)
    if len(children) == 1 and _name(children[0]) != "response":
        children = _children(children[0])
        _expect(bool(children))
    _expect(all(_name(child) == "response" for child in children))
    return children


def _values(response: etree._Element) -> dict[str, str]:
    """Return the trimmed values by name; each name is there once, and holds nothing but text."""
    children = _children(response)
    _expect(not any(map(len, children)))
    values = {_name(child): _all_text(child) for child in children}
    _expect(len(values) == len(children))
    return values


def _children(parent: etree._Element, *names: str) -> list[etree._Element]:
    """Return the child elements; no loose text between them, and only these names where some are given."""
    children = list(parent)
    _expect(not any((text or "").strip() for text in (parent.text, *(child.tail for child in children))))
    _expect(not names or all(_name(child) in names for child in children))
    return children


def _only(elements: list[etree._Element]) -> etree._Element:
    _expect(len(elements) == 1)
    return elements[0]


def _all_text(element: etree._Element) -> str:
    return salvage.unescape("".join(element.itertext()).strip())


def _name(element: etree._Element) -> str:
    name: str = element.tag
    return name.rpartition("}")[2]


def _expect(holds: bool) -> None:
    if not holds:
        raise Unparsable
