"""Sign-in, sign-out, one's own page, and the links that set a password."""

import secrets
from collections.abc import Mapping
from typing import Any

from flask import Blueprint, abort, current_app, flash, redirect, render_template, request, session, url_for
from flask_login import current_user, logout_user

from blueprints import resubmit
from extensions import db
from lib.formatting import format_datetime, parse_date, plural
from lib.openid import OpenIDError, Provider
from models import Person, TaskKind, TaskRequest, utcnow
from permissions import log_refusal, public, signed_in
from services import accounts, company_accounts, directory, mail_settings, sessions, setup

blueprint = Blueprint("auth", __name__)
NOT_SET_UP = "Signing in with a company account is not set up here."
NOT_BEGUN_HERE = "You are not signed in: this sign-in did not begin in this browser, or it was used already. Try again."
WRONG = "Wrong email or password. Try again."
FIRST_PERSON = (
    "users create you@example.com --name 'Your Name' --erp admin --projects admin --directory admin --can-push"
    " --password-stdin"
)
TOO_SHORT = f"Enter at least {accounts.PASSWORD_LENGTH} characters."
DEAD_LINK = "This link no longer works: it was used already, or it expired. Ask for a new one."


@blueprint.get("/login")
@public
def login() -> Any:
    if current_user.is_authenticated:
        return redirect(_destination())
    first = setup.command(FIRST_PERSON) if setup.is_directory_empty() else ""
    return render_template("auth/login.html", email="", first_person=first)


@blueprint.post("/login")
@public
def sign_in() -> Any:
    email, kept = request.form.get("email", "").strip(), request.form.get("kept", "")
    if kept and "password" not in request.form:  # signed in with the company's account, in another tab
        offered = current_user.is_authenticated and resubmit.offer(kept)
        return offered or (render_template("auth/login.html", email="", kept=kept), 401)
    if refusal := _too_many("sign-in", email):
        return render_template("auth/login.html", email=email, kept=kept, error=refusal), 429
    db.session.commit()
    person = accounts.sign_in(email, request.form.get("password", ""))
    if person is None:
        log_refusal("no such email and password")
        return render_template("auth/login.html", email=email, kept=kept, error=WRONG), 422
    accounts.clear_attempts("sign-in", email, request.remote_addr or "")
    person.last_sign_in_at = utcnow()
    db.session.commit()
    sessions.begin(person, stay="stay" in request.form)
    return resubmit.offer(kept) or redirect(_destination(), 303)


@blueprint.get("/login/oidc")
@public
def ask_provider() -> Any:
    provider = company_accounts.provider()
    if provider is None:
        return _not_signed_in(OpenIDError(NOT_SET_UP, "not set up"), 501)
    secret = {name: secrets.token_urlsafe(32) for name in ("state", "nonce", "verifier")}
    silent = "silent" in request.args
    try:
        address = provider.authorization_url(_callback(), **secret, silent=silent)
    except OpenIDError as error:
        return _not_signed_in(error, 502)
    flows = dict(list(session.get("oidc", {}).items())[-2:])  # of other tabs
    session["oidc"] = flows | {secret["state"]: [secret["nonce"], secret["verifier"], _destination()[:1000], silent]}
    return redirect(address)


@blueprint.get("/login/oidc/callback")
@public
def answer_of_provider() -> Any:
    provider = company_accounts.provider()
    if provider is None:
        return _not_signed_in(OpenIDError(NOT_SET_UP, "not set up"), 501)
    flow = session.get("oidc", {}).get(request.args.get("state", ""))
    if flow is None:
        return _not_signed_in(OpenIDError(NOT_BEGUN_HERE, "state"), 400)
    nonce, verifier, there, silent = flow
    try:
        if silent and request.args.get("error"):
            session.clear()
            return redirect(url_for(".login", next=there))
        if refusal := _error_of_provider(provider):
            raise refusal
        claims = provider.claims(request.args["code"], _callback(), nonce, verifier)
        person = company_accounts.sign_in(claims)
    except OpenIDError as error:
        session.pop("oidc", None)
        return _not_signed_in(error, 403)
    sessions.begin(person, company=True)
    return redirect(there)


def _error_of_provider(provider: Provider) -> OpenIDError | None:
    error, issuer = request.args.get("error", ""), request.args.get("iss", provider.issuer)
    if error == "access_denied":
        return OpenIDError(f"You are not signed in: {provider.name} did not let you in. Try again.", error)
    if error or not request.args.get("code"):
        sentence = f"You are not signed in: {provider.name} answered with an error. Try again."
        return OpenIDError(sentence, error[:100] or "no code")
    if issuer.rstrip("/") != provider.issuer.rstrip("/"):
        return OpenIDError(f"You are not signed in: this answer is not from {provider.name}. Try again.", "iss")
    return None


def _callback() -> str:
    return f"{current_app.config['BASE_URL']}{url_for('.answer_of_provider')}"


def _not_signed_in(error: OpenIDError, status: int) -> Any:
    log_refusal(f"company account: {error.detail}")
    return render_template("auth/login.html", email="", error=str(error)), status


