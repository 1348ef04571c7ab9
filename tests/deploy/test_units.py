"""The unit files: systemd understands them, they confine what runs in them, and the scripts beside them are sound."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import ROOT, leave_out

DEPLOY = ROOT / "deploy"
SERVICES = sorted(DEPLOY.glob("*.service"))
SCRIPTS = [DEPLOY / name for name in ("install", "uninstall", "countersign", "build-image")]


def said_by(program: str, *arguments: str | Path) -> str:
    """What a program prints that is to end well."""
    if shutil.which(program) is None:
        leave_out(f"{program} was not found")
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def value(unit: Path, name: str) -> str:
    return re.findall(rf"^{name}=(.*)$", unit.read_text(), re.MULTILINE)[-1]


def test_systemd_finds_nothing_wrong_with_the_units() -> None:
    assert said_by("systemd-analyze", "verify", *SERVICES, *DEPLOY.glob("*.timer")) == ""


@pytest.mark.parametrize("service", SERVICES, ids=lambda path: path.name)
def test_a_service_is_exposed_to_less_than_two_of_ten(service: Path) -> None:
    said_by("systemd-analyze", "security", "--offline=yes", "--threshold=20", "--no-pager", service)


def test_each_service_is_confined_alike() -> None:
    confined = [path.read_text().partition("# What it may touch")[2].partition("[Install]")[0] for path in SERVICES]
    assert confined[0].strip() == confined[1].strip() != ""


def test_systemd_waits_longer_than_gunicorn_needs_to_finish() -> None:
    graceful = int(re.findall(r"graceful_timeout = (\d+)", (ROOT / "gunicorn.conf.py").read_text())[0])
    assert graceful < int(value(DEPLOY / "countersign.service", "TimeoutStopSec")) <= 30


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_script_is_sound(script: Path) -> None:
    said_by("shellcheck", script)


@pytest.mark.parametrize("script", SCRIPTS[:2], ids=lambda path: path.name)
def test_a_script_says_how_it_is_used(script: Path) -> None:
    assert said_by(str(script), "--help").startswith(f"Usage: deploy/{script.name}")


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_every_requirement_is_one_version_with_the_hashes_of_its_files_from_wherever_they_come(name: str) -> None:
    wanted = r"#.*|-r requirements\.txt|[\w.-]+==[\w.]+( \\\n    --hash=sha256:[0-9a-f]{64})+"
    assert re.fullmatch(rf"(({wanted})\n)+", (ROOT / name).read_text())
