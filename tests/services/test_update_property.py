"""No sequence of edits, updates and changes in Spectrum ever overwrites a value that nobody ticked.

Taken out to see it fail: `opens_ticked` in services/update_form.py, and what was seen against what is there in
tasks/updates.py.
"""

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.fake_erp import FakeERP
from support.updates import UpdateStory

from erp import Message, Outcome, WriteResult
from erp.spectrum.fields import UPDATE_ELEMENTS
from extensions import db
from models import Job, Person, Project, Status, Transition
from services import update_form, workflow

EXAMPLES = int(os.environ.get("STATE_MACHINE_EXAMPLES", "100"))
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
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("edit"), st.sampled_from(COLUMNS), TEXTS),
        st.tuples(st.just("change job"), st.sampled_from(COLUMNS), TEXTS),
        st.tuples(st.just("send"), st.none(), st.none()),
        st.tuples(st.just("accept"), st.sets(st.sampled_from(COLUMNS)), st.booleans()),
        st.tuples(st.just("reject"), st.none(), st.none()),
        st.tuples(st.just("run"), st.lists(st.sampled_from(ANSWERS), max_size=3), st.none()),
    ),
    min_size=4,
    max_size=16,
)


class Checked:
    """The story, with what was ticked last and what the approver saw then, by column."""

    def __init__(self, story: UpdateStory) -> None:
        self.story, self.seen = story, dict[str, str]()
        self.now = datetime(2026, 3, 2, 15, tzinfo=UTC)

    def edit(self, column: str, text: str) -> None:
        project = self.story.project
        if project.status is Status.SYNCED and (text or column != "name"):
            workflow.edit(project, self.story.manager, project.information | {column: text})
            db.session.commit()

    def change_job(self, column: str, text: str) -> None:
        self.story.change_job(**{column: text})

    def send(self, _column: None, _text: None) -> None:
        project = self.story.project
        if project.allows(Transition.SEND) and not update_form.send_problem(project):
            self.story.send()

    def reject(self, _column: None, _text: None) -> None:
        if self.story.project.allows(Transition.REJECT):
            workflow.reject(self.story.project, self.story.approver, "No")
            db.session.commit()

    def accept(self, ticked: set[str], as_it_opens: bool) -> None:
        project = self.story.project
        if not (project.allows(Transition.ACCEPT) or project.allows(Transition.RETRY)):
            return
        form = self.story.read()
        form.ticked = form.ticked if as_it_opens else frozenset(ticked)
        shown = {line.change.column: line for line in form.lines}
        if as_it_opens:  # then nothing is ticked that Spectrum has otherwise than accounting accepted
            accepted = update_form.accepted_values(project)
            assert all(shown[column].there == accepted.get(column, "") for column in form.ticked)
        form.seen = {column: shown[column].there for column in form.values}
        if form.check():
            self.seen = dict(form.seen)
            workflow.accept_update(project, self.story.approver, form.request, form.seen)
            db.session.commit()

    def run(self, answers: list[tuple[WriteResult, bool]], _text: None) -> None:
        """What is due is done; whatever differs in the job afterwards was ticked, and was what the approver saw."""
        self.story.erp._planned = list(answers)
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

    @settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(steps=STEPS)
    def whatever_happens(steps: list[tuple[str, object, object]]) -> None:
        db.session.rollback()
        project = make_project(number=f"P-{next(numbers)}", name="2535550101")
        checked = Checked(UpdateStory(FakeERP(), project, cast["manager"], cast["approver"], template))
        for verb, one, other in steps:
            getattr(checked, verb.replace(" ", "_"))(one, other)

    assert app
    whatever_happens()
