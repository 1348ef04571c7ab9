"""The rows of a reply that is no XML: cut short, or with characters that have no place in it. For reads only.

One pass over the text, whatever is in it: a reply of many megabytes may be damage from end to end.
"""

import codecs
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

LOST = "\N{REPLACEMENT CHARACTER}"  # stands where a character could not be read

_PREFIX = r"(?:[\w.-]+:)?"
_BEGIN = re.compile(rf"<{_PREFIX}response(?:\s[^<>]*)?>")
_END = re.compile(rf"</{_PREFIX}response\s*>")
_TAG = re.compile(rf"<(/?){_PREFIX}(\w+)(?:\s[^<>]*?)?(/?)>")
_ANY_TAG = re.compile(r"<[^<>]*>")
_REFERENCE = re.compile(r"&(?:(amp|lt|gt|quot|apos)|#([0-9]{1,7})|#[xX]([0-9A-Fa-f]{1,6}));")
_CHARACTERS = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}
_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True)
class Row:
    """The values of a `response` by element; `damaged` where one of them is not as it was sent."""

    values: dict[str, str]
    damaged: bool = False


def decode(reply: bytes, charset: str | None) -> tuple[str, bool]:
    """Return the reply's text, and whether each byte of it could be read. UTF-8 counts whatever its header says."""
    body = reply.removeprefix(codecs.BOM_UTF8)
    named = re.match(rb"\s*<\?xml[^>]*\sencoding=['\"]([\w.-]+)", body)
    for name in ("utf-8", named[1].decode() if named else None, charset):
        try:
            if name:
                return body.decode(name), True
        except (ValueError, LookupError):
            continue
    return body.decode("utf-8", errors="replace"), False


def unescape(text: str) -> str:
    return _REFERENCE.sub(_character, text)


def read_fields(fields: Iterable[tuple[str, str, bool]]) -> Row:
    """Return a row of (element, value, damaged); two values of one element are none that can be told apart."""
    values: dict[str, str] = {}
    any_damaged = False
    for name, value, damaged in fields:
        twice = values.get(name, value) != value
        values[name] = f"{values[name]}{LOST}{value}" if twice else value
        any_damaged |= damaged or twice
    return Row(values, any_damaged)


def rows(service: str, text: str) -> tuple[list[Row], bool] | None:
    """Return the rows that are whole, and whether no other can have followed; None where it is no reply at all."""
    begin = re.search(rf"<{_PREFIX}(?:{service}|Service)Response(?:\s[^<>]*)?>", text)
    if not begin:
        return None
    *blocks, rest = _END.split(text[begin.end() :])
    if not blocks:
        return ([], True) if "</" in rest and not _BEGIN.search(rest) else None
    pieces = [_BEGIN.split(block) for block in blocks]
    # The next thing after the last row is an end tag, and nothing is lost between two rows.
    complete = rest.lstrip().startswith("</") and all(
        len(piece) == 2 and not _ANY_TAG.sub("", piece[0]).strip() for piece in pieces
    )
    return [read_fields(_fields(piece[-1])) for piece in pieces if len(piece) > 1], complete


def _fields(block: str) -> Iterator[tuple[str, str, bool]]:
    name, start = "", 0
    for tag in _TAG.finditer(block):
        closing, found, empty = tag.groups()
        ends = found == name and bool(closing)
        if name and (ends or not closing):
            value, damaged = _mend(block[start : tag.start()])
            yield name, value, damaged or not ends
        if not closing or ends:
            name, start = ("" if ends or empty else found), tag.end()
        else:
            yield found, LOST, True
        if empty:
            yield found, "", False
    if name:
        yield name, LOST, True


def _mend(raw: str) -> tuple[str, bool]:
    """Return a value with what can't be read replaced, and whether there was anything."""
    bare = "&" in _REFERENCE.sub("", raw)
    text = _ILLEGAL.sub(LOST, unescape(raw.replace("<", LOST)))
    return unescape(text.strip()), bare or LOST in text


def _character(reference: re.Match[str]) -> str:
    name, decimal, hexadecimal = reference.groups()
    if name:
        return _CHARACTERS[name]
    number = int(decimal or hexadecimal, 10 if decimal else 16)
    return chr(number) if number < 0x110000 and not _ILLEGAL.match(chr(number)) else LOST
