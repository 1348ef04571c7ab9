"""One action for many rows, each in its own transaction, and the report when some of them fail."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from flask import flash, redirect, render_template, request
from sqlalchemy.exc import IntegrityError

from extensions import db
from models import NotAllowed
from permissions import LARGEST_ID


def as_id(text: str) -> int:
    number = int(text) if text.isascii() and text.isdecimal() and len(text) <= len(str(LARGEST_ID)) else 0
    return number if number <= LARGEST_ID else 0


def selected_ids(name: str) -> list[int]:
    return [as_id(text) for text in request.values.getlist(name)]


@dataclass(frozen=True)
class Result:
    """The outcome for one row: a sentence, and for a failure the row's title and address."""

    sentence: str
    worked: bool
    title: str = ""
    address: str = ""


def run_one(title: str, act: Callable[[], str], taken: Callable[[], str], address: str = "") -> Result:
    """Act and commit; a refusal rolls back this row only. `taken` explains a conflict that the database found."""
    try:
        sentence = act()
        db.session.commit()
    except NotAllowed as refusal:
        db.session.rollback()
        return Result(str(refusal), worked=False, title=title, address=address)
    except IntegrityError:  # somebody else was first
        db.session.rollback()
        return Result(taken(), worked=False, title=title, address=address)
    return Result(sentence, worked=True)


def report(results: Sequence[Result], sentence: str, back: str) -> Any:
    """Redirect to the list with a sentence; where something failed, a page with a line for each."""
    if not all(result.worked for result in results):
        return render_template("approvals/batch_results.html", results=results, back=back), 409
    flash(sentence)
    return redirect(back, 303)
