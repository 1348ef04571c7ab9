"""The connection to the accounting system: made from the settings and from what was learned, and watched.

It is learned at the first refresh, at each test, and again where the address, the company or the access is another one;
never inside a write. Settings overrule what was learned.
"""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

from flask import current_app
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

import erp
from erp import (
    Connection,
    Customer,
    ErpJob,
    JobDates,
    Learned,
    NewSecret,
    Outcome,
    Phase,
    ReadError,
    ReadResult,
    Request,
    WriteResult,
)
from extensions import db, writing
from models import Export, Job, Project, Setting, SettingName, utcnow
from services import connection_state
from tasks import client_secret

Answer = TypeVar("Answer")
log = logging.getLogger(__name__)


def connect() -> Connection | None:
    """Return the connection as the settings say; None where the accounting system is not set up.

    It is kept while nothing else was learned and no other secret is in use, because making it reads certificates.
    """
    if not current_app.config["SPECTRUM_URL"]:
        return None
    made: tuple[Any, Connection] | None = current_app.extensions.get("erp")
    if made:
        client_secret.note_use(made[1].secret_in_use())
    secrets, kept = client_secret.in_order(), _kept()
    if made is None or made[0] != (secrets, kept):
        learned = Learned.from_json(kept["learned"]) if kept else None
        connection = erp.connect(current_app.config, learned, secrets)
        assert connection is not None  # the address is set
        made = (secrets, kept), MonitoredERP(connection)
        current_app.extensions["erp"] = made
    return made[1]


# --- what is learned ------------------------------------------------------------------------------------------------


def learn_if_new(connection: Connection) -> None:
    """Learn how the server is spoken to, where nothing is known about this one yet. Raises ReadError."""
    if not _kept():
        learn(connection)


def learn(connection: Connection) -> Learned:
    db.session.rollback()  # no transaction is open while the accounting system is asked
    learned = connection.learn()
    before = Setting.read(SettingName.LEARNED) or {}
    same = before.get("server") == connection_state.server_digest()
    proof = before.get("proof") if same else None
    if not before and _was_proven_before():
        proof = {"at": utcnow().isoformat(), "reply": ""}
    learned = replace(learned, proven=bool(proof))
    state = {"server": connection_state.server_digest(), "style": connection_state.style(), "at": utcnow().isoformat()}
    with writing():
        Setting.write(SettingName.LEARNED, state | {"learned": learned.as_json(), "proof": proof})
    return learned


def _kept() -> dict[str, Any]:
    """Return the findings about this server; empty if the address or a style setting changed since."""
    kept = connection_state.learned()
    return kept if kept.get("style") == connection_state.style() else {}


def _was_proven_before() -> bool:
    shown = select(Export.id).join(Project, Export.project_id == Project.id).join(Job, Job.key == Project.job_key)
    return db.session.scalar(shown.where(Export.created_at.is_not(None), Job.listed).limit(1)) is not None


def is_proven() -> bool:
    return bool(connection_state.learned().get("proof"))


def note_proof(reply: str) -> None:
    """Keep, in the caller's transaction, that a created job was listed, and what the reply to it looked like."""
    kept = connection_state.learned() or {"server": connection_state.server_digest()}
    Setting.write(SettingName.LEARNED, kept | {"proof": {"at": utcnow().isoformat(), "reply": reply}})


# --- what is watched ------------------------------------------------------------------------------------------------


class MonitoredERP:
    """A connection, with a note of how each contact ended. Optional reads and descriptions are no contact."""

    def __init__(self, connection: Connection) -> None:
        self._erp = connection

    def create_job(self, request: Request) -> WriteResult:
        return _note_write(self._erp.create_job(request))

    def update_job(self, request: Request, job: ErpJob, dates: JobDates) -> WriteResult:
        return _note_write(self._erp.update_job(request, job, dates))

    def add_phase(self, job_number: str, phase: Phase) -> WriteResult:
        return _note_write(self._erp.add_phase(job_number, phase))

    def list_jobs(self, status: str = "open", **filters: Any) -> ReadResult[ErpJob]:
        return _note_read(lambda: self._erp.list_jobs(status, **filters))

    def list_project_managers(self, status: str = "open", **filters: Any) -> ReadResult[str]:
        return self._erp.list_project_managers(status, **filters)

    def list_phases(self, job_number: str) -> ReadResult[Phase]:
        return _note_read(lambda: self._erp.list_phases(job_number))

    def list_job_dates(self, status: str = "open", **filters: Any) -> ReadResult[JobDates]:
        return self._erp.list_job_dates(status, **filters)

    def list_customers(self) -> ReadResult[Customer]:
        return self._erp.list_customers()

    def probe(self, service: str) -> str | None:
        return self._erp.probe(service)

    def learn(self) -> Learned:
        return _note_read(self._erp.learn)

    def sign_in(self) -> None:
        self._erp.sign_in()

    def secret_in_use(self) -> str:
        return self._erp.secret_in_use()

    def rotate_secret(self) -> NewSecret:
        return self._erp.rotate_secret()


