"""SuperSelect: how Spectrum reads a filter. Nothing else."""

import re

from dev.sandbox.store import key

WILDCARDS = {"*": ".*", "?": "."}


def selects(selection: str, value: str) -> bool:
    """Whether a filter lets a value through: blank and ALL do, `,` lists, `/` spans, `#` excludes, `* ?` stand in."""
    selection, value = key(selection), key(value)
    if selection in ("", "ALL"):
        return True
    if selection.startswith("#"):
        return not any(_fits(part.removeprefix("#"), value) for part in selection.split(","))
    return any(_fits(part, value) for part in selection.split(","))


def _fits(part: str, value: str) -> bool:
    first, slash, last = part.partition("/")
    if slash:
        return first <= value <= last
    return bool(re.fullmatch("".join(WILDCARDS.get(letter, re.escape(letter)) for letter in part), value))
