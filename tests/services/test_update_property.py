"""No sequence of edits, updates and changes in Spectrum ever overwrites a value that nobody ticked.

Taken out to see it fail: `opens_ticked` in services/update_form.py, and what was seen against what is there in
tasks/updates.py.
"""

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from support.fake_erp import FakeERP
from support.updates import UpdateStory

from erp import Message, Outcome, WriteResult
from erp.spectrum.fields import UPDATE_ELEMENTS
from extensions import db
from models import Job, Person, Project, Status, Transition
from services import update_form, workflow

EXAMPLES = int(os.environ.get("STATE_MACHINE_EXAMPLES", "60"))
COLUMNS = ("name", "address_2", "city", "phone")
TEXTS = st.sampled_from(["", "2535550101", "2535550102", "2535550103"])  # as either side writes them
UNKNOWN = WriteResult(Outcome.UNKNOWN, "No answer.")
ANSWERS = [
    (WriteResult(Outcome.CREATED), True),
    (WriteResult(Outcome.NOT_SENT, "Away."), False),
    (WriteResult(Outcome.REFUSED, "No.", (Message("Phone", "Invalid", "I"),)), False),
    (UNKNOWN, True),
    (UNKNOWN, False),
]
VALUES = st.dictionaries(st.sampled_from(COLUMNS), TEXTS, max_size=3)
OURS = VALUES.filter(lambda values: values.get("name", "x"))  # a project has a name
TICKED = st.none() | st.sets(st.sampled_from(COLUMNS), min_size=1)  # None: as the form opens
ROUND = st.fixed_dictionaries(
    {
        "edit": OURS,
        "change": st.lists(VALUES, min_size=3, max_size=3),  # in Spectrum: before the decision, after it, and later
        "ticked": TICKED,
        "answers": st.lists(st.sampled_from(ANSWERS), max_size=3),
        "reject": st.booleans(),
    }
)


class Checked:
    """The story, with what was ticked last and what the approver saw then, by column."""

    def __init__(self, story: UpdateStory) -> None:
        self.story, self.seen = story, dict[str, str]()
        self.now = datetime(2026, 3, 2, 15, tzinfo=UTC)

    def round(self, edit: dict[str, str], change: Any, ticked: Any, answers: Any, reject: bool) -> None:
        project, story = self.story.project, self.story
        if project.status is Status.SYNCED:
            workflow.edit(project, story.manager, project.information | edit)
            db.session.commit()
        story.change_job(**change[0])
        if project.allows(Transition.SEND) and not update_form.send_problem(project):
            story.send()
        self.accept(ticked)
        story.change_job(**change[1])
        story.erp._planned = list(answers)
        self.run()
        story.change_job(**change[2])
        self.run()
        if reject and project.allows(Transition.REJECT):
            workflow.reject(project, story.approver, "No")
            db.session.commit()

    def accept(self, ticked: set[str] | None) -> None:
        project = self.story.project
        if not (project.allows(Transition.ACCEPT) or project.allows(Transition.RETRY)):
            return
        form = self.story.read()
        form.ticked = form.ticked if ticked is None else frozenset(ticked)
        shown = {line.change.column: line for line in form.lines}
        if ticked is None:  # then nothing is ticked that Spectrum has otherwise than accounting accepted
            accepted = update_form.accepted_values(project)
            assert all(shown[column].there == accepted.get(column, "") for column in form.ticked)
        form.seen = {column: shown[column].there for column in form.values}
        if form.check():
            self.seen = dict(form.seen)
            workflow.accept_update(project, self.story.approver, form.request, form.seen)
            db.session.commit()

    def run(self) -> None:
        """What is due is done; whatever differs in the job afterwards was ticked, and was what the approver saw."""
        before = dict(self.story.job)
        self.now += timedelta(seconds=400)
        with time_machine.travel(self.now, tick=False):
            self.story.run()
        elements = {element: column for column, element in UPDATE_ELEMENTS.items()}
        for element, value in self.story.job.items():
            if value != before.get(element, ""):
                assert before.get(element, "") == self.seen[elements[element]]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_value_that_nobody_ticked_is_never_overwritten(
    app: Flask, make_project: Callable[..., Project], cast: dict[str, Person], template: Job
) -> None:
    numbers = iter(range(100_000))

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(rounds=st.lists(ROUND, min_size=1, max_size=3))
    def whatever_happens(rounds: list[dict[str, Any]]) -> None:
        db.session.rollback()
        project = make_project(number=f"P-{next(numbers)}", name="2535550101")
        checked = Checked(UpdateStory(FakeERP(), project, cast["manager"], cast["approver"], template))
        for each in rounds:
            checked.round(**each)

    assert app
    whatever_happens()