def _note_write(result: WriteResult) -> WriteResult:
    _note(result.outcome, result.error)
    return result


def _note_read(call: Callable[[], Answer]) -> Answer:
    try:
        answer = call()
    except ReadError as failure:
        _note(failure.outcome, failure.error)
        raise
    _note(Outcome.CREATED)
    return answer


def _note(outcome: Outcome, error: str = "") -> None:
    """Keep how a contact ended; a refusal is an answer. Failing to keep it never disturbs the contact itself."""
    connected, now = outcome in (Outcome.CREATED, Outcome.REFUSED), utcnow().isoformat()
    try:
        last = Setting.read(SettingName.CONTACT, {})
        if connected and last.get("connected") and now < _a_minute_after(last.get("at", "")):
            db.session.rollback()  # nothing to write, and no transaction stays open between two contacts
            return
        failed = {} if connected else {"error": error, "error_at": now}
        since = {} if last.get("connected") is connected else {"since": now}
        with writing():
            Setting.write(SettingName.CONTACT, last | {"connected": connected, "at": now} | since | failed)
    except SQLAlchemyError:
        db.session.rollback()
        log.exception("how the last contact with Spectrum ended could not be kept")


def _a_minute_after(moment: str) -> str:
    return (datetime.fromisoformat(moment) + timedelta(minutes=1)).isoformat() if moment else ""


# --- the test -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ConnectionTest:
    """The findings of a test: whether it is passed, a sentence that says so, and a line for each finding."""

    passed: bool
    sentence: str
    lines: tuple[str, ...]


def test(connection: Connection) -> ConnectionTest:
    """Learn how the server is spoken to, and say which services can be used. Nothing is written to it."""
    try:
        learned = learn(connection)
    except ReadError as failure:
        return ConnectionTest(False, failure.error, tuple(_probe_all(connection)))
    unusable = [service for service in learned.services if service.problem and not service.without]
    confirmed = learned.doubtful and connection_state.job_list().get("confirmed_empty")
    problem = "" if confirmed else learned.problem
    lines = [*learned.sentences, *map(service_line, learned.services), *proof_lines()]
    if unusable:
        sentence = f"{len(unusable)} of Spectrum's services can't be used as they are."
    elif problem:
        sentence = problem
    else:
        sentence = "Each of Spectrum's services that Countersign needs can be used."
    return ConnectionTest(not (unusable or problem), sentence, tuple(lines))


def service_line(service: erp.Service) -> str:
    if not service.problem:
        return f"{service.name}: OK."
    return " ".join(filter(None, [f"{service.name}: {service.problem}", service.without]))


def proof_lines() -> Iterable[str]:
    proof = connection_state.learned().get("proof")
    if not proof:
        yield "Not proven: no job that Countersign created has been seen in Spectrum's job list yet."
    elif proof["reply"]:
        yield f"Proven: the first job was created and listed. {proof['reply']}"
    else:
        yield "Proven: a job that Countersign created was seen in Spectrum's job list."


def _probe_all(connection: Connection) -> Iterable[str]:
    for service in erp.rules().services:
        yield f"{service}: {connection.probe(service) or 'described, but not tried.'}"


def report(tested: ConnectionTest) -> str:
    """Return the findings as a text to be sent to whoever helps, without addresses, codes, names or secrets."""
    own = connection_state.learned().get("learned", {}).get("sentences", ())
    found = [line if line in own else connection_state.mask_quoted(line) for line in (tested.sentence, *tested.lines)]
    text = "\n".join([f"Countersign's connection to Spectrum, {utcnow():%Y-%m-%d}", *found, ""])
    return connection_state.mask(text)
