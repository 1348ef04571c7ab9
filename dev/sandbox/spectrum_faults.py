"""The faults of single calls of the sandbox Spectrum, one function each.

`fault_catalog` reads them. `created` says whether the service does its work before
things go wrong; a read always does.
"""

import time
from collections.abc import Callable
from threading import Timer

from flask import Response

from dev.sandbox import broken_replies, rules, soap
from dev.sandbox.fault_catalog import CATALOG, condition, incident
from dev.sandbox.services import Call
from dev.sandbox.soap import XML, Row
from dev.sandbox.store import key

__all__ = ["CATALOG"]  # full once this module is imported

EXAMPLE_ROWS = [{"code": "I", "desc": "The city is not on file.", "column": "City"}]

# Conditions


@condition
def slow(_call: Call, milliseconds: int = 1000) -> None:
    """Each call takes so many milliseconds longer."""
    time.sleep(milliseconds / 1000)


@condition
def required(call: Call, element: str = "Tax_Class_Code") -> None:
    """The installation requires one more element."""
    call.conditions.required.add(element)


@condition
def customer_on_hold(call: Call, customer: str = "*") -> None:
    """The customer with this code is on hold, so a job for them is invalid; * puts every customer on hold."""
    call.conditions.customers_on_hold.add(key(customer))


@condition
def drop_field(call: Call, element: str = "Phone") -> None:
    """The job is created and the answer is a success, but this element is not kept."""
    call.conditions.dropped.add(element)


@condition
def hidden(call: Call) -> None:
    """The job is created, but hidden from the operator: reads leave it out."""
    call.conditions.hidden = True


@condition
def cap(call: Call, rows: int = 10) -> None:
    """A read returns this many rows, then the warning that there are more."""
    call.conditions.cap = rows


@condition
def bearer(call: Call) -> Response | None:
    """As on a hosted installation: 401 without a token from POST /connect/token."""
    return None if call.has_token else Response(status=401, headers={"WWW-Authenticate": "Bearer"})


@condition
def wsdl_missing(_call: Call) -> Response | None:
    """The service's description (WSDL) is not there: 404. Calls themselves work."""
    return None


# Incidents: error rows


@incident
def not_authorized(call: Call) -> Response:
    """The Authorization ID has no access: an E row on reads, an A row on writes."""
    return _rows(call, rules.not_authorized(call.service))


@incident
def time_out_has_occurred(call: Call) -> Response:
    """The session is older than 24 idle hours (A)."""
    return _rows(call, Row("A", "Time out has occurred"))


@incident
def abort(call: Call) -> Response:
    """Spectrum gives the call up (A)."""
    return _rows(call, Row("A", "The Web Service was aborted."))


@incident
def error_rows(call: Call, rows: list[dict[str, str]] = EXAMPLE_ROWS) -> Response:
    """The call is refused with the rows given here."""
    return _rows(call, *(Row(row.get("code", ""), row.get("desc", ""), row.get("column", "")) for row in rows))


@incident
def e_row(call: Call) -> Response:
    """The call is refused with a row of code E, which only a documented example shows."""
    return _rows(call, Row("E", "The record is in use by another operator.", "Job_Number"))


@incident
def unknown_code(call: Call, created: bool = False) -> Response:
    """The answer has a row with an undocumented code (Z)."""
    _done(call, created)
    return _rows(call, Row("Z", "See the system log.", ""))


@incident
def good_row(call: Call) -> Response:
    """The call does its work and answers with a row of code G."""
    call.conditions.success = "good"
    return _xml(call.answer())


# Incidents: SOAP faults and HTTP


@incident
def fault_server(call: Call, status: int = 500, created: bool = False) -> Response:
    """A SOAP fault that blames the server, as under load."""
    _done(call, created)
    return Response(soap.fault("Server", soap.OVERLOADED), status, content_type=XML)


@incident
def fault_client(call: Call, status: int = 500, created: bool = False) -> Response:
    """A SOAP fault that blames the caller: the service is not there."""
    _done(call, created)
    return Response(soap.fault("Client", soap.NOT_FOUND.format(service=call.service)), status, content_type=XML)


