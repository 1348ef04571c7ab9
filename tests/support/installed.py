"""What tests/deploy/test_install.py installs: the code as it is, and as it was when it got its installer."""

import hashlib
import os
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

from conftest import PASSWORD, ROOT
from support.vm import PACKAGES, Machine

NAME = "countersign.example.com"
SECRET = "hush hush hush"  # which is long enough for a person as well
SETTINGS = f"""# a company's
BASE_URL=https://{NAME}
TIMEZONE='America/Los_Angeles'
MAIL_USERNAME=countersign
MAIL_PASSWORD='{SECRET}'
"""
PROJECTS = "number,name\n26-014,Depot Lofts Retail Shell\n26-015,Öresund Pier\n"
DATA = "var/lib/countersign"
HISTORY = ["git", "-C", str(ROOT), "-c", "safe.directory=*"]
PIP = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "/wheels"}


def first_installer() -> str:
    """The commit with which the installer began; none in a copy without its history."""
    log = [*HISTORY, "log", "--format=%H", "--", "deploy/install"]
    return (
        subprocess.run(log, capture_output=True, text=True, check=False).stdout.rpartition("\n")[0].rpartition("\n")[2]
    )


def put_code(machine: Machine, name: str, older: bool = False) -> Path:
    """The code as it is here, or as it was when it got its installer."""
    place = machine.root / "root" / name
    place.mkdir()
    leave = ["--exclude=./.*", "--exclude=./instance", "--exclude=__pycache__"]
    pack = ["tar", "-C", str(ROOT), *leave, "-cf", "-", "."]
    if older and (commit := first_installer()):  # in a copy without its history, the version is the same
        pack = [*HISTORY, "archive", commit]
    packed = subprocess.run(pack, check=True, stdout=subprocess.PIPE).stdout
    subprocess.run(["tar", "-C", place, "-xf", "-"], input=packed, check=True)
    shutil.copy(ROOT / "requirements.txt", place)
    return place


def older_key() -> str:
    """A name for the older installation: by all that makes it, and by the month, because its certificate runs out."""
    made_of = [first_installer() or f"{os.getpid()}", PACKAGES, (ROOT / "requirements.txt").read_text(), SETTINGS]
    return hashlib.sha256("\n".join([*made_of, f"{datetime.now(UTC):%Y-%m}"]).encode()).hexdigest()[:8]


def install_older(machine: Machine) -> None:
    put_code(machine, "older", older=True)
    (machine.root / "root" / "settings.env").write_text(SETTINGS)
    machine.run("/root/older/deploy/install --settings /root/settings.env", **PIP)
    create = "countersign users create you@example.com --name You --directory admin --password-stdin"
    machine.run(f"echo {PASSWORD} | {create}")
    (machine.root / DATA / "projects.csv").write_text(PROJECTS)
    machine.run("countersign projects import /var/lib/countersign/projects.csv")
