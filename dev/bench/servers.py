"""The servers under test: kept data sets, gunicorn as `make serve` starts it, and the sandbox."""

import hashlib
import os
import secrets
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
KEPT = ROOT / "instance" / "bench"
BIN = Path(sys.executable).parent
SECRET = secrets.token_hex()


@dataclass(frozen=True)
class Server:
    """A server that answers; `seconds` is what that took from its start."""

    port: int
    process: int
    log: Path
    seconds: float

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.host}"

    @property
    def address(self) -> tuple[str, int]:
        return "127.0.0.1", self.port

    @property
    def megabytes(self) -> float:
        rollups = [(path / "smaps_rollup").read_text() for path in self._processes()]
        return sum(int(rollup.partition("\nPss:")[2].split()[0]) for rollup in rollups) / 1024

    @property
    def processor_seconds(self) -> float:
        stats = [(path / "stat").read_text().rpartition(")")[2].split() for path in self._processes()]
        return sum(int(stat[11]) + int(stat[12]) for stat in stats) / os.sysconf("SC_CLK_TCK")

    def _processes(self) -> list[Path]:
        return [path.parent for path in Path("/proc").glob("[0-9]*/stat") if _group(path) == self.process]


def _group(stat: Path) -> int:
    try:
        return int(stat.read_text().rpartition(")")[2].split()[2])
    except OSError:  # it ended meanwhile
        return 0


def environ(database: str, **settings: str) -> dict[str, str]:
    fixed = {"SECRET_KEY": SECRET, "TIMEZONE": "America/Los_Angeles", "RUN_SCHEDULER": "no", "DATABASE_URL": database}
    fixed |= {"SPECTRUM_URL": "http://127.0.0.1:1", "SPECTRUM_COMPANY_CODE": "HB", "MAIL_SERVER": "127.0.0.1"}
    return {"PATH": os.environ["PATH"], "SPECTRUM_AUTHORIZATION_ID": "DEMO-COUNTERSIGN", **fixed, **settings}


def flask(command: str, database: str) -> float:
    begun = time.perf_counter()
    subprocess.run(
        [BIN / "flask", "--app", "app", *command.split()],
        cwd=ROOT, env=environ(database), check=True, stdout=subprocess.DEVNULL, stderr=sys.stderr,
    )  # fmt: skip
    return time.perf_counter() - begun


def data_set(size: int) -> tuple[Path, float]:
    """A database of so many projects, made once for each version of schema and seed; and the seconds that that took."""
    sources = sorted([*ROOT.glob("migrations/versions/*.py"), *ROOT.glob("dev/demo/*.py")])
    version = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:8]
    path = KEPT / f"{size}-{version}.db"
    took = path.with_suffix(".seconds")
    if not took.exists():
        for old in KEPT.glob(f"{size}-*"):
            old.unlink()
        KEPT.mkdir(parents=True, exist_ok=True)
        flask("db upgrade", f"sqlite:///{path}")
        took.write_text(str(flask(f"demo seed --projects {size}", f"sqlite:///{path}")))
    return path, float(took.read_text())


@contextmanager
def copy_of(path: Path) -> Iterator[Path]:
    copy = path.with_name(f"copy-of-{path.name}")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copy(path, copy)
    try:
        yield copy
    finally:
        for each in KEPT.glob(f"{copy.name}*"):
            each.unlink()


@contextmanager
def serving(database: str, app: str = "app:create_app()", **settings: str) -> Iterator[Server]:
    """gunicorn with the product's own configuration, on a free port."""
    port = free_port()
    everything = environ(database, PORT=str(port), BASE_URL=f"http://127.0.0.1:{port}", **settings)
    with running(port, [BIN / "gunicorn", "--config", "gunicorn.conf.py", app], ROOT, everything) as server:
        yield server


@contextmanager
def running(port: int, command: list[str | Path], place: Path, environment: dict[str, str]) -> Iterator[Server]:
    log = KEPT / f"server-{port}.log"
    begun = time.perf_counter()
    with log.open("w") as opened:
        process = subprocess.Popen(
            command, cwd=place, env=environment, stdout=opened, stderr=opened, start_new_session=True
        )
    try:
        _wait_for_an_answer(port, process)
        yield Server(port, process.pid, log, time.perf_counter() - begun)
    finally:
        process.terminate()
        process.wait()
    log.unlink()


def _wait_for_an_answer(port: int, process: subprocess.Popen[bytes]) -> None:
    while process.poll() is None:
        try:
            with socket.create_connection(("127.0.0.1", port)) as asking:
                asking.sendall(f"GET /healthz HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
                if asking.recv(12).startswith(b"HTTP/"):
                    return
        except ConnectionError:
            time.sleep(0.005)
    raise SystemExit(f"The server did not start; {KEPT} has its log.")


@contextmanager
def sandboxed() -> Iterator[str]:
    data = KEPT / "sandbox"
    shutil.rmtree(data, ignore_errors=True)
    ports = ["--spectrum-port", "0", "--smtp-port", "0", "--mailbox-port", "0"]
    command = [sys.executable, "-m", "dev.sandbox", "--data", str(data), *ports]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            yield dict(process.stdout.readline().split() for _ in range(3))["spectrum"]
        finally:
            process.terminate()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