@incident
def status(call: Call, status: int = 503, created: bool = False) -> Response:
    """An HTTP status such as 401, 403, 404 or 503, with no SOAP in it."""
    _done(call, created)
    return Response("The service is not available.", status, content_type="text/plain; charset=utf-8")


@incident
def html(call: Call, status: int = 200, created: bool = False) -> Response:
    """A web page instead of SOAP, as from a proxy in front of Spectrum."""
    _done(call, created)
    text = b"<!doctype html><title>Gateway</title><h1>The server is being restarted</h1>"
    return Response(text, status, content_type="text/html; charset=utf-8")


@incident
def redirect(call: Call, status: int = 307, created: bool = False) -> Response:
    """A redirect to the same service: following it makes the call twice."""
    _done(call, created)
    return Response(status=status, headers={"Location": f"/ws/{call.service}"})


# Incidents: the answer itself


@incident
def empty(call: Call, created: bool = True) -> Response:
    """Status 200 and no body."""
    _done(call, created)
    return _xml(b"")


@incident
def cut(call: Call, created: bool = True) -> Response:
    """The answer breaks off halfway: its head promises the whole length."""
    return broken_replies.cut(_done(call, created))


@incident
def drip(call: Call, seconds: float = 1.0, created: bool = True) -> Response:
    """The answer comes a byte at a time, with so many seconds before each."""
    return broken_replies.drip(_done(call, created), seconds)


@incident
def huge(call: Call, mebibytes: int = 33, created: bool = True) -> Response:
    """The answer comes after so many mebibytes of white space."""
    return broken_replies.huge(_done(call, created), mebibytes)


@incident
def latin_1(call: Call, declared: bool = True, created: bool = True) -> Response:
    """The answer is in ISO-8859-1 and says so; not declared, it claims to be UTF-8 and is not readable as such."""
    declaration = "<?xml version='1.0' encoding='ISO-8859-1'?>" if declared else ""
    text = f"{declaration}{_done(call, created).decode()}<!-- señor -->"
    charset = "ISO-8859-1" if declared else "UTF-8"
    return Response(text.encode("latin-1", "replace"), content_type=f"text/xml; charset={charset}")


@incident
def dtd(call: Call, created: bool = True) -> Response:
    """The answer begins with a document type that declares an entity."""
    return _xml(b'<!DOCTYPE reply [<!ENTITY name "Halvorsen">]>\r\n' + _done(call, created))


# Incidents: no answer


@incident
def timeout(_call: Call, seconds: float = 600.0) -> Response:
    """The call does nothing, and no answer comes until the client gives up."""
    return broken_replies.silence(seconds)


@incident
def created_then_timeout(call: Call, seconds: float = 600.0) -> Response:
    """The call does its work, but no answer comes until the client gives up."""
    call.answer()
    return broken_replies.silence(seconds)


@incident
def reset(call: Call, created: bool = False) -> Response:
    """The connection breaks before any answer."""
    _done(call, created)
    return broken_replies.Reset()


@incident
def late_commit(call: Call, seconds: float = 5.0, reset: bool = False, hang: float = 600.0) -> Response:
    """No answer comes, or the connection breaks; the work is done so many seconds later."""
    timer = Timer(seconds, unless_reset(call))
    timer.daemon = True
    timer.start()
    return broken_replies.Reset() if reset else broken_replies.silence(hang)


def unless_reset(call: Call) -> Callable[[], None]:
    """Return the call's work for later; it does nothing in a sandbox that was reset meanwhile."""
    begun_in = call.store.round

    def work() -> None:
        if call.store.round == begun_in:
            call.answer()

    return work


def _done(call: Call, created: bool) -> bytes:
    return call.answer() if created or call.is_read else call.success()


def _rows(call: Call, *rows: Row) -> Response:
    return _xml(call.error_rows(list(rows)))


def _xml(body: bytes) -> Response:
    return Response(body, content_type=XML)
