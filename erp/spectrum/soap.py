"""The XML of Spectrum's SOAP 1.1: a request out, the rows of a reply in. For `erp.spectrum` only.

Reading is strict: what is not exactly the reply that Spectrum gives raises Unparsable, because a
reply that was guessed at could say "created" when nothing was.
"""

import re
from collections.abc import Mapping

from lxml import etree

from erp.spectrum.fields import parameters, returns

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


def request(service: str, values: Mapping[str, str]) -> bytes:
    """Return a call with every declared parameter in order; ValueError where XML cannot hold a value."""
    envelope = etree.Element(f"{{{SOAP}}}Envelope", nsmap={"soapenv": SOAP})
    call = etree.SubElement(etree.SubElement(envelope, f"{{{SOAP}}}Body"), f"{{{TYPES}}}{service}", nsmap={"t": TYPES})
    for field in parameters(service):
        etree.SubElement(call, field.element).text = values.get(field.element, "")
    return bytes(etree.tostring(envelope, xml_declaration=True, encoding="UTF-8"))


def rows(service: str, reply: bytes, charset: str | None = None) -> list[dict[str, str]]:
    """Return the reply's rows, element to trimmed value; Fault or Unparsable where there are none to be had."""
    envelope = _root(reply, charset)
    _expect(envelope.tag == f"{{{SOAP}}}Envelope")
    body = _only([part for part in _children(envelope, "Header", "Body") if part.tag == f"{{{SOAP}}}Body"])
    answer = _only(_children(body))
    if answer.tag == f"{{{SOAP}}}Fault":
        raise _fault(answer)
    # The manual's examples say AddJobResponse; its text can be read as the plain word.
    _expect(answer.tag in (f"{{{TYPES}}}{service}Response", f"{{{TYPES}}}ServiceResponse"))
    array = _only(_children(answer, "returnArray"))
    return [_values(response) for data in _children(array, "returnData") for response in _responses(service, data)]


def declared(service: str, wsdl: bytes) -> list[str]:
    """Return the service's parameters as its WSDL lists them; Unparsable where it does not."""
    schema = f"{{{SCHEMA}}}element"
    call = _only([element for element in _root(wsdl, None).iter(schema) if element.get("name") == service])
    return [element.get("name", "") for element in call.iterdescendants(schema)]


def _root(reply: bytes, charset: str | None) -> etree._Element:
    """Parse without touching DTDs, entities or the network; `charset` counts where the XML names none."""
    own = re.match(rb"\s*<\?xml[^>]*\sencoding", reply)
    try:
        parser = etree.XMLParser(
            encoding=None if own else charset,
            resolve_entities=False,
            no_network=True,
            load_dtd=False,
            remove_comments=True,
            remove_pis=True,
        )
        root = etree.fromstring(reply, parser)
    except (etree.XMLSyntaxError, LookupError, ValueError):
        raise Unparsable from None
    _expect(not root.getroottree().docinfo.doctype)
    return root


def _responses(service: str, data: etree._Element) -> list[etree._Element]:
    """Return the `response` elements; a read service wraps them in its own name."""
    wrapper = service[0].lower() + service[1:]
    found: list[etree._Element] = []
    for child in _children(data, "response", *([wrapper] if returns(service) else [])):
        found += [child] if _name(child) == "response" else _children(child, "response")
    return found


def _values(response: etree._Element) -> dict[str, str]:
    """Return the trimmed values by name; each name is there once, and holds nothing but text."""
    children = _children(response)
    _expect(not any(map(len, children)))
    values = {_name(child): _text(child) for child in children}
    _expect(len(values) == len(children))
    return values


def _fault(fault: etree._Element) -> Fault:
    found = {_name(child): _text(child) for child in fault}
    return Fault(found.get("faultcode", "").rpartition(":")[2], found.get("faultstring", ""))


def _children(parent: etree._Element, *names: str) -> list[etree._Element]:
    """Return the child elements; no loose text between them, and only these names where some are given."""
    children = list(parent)
    _expect(not any((text or "").strip() for text in (parent.text, *(child.tail for child in children))))
    _expect(not names or all(_name(child) in names for child in children))
    return children


def _only(elements: list[etree._Element]) -> etree._Element:
    _expect(len(elements) == 1)
    return elements[0]


def _text(element: etree._Element) -> str:
    text: str = element.text or ""
    return text.strip()


def _name(element: etree._Element) -> str:
    """Return the name without its namespace: servers qualify what the WSDL leaves unqualified."""
    name: str = element.tag
    return name.rpartition("}")[2]


def _expect(holds: bool) -> None:
    if not holds:
        raise Unparsable
