"""The queue of faults that are switched on, shared by the sandbox Spectrum and the sandbox mailbox.

A fault is a flat dict, as it is posted and listed: `id`, `times`, and the parameters in its catalog.
`times` counts down; None stands until it is switched off. The catalogs are in `spectrum_faults` and `smtp`.
"""

from collections.abc import Callable
from itertools import count
from threading import Lock
from typing import Any

from werkzeug.exceptions import BadRequest

Fault = dict[str, Any]


class Faults:
    """Faults in the order in which they were switched on; kept in memory only."""

    def __init__(self) -> None:
        self._lock, self._ids, self._on = Lock(), count(1), list[Fault]()

    def switch_on(self, fault: Fault) -> Fault:
        times = fault.setdefault("times", 1)
        if times is not None and (type(times) is not int or times < 1):
            raise BadRequest("times is a whole number from 1, or null for until it is switched off.")
        with self._lock:
            self._on.append({"id": next(self._ids), **fault})
            return dict(self._on[-1])

    def switch_off(self, number: int | None = None) -> None:
        with self._lock:
            self._on = [fault for fault in self._on if number is not None and fault["id"] != number]

    def listed(self) -> list[Fault]:
        with self._lock:
            return [dict(fault) for fault in self._on]

    def take(self, concerned: Callable[[Fault], bool]) -> list[Fault]:
        """The faults for one call: the first counted one, which is used up by one, before all standing ones."""
        with self._lock:
            found = [fault for fault in self._on if concerned(fault)]
            counted = [fault for fault in found if fault["times"] is not None][:1]
            for fault in counted:
                fault["times"] -= 1
            self._on = [fault for fault in self._on if fault["times"] != 0]
            return [dict(fault) for fault in (*counted, *(fault for fault in found if fault["times"] is None))]
