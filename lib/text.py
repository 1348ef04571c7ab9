"""One spelling of the same text, so that it counts, compares and is found alike wherever it came from."""

import re
import unicodedata

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def normalize_text(text: str) -> str:
    """Compose letters with their accents, and write each line break as one line feed."""
    return unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n"))


def clean_text(text: str) -> str:
    """The same, without control characters, which PostgreSQL and XML refuse, and without blanks at its ends."""
    return normalize_text(_CONTROL.sub("", text)).strip()
