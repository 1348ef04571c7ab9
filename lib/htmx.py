"""htmx: the headers of its requests, and the sentences that a response announces."""

from flask import json, request

LONGEST = 300  # characters; a header of more than some kilobytes never arrives


def is_htmx() -> bool:
    return request.headers.get("HX-Request") == "true"


def asks_for_row() -> bool:
    return is_htmx() and request.headers.get("HX-Target", "").startswith("tr#")


def hx_trigger(sentence: str, failed: bool = False, link: tuple[str, str] | None = None) -> str:
    """The HX-Trigger header: the page announces the sentence, and lists refresh their counts.

    A failure is announced as an alert; `link` is a word of the sentence and its address. Of a longer sentence only the
    beginning: the rest stands in the row or page that the header comes with.
    """
    short = sentence if len(sentence) <= LONGEST else f"{sentence[:LONGEST]}…"
    return json.dumps({"announce": {"sentence": short, "failed": failed, "link": link}, "changed": {}})
