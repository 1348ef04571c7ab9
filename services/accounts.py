"""Accounts: who signs in, passwords, the links that set one, and the limit on tries."""

import hashlib
from datetime import datetime, timedelta
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError
from flask import current_app
from itsdangerous import BadData, URLSafeSerializer, URLSafeTimedSerializer
from sqlalchemy import delete, func, select

from extensions import db, only_reads
from models import Delivery, LoginAttempt, MailKind, Person, utcnow
from services.cache import cached
from services.directory import record

HASHER = PasswordHasher()
# looks like any other hash and matches nothing, so that a try for nobody takes as long as one for somebody
_COST = f"m={HASHER.memory_cost},t={HASHER.time_cost},p={HASHER.parallelism}"
DUMMY_HASH = f"$argon2id$v=19${_COST}${'A' * 22}${'A' * 43}"
PASSWORD_LENGTH = 12
# How long the link of a mail is good, by what the mail is for; the link is used up by setting the password
LINKS = {MailKind.INVITATION: timedelta(days=7), MailKind.RESET: timedelta(hours=1)}
LINK_PAUSE = timedelta(minutes=5)
# How many tries one account has from one address within the window. Where too many come for the account from
# everywhere, or from the address for any account, it has a few only; but nobody is locked out by somebody else's tries.
WINDOW = timedelta(minutes=15)
TRIES, TRIES_UNDER_ATTACK = 10, 3
UNDER_ATTACK = 50


# --- sessions and passwords -----------------------------------------------------------------------------------------


def from_session(session_id: str) -> Person | None:
    """Return the person behind a session, unless disabled or signed out everywhere since."""
    person_id, _, session_version = session_id.partition(".")
    find = _cached_person if only_reads() else _load_person
    person = find(int(person_id)) if person_id.isdecimal() else None
    return person if person and person.active and str(person.session_version) == session_version else None


def _load_person(person_id: int) -> Person | None:
    return db.session.get(Person, person_id)


def _cached_person(person_id: int) -> Person | None:
    """Return the person for reading only: loaded anew where anything was written since, and in no session."""

    def load() -> Person | None:
        person = _load_person(person_id)
        if person:
            db.session.expunge(person)
        return person

    return cached(f"person {person_id}", load, max_stale=0)


def sign_in(email: str, password: str) -> Person | None:
    """Return the active person with that email and password; it takes as long where there is none.

    The slow part runs outside a transaction, so that nobody waits for it.
    """
    person = Person.by_email(email)
    known = person.password_hash if person and person.active else None
    db.session.rollback()
    try:
        HASHER.verify(known or DUMMY_HASH, password)
    except VerificationError:
        return None
    if not (person and known and person.active):
        return None
    if person.password_hash != known:  # set anew while we looked, perhaps only hashed anew by another sign-in
        return sign_in(email, password)
    if HASHER.check_needs_rehash(known):
        person.password_hash = HASHER.hash(password)
    return person


def set_password(person: Person, password: str) -> None:
    """Keep the password's hash. Sessions and links of this person end, and so does a wait after wrong tries."""
    person.password_hash = HASHER.hash(password)
    person.end_sessions()
    db.session.execute(delete(LoginAttempt).where(LoginAttempt.account == _digest(person.email)))


# --- links in mails -------------------------------------------------------------------------------------------------


def link_token(person: Person, purpose: MailKind) -> str:
    return _link_signer(purpose).dumps([person.id, person.session_version, person.email])


def from_link_token(token: str, purpose: MailKind) -> Person | None:
    """Return the active person whom the link was mailed to, unless it is used, old, or for something else."""
    try:
        person_id, *rest = _link_signer(purpose).loads(token, max_age=int(LINKS[purpose].total_seconds()))
    except BadData:
        return None
    person = db.session.get(Person, person_id, with_for_update=True)
    return person if person and person.active and rest == [person.session_version, person.email] else None


def send_link(person: Person, purpose: MailKind, by: Person | None) -> datetime | None:
    now = utcnow()
    lately = Delivery.created_at.between(now - LINK_PAUSE, now)
    queued = select(Delivery.created_at).where(Delivery.person_id == person.id, Delivery.kind == purpose, lately)
    before = db.session.scalar(queued.limit(1))
    if before is None:
        event = record(person, f"sent the {purpose} link", by)
        db.session.flush()
        Delivery.queue(purpose, event.id, person)
    return before


def unsubscribe_token(person: Person) -> str:
    return _unsubscribe_signer().dumps(person.id)


def from_unsubscribe_token(token: str) -> Person | None:
    try:
        return db.session.get(Person, _unsubscribe_signer().loads(token))
    except BadData:
        return None


def _link_signer(purpose: MailKind) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(current_app.config["SECRET_KEY"], salt=f"link:{purpose}")


def _unsubscribe_signer() -> URLSafeSerializer:
    return URLSafeSerializer(current_app.config["SECRET_KEY"], salt="unsubscribe")


# --- the limit on tries ---------------------------------------------------------------------------------------------


def register_attempt(purpose: str, email: str, address: str) -> datetime | None:
    """Count a try before its outcome is known, so that parallel ones count; or return the moment to wait for."""
    now = utcnow()
    db.session.execute(delete(LoginAttempt).where(~LoginAttempt.at.between(now - WINDOW, now + WINDOW)))
    row = LoginAttempt(at=now, purpose=purpose, account=_digest(email), address=address)
    same_account, same_address = LoginAttempt.account == row.account, LoginAttempt.address == address
    limit = TRIES_UNDER_ATTACK if any(_is_busy(purpose, same) for same in (same_account, same_address)) else TRIES
    mine = select(LoginAttempt.at).where(LoginAttempt.purpose == purpose, same_account, same_address)
    latest = db.session.scalars(mine.order_by(LoginAttempt.at.desc()).limit(limit)).all()
    if len(latest) == limit:
        return latest[-1] + WINDOW
    db.session.add(row)
    return None


def _is_busy(purpose: str, same: Any) -> bool:
    tries = select(func.count()).select_from(LoginAttempt).where(LoginAttempt.purpose == purpose, same)
    return (db.session.scalar(tries) or 0) >= UNDER_ATTACK


def clear_attempts(purpose: str, email: str, address: str) -> None:
    same = LoginAttempt.account == _digest(email), LoginAttempt.address == address
    db.session.execute(delete(LoginAttempt).where(LoginAttempt.purpose == purpose, *same))


def _digest(email: str) -> str:
    return hashlib.sha256(email.strip().casefold().encode()).hexdigest()
