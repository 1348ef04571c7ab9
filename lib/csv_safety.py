"""CSV that spreadsheets read as UTF-8, and never as formulas."""

import csv
import io
import re
from collections.abc import Iterable, Iterator
from itertools import islice

BOM = "\ufeff"  # Excel takes a file without it for the local code page
PIECE = 1000  # lines
# A spreadsheet may also begin a cell after a separator inside of one. A negative number and a phone are no formulas.
_FORMULA = r" *(?:[=@＝＠＋－\t\r]|[+-](?![\d ().]*(?:$|[;\t\r\n])))"
_ESCAPED = re.compile(rf"(^|[;\t\r\n])'(?='*{_FORMULA})")
_UNESCAPED = re.compile(rf"(^|[;\t\r\n])(?='*{_FORMULA})")


def escape_formula(cell: str) -> str:
    """Put an apostrophe before whatever a spreadsheet would take for a formula."""
    return _UNESCAPED.sub(r"\1'", cell)


def unescape_formula(cell: str) -> str:
    return _ESCAPED.sub(r"\1", cell)


def iter_csv(header: Iterable[str], lines: Iterable[Iterable[str]]) -> Iterator[str]:
    """The file in pieces, so that it is never whole in memory."""
    yield BOM + _write([header])
    escaped = ([escape_formula(cell) for cell in line] for line in lines)
    while piece := list(islice(escaped, PIECE)):
        yield _write(piece)


def _write(lines: Iterable[Iterable[str]]) -> str:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(lines)
    return text.getvalue()
