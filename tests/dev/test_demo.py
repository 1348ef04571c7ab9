"""`demo seed --projects N`: rows that went past the product's own rules stand there as if they had not."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from dev.demo import seed
from dev.demo.bulk import RARE
from extensions import db
from models import Project, Setting, SettingName, Status

Browsing = Callable[[str], Any]


@pytest.fixture
def many(app: Flask) -> list[str]:
    """Three hundred projects beside the cast of the tests; what was said while they came."""
    Setting.write(SettingName.DEMO, [-1])
    db.session.commit()
    said: list[str] = []
    seed.seed(300, said.append)
    return said


def test_of_a_hundred_projects_five_wait_and_ninety_are_synced(many: list[str]) -> None:
    held = dict(db.session.execute(select(Project.status, func.count()).group_by(Project.status)).all())
    assert (held[Status.READY], held[Status.SYNCED], sum(held.values())) == (15, 270, 300)
    assert many == ["300 projects", "their history", "their exports"]


def test_of_such_projects_there_is_one_set(many: list[str]) -> None:
    with pytest.raises(ValueError, match="has 300 such projects already"):
        seed.seed(200)
    assert seed.seed(300) == "The demo data is there already."


def test_they_are_found_by_the_words_that_the_rule_would_have_kept(many: list[str]) -> None:
    before = dict(db.session.execute(select(Project.id, Project.search_text)).all())
    for project in db.session.scalars(select(Project)):
        project.note = "changed, so that the rule looks at it again"
    db.session.commit()
    assert dict(db.session.execute(select(Project.id, Project.search_text)).all()) == before


def test_the_worklist_counts_and_finds_them(many: list[str], browser: Browsing) -> None:
    approver = browser("approver")
    page = approver.get("/erp/jobs").text
    assert page.count("<tr id=") == 15
    assert "270" in page
    assert approver.get(f"/erp/jobs?q={RARE}").text.count("<tr id=") == 1
