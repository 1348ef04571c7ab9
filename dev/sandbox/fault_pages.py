"""The addresses under which faults are switched on and off, by form and by JSON; the same on both web addresses.

What faults there are, and how they are read, each web address says for itself.
"""

from collections.abc import Callable, Mapping
from typing import Any

from dev.sandbox.faults import Fault, Faults
from dev.sandbox.web import Reply, Request, Route, as_json, page, see_other


class FaultPages:
    """Shows and changes one queue of faults: `read` checks a posted one, `read_form` one from a form of `template`."""

    def __init__(
        self,
        faults: Faults,
        read: Callable[[Mapping[str, Any]], Fault],
        read_form: Callable[[Mapping[str, str]], Fault],
        template: str,
        **values: Any,
    ) -> None:
        self.faults, self.read, self.read_form = faults, read, read_form
        self.template, self.values = template, values

    @property
    def routes(self) -> list[Route]:
        """The addresses, for the site that has the faults."""
        return [
            ("GET", "/faults", self.show),
            ("POST", "/faults", self.switch_on),
            ("POST", "/faults/off", self.switch_off),
            ("GET", "/sandbox/faults", self.listed),
            ("POST", "/sandbox/faults", self.post),
            ("DELETE", r"/sandbox/faults(?:/(\d+))?", self.delete),
        ]

    def show(self, _: Request) -> Reply:
        """What is switched on, and what can be."""
        return page(self.template, faults=self.faults.listed(), **self.values)

    def switch_on(self, request: Request) -> Reply:
        """The fault that a form describes."""
        self.faults.switch_on(self.read_form(request.form()))
        return see_other("/faults")

    def switch_off(self, request: Request) -> Reply:
        """The fault with the form's id, or all."""
        number = request.form().get("id", "")
        self.faults.switch_off(int(number) if number.isdecimal() else None)
        return see_other("/faults")

    def listed(self, _: Request) -> Reply:
        """What is switched on."""
        return as_json(self.faults.listed())

    def post(self, request: Request) -> Reply:
        """Switch a fault on, or several in a list."""
        given = request.json()
        faults = [self.read(fault) for fault in (given if isinstance(given, list) else [given])]
        return as_json([self.faults.switch_on(fault) for fault in faults], 201)

    def delete(self, _: Request, number: str | None) -> Reply:
        """Switch one off, or all."""
        self.faults.switch_off(int(number) if number else None)
        return as_json(self.faults.listed())
