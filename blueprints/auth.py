"""Sign-in, sign-out, one's own page, and the links that set a password."""

from typing import Any

from flask import Blueprint, abort, flash, redirect, render_template, request, session, url_for
from flask_login import current_user, login_user, logout_user

from blueprints import resubmit
from extensions import db
from lib.formatting import format_datetime, plural
from models import LINKS, PASSWORD_LENGTH, LoginAttempt, Person, utcnow
from permissions import log_refusal, public, signed_in

blueprint = Blueprint("auth", __name__)
WRONG = "Email or password is not right. Try again."
TOO_SHORT = f"A password has {PASSWORD_LENGTH} characters or more."
DEAD_LINK = "This link is no longer good: it was used already, or it is too old. Ask for another one."


@blueprint.get("/login")
@public
def login() -> Any:
    if current_user.is_authenticated:
        return redirect(_destination())
    return render_template("auth/login.html", email="")


@blueprint.post("/login")
@public
def sign_in() -> Any:
    email, kept = request.form.get("email", "").strip(), request.form.get("kept", "")
    if refusal := _too_many("sign-in", email):
        return render_template("auth/login.html", email=email, kept=kept, error=refusal), 429
    db.session.commit()
    person = Person.sign_in(email, request.form.get("password", ""))
    if person is None:
        log_refusal("no such email and password")
        return render_template("auth/login.html", email=email, kept=kept, error=WRONG), 422
    LoginAttempt.forget("sign-in", email)
    db.session.commit()
    session.clear()
    login_user(person)
    return resubmit.offer(kept) or redirect(_destination(), 303)


@blueprint.post("/logout")
@signed_in
def sign_out() -> Any:
    """End this person's sessions, the copied ones included."""
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
    person = Person.by_email(email)
    if person and person.active:
        person.send_link("reset", None)
    db.session.commit()  # the try was noted down either way, so that both take as long
    return render_template("auth/forgot_password.html", email=email, asked=True)


@blueprint.get("/password/<token>")
@public
def set_password(token: str) -> Any:
    """The form behind the link of an invitation or a reset. Mail scanners open it too, so it changes nothing."""
    person = _of_link(token)
    return render_template("auth/set_password.html", person=person) if person else _dead_link()


@blueprint.post("/password/<token>")
@public
def keep_password(token: str) -> Any:
    person = _of_link(token)
    if person is None:
        return _dead_link()
    password = request.form.get("password", "")
    if len(password) < PASSWORD_LENGTH:
        return render_template("auth/set_password.html", person=person, error=TOO_SHORT), 422
    person.set_password(password)
    person.note("set the password", person)
    db.session.commit()
    session.clear()
    flash("Your password is set. Sign in with it now.")
    return redirect(url_for(".login"), 303)


@blueprint.get("/me")
@signed_in
def me() -> Any:
    return render_template("auth/account.html", errors={})


@blueprint.post("/me/password")
@signed_in
def change_password() -> Any:
    """A new password for who knows the present one; it ends every session but this one."""
    person, errors = current_user._get_current_object(), {}
    if refusal := _too_many("sign-in", person.email):
        return render_template("auth/account.html", errors={"present": refusal}), 429
    db.session.commit()
    if Person.sign_in(person.email, request.form.get("present", "")) is None:
        errors["present"] = "This is not your current password."
    if len(request.form.get("password", "")) < PASSWORD_LENGTH:
        errors["password"] = TOO_SHORT
    if errors:
        return render_template("auth/account.html", errors=errors), 422
    LoginAttempt.forget("sign-in", person.email)
    person.set_password(request.form["password"])
    person.note("set the password", person)
    db.session.commit()
    login_user(person)
    flash("Your password is changed. Everywhere else you are signed out.")
    return redirect(url_for(".me"), 303)


@blueprint.post("/me/subscription")
@signed_in
def subscribe() -> Any:
    wanted = "subscribed" in request.form
    current_user.change(current_user._get_current_object(), {"subscribed": wanted})
    db.session.commit()
    flash("The digest comes to you." if wanted else "The digest no longer comes to you.")
    return redirect(url_for(".me"), 303)


def _too_many(purpose: str, email: str) -> str | None:
    """Count this try; a sentence instead where too many came before it. Accounts that do not exist are counted too."""
    until = LoginAttempt.begin(purpose, email, request.remote_addr or "")
    if until is None:
        return None
    log_refusal(f"too many tries ({purpose})")
    minutes = int((until - utcnow()).total_seconds() // 60) + 1
    return (
        f"There were too many tries. Wait {plural(minutes, 'minute')}, until {format_datetime(until)}, and try again."
    )


def _of_link(token: str) -> Person | None:
    person = next((found for purpose in LINKS if (found := Person.from_link_token(token, purpose))), None)
    if person and current_user.is_authenticated and current_user.id != person.id:
        abort(403, "This link was mailed to somebody else. If it is for you, sign out first and open it again.")
    return person


def _dead_link() -> Any:
    log_refusal("a link that is used, old or not ours")
    return render_template("auth/forgot_password.html", error=DEAD_LINK), 410


def _destination() -> str:
    """Where one was going, as long as it is on this site."""
    there = request.args.get("next", "")
    local = there.startswith("/") and not there.startswith(("//", "/\\")) and there.isprintable()
    return there if local else url_for("erp.home")
