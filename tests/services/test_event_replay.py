"""The event log tells everything: replayed, it gives the status of every project."""

import pytest
from flask import Flask
from sqlalchemy import select

from dev.demo import seed
from extensions import db
from models import TRANSITIONS, Event, Project, Setting, SettingName, Status, Transition


def replayed() -> dict[int, Status]:
    """The status of each project as its events tell it; a line that does not follow from the one before fails."""
    standing: dict[int, Status] = {}
    for event in db.session.scalars(select(Event).where(Event.project_id.is_not(None)).order_by(Event.id)):
        assert event.project_id and event.to_status
        before = standing.get(event.project_id, Status.NOT_SENT)
        assert event.from_status in (None, before), f"{event.action} of project {event.project_id}"
        if event.action in list(Transition):
            to = TRANSITIONS[Transition(event.action)].get(before)
            assert event.to_status == to, f"{event.action} of project {event.project_id}"
        else:
            assert event.to_status == before
        standing[event.project_id] = event.to_status
    return standing


@pytest.mark.parametrize("many", [0, 1000])
def test_the_events_of_the_demo_replay_to_the_status_of_every_project(many: int, app: Flask) -> None:
    Setting.write(SettingName.DEMO, [-1])  # the cast of the tests is there already
    db.session.commit()
    seed.seed(many)
    standing = replayed()
    kept = dict(db.session.execute(select(Project.id, Project.status)).all())
    assert standing == kept
    assert set(kept.values()) == set(Status)
