"""Whatever people and Spectrum do, in any order: never two jobs for a project, never Synced without one, and the event
log tells the same story as the status."""

import os
import uuid
from datetime import UTC, datetime, timedelta

import time_machine
from conftest import INFORMATION
from flask import Flask
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from sqlalchemy import update
from support.fake_erp import FakeERP
from support.jobs import compose

from erp import Message, Outcome, WriteResult
from extensions import db
from models import Event, Export, Job, Person, Project, Status, Transition
from services import workflow
from tasks import exports

EXAMPLES = int(os.environ.get("STATE_MACHINE_EXAMPLES", "100"))
REFUSED = WriteResult(Outcome.REFUSED, "No.", (Message("Customer_Code", "Invalid", "I"),))
UNKNOWN = WriteResult(Outcome.UNKNOWN, "No answer.")
# what Spectrum may do with an AddJob: its answer, and whether the job is there afterwards
ANSWERS = [
    (WriteResult(Outcome.CREATED), True),
    (WriteResult(Outcome.NOT_SENT, "Away."), False),
    (WriteResult(Outcome.HELD, "Check SPECTRUM_URL."), False),
    (REFUSED, False),
    (UNKNOWN, True),
    (UNKNOWN, False),
]


class ProjectAtWork(RuleBasedStateMachine):
    """One project, its people, and a Spectrum that answers anything."""

    def __init__(self) -> None:
        super().__init__()
        self.erp = FakeERP()
        self.clock = time_machine.travel(datetime(2026, 3, 2, 15, tzinfo=UTC), tick=False)
        self.time = self.clock.start()
        self.number = f"P-{uuid.uuid4().hex[:8]}"
        project = workflow.create(self.person("manager"), INFORMATION | {"number": self.number})
        db.session.execute(update(Export).values(due_at=None, token=None))  # else it is done among ours
        db.session.commit()
        self.project_id = project.id

    def teardown(self) -> None:
        db.session.rollback()
        self.clock.stop()

    @property
    def project(self) -> Project:
        return db.session.get_one(Project, self.project_id)

    def person(self, name: str) -> Person:
        found = Person.by_email(f"{name}@example.com")
        assert found
        return found

    def may(self, move: Transition) -> bool:
        return self.project.allows(move)

    @precondition(lambda self: self.may(Transition.SEND) and self.project.status is not Status.SYNCED)
    @rule()
    def send(self) -> None:
        workflow.send(self.project, self.person("manager"))
        db.session.commit()

    @precondition(lambda self: self.may(Transition.RETRIEVE))
    @rule()
    def retrieve(self) -> None:
        workflow.retrieve(self.project, self.person("manager"))
        db.session.commit()

    @precondition(lambda self: self.may(Transition.REJECT))
    @rule()
    def reject(self) -> None:
        workflow.reject(self.project, self.person("approver"), "Correct it")
        db.session.commit()

    @precondition(lambda self: self.may(Transition.ACCEPT) or self.may(Transition.RETRY))
    @rule(suffix=st.sampled_from(["A", "B"]))
    def accept(self, suffix: str) -> None:
        typed = {
            "Job_Number": f"{self.number[:8]}{suffix}",
            "Job_Description": "Depot",
            "Taxable_Flag": "Y",
            "Price_Method_Code": "F",
        }
        lines = compose(self.project.information, {}, typed)
        template = Job.by_number("T-COMM")
        assert template
        workflow.accept(self.project, self.person("approver"), lines, template, "HB")
        db.session.commit()

    @precondition(lambda self: self.may(Transition.TAKE_BACK))
    @rule()
    def cancel_export(self) -> None:
        workflow.cancel_export(self.project, self.person("approver"))
        db.session.commit()

    @precondition(lambda self: self.project.status is Status.EXPORTING)
    @rule()
    def crash_after_sending(self) -> None:
        """The process dies between "sent at" and the answer; Spectrum may have made the job."""
        export = self.project.export
        assert export
        export.sent_at = datetime.now(UTC)
        db.session.commit()
        self.erp.keep(export.lines)

    @rule(answers=st.lists(st.sampled_from(ANSWERS), max_size=3), reachable=st.booleans())
    def spectrum_works(self, answers: list[tuple[WriteResult, bool]], reachable: bool) -> None:
        """Some time passes, and what is due is done."""
        self.erp.reachable = reachable
        self.erp._planned.clear()
        for answer, created in answers:
            if not self.my_jobs():  # Spectrum's own rule: no second job of a number, whatever it answers
                self.erp.next_create(answer, created=created)
        exports.run_due(self.erp)
        db.session.rollback()
        self.time.shift(timedelta(seconds=400))

    @precondition(lambda self: self.project.can_be_resolved)
    @rule()
    def a_person_looks_in_spectrum(self) -> None:
        exists = bool(self.my_jobs())
        workflow.resolve(self.project, self.person("approver"), exists, "" if exists else "It is not there")
        db.session.commit()

    def my_jobs(self) -> list[str]:
        return [key for key in self.erp.kept if key.startswith(self.number[:8].casefold())]

    @invariant()
    def there_are_never_two_jobs(self) -> None:
        assert len(self.my_jobs()) <= 1

    @invariant()
    def synced_means_that_there_is_a_job_of_that_number(self) -> None:
        project = self.project
        if project.status is Status.SYNCED:
            assert self.my_jobs() == [project.job_key]

    @invariant()
    def the_event_log_replays_to_the_status(self) -> None:
        status = Status.NOT_SENT
        for event in db.session.query(Event).filter(Event.project_id == self.project_id).order_by(Event.id):
            assert event.from_status == status
            assert event.to_status
            status = event.to_status
        assert status is self.project.status

    @invariant()
    def what_waits_is_due_and_what_is_settled_is_not(self) -> None:
        project = self.project
        under_way = project.status in (Status.EXPORTING, Status.CHECKING)
        assert under_way == bool(project.export and project.export.due_at)


def test_never_two_jobs_and_never_synced_without_one_whatever_happens(app: Flask, template: Job) -> None:
    assert app
    assert template
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        ProjectAtWork,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=20,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
