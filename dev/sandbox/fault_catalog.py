"""The catalog of the sandbox Spectrum's faults: how one is declared, read from JSON or a form, and carried out.

A *condition* changes a setting for a call, which then goes on; an *incident* ends it. Each is a function: its
name is the fault's name, its docstring the sentence on the page, its further parameters, with their defaults, the
fault's own. The faults themselves are in `spectrum_faults`.
"""

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from flask import Response
from werkzeug.exceptions import BadRequest

from dev.sandbox.faults import Fault
from dev.sandbox.services import SERVICES, Call
from dev.sandbox.soap import XML

Act = TypeVar("Act", bound=Callable[..., Response | None])


@dataclass(frozen=True)
class Kind:
    """A fault that can be switched on: its sentence, its parameters with their defaults, its function."""

    name: str
    sentence: str
    parameters: dict[str, Any]
    act: Callable[..., Response | None]
    is_incident: bool


CATALOG: dict[str, Kind] = {}


def _register(act: Act, is_incident: bool) -> Act:
    name = act.__name__.replace("_", "-")
    own = list(inspect.signature(act).parameters.values())[1:]
    CATALOG[name] = Kind(name, inspect.getdoc(act) or "", {p.name: p.default for p in own}, act, is_incident)
    return act


def condition(act: Act) -> Act:
    return _register(act, is_incident=False)


def incident(act: Act) -> Act:
    """Mark a fault that answers the call."""
    return _register(act, is_incident=True)


def read(given: Mapping[str, Any]) -> Fault:
    """Return a fault as posted, checked and with its defaults: service (`*` is any), fault, times, own parameters."""
    name, service = given.get("fault"), given.get("service")
    if name not in CATALOG:
        raise BadRequest(f"There is no fault {name}. There are: {', '.join(CATALOG)}.")
    if service not in ("*", *SERVICES):
        raise BadRequest(f"service is one of {', '.join(SERVICES)}, or * for any.")
    own = {p: value for p, value in given.items() if p not in ("service", "fault", "times")}
    defaults = CATALOG[name].parameters
    for parameter, value in own.items():
        if parameter not in defaults:
            raise BadRequest(f"{name} has no parameter {parameter}. It has: {', '.join(defaults) or 'none'}.")
        if not _same_kind(value, defaults[parameter]):
            raise BadRequest(f"{parameter} of {name} must be like {defaults[parameter]!r}.")
    return {"service": service, "fault": name, "times": given.get("times", 1), **defaults, **own}


def _same_kind(value: object, default: object) -> bool:
    if isinstance(default, float):
        return type(value) in (int, float)
    if isinstance(default, list):
        return isinstance(value, list) and all(isinstance(row, dict) for row in value)
    return type(value) is type(default)


def read_form(form: Mapping[str, str]) -> Fault:
    """Return a fault as its form posts it: text, a tick for yes, `code | text | element` lines for rows."""
    kind = CATALOG.get(form.get("fault", ""))
    try:
        own = {p: _from_text(form.get(p, ""), default) for p, default in kind.parameters.items()} if kind else {}
        times = int(form.get("times") or 0) or None
    except ValueError:
        raise BadRequest("Give a number where one stands, or leave it empty.") from None
    return read({"fault": form.get("fault"), "service": form.get("service"), "times": times, **own})


def _from_text(text: str, default: Any) -> Any:
    if isinstance(default, bool):
        return text == "yes"
    if isinstance(default, list):
        lines = [line.split("|") for line in text.splitlines() if line.strip()]
        return [dict(zip(("code", "desc", "column"), map(str.strip, line), strict=False)) for line in lines]
    return type(default)(text or default)


def respond(call: Call, faults: Iterable[Fault]) -> Response:
    """Answer a call: its conditions first, then the incident that there is, or the service itself."""
    for fault in sorted(faults, key=lambda fault: CATALOG[fault["fault"]].is_incident):
        kind = CATALOG[fault["fault"]]
        reply = kind.act(call, **{parameter: fault[parameter] for parameter in kind.parameters})
        if reply is not None:
            return reply
    return Response(call.answer(), content_type=XML)
