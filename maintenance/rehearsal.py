"""The rehearsal of a restore: the newest backup goes into a scratch database, is brought to date and compared."""

from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from extensions import db, writing
from lib.formatting import plural
from maintenance import backup
from maintenance.dump import BackupError
from models import Event, Export, Person, Project, Setting, SettingName, utcnow

# Of these the present database holds no older row that a backup lacks; projects that were never sent can be deleted.
COMPARED: dict[tuple[str, str], Any] = {
    ("project", "projects"): Project,
    ("person", "people"): Person,
    ("event", "events"): Event,
    ("export", "exports"): Export,
}


def rehearse(directory: Path) -> str:
    files = sorted(directory.glob("countersign-*.backup"))
    if not files:
        raise BackupError(f"There is no backup in {directory}.")
    try:
        sentence = _compare(files[-1])
    except BackupError as error:
        _keep(files[-1], error.message, error.message)
        raise
    _keep(files[-1], sentence)
    return sentence


def _keep(file: Path, sentence: str, error: str = "") -> None:
    with writing():
        facts = {"at": utcnow().isoformat(), "file": file.name, "sentence": sentence, "error": error}
        Setting.write(SettingName.REHEARSED, facts)


def _compare(file: Path) -> str:
    with backup.scratch_copy(file) as scratch, backup.brought_to_date(scratch):
        found = {nouns: _count(model) for nouns, model in COMPARED.items()}
    counted = ", ".join(plural(rows, *nouns) for nouns, (rows, _) in found.items())
    for nouns, model in COMPARED.items():
        rows, newest = found[nouns]
        present, _ = _count(model, newest)
        if rows < present:
            raise BackupError(f"{file.name} has {plural(rows, *nouns)}, and the database had {present:,} at that time.")
    return f"{file.name} was restored into a scratch database, brought to date and compared: {counted}."


def _count(model: Any, newest: int | None = None) -> tuple[int, int]:
    """Return the number of rows and the newest one's id, of those up to `newest` where that is given."""
    counted = select(func.count(), func.coalesce(func.max(model.id), 0))
    rows, last = db.session.execute(counted.where(model.id <= newest) if newest is not None else counted).one()
    return rows, last
