"""The copy of a backup that leaves the machine, by the command of BACKUP_COPY_COMMAND."""

import subprocess
from pathlib import Path

from flask import current_app

from extensions import writing
from maintenance.dump import BackupError
from models import Setting, SettingName, utcnow


def copy_away(file: Path) -> bool:
    """Run the command on a verified backup and keep the result; return False without a command.

    Raises BackupError if it fails. Its output goes to the log alone, because it may name accounts.
    """
    command = current_app.config["BACKUP_COPY_COMMAND"]
    if not command:
        return False
    ended = subprocess.run(["/bin/sh", "-c", command, "BACKUP_COPY_COMMAND", str(file)])  # noqa: S603 - the operator's own
    error = f"BACKUP_COPY_COMMAND ended with {ended.returncode}." if ended.returncode else ""
    with writing():
        last = Setting.read(SettingName.BACKUP_COPY) or {}
        at = last.get("at") if error else utcnow().isoformat()
        Setting.write(SettingName.BACKUP_COPY, {"at": at, "error": error})
    if error:
        raise BackupError(f"{file} is good, but it was not copied off the machine: {error}")
    return True
