"""Read a CSV file as spreadsheets write it: any separator, lines above the header, byte order marks."""

import csv
import io
import re
from collections.abc import Iterator
from contextlib import suppress
from itertools import chain, islice

from lib.csv_safety import BOM, unescape_formula

WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")  # how a file of Excel begins, now and until 2003
# HTML and XML, which many programs save as .xls or .csv, a document, and UTF-16 without its mark
_OTHER_FILES = re.compile(rb"(\xef\xbb\xbf)?\s*(<(!|\?|html|table)|%PDF|\{\\rtf|PK|.\x00|\x00)", re.IGNORECASE)
END_OF_FILE = "\x1a"  # which programs from the days of DOS still write
TITLES = 20  # lines above the header, at most
SAVE_AS = "In Excel, choose File, Save As and the type “CSV UTF-8 (Comma delimited)”, then choose that file here."
_MISTAKES = {
    "unexpected end of data": "A quotation mark is opened here and never closed.",
    "field larger than field limit": "A value is too long. A quotation mark may be missing.",
}
_MISPLACED = "A quotation mark is in the wrong place. Inside a quoted value, write it twice."

Line = tuple[int, list[str]]  # its number in the file, and its cells


class NotCSV(Exception):
    """The file cannot be read from this line on; the message is a sentence for a person."""

    def __init__(self, line: int, sentence: str) -> None:
        super().__init__(sentence)
        self.line = line


def decode(data: bytes) -> str:
    """The text of a file, in the encodings that a spreadsheet names in its first bytes."""
    if data.startswith(WORKBOOKS):
        raise NotCSV(1, f"This is an Excel workbook, not CSV. {SAVE_AS}")
    if _OTHER_FILES.match(data):
        raise NotCSV(1, f"This file is not CSV, whatever its name says. {SAVE_AS}")
    try:
        text = data.decode("utf-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise NotCSV(line, f"This is not UTF-8 text. {SAVE_AS}") from None
    return text.lstrip(BOM).rstrip(END_OF_FILE)


def read_lines(text: str, required: set[str]) -> Iterator[Line]:
    """The header, which has the required columns, then each line below it; blank lines are left out.

    Without such a header, the first line comes in its place.
    """
    named, text = _named_separator(text)
    first = 2 if named else 1
    for separator in [named] if named else [",", "\t", ";"]:
        lines = _split(text, separator, first)
        with suppress(NotCSV):
            for header in islice(lines, TITLES):
                if required <= {cell.casefold() for cell in header[1]}:
                    return chain([header], lines)
    return _split(text, named or ",", first)


def _named_separator(text: str) -> tuple[str, str]:
    first, _, rest = text.partition("\n")
    found = re.fullmatch(r'"?sep=(.)"?[,;\t]*\r?', first, re.IGNORECASE)
    return (found[1], rest) if found else ("", text)


def _split(text: str, separator: str, first: int) -> Iterator[Line]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True, strict=True)
    while True:
        number = first + reader.line_num
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            known = (sentence for words, sentence in _MISTAKES.items() if words in str(error))
            raise NotCSV(number, next(known, _MISPLACED)) from None
        if any(cell.strip() for cell in cells):
            yield number, [unescape_formula(cell.strip().strip(BOM).strip()) for cell in cells]
