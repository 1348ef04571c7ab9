"""SuperSelect: the operators in Spectrum's filters. Nothing else."""

import re
from collections.abc import Callable

from dev.sandbox.store import key

WILDCARDS = {"*": ".*", "?": "."}


def selector(selection: str) -> Callable[[str], bool]:
    """Return the test of a value: blank and ALL pass, `,` lists, `/` spans, `#` excludes, `* ?` are wildcards."""
    selection = key(selection)
    if selection in ("", "ALL"):
        return lambda value: True
    parts = [_part(part.removeprefix("#")) for part in selection.split(",")]
    excludes = selection.startswith("#")
    return lambda value: any(fits(key(value)) for fits in parts) != excludes


def _part(part: str) -> Callable[[str], bool]:
    first, slash, last = part.partition("/")
    if slash:
        return lambda value: first <= value <= last
    pattern = re.compile("".join(WILDCARDS.get(letter, re.escape(letter)) for letter in part), re.DOTALL)
    return lambda value: bool(pattern.fullmatch(value))
