"""Text as it is kept: one form for letters and line breaks, and without control characters.

PostgreSQL takes no NUL, terminals and XML take none of the others. Two spellings of one letter must not make two
numbers, nor two kinds of space. Everything that is typed comes through here: forms and addresses by CleanRequest,
options of commands by cli.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any

from flask import Request
from werkzeug.datastructures import ImmutableMultiDict

_LINE_BREAKS = re.compile("\r\n|[\r\x85\u2028\u2029]")
_SPACES = re.compile("[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]")  # nobody sees that they are no plain space
_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def normalize(text: str) -> str:
    """Compose letters with their accents, end lines with a line feed alone, and make every space a plain one."""
    return _SPACES.sub(" ", _compose(text))


def _compose(text: str) -> str:
    return unicodedata.normalize("NFC", _LINE_BREAKS.sub("\n", text))


def clean(text: str) -> str:
    return _CONTROLS.sub("", normalize(text))


class CleanValues(ImmutableMultiDict[str, str]):
    """The values of a form or an address, clean; passwords stay as they are typed, because they are only hashed."""

    def __init__(self, mapping: Any = None) -> None:
        super().__init__([(name, _clean_field(name, value)) for name, value in _pairs(mapping)])


class CleanRequest(Request):
    parameter_storage_class = CleanValues


def _pairs(mapping: Any) -> Iterable[tuple[str, Any]]:
    return ImmutableMultiDict(mapping).items(multi=True)


def _clean_field(name: str, value: Any) -> Any:
    return value if "password" in name or not isinstance(value, str) else clean(value)


def clean_all(value: Any) -> Any:
    """Clean every text in a value of a row, also inside lists and dicts. Spaces stay: they may tell two keys apart."""
    if isinstance(value, str):
        return _CONTROLS.sub("", _compose(value))
    if isinstance(value, list):
        return [clean_all(each) for each in value]
    if isinstance(value, Mapping):
        return {clean_all(name): clean_all(each) for name, each in value.items()}
    return value
