"""Values cached per data revision: each process makes one anew once anything was written."""

from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from time import monotonic
from typing import Any, TypeVar, cast

from flask import current_app

from models import Counter, utcnow

SLOW, MAX_STALE = 0.02, 5  # seconds
Value = TypeVar("Value")


@dataclass(slots=True)
class _Entry:
    state: Any = None  # of the data, when the value was made
    value: Any = None
    slow: bool = False
    stale_until: float = 0
    making: Lock = field(default_factory=Lock)


def cached(name: str, make: Callable[[], Value], max_stale: float = MAX_STALE) -> Value:
    """The result of `make`, cached while the data revision is unchanged (at most a minute: pages show ages).

    One request makes it, the others wait. One that took over 20 ms may be `max_stale` seconds old, and older while
    another request makes it anew: nobody waits for that. With 0 it is never old.
    Store plain values only, never ORM rows.
    """
    entries = current_app.extensions.setdefault("cache", {})
    entry = entries.get(name) or entries.setdefault(name, _Entry())
    state = (Counter.read()[Counter.REVISION], int(utcnow().timestamp()) // 60)
    if entry.state == state or (max_stale and monotonic() < entry.stale_until):
        return cast("Value", entry.value)
    patient = not entry.slow or not max_stale
    if not entry.making.acquire(blocking=patient):
        return cast("Value", entry.value)
    try:  # whoever waited finds it made
        return cast("Value", entry.value) if entry.state == state else _make(entry, state, make, max_stale)
    finally:
        entry.making.release()


def _make(entry: _Entry, state: Any, make: Callable[[], Value], max_stale: float) -> Value:
    began = monotonic()
    value = make()
    entry.slow = monotonic() - began > SLOW
    entry.stale_until = began + (max_stale if entry.slow else 0)
    entry.value, entry.state = value, state
    return value