@blueprint.post("/logout")
@signed_in
def sign_out() -> Any:
    current_user.end_sessions()
    db.session.commit()
    logout_user()
    session.clear()
    response = redirect(url_for(".login"), 303)
    response.headers["Clear-Site-Data"] = '"cache"'  # the lists that the browser kept, for whoever sits here next
    return response


@blueprint.get("/forgotten")
@public
def forgotten() -> Any:
    return render_template("auth/forgot_password.html")


@blueprint.post("/forgotten")
@public
def ask_for_link() -> Any:
    """Mail a link, if there is such a person; the answer does not tell."""
    email = request.form.get("email", "").strip()
    if not email:
        return render_template("auth/forgot_password.html", missing="Enter your email address."), 422
    if refusal := _too_many("reset", email):
        return render_template("auth/forgot_password.html", email=email, error=refusal), 429
    TaskRequest.ask_for_each(TaskKind.PASSWORD_LINK, email)  # whether there is such a person is looked up later, unseen
    db.session.commit()
    return render_template("auth/forgot_password.html", email=email, asked=True)


@blueprint.get("/password/<token>")
@public
def password_form(token: str) -> Any:
    """The form behind the link of an invitation or a reset. Mail scanners open it too, so it changes nothing."""
    person = _of_link(token)
    return render_template("auth/set_password.html", person=person) if person else _dead_link()


@blueprint.post("/password/<token>")
@public
def set_password(token: str) -> Any:
    person = _of_link(token)
    if person is None:
        return _dead_link()
    password = request.form.get("password", "")
    if len(password) < accounts.PASSWORD_LENGTH:
        return render_template("auth/set_password.html", person=person, error=TOO_SHORT), 422
    accounts.set_password(person, password)
    directory.record(person, "set the password", person)
    db.session.commit()
    session.clear()
    flash("Your password is set. Sign in with it now.")
    return redirect(url_for(".login"), 303)


@blueprint.get("/me")
@signed_in
def me() -> Any:
    return _own_page()


@blueprint.post("/me/absence")
@signed_in
def save_absence() -> Any:
    person, away, errors = current_user._get_current_object(), {}, {}
    for column in directory.ABSENCE:
        try:
            away[column] = parse_date(request.form.get(column, ""))
        except ValueError:
            errors[column] = "Enter a date, such as 12/3/2026."
    errors = errors or directory.absence_errors(**away)
    if errors:
        return _own_page(errors, request.form)
    directory.change(person, person, away)
    db.session.commit()
    flash("Your absence was saved." if away["away_from"] else "You have no absence entered.")
    return redirect(url_for(".me"), 303)


def _own_page(errors: Mapping[str, str] | None = None, away: Any = None, status: int = 422) -> Any:
    shown = away if away is not None else current_user
    shown_with = {"errors": errors or {}, "away": shown, "digest_times": mail_settings.describe_digest_times()}
    return render_template("auth/account.html", **shown_with), status if errors else 200


@blueprint.post("/me/password")
@signed_in
def change_password() -> Any:
    """A new password for who knows the present one; it ends every session but this one."""
    person, errors = current_user._get_current_object(), {}
    if refusal := _too_many("sign-in", person.email):
        return _own_page({"present_password": refusal}, status=429)
    db.session.commit()
    if accounts.sign_in(person.email, request.form.get("present_password", "")) is None:
        errors["present_password"] = "This is not your current password."  # noqa: S105 - the name of a field
    if len(request.form.get("password", "")) < accounts.PASSWORD_LENGTH:
        errors["password"] = TOO_SHORT
    if errors:
        return _own_page(errors)
    stay = "stay" in session
    accounts.set_password(person, request.form["password"])
    directory.record(person, "set the password", person)
    db.session.commit()
    sessions.begin(person, stay)
    flash("Your password was changed. You were signed out everywhere else.")
    return redirect(url_for(".me"), 303)


@blueprint.post("/me/subscription")
@signed_in
def subscribe() -> Any:
    person, wanted = current_user._get_current_object(), "subscribed" in request.form
    directory.change(person, person, {"subscribed": wanted})
    db.session.commit()
    flash("You are subscribed to the digest." if wanted else "You are unsubscribed from the digest.")
    return redirect(url_for(".me"), 303)


def _too_many(purpose: str, email: str) -> str | None:
    """Count this try; a sentence instead where too many came before it. Accounts that do not exist are counted too."""
    until = accounts.register_attempt(purpose, email, request.remote_addr or "")
    if until is None:
        return None
    log_refusal(f"too many tries ({purpose})")
    minutes = int((until - utcnow()).total_seconds() // 60) + 1
    return f"Too many attempts. Wait {plural(minutes, 'minute')}, until {format_datetime(until)}, then try again."


def _of_link(token: str) -> Person | None:
    person = next((found for purpose in accounts.LINKS if (found := accounts.from_link_token(token, purpose))), None)
    if person and current_user.is_authenticated and current_user.id != person.id:
        abort(403, "This link was emailed to someone else. If it is for you, sign out first and open it again.")
    return person


def _dead_link() -> Any:
    log_refusal("a link that is used, old or not ours")
    return render_template("auth/forgot_password.html", error=DEAD_LINK), 410


def _destination() -> str:
    there = request.args.get("next", "")
    local = there.startswith("/") and not there.startswith(("//", "/\\")) and there.isprintable()
    return there if local else url_for("erp.home")
