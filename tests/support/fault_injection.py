"""What the tests with real processes share: accepted projects, a server that is stopped or killed, what became of it.

The app under test runs in gunicorn; this process only writes rows before it starts and reads them afterwards.
"""

import os
import re
import signal
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
from conftest import INFORMATION, PASSWORD, start_server, wait_until
from sqlalchemy import select, update
from support.jobs import compose

from extensions import db, writing
from models import Delivery, Export, Job, Person, Project, utcnow
from services import workflow

TOKEN = re.compile(r'name="csrf_token" value="([^"]+)"')
TEMPLATE = {"Customer_Code": "CASCREST", "Division": "1", "Cost_Center": "TACOMA", "Price_Method_Code": "F"}


def accept(number: str, copy_phases: bool = False) -> int:
    """A project with that number, sent and accepted; its id. Committed."""
    with writing():  # beside a server that writes as well
        manager, approver = (Person.by_email(f"{name}@example.com") for name in ("manager", "approver"))
        assert manager and approver
        project = workflow.create(manager, INFORMATION | {"number": number, "name": f"Depot {number}"})
        db.session.flush()
        workflow.send(project, manager)
        typed = {"Job_Number": number, "Job_Description": f"Depot {number}", "Taxable_Flag": "Y"}
        lines = compose(project.information, TEMPLATE, TEMPLATE | typed)
        workflow.accept(project, approver, lines, Job(number="T-COMM", copy_phases=copy_phases), "HB")
        return project.id


def status(project_id: int) -> str:
    """As it stands in the database at this moment."""
    db.session.rollback()
    return str(db.session.scalar(select(Project.status).where(Project.id == project_id)))


def export_of(project_id: int) -> Export:
    db.session.rollback()
    found = select(Export).where(Export.project_id == project_id, Export.current)
    return db.session.scalars(found.execution_options(populate_existing=True)).one()


def leases_run_out(kind: type[Export] | type[Delivery]) -> None:
    """As after a while, for what the killed ones held."""
    held = update(kind).where(kind.lease_until.is_not(None))
    with writing():
        db.session.execute(held.values(lease_until=utcnow() - timedelta(seconds=1)))


@contextmanager
def decider(address: str, person: str) -> Iterator[Callable[[int, int], httpx.Response]]:
    """Somebody signed in to a server, who rejects: `reject(project, version)`."""
    with httpx.Client(base_url=address, timeout=60) as client:
        form = {"email": f"{person}@example.com", "password": PASSWORD}
        client.post("/login", data={"csrf_token": TOKEN.findall(client.get("/login").text)[0], **form})
        token = TOKEN.findall(client.get("/me").text)[0]

        def reject(project: int, version: int) -> httpx.Response:
            data = {"csrf_token": token, "version": version, "comment": "The customer is missing"}
            return client.post(f"/approvals/{project}/reject", data=data)

        yield reject


class Sandbox:
    """The sandbox Spectrum as a test uses it."""

    def __init__(self, address: str) -> None:
        self.address = address

    @classmethod
    def fresh(cls, address: str) -> "Sandbox":
        """With its seed only: no faults, no calls."""
        httpx.post(f"{address}/sandbox/reset", json={}).raise_for_status()
        return cls(address)

    def fail(self, service: str, fault: str, **more: Any) -> None:
        answer = httpx.post(f"{self.address}/sandbox/faults", json={"service": service, "fault": fault, **more})
        answer.raise_for_status()

    def recover(self) -> None:
        """Without faults from now on."""
        httpx.delete(f"{self.address}/sandbox/faults").raise_for_status()

    def calls(self, service: str = "", fault: str = "") -> list[dict[str, Any]]:
        listed = httpx.get(f"{self.address}/sandbox/calls", timeout=30).json()
        return [call for call in listed if service in ("", call["service"]) and fault in (call["fault"] or "")]

    def jobs(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = httpx.get(f"{self.address}/sandbox/jobs", timeout=30).json()
        return found

    def made(self) -> Counter[str]:
        """How often AddJob made a job of each number."""
        return Counter(call["job_number"] for call in self.calls("AddJob") if call["outcome"] == "created")

    def wait_for_call(self, service: str, fault: str = "") -> None:
        wait_until(lambda: self.calls(service, fault), 30)


class Server:
    """gunicorn with these settings: begun, stopped, killed and begun again."""

    def __init__(self, environ: dict[str, str]) -> None:
        self.environ = environ
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.process = start_server(self.environ)

    def tell(self, sign: signal.Signals) -> None:
        assert self.process
        self.process.send_signal(sign)

    def wait(self) -> None:
        """It was told to stop; it has 30 seconds."""
        assert self.process
        self.process.wait(30)

    def workers(self) -> set[int]:
        """The process numbers of those that do the work."""
        assert self.process
        place = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return {int(number) for number in place.read_text().split()}

    def kill(self) -> None:
        """All of its processes at once, as when the power fails."""
        if self.process:
            with suppress(ProcessLookupError):  # it may have stopped by itself
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None

    def crash(self, when: Callable[[], object]) -> None:
        """Start, wait for the moment, kill."""
        self.start()
        wait_until(when, 30)
        self.kill()

    def crash_in_call(self, sandbox: Sandbox, service: str, fault: str) -> None:
        """Kill it, started here or before, while Spectrum is silent in a call to that service."""
        sandbox.fail(service, fault, times=None)  # a reading is repeated
        if not self.process:
            self.start()
        sandbox.wait_for_call(service, fault)
        self.kill()
        sandbox.recover()
