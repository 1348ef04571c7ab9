"""What every test stands on: a migrated database of its own, the app, a fixed cast, and a browser-like client.

A test runs on SQLite; those that take `database_url` by way of `app` run on PostgreSQL too, where its server programs
are found or TEST_DATABASE_URL is set. What was skipped is named at the end; REQUIRE_ALL=1 turns it into a failure.
"""

import functools
import math
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import Context
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import httpx
import psycopg
import pytest
from argon2 import PasswordHasher
from flask import Flask
from flask.testing import FlaskClient
from jinja2 import FileSystemBytecodeCache
from playwright.sync_api import Browser as ChromiumBrowser
from playwright.sync_api import Error as ChromiumError
from playwright.sync_api import Page, sync_playwright
from support.fake_erp import FakeERP
from support.jobs import keep_job
from support.mail_server import Postbox
from werkzeug.test import TestResponse

from app import create_app
from dev.demo import seed
from extensions import db
from models import Job, Level, Person, Project
from services import accounts, cache, workflow
from tasks import erp_connection, job_list

ROOT = Path(__file__).resolve().parent.parent
PASSWORD = "correct-horse-battery"
CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)  # hashing is slow on purpose; hundreds sign in here
ENVIRON = {
    "SECRET_KEY": "a-key-for-tests-only-0123456789",
    "TIMEZONE": "America/Los_Angeles",
    "SPECTRUM_URL": "http://127.0.0.1:1",
    "SPECTRUM_COMPANY_CODE": "HB",
    "SPECTRUM_AUTHORIZATION_ID": "TEST",
    "MAIL_SERVER": "127.0.0.1",
    "EXPORT_CHECK_SECONDS": "30",
}
# name: erp, projects, directory, can push
CAST = {
    "manager": (Level.NONE, Level.ADMIN, Level.NONE, False),
    "onlooker": (Level.READ_ONLY, Level.READ_ONLY, Level.NONE, False),
    "approver": (Level.STANDARD, Level.READ_ONLY, Level.NONE, True),
    "controller": (Level.ADMIN, Level.READ_ONLY, Level.NONE, True),
    "clerk": (Level.STANDARD, Level.NONE, Level.NONE, False),
    "administrator": (Level.NONE, Level.NONE, Level.ADMIN, True),
    "outsider": (Level.NONE, Level.NONE, Level.NONE, False),
}


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty SQLite database with every migration, to be copied."""
    path = tmp_path_factory.mktemp("migrated") / "empty.db"
    migrate(f"sqlite:///{path}")
    with_wal = sorted(path.parent.glob("empty.db-*"))
    assert not with_wal, "the copy would miss what still stands in the write-ahead log"
    return path


@contextmanager
def postgresql_server() -> Iterator[str]:
    """TEST_DATABASE_URL's server, or one of our own for this run, without a care for power cuts."""
    if given := os.environ.get("TEST_DATABASE_URL"):
        yield given.rsplit("/", 1)[0]
        return
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not programs:
        leave_out("PostgreSQL: no server programs under /usr/lib/postgresql, and TEST_DATABASE_URL is not set")
    as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.geteuid() == 0 else []
    place = Path(tempfile.mkdtemp(prefix="countersign-pg-", dir="/tmp"))
    if as_user:
        shutil.chown(place, "postgres", "postgres")
    run = functools.partial(subprocess.run, check=True, cwd=place, stdout=subprocess.DEVNULL)
    run([*as_user, programs[-1] / "initdb", "-D", place / "data", "-U", "postgres", "-A", "trust", "-E", "UTF8"])
    options = f"-k {place} -h 127.0.0.1 -p {(port := free_port())} -F -c synchronous_commit=off -c full_page_writes=off"
    control = [*as_user, programs[-1] / "pg_ctl", "-D", place / "data", "-w", "-l", place / "log"]
    run([*control, "-o", options, "start"])
    try:
        yield f"postgresql://postgres@127.0.0.1:{port}"
    finally:
        run([*control, "-m", "immediate", "stop"])
        shutil.rmtree(place)


def run_sql(address: str, statement: str) -> None:
    with psycopg.connect(f"{address}/postgres", autocommit=True) as connection:
        connection.execute(statement)  # type: ignore[call-overload]  # the statement is ours


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def migrate(url: str) -> None:
    app = create_app(ENVIRON | {"DATABASE_URL": url})
    result = app.test_cli_runner().invoke(args=["db", "upgrade"])
    assert result.exit_code == 0, result.output
    with app.app_context():
        db.engine.dispose()


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """The address of a PostgreSQL server with an empty, migrated database called `migrated`."""
    with postgresql_server() as address:
        run_sql(address, "CREATE DATABASE migrated")
        migrate(f"{address}/migrated")
        yield address


