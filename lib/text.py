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
# Nobody sees these at all, and copied text brings them along. Joiners are not among them: emoji are made with those
_MARKS = re.compile("[\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]")
_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def normalize(text: str) -> str:
    """Compose letters with their accents, end lines with a line feed alone, make every space a plain one.

    Marks that nobody sees, such as a space without width, are dropped.
    """
    return _SPACES.sub(" ", _compose(_MARKS.sub("", text)))


def _compose(text: str) -> str:
    return unicodedata.normalize("NFC", _LINE_BREAKS.sub("\n", text))


def clean(text: str) -> str:
    return normalize(_drop_controls(text))


def _drop_controls(text: str) -> str:
    """Drop control characters, but for line breaks. What stood on both sides of one may be one letter then."""
    return _CONTROLS.sub("", _LINE_BREAKS.sub("\n", text))


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
        return _compose(_drop_controls(value))
    if isinstance(value, list):
        return [clean_all(each) for each in value]
    if isinstance(value, Mapping):
        return {clean_all(name): clean_all(each) for name, each in value.items()}
    return value
