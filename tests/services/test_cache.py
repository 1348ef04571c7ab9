"""Values cached per data revision."""

from threading import Event, Thread

import pytest
from flask import Flask

from extensions import db
from models import Setting, SettingName
from services import cache
from services.cache import cached


def write() -> None:
    Setting.write(SettingName.PATTERN, "YY-###")
    db.session.commit()


def test_a_value_is_made_once_and_anew_after_a_write(app: Flask) -> None:
    made: list[int] = []
    for _ in range(2):
        assert cached("test", lambda: made.append(1) or len(made), max_stale=0) == 1
    write()
    assert cached("test", lambda: made.append(1) or len(made), max_stale=0) == 2


def test_a_slow_value_is_made_by_one_while_the_others_take_the_old_one(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Taken out to see it fail: the lock in `cached`."""
    monkeypatch.setattr(cache, "SLOW", -1)
    assert cached("test", lambda: "old", max_stale=1e-9) == "old"
    write()
    began, go_on, values = Event(), Event(), []

    def make() -> str:
        began.set()
        assert go_on.wait(10)
        return "new"

    def ask() -> None:
        with app.app_context():
            values.append(cached("test", make, max_stale=1e-9))

    maker = Thread(target=ask)
    maker.start()
    assert began.wait(10)
    assert cached("test", lambda: "another", max_stale=1e-9) == "old"
    go_on.set()
    maker.join()
    assert values == ["new"]


def test_what_all_want_anew_is_made_by_one_for_all(app: Flask) -> None:
    """Taken out to see it fail: the second look at the state in `cached`."""
    began, go_on, made, values = Event(), Event(), list[int](), list[int]()

    def make() -> int:
        made.append(1)
        began.set()
        assert go_on.wait(10)
        return len(made)

    def ask() -> None:
        with app.app_context():
            values.append(cached("test", make))

    askers = [Thread(target=ask) for _ in range(4)]
    for each in askers:
        each.start()
    assert began.wait(10)
    go_on.set()
    for each in askers:
        each.join()
    assert values == [1, 1, 1, 1]
