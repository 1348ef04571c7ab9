"""The image: what `make image` says without an engine, and the Containerfile's steps in a bare root file system."""

import re
import shutil
import subprocess
from pathlib import Path

from conftest import ROOT
from support.vm import Machine, opened

from lib.version import VERSION

SETTINGS = {"SECRET_KEY": "a-key-for-tests-only-0123456789", "BASE_URL": "https://countersign.example.com"}
PIP = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "/wheels"}
STEPS = re.findall(r"^(\w+) (.+)$", (ROOT / "Containerfile").read_text(), re.MULTILINE)


def steps(word: str) -> list[str]:
    return [rest for name, rest in STEPS if name == word]


def test_without_an_engine_a_sentence_says_what_to_do(tmp_path: Path) -> None:
    for name in ("make", "sh", "env", "bash", "dirname"):
        (tmp_path / name).symlink_to(shutil.which(name) or name)
    sentence = "No container engine runs here. Install and start docker or podman, then try again.\n"
    bare = {"cwd": ROOT, "env": {"PATH": str(tmp_path)}, "capture_output": True, "text": True, "check": False}
    script = subprocess.run(["deploy/build-image"], **bare)  # type: ignore[call-overload]
    assert (script.returncode, script.stderr) == (1, sentence)
    made = subprocess.run(["make", "--silent", "image"], **bare)  # type: ignore[call-overload]
    assert (made.returncode, made.stderr.startswith(sentence)) == (2, True)  # as make ends when a recipe ends with 1


def test_each_compose_file_gives_as_long_to_stop_as_the_unit_and_runs_this_version() -> None:
    for name in ("compose.yaml", "compose.postgresql.yaml"):
        text = (ROOT / name).read_text()
        assert f"image: countersign:${{VERSION:-{VERSION}}}" in text
        assert "stop_grace_period: 30s" in text
        assert "read_only: true" in text
    assert f"\n## {VERSION}\n" in (ROOT / "CHANGELOG.md").read_text()


def copy_context(to: Path) -> None:
    """What COPY takes, as .dockerignore leaves it."""
    ignored = (ROOT / ".dockerignore").read_text().split()
    assert ignored == [".*", "instance", "tests", "**/__pycache__"]
    shutil.copytree(
        ROOT, to, ignore=lambda _, names: [n for n in names if n[0] == "." or n in ("instance", "tests", "__pycache__")]
    )


def run_steps(machine: Machine) -> None:
    """The RUN lines but for the packages, which this file system has, and Countersign's user ahead of the rest."""
    copy_context(machine.root / "app")
    for step in sorted(steps("RUN"), key=lambda step: not step.startswith("useradd")):
        if not step.startswith("apt-get"):
            machine.run(f"cd /app && {step}", **PIP)


def test_its_steps_make_what_serves_without_root_from_a_file_system_that_can_only_be_read(tmp_path: Path) -> None:
    with opened(tmp_path) as machine:
        run_steps(machine)
        data = machine.root / "data"
        assert not list((machine.root / "app/.venv/bin").glob("pip*"))
        kept = tmp_path / "data"
        shutil.copytree(data, kept)
        shutil.chown(kept, 10001, 10001)
        confined = [
            "--read-only",
            "--tmpfs=/tmp:mode=1777",
            f"--bind={kept}:/data",
            "--user=countersign",
            "--chdir=/app",
        ]
        image = Machine(machine.root, [*machine.inside[:-1], *confined, machine.inside[-1]])
        environ = dict(pair.split("=", 1) for pair in steps("ENV")[0].split()) | SETTINGS
        wanted = " ".join(f"{name}='{value}'" for name, value in environ.items())
        serve = " ".join(f"'{word}'" for word in re.findall('"([^"]+)"', steps("CMD")[-1]))
        [check] = re.findall(r"HEALTHCHECK .* CMD (.+)", (ROOT / "Containerfile").read_text())
        healthy = " ".join(re.findall('"([^"]+)"', check))
        said = image.run(
            f"export {wanted}; touch /app/x 2>&1; id -u; flask db upgrade 2>/dev/null; {serve} & "
            f"for n in $(seq 120); do {healthy} 2>/dev/null && break; kill -0 %1 || break; sleep 0.5; done; "
            f"{healthy} && echo healthy; kill %1; wait %1; echo ended $?"
        )
        assert "Read-only file system" in said
        assert "10001" in said.split()
        assert "healthy" in said.splitlines()
        assert "ended 0" in said.splitlines()
        assert (kept / "countersign.db").stat().st_uid == 10001
