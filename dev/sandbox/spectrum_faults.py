"""Everything that can be made to go wrong with a call of the sandbox Spectrum, one function each.

How the catalog reads them stands in `fault_catalog`. `created` says whether the service does its work before
things go wrong; a read always does.
"""

import time
from collections.abc import Callable
from threading import Timer

from dev.sandbox import rules, soap
from dev.sandbox.broken_replies import Cut, Drip, Hang, Huge, Reset
from dev.sandbox.fault_catalog import CATALOG, condition, incident
from dev.sandbox.soap import XML, Row
from dev.sandbox.spectrum import Call
from dev.sandbox.store import key
from dev.sandbox.web import Reply

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
    """The job is made and answered as a success, but this element is not kept."""
    call.conditions.dropped.add(element)


@condition
def hidden(call: Call) -> None:
    """The job is made, but the operator may not see it: the reads leave it out."""
    call.conditions.hidden = True


@condition
def cap(call: Call, rows: int = 10) -> None:
    """A read returns this many rows, then the warning that there are more."""
    call.conditions.cap = rows


@condition
def bearer(call: Call) -> Reply | None:
    """A hosted installation: without a token from POST /connect/token every call is answered 401."""
    return None if call.has_token else Reply(b"", 401, headers={"WWW-Authenticate": "Bearer"})


@condition
def wsdl_missing(_call: Call) -> Reply | None:
    """The service's description (WSDL) is not there: 404. Calls themselves work."""
    return None


# Incidents: error rows


@incident
def not_authorized(call: Call) -> Reply:
    """The Authorization ID is not known (A)."""
    return _rows(call, Row("A", rules.NOT_AUTHORIZED))


@incident
def time_out_has_occurred(call: Call) -> Reply:
    """The session is older than 24 idle hours (A)."""
    return _rows(call, Row("A", "Time out has occurred"))


@incident
def abort(call: Call) -> Reply:
    """Spectrum gives the call up (A)."""
    return _rows(call, Row("A", "The Web Service was aborted."))


@incident
def error_rows(call: Call, rows: list[dict[str, str]] = EXAMPLE_ROWS) -> Reply:
    """The call is refused with the rows given here."""
    return _rows(call, *(Row(row.get("code", ""), row.get("desc", ""), row.get("column", "")) for row in rows))


@incident
def e_row(call: Call) -> Reply:
    """The call is refused with a row of code E, which only a documented example shows."""
    return _rows(call, Row("E", "The record is in use by another operator.", "Job_Number"))


@incident
def unknown_code(call: Call, created: bool = False) -> Reply:
    """The answer has a row of a code that is written nowhere (Z)."""
    _done(call, created)
    return _rows(call, Row("Z", "See the system log.", ""))


@incident
def good_row(call: Call) -> Reply:
    """The call does its work and says so in a row of code G."""
    body = call.answer()
    done = call.outcome in ("created", "updated")
    return _rows(call, Row("G", "The record was added.")) if done else _xml(body)


# Incidents: SOAP faults and HTTP


@incident
def fault_server(call: Call, status: int = 500, created: bool = False) -> Reply:
    """A SOAP fault that blames the server, as under load."""
    _done(call, created)
    return Reply(soap.fault("Server", "Error executing Web Service"), status, XML)


@incident
def fault_client(call: Call, status: int = 500, created: bool = False) -> Reply:
    """A SOAP fault that blames the caller: the service is not granted."""
    _done(call, created)
    text = f"Error identifying Web Service: Could not find WebService named: {call.service}"
    return Reply(soap.fault("Client", text), status, XML)


@incident
def status(call: Call, status: int = 503, created: bool = False) -> Reply:
    """An HTTP status such as 401, 403, 404 or 503, with no SOAP in it."""
    _done(call, created)
    return Reply(b"The service is not available.", status)


@incident
def html(call: Call, status: int = 200, created: bool = False) -> Reply:
    """A web page instead of SOAP, as from a proxy in between."""
    _done(call, created)
    text = b"<!doctype html><title>Gateway</title><h1>The server is being restarted</h1>"
    return Reply(text, status, "text/html; charset=utf-8")


@incident
def redirect(call: Call, status: int = 307, created: bool = False) -> Reply:
    """A redirect to the same service: who follows it makes the call twice."""
    _done(call, created)
    return Reply(b"", status, headers={"Location": f"/ws/{call.service}"})


# Incidents: the answer itself


@incident
def empty(call: Call, created: bool = True) -> Reply:
    """Status 200 and no body."""
    _done(call, created)
    return _xml(b"")


@incident
def cut(call: Call, created: bool = True) -> Reply:
    """The answer breaks off half-way."""
    return Cut(_done(call, created), content_type=XML)


@incident
def drip(call: Call, seconds: float = 1.0, created: bool = True) -> Reply:
    """The answer comes a byte at a time, with so many seconds before each."""
    return Drip(_done(call, created), content_type=XML, seconds=seconds)


@incident
def huge(call: Call, mebibytes: int = 33, created: bool = True) -> Reply:
    """The answer comes after so many mebibytes of white space."""
    return Huge(_done(call, created), content_type=XML, mebibytes=mebibytes)


@incident
def latin_1(call: Call, declared: bool = True, created: bool = True) -> Reply:
    """The answer is in ISO-8859-1 and says so; not declared, it claims to be UTF-8 and is not readable as such."""
    text = _done(call, created).decode() + "<!-- señor -->"
    encoding = "ISO-8859-1" if declared else "UTF-8"
    body = text.replace("'UTF-8'", f"'{encoding}'", 1).encode("latin-1", "replace")
    return Reply(body, content_type=f"text/xml; charset={encoding}")


@incident
def dtd(call: Call, created: bool = True) -> Reply:
    """The answer begins with a document type that declares an entity."""
    declaration, _, document = _done(call, created).partition(b"\n")
    return _xml(declaration + b'\n<!DOCTYPE reply [<!ENTITY name "Halvorsen">]>\n' + document)


# Incidents: no answer


@incident
def timeout(_call: Call, seconds: float = 600.0) -> Reply:
    """Nothing is done and nothing answered until the client gives up."""
    return Hang(seconds=seconds)


@incident
def created_then_timeout(call: Call, seconds: float = 600.0) -> Reply:
    """The work is done, but nothing is answered until the client gives up."""
    call.answer()
    return Hang(seconds=seconds)


@incident
def reset(call: Call, created: bool = False) -> Reply:
    """The connection breaks before any answer."""
    _done(call, created)
    return Reset()


@incident
def late_commit(call: Call, seconds: float = 5.0, reset: bool = False, hang: float = 600.0) -> Reply:
    """Nothing is answered, or the connection breaks; the work is done so many seconds later."""
    timer = Timer(seconds, unless_reset(call))
    timer.daemon = True
    timer.start()
    return Reset() if reset else Hang(seconds=hang)


def unless_reset(call: Call) -> Callable[[], None]:
    """The call's work, for later; nothing of it in a sandbox that was reset meanwhile."""
    begun_in = call.store.round

    def work() -> None:
        if call.store.round == begun_in:
            call.answer()

    return work


def _done(call: Call, created: bool) -> bytes:
    return call.answer() if created or call.is_read else soap.write_reply([])


def _rows(call: Call, *rows: Row) -> Reply:
    return _xml(call.error_rows(list(rows)))


def _xml(body: bytes) -> Reply:
    return Reply(body, content_type=XML)
