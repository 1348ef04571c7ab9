"""Doing one thing to many rows: each in a transaction of its own, and how it is told when some of them fail."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from flask import flash, redirect, render_template, request
from sqlalchemy.exc import IntegrityError

from extensions import db
from models import NotAllowed
from permissions import LARGEST_ID


def as_id(text: str) -> int:
    """The id that a form names; 0, which no row has, where it is none."""
    number = int(text) if text.isascii() and text.isdecimal() and len(text) <= len(str(LARGEST_ID)) else 0
    return number if number <= LARGEST_ID else 0


def ticked(name: str) -> list[int]:
    """The ids of the ticked rows."""
    return [as_id(text) for text in request.values.getlist(name)]


@dataclass(frozen=True)
class Result:
    """How it went with one of them: a sentence, or its title and why not, and where to look at it."""

    sentence: str
    worked: bool
    title: str = ""
    address: str = ""


def attempt(title: str, act: Callable[[], str], taken: Callable[[], str], address: str = "") -> Result:
    """Do it, so that a refusal spoils nothing for the others; `taken` says why the database refused."""
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


def told(results: Sequence[Result], sentence: str, back: str) -> Any:
    """Back to the list with a sentence; where something failed, a page with a line for each."""
    if not all(result.worked for result in results):
        return render_template("approvals/batch_results.html", results=results, back=back), 409
    flash(sentence)
    return redirect(back, 303)
