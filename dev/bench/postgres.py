"""A PostgreSQL server for the time of a measurement, with the defaults of its programs."""

import functools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dev.bench import servers


def programs() -> Path | None:
    return max(Path("/usr/lib/postgresql").glob("*/bin"), default=None)


@contextmanager
def data_set(found: Path, size: int) -> Iterator[str]:
    """The address of a database of so many projects, which is gone afterwards."""
    place = Path(tempfile.mkdtemp(prefix="countersign-bench-"))
    as_user = []
    if os.geteuid() == 0:  # it refuses to run as root
        as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
        shutil.chown(place, "postgres", "postgres")
    run = functools.partial(subprocess.run, check=True, cwd=place, stdout=subprocess.DEVNULL)
    run([*as_user, found / "initdb", "-D", place / "data", "-U", "postgres", "-A", "trust", "-E", "UTF8"])
    control = [*as_user, found / "pg_ctl", "-D", place / "data", "-w", "-l", place / "log"]
    port = servers.free_port()
    run([*control, "-o", f"-k {place} -h 127.0.0.1 -p {port}", "start"])
    url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
    try:
        servers.flask("db upgrade", url)
        servers.flask(f"demo seed --projects {size}", url)
        yield url
    finally:
        run([*control, "-m", "immediate", "stop"])
        shutil.rmtree(place)
