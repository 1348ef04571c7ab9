"""An export while something else happens during a call to Spectrum: a pause, or more time than one lease has."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import update
from support.fake_erp import FakeERP
from support.fault_injection import accept, export_of, status

from extensions import db, writing
from models import Export, Job, Project, Setting, SettingName, utcnow
from tasks import exports

LEASE = timedelta(seconds=150)


class InterruptedERP(FakeERP):
    """A fake in which something happens during each call, once it is set."""

    during: Callable[[str], None] = staticmethod(lambda service: None)

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if name.startswith("_") or not callable(found) or name in ("during", "keep"):
            return found

        def interrupted(*arguments: Any, **named: Any) -> Any:
            self.during(name)
            return found(*arguments, **named)

        return interrupted


def pause(value: object = "Controller") -> None:
    with writing():
        Setting.write(SettingName.PAUSED, value and {"by": value, "at": utcnow().isoformat()})


def added(erp: FakeERP, service: str = "AddJob") -> int:
    return [name for name, _ in erp.calls].count(service)


def test_a_pause_while_an_export_is_checked_keeps_it_from_being_sent(app: Flask, template: Job) -> None:
    """Out: the question before "sent at" is committed."""
    project, erp = accept("26-014"), InterruptedERP()
    erp.during = lambda _service: pause()
    exports.run_due(erp)
    assert (added(erp), export_of(project).sent_at, status(project)) == (0, None, "Exporting")
    erp.during = lambda _service: None
    pause(None)
    exports.run_due(erp)
    assert (added(erp), status(project)) == (1, "Synced")


def test_a_pause_while_an_export_is_looked_for_keeps_it_from_being_sent_again(app: Flask, template: Job) -> None:
    project, erp = accept("26-014"), InterruptedERP()
    db.session.execute(update(Export).values(sent_at=utcnow(), checks=5))
    db.session.commit()
    erp.during = lambda _service: pause()
    exports.run_due(erp)
    assert (added(erp), status(project)) == (0, "Checking")


@pytest.mark.parametrize(
    ("service", "copied"), [("create_job", 0), ("list_phases", 0), ("add_phase", 1)], ids=["job", "phases", "phase"]
)
def test_a_pause_while_phases_are_copied_leaves_the_rest_to_be_copied_later(
    app: Flask, template: Job, service: str, copied: int
) -> None:
    project, erp = accept("26-014", copy_phases=True), InterruptedERP()
    for code in ("01", "02", "03"):
        erp.kept_phases["t-comm", code, "L"] = {"Phase_Code": code, "Cost_Type": "L", "Status_Code": "A"}
        erp.kept_phases["t-comm", code, "L"] |= {"Description": code, "Unit_of_Measure": "HR"}
    erp.during = lambda called: pause() if called == service else None
    exports.run_due(erp)
    assert added(erp, "AddPhase") == copied
    assert (status(project), export_of(project).phases_remaining) == ("Synced", True)
    assert "paused" in export_of(project).warnings[0]


@pytest.mark.parametrize("sent", [False, True], ids=["first", "looked for"])
def test_calls_that_take_longer_than_one_lease_keep_the_export(app: Flask, template: Job, sent: bool) -> None:
    """While each call takes nearly the whole lease, another worker finds nothing to claim. Out: Renewing."""
    project, erp, claims = accept("26-014"), InterruptedERP(), list[Any]()
    if sent:
        db.session.execute(update(Export).values(sent_at=utcnow(), checks=0))
        db.session.commit()
    with time_machine.travel(utcnow(), tick=False) as clock:

        def take_long(_service: str) -> None:
            clock.shift(LEASE - timedelta(seconds=31))
            claims.append(Export.claim(LEASE))

        erp.during = take_long
        exports.run_due(erp)
    assert len(claims) > 1
    assert not any(claims)
    assert status(project) == ("Checking" if sent else "Synced")
    assert db.session.get_one(Project, project).export.token is None  # type: ignore[union-attr]