class ReusedDatabase:
    """A migrated PostgreSQL database that is emptied after each test: making one takes ten times as long."""

    TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version'"
    OTHERS = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    SHAPE = " UNION ALL ".join(
        f"SELECT {column}::text FROM {table}"
        for column, table in (
            ("oid", "pg_class WHERE relnamespace = 'public'::regnamespace"),
            ("oid", "pg_proc WHERE pronamespace = 'public'::regnamespace"),
            ("oid", "pg_trigger"),
            ("setconfig", "pg_db_role_setting ORDER BY 1"),
        )
    )

    def __init__(self, server: str) -> None:
        self.server, self.url = server, ""

    def __enter__(self) -> str:
        if not self.url:
            name = f"test_{uuid.uuid4().hex}"
            run_sql(self.server, f"CREATE DATABASE {name} TEMPLATE migrated")
            self.url = f"{self.server}/{name}"
            with psycopg.connect(self.url) as connection:
                self.shape = connection.execute(self.SHAPE).fetchall()
                self.counters = connection.execute("SELECT name, n FROM tally").fetchall()
        return self.url

    def __exit__(self, *_: object) -> None:
        with suppress(psycopg.Error), psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f"SELECT pg_terminate_backend(pid) {self.OTHERS}")
            if connection.execute(self.SHAPE).fetchall() == self.shape:
                tables = [name for (name,) in connection.execute(self.TABLES)]
                used = [name for name in tables if connection.execute(f"SELECT 1 FROM {name} LIMIT 1").fetchone()]  # type: ignore[arg-type]
                connection.execute(f"TRUNCATE {', '.join(used)} RESTART IDENTITY CASCADE")  # type: ignore[arg-type]
                connection.cursor().executemany("INSERT INTO tally (name, n) VALUES (%s, %s)", self.counters)
                return
        run_sql(self.server, f"DROP DATABASE IF EXISTS {self.url.rpartition('/')[2]} WITH (FORCE)")
        self.url = ""  # a test has altered it


@pytest.fixture(scope="session")
def reused_database(postgresql: str) -> ReusedDatabase:
    return ReusedDatabase(postgresql)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A migrated database for one test, on each of the two."""
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("migrated_sqlite"), tmp_path / "test.db")
        yield f"sqlite:///{tmp_path / 'test.db'}"
        return
    with request.getfixturevalue("reused_database") as url:
        yield url


@pytest.fixture
def environ(database_url: str) -> dict[str, str]:
    return ENVIRON | {"DATABASE_URL": database_url}


@pytest.fixture(scope="session")
def compiled_templates(tmp_path_factory: pytest.TempPathFactory) -> FileSystemBytecodeCache:
    """Each template is compiled once, not once a test."""
    return FileSystemBytecodeCache(str(tmp_path_factory.mktemp("templates")))


@pytest.fixture(autouse=True)
def cache_exactly(monkeypatch: pytest.MonkeyPatch) -> None:
    """No cached value may be stale, however busy the machine is that makes it."""
    monkeypatch.setattr(cache, "SLOW", math.inf)


@pytest.fixture(autouse=True)
def hash_cheaply(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounts, "HASHER", CHEAP)


@pytest.fixture
def app(environ: dict[str, str], tmp_path: Path, compiled_templates: FileSystemBytecodeCache) -> Iterator[Flask]:
    """The app inside its own context, with the cast in the database."""
    app = create_app(environ, instance_path=str(tmp_path))
    app.testing = True
    app.test_client_class = OwnContextClient
    app.jinja_env.bytecode_cache = compiled_templates
    with app.app_context():
        for name, (erp, projects, directory, can_push) in CAST.items():
            person = Person(email=f"{name}@example.com", name=name.title(), erp=erp, projects=projects)
            person.directory, person.can_push = directory, can_push
            person.password_hash = CHEAP.hash(PASSWORD)
            db.session.add(person)
        erp_connection.note_proof("")  # a job was created and listed before
        db.session.commit()
        erp_connection.learn(FakeERP())
        yield app
        db.session.remove()
        db.engine.dispose()


@pytest.fixture
def run(app: Flask) -> Callable[..., Any]:
    """Run a command of the command line and return its result; the test then reads afresh."""

    def invoke(*arguments: object) -> Any:
        db.session.rollback()
        result = app.test_cli_runner().invoke(args=[str(argument) for argument in arguments])
        db.session.expire_all()
        db.session.rollback()
        return result

    return invoke


@pytest.fixture
def cast(app: Flask) -> dict[str, Person]:
    return {name: Person.by_email(f"{name}@example.com") for name in CAST}  # type: ignore[misc]


class OwnContextClient(FlaskClient):
    """Each request in a context of its own, answer and all, as on a server; the test then reads afresh."""

    def open(self, *args: Any, **kwargs: Any) -> TestResponse:
        db.session.rollback()
        response = Context().run(super().open, *args, buffered=True, **kwargs)
        db.session.rollback()
        return response


class Browser:
    """A signed-in client that fills the real forms: what is posted goes with the token of the page."""

    def __init__(self, client: FlaskClient) -> None:
        self.client = client

    def get(self, path: str, **headers: str) -> TestResponse:
        return self.client.get(path, headers=headers)

    def token(self) -> str:
        page = self.client.get("/me").text
        return re.search(r'name="csrf_token" value="([^"]+)"', page)[1]  # type: ignore[index]

    def post(self, path: str, data: dict[str, object] | None = None, **headers: str) -> TestResponse:
        return self.client.post(path, data={"csrf_token": self.token(), **(data or {})}, headers=headers)


@pytest.fixture
def browser(app: Flask) -> Callable[[str], Browser]:
    """`browser("approver")`: somebody of the cast, signed in through the sign-in page."""

    def sign_in(name: str) -> Browser:
        client = app.test_client()
        page = client.get("/login").text
        token = re.search(r'name="csrf_token" value="([^"]+)"', page)[1]  # type: ignore[index]
        form = {"csrf_token": token, "email": f"{name}@example.com", "password": PASSWORD}
        assert client.post("/login", data=form).status_code == 303
        return Browser(client)

    return sign_in


INFORMATION = {
    "number": "26-014",
    "name": "Depot Lofts Retail Shell",
    "description": "Ground floor",
    "address_1": "1735 Jefferson Ave",
    "address_2": "",
    "city": "Tacoma",
    "state": "WA",
    "zip": "98402",
    "phone": "253-555-0129",
    "start_date": None,
    "completion_date": None,
}


@pytest.fixture
def make_project(cast: dict[str, Person]) -> Callable[..., Project]:
    """A project of the manager's, Not Sent, committed; the keywords change its information."""

    def make(**changes: object) -> Project:
        project = workflow.create(cast["manager"], INFORMATION | changes)
        db.session.commit()
        return project

    return make


