"""A machine of its own to install on: a small Debian or Ubuntu with systemd, in namespaces, cut off from others.

It is bootstrapped once from the package mirror of the machine that the tests run on, and kept in the user's cache.
SYSTEMS="bookworm trixie" has the installer tried on those as well, and MIRROR says where another family's packages are.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from conftest import ROOT, leave_out, wait_until

PYTHON = {"bookworm": "3.11", "trixie": "3.13", "noble": "3.12"}
FAMILY = {"bookworm": "sid", "trixie": "sid", "noble": "gutsy"}
PACKAGES = "python3-venv,nginx,openssl,ca-certificates,systemd,systemd-sysv,dbus,curl"
NEEDED = ("debootstrap", "systemd-nspawn", "nsenter", "tar", "git")
PATH = "PATH=/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
STATE = "systemctl is-system-running 2>/dev/null"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "countersign"


os.environ["PATH"] += ":/usr/sbin:/sbin"  # where debootstrap is, also for those who do not look there


@dataclass(frozen=True)
class Machine:
    """Where its files are, and what a command begins with to run in it as root."""

    root: Path
    inside: list[str]

    def run(self, command: str, expected: int | None = 0, **environ: str) -> str:
        """What a shell command prints, with its errors at the end.

        It has to end with what is expected, where that is given.
        """
        wanted = ["env", "-i", PATH, *(f"{name}={value}" for name, value in environ.items()), "bash", "-c", command]
        done = subprocess.run([*self.inside, *wanted], stdin=subprocess.DEVNULL, capture_output=True, check=False)
        said = (done.stdout + done.stderr).decode()
        assert expected is None or done.returncode == expected, f"{command} ended with {done.returncode}:\n{said}"
        return said


def refuse_where_impossible() -> None:
    if os.geteuid() != 0:
        leave_out("the installer: only root can make a machine to install on")
    missing = [program for program in NEEDED if shutil.which(program) is None]
    if missing:
        leave_out(f"the installer: {', '.join(missing)} not found")
    if codename() not in PYTHON:
        leave_out(f"the installer: its machine is made from Debian 12, 13 or Ubuntu 24.04, and this is {codename()}")


def codename() -> str:
    lines = Path("/etc/os-release").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line).get("VERSION_CODENAME", "")


def systems() -> list[str]:
    """The systems to try the installer on."""
    return os.environ.get("SYSTEMS", codename()).split()


def _mirror(system: str) -> str:
    """Where this machine takes its own packages from, which has those of its whole family."""
    if FAMILY[system] != FAMILY[codename()]:
        if not os.environ.get("MIRROR"):
            leave_out(f"the installer on {system}: MIRROR does not say where its packages are")
        return os.environ["MIRROR"]
    asked = ["apt-get", "indextargets", "--format", "$(CODENAME) $(REPO_URI)", "Created-By: Packages"]
    lines = subprocess.run(asked, check=True, capture_output=True, text=True).stdout.splitlines()
    return next(line.split()[1] for line in lines if line.split()[0] == codename())


def _bootstrapped(system: str) -> Path:
    kept = CACHE / f"{system}-{hashlib.sha256(PACKAGES.encode()).hexdigest()[:8]}.tar"
    if not kept.exists():
        making = CACHE / f"{kept.name}.{os.getpid()}"
        script = f"/usr/share/debootstrap/scripts/{FAMILY[system]}"  # by their own names, new ones may not be known
        options = ["--variant=minbase", f"--include={PACKAGES}", system, making, _mirror(system), script]
        components = ["--components=main,universe"] if system == "noble" else []
        subprocess.run(["debootstrap", *components, *options], check=True, stdout=subprocess.DEVNULL)
        _pack(making, kept)
        shutil.rmtree(making)
    return kept


def _wheels(system: str) -> Path:
    """The packages of requirements.txt for that machine, which reaches no index."""
    requirements = ROOT / "requirements.txt"
    kept = CACHE / f"wheels-{system}-{hashlib.sha256(requirements.read_bytes()).hexdigest()[:8]}"
    if not kept.exists():
        making = CACHE / f"{kept.name}.{os.getpid()}"
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--require-hashes", "--only-binary=:all:"]
        target = ["--python-version", PYTHON[system], "--dest", making, "--requirement", requirements]
        subprocess.run([*pip, *target], check=True)
        making.rename(kept)
    return kept


def prepared(place: Path, system: str, name: str, prepare: Callable[[Machine], None]) -> Path:
    """The file system of a machine that was booted and prepared once, kept by that name."""
    refuse_where_impossible()
    kept = CACHE / f"{system}-{name}.tar"
    if not kept.exists():
        with opened(place, system) as still:
            with _running(still, place) as machine:
                prepare(machine)
            _pack(still.root, kept)
    return kept


def _pack(root: Path, kept: Path) -> None:
    making = CACHE / f"{kept.name}.{os.getpid()}.tar"
    subprocess.run(["tar", "-C", root, "-cf", making, "."], check=True)
    making.rename(kept)


@contextmanager
def opened(place: Path, system: str = "", packed: Path | None = None) -> Iterator[Machine]:
    """A fresh file system with a network of its own, in which nothing runs but what is told to; gone afterwards."""
    refuse_where_impossible()
    system = system or codename()
    CACHE.mkdir(parents=True, exist_ok=True)
    root = place / "machine"
    root.mkdir()
    try:
        subprocess.run(["tar", "-C", root, "-xf", packed or _bootstrapped(system)], check=True)
        name = f"countersign-{os.getpid()}-{root.parent.name.replace('_', '-')[-20:]}"
        nspawn = ["systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--private-network"]
        nspawn += [f"--machine={name}", f"--directory={root}", f"--bind-ro={_wheels(system)}:/wheels"]
        yield Machine(root, [*nspawn, "--as-pid2"])
    finally:
        shutil.rmtree(root, ignore_errors=True)


@contextmanager
def booted(place: Path, system: str = "", packed: Path | None = None) -> Iterator[Machine]:
    """A fresh machine that is up, with its services; off and gone afterwards."""
    with opened(place, system, packed) as still, _running(still, place) as machine:
        yield machine


@contextmanager
def _running(still: Machine, place: Path) -> Iterator[Machine]:
    with (place / "console").open("wb") as console:
        boot = [*still.inside[:-1], "--boot"]
        with subprocess.Popen(boot, stdin=subprocess.DEVNULL, stdout=console, stderr=console) as process:
            try:
                wait_until(lambda: process.poll() is not None or _first_process(process.pid))
                if process.poll() is not None:
                    leave_out("the installer: systemd can not be booted in namespaces here")
                enter = ["nsenter", f"--target={_first_process(process.pid)}", "--all", "--root", "--wd"]
                machine = Machine(still.root, enter)
                wait_until(lambda: machine.run(STATE, None).strip() in ("running", "degraded"), 60)
                yield machine
            finally:
                process.terminate()  # which halts it in order
                with suppress(subprocess.TimeoutExpired):
                    process.wait(60)
                process.kill()


def _first_process(nspawn: int) -> int:
    """The process that is number one inside; 0 while there is none."""
    for child in Path(f"/proc/{nspawn}/task/{nspawn}/children").read_text().split():
        status = Path(f"/proc/{child}/status").read_text()
        if any(line.startswith("NSpid:") and line.split()[-1] == "1" for line in status.splitlines()):
            return int(child)
    return 0
