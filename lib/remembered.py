"""Macros whose results are remembered, and shown to everybody who asks with the same arguments."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

MACROS, RESULTS = 16, 256  # of each macro those asked for last: five pages of rows, half a megabyte


def remembered(macro: Callable[..., str], *arguments: Any) -> str:
    """The macro's result. It may read nothing but its arguments: no request, session, person or clock."""
    return _results_of(macro)(*arguments)


@lru_cache(MACROS)
def _results_of(macro: Callable[..., str]) -> Callable[..., str]:
    return lru_cache(RESULTS)(macro)
