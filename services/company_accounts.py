"""The company's accounts: which person signs in with which account of the provider.

A person is tied to an account once, by issuer and subject. Levels and the privilege never come from the provider.
"""

from collections.abc import Mapping
from typing import Any

from flask import current_app
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from extensions import db, writing
from lib.openid import OpenIDError, Provider
from lib.text import clean
from models import Person, utcnow
from services import directory

# Where anybody can make an account: only an email that the provider calls verified says anything there
OPEN_TO_ANYBODY = (
    "https://accounts.google.com",
    "https://appleid.apple.com",
    "https://login.live.com",
    "https://www.facebook.com",
    "https://www.linkedin.com",
    "https://gitlab.com",
    "https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad",
)
DISABLED = "{} can't sign in to Countersign any more. {}"
OTHER_ACCOUNT = "{} signs in with another company account. {}"


def provider() -> Provider | None:
    config = current_app.config
    if not config["OIDC_ISSUER"]:
        return None
    made = Provider(config["OIDC_ISSUER"], config["OIDC_CLIENT_ID"], config["OIDC_CLIENT_SECRET"], config["OIDC_NAME"])
    return current_app.extensions.setdefault("openid", made)  # type: ignore[no-any-return]


def sign_in(claims: Mapping[str, Any]) -> Person:
    """Return the active person of the account, tied now where it is the first time. Raises OpenIDError."""
    try:
        return _note_sign_in(claims)
    except IntegrityError:  # tied or added by another sign-in at the same moment
        return _note_sign_in(claims)


def _note_sign_in(claims: Mapping[str, Any]) -> Person:
    with writing():
        person = _find(claims) or _tie(claims)
        person.last_sign_in_at = utcnow()
        return person


def forget(person: Person, by: Person | None) -> bool:
    if not person.oidc_subject:
        return False
    person.oidc_issuer = person.oidc_subject = None
    person.end_sessions()
    directory.record(person, "forgot the company account", by, "" if by else directory.ON_SERVER)
    return True


def _find(claims: Mapping[str, Any]) -> Person | None:
    tied = Person.oidc_issuer == claims["iss"], Person.oidc_subject == claims["sub"]
    person = db.session.scalar(select(Person).where(*tied))
    if person and not person.active:
        raise OpenIDError(DISABLED.format(person.name, whom_to_ask()), "disabled")
    return person


def _tie(claims: Mapping[str, Any]) -> Person:
    """Tie the account to the person of that email, or to a new one."""
    email = _verified_email(claims)
    person = db.session.scalar(select(Person).where(Person.email == email.casefold()).with_for_update())
    if person and not person.active:
        raise OpenIDError(DISABLED.format(person.name, whom_to_ask()), "disabled")
    if person and person.oidc_subject:
        raise OpenIDError(OTHER_ACCOUNT.format(person.name, whom_to_ask()), "another account of that email")
    person = person or _add(email, claims)
    person.oidc_issuer, person.oidc_subject = claims["iss"], claims["sub"]
    directory.record(person, "tied the company account", person)
    db.session.flush()
    return person


def _verified_email(claims: Mapping[str, Any]) -> str:
    email, verified = claims.get("email"), claims.get("email_verified")
    if not isinstance(email, str) or not directory.EMAIL.fullmatch(email):
        name = current_app.config["OIDC_NAME"]
        raise OpenIDError(f"You are not signed in: {name} did not send your email address. {whom_to_ask()}", "no email")
    anybody = any(str(claims["iss"]).startswith(issuer) for issuer in OPEN_TO_ANYBODY)
    if str(verified).lower() == "true" or (verified is None and not anybody):
        return email
    raise OpenIDError(f"You are not signed in: your email address {email} is not verified. {whom_to_ask()}", "email")


def _add(email: str, claims: Mapping[str, Any]) -> Person:
    name = claims.get("name")
    wanted = {"name": clean(name).strip() if isinstance(name, str) else "", "email": email}
    if "name" in directory.validate(None, wanted):
        wanted["name"] = email.partition("@")[0]
    if not current_app.config["OIDC_CREATE_PEOPLE"] or directory.validate(None, wanted):
        raise OpenIDError(f"{email} is not in Countersign's Company Directory yet. {whom_to_ask()}", "unknown")
    return directory.add(None, wanted, "At the first sign-in with the company account.")


def whom_to_ask() -> str:
    admins = db.session.scalars(select(Person.name).where(Person.directory_admins()).order_by(Person.name)).all()
    return f"Ask {' or '.join(admins) or 'whoever runs the server'}."