@pytest.fixture
def template(app: Flask) -> Job:
    """A job template in the kept job list."""
    job = keep_job(
        {
            "Job_Number": "T-COMM",
            "Job_Description": "Template Commercial",
            "Division": "1",
            "Customer_Code": "CASCREST",
            "Cost_Center": "TACOMA",
            "Price_Method_Code": "F",
            "Status_Code": "A",
        }
    )
    db.session.commit()
    return job


@pytest.fixture
def erp() -> FakeERP:
    return FakeERP()


@pytest.fixture(scope="session")
def provider() -> Iterator[str]:
    """The address of an OpenID provider that does as `tell` tells it."""
    command = [sys.executable, "-m", "support.openid_provider"]
    with subprocess.Popen(command, cwd=ROOT / "tests", stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        yield process.stdout.readline().strip()
        process.terminate()


@pytest.fixture
def post(tmp_path: Path) -> Iterator[Postbox]:
    """A mail server; a module that mails points MAIL_PORT at it."""
    with Postbox(tmp_path / "post") as box:
        yield box


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    skipped = terminalreporter.stats.get("skipped", [])
    reasons = sorted({str(report.longrepr[2]) for report in skipped if isinstance(report.longrepr, tuple)})
    for reason in reasons:
        terminalreporter.write_line(f"Left out: {reason.removeprefix('Skipped: ')}")


def leave_out(reason: str) -> None:
    """Skip what this machine cannot do, or fail where everything is required."""
    if os.environ.get("REQUIRE_ALL") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


# --- the running product, with a real Chromium ----------------------------------------------------------------------


@dataclass(frozen=True)
class Live:
    """The real server with demo data, beside a sandbox of its own; addresses without a slash at the end."""

    url: str
    spectrum: str
    mailbox: str
    environ: dict[str, str]

    def sign_in(self, page: Page, name: str = "dana.whitfield") -> Page:
        """Somebody of the demo's cast, through the sign-in page."""
        page.goto(f"{self.url}/login")
        page.get_by_label("Email").fill(f"{name}@halvorsen.example")
        page.get_by_label("Password").fill(seed.PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("button", name="Sign out").wait_for()
        return page

    def jobs(self) -> dict[str, dict[str, Any]]:
        """The sandbox Spectrum's jobs by number, each field by its element name."""
        rows = httpx.get(f"{self.spectrum}/sandbox/jobs").json()
        return {row["Job_Number"]: row for row in rows}


def server_settings(database_url: str, spectrum: str, smtp: str, **settings: str) -> dict[str, str]:
    """The environment of a server on a free port, beside a sandbox at these addresses."""
    return ENVIRON | {
        "DATABASE_URL": database_url,
        **at_another_port(),
        "SPECTRUM_URL": spectrum,
        "SPECTRUM_AUTHORIZATION_ID": "DEMO-COUNTERSIGN",
        "MAIL_PORT": smtp.rpartition(":")[2],
        "EXPORT_CHECK_SECONDS": "1",
        "PATH": os.environ["PATH"],
        **settings,
    }


def at_another_port() -> dict[str, str]:
    """What tells one machine's settings from another's."""
    port = free_port()
    return {"PORT": str(port), "BASE_URL": f"http://127.0.0.1:{port}"}


def start_server(environ: dict[str, str], log: int | IO[str] = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
    """gunicorn, in a process group of its own, once it answers."""
    command = [str(Path(sys.executable).parent / "gunicorn"), "--config", "gunicorn.conf.py", "app:create_app()"]
    process = subprocess.Popen(command, cwd=ROOT, env=environ, start_new_session=True, stdout=log, stderr=log)
    wait_until(lambda: process.poll() is not None or _answers(f"{environ['BASE_URL']}/healthz"))
    assert process.poll() is None, "the server did not start"
    return process


@contextmanager
def serving(database_url: str, spectrum: str, smtp: str, **settings: str) -> Iterator[dict[str, str]]:
    """gunicorn on a free port with these settings; yields its environment once it answers."""
    environ = server_settings(database_url, spectrum, smtp, **settings)
    process = start_server(environ)
    try:
        yield environ
    finally:
        process.terminate()
        process.wait()


@contextmanager
def sandboxed(data: Path) -> Iterator[dict[str, str]]:
    """A sandbox of its own; yields its addresses: spectrum, smtp, mailbox."""
    ports = ["--spectrum-port", "0", "--smtp-port", "0", "--mailbox-port", "0"]
    command = [sys.executable, "-m", "dev.sandbox", "--data", data, *ports]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            yield dict(process.stdout.readline().split() for _ in range(3))
        finally:
            process.terminate()


def wait_until(true: Callable[[], object], seconds: float = 30) -> None:
    """Look again and again until it is true; fail when it takes too long."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not become true in time"
        time.sleep(0.05)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url).is_success
    except httpx.TransportError:
        return False


@pytest.fixture(scope="module")
def live(migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    place = tmp_path_factory.mktemp("live")
    shutil.copy(migrated_sqlite, place / "live.db")
    with sandboxed(place / "sandbox") as addresses:
        url = f"sqlite:///{place / 'live.db'}"
        with serving(url, addresses["spectrum"], addresses["smtp"], RUN_SCHEDULER="yes") as environ:
            app = create_app(environ)
            with app.app_context():
                seed.seed()
                job_list.refresh(erp_connection.connect())  # type: ignore[arg-type]  # it is set up
                db.session.remove()
                db.engine.dispose()
            yield Live(environ["BASE_URL"], addresses["spectrum"], addresses["mailbox"], environ)


CHROMIUM_OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def chromium() -> Iterator[ChromiumBrowser]:
    program = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if not program:
        leave_out("browser tests: no Chromium on PATH, and CHROMIUM does not name one")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=program, args=CHROMIUM_OPTIONS)
        yield running
        running.close()


@pytest.fixture(params=[True, False], ids=["with-javascript", "without-javascript"])
def new_page(request: pytest.FixtureRequest, chromium: ChromiumBrowser) -> Iterator[Callable[..., Page]]:
    """Pages of people who do not share a session, once with JavaScript and once without."""
    contexts = []

    def open_page(**options: Any) -> Page:
        size = options.pop("viewport", {"width": 1280, "height": 720})
        contexts.append(chromium.new_context(java_script_enabled=request.param, viewport=size, **options))
        contexts[-1].set_default_timeout(15_000)
        return contexts[-1].new_page()

    yield open_page
    for context in contexts:
        context.close()


def go_back(page: Page) -> None:
    """Press Back; a page that was kept loads itself anew, and ends the navigation that is waited for here."""
    with suppress(ChromiumError):
        page.go_back()
    page.wait_for_load_state()


@pytest.fixture
def page(chromium: ChromiumBrowser) -> Iterator[Page]:
    """One page, with JavaScript; an error in it, or what the policy kept from running, fails the test."""
    context = chromium.new_context(viewport={"width": 1280, "height": 720})
    context.set_default_timeout(15_000)
    opened, problems = context.new_page(), []
    opened.on("pageerror", lambda problem: problems.append(str(problem)))
    opened.on("console", lambda said: "Security Policy" in said.text and problems.append(said.text))
    yield opened
    context.close()
    assert not problems
