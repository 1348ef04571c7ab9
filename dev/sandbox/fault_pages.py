"""The addresses under which faults are switched on and off, by form and by JSON; the same on both web addresses."""

from collections.abc import Callable, Mapping
from typing import Any

from flask import Blueprint, jsonify, redirect, render_template, request
from flask.typing import ResponseReturnValue

from dev.sandbox.faults import Fault, Faults
from dev.sandbox.pages import posted


def fault_pages(
    faults: Faults,
    read: Callable[[Mapping[str, Any]], Fault],
    read_form: Callable[[Mapping[str, str]], Fault],
    template: str,
    **values: Any,
) -> Blueprint:
    """Make the pages of one queue of faults: `read` checks a posted one, `read_form` one from a form of `template`."""
    pages = Blueprint("faults", "dev.sandbox")

    @pages.get("/faults")
    def show() -> str:
        return render_template(template, faults=faults.listed(), **values)

    @pages.post("/faults")
    def switch_on() -> ResponseReturnValue:
        faults.switch_on(read_form(request.form))
        return redirect("/faults", 303)

    @pages.post("/faults/off")
    def switch_off() -> ResponseReturnValue:
        faults.switch_off(request.form.get("id", type=int))
        return redirect("/faults", 303)

    @pages.get("/sandbox/faults")
    def listed() -> ResponseReturnValue:
        return jsonify(faults.listed())

    @pages.post("/sandbox/faults")
    def post() -> ResponseReturnValue:
        given = posted()
        checked = [read(fault) for fault in (given if isinstance(given, list) else [given])]
        return jsonify([faults.switch_on(fault) for fault in checked]), 201

    @pages.delete("/sandbox/faults", defaults={"number": None})
    @pages.delete("/sandbox/faults/<int:number>")
    def delete(number: int | None) -> ResponseReturnValue:
        faults.switch_off(number)
        return jsonify(faults.listed())

    return pages
