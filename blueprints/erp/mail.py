"""The mail page: each mail with its state, the test mail, and unsubscribing from the daily summary."""

from datetime import timedelta
from typing import Any

from flask import Blueprint, abort, current_app, flash, redirect, render_template, request, url_for
from flask_login import current_user
from sqlalchemy import and_, func, not_, or_, select
from sqlalchemy.orm import joinedload

from extensions import csrf, db
from lib import pagination
from models import Delivery, Event, MailKind, MailOutcome, NotAllowed, TaskKind, TaskRequest, utcnow
from permissions import ERP_ADMIN, from_anywhere, public, requires
from services import accounts, directory, mail_settings

blueprint = Blueprint("mails", __name__, url_prefix="/erp/mails")
KINDS = {
    MailKind.DIGEST: "Daily summary",
    MailKind.REJECTION: "Rejection notice",
    MailKind.EXPORT: "Export notice",
    MailKind.UPDATE: "Update notice",
    MailKind.COMMENT: "Comment",
    MailKind.INVITATION: "Invitation",
    MailKind.RESET: "Password link",
    MailKind.ALERT: "Alert",
    MailKind.EXPIRY: "Expiration notice",
}
BESIDE = (joinedload(Delivery.person), joinedload(Delivery.event).joinedload(Event.project))
REMEMBERED = timedelta(days=30)  # so long an undelivered mail stands among the stuck ones
NOT_AN_ADDRESS = "Enter an email address, such as dana@example.com."


@blueprint.get("")
@requires(ERP_ADMIN)
def index() -> Any:
    return _page()


@blueprint.get("/<int:delivery_id>")
@requires(ERP_ADMIN)
def row(delivery_id: int) -> Any:
    return _row(_delivery(delivery_id))


@blueprint.post("/<int:delivery_id>/again")
@requires(ERP_ADMIN)
def resend(delivery_id: int) -> Any:
    delivery = db.session.get(Delivery, delivery_id, with_for_update=True) or abort(404)
    try:
        delivery.resend()
    except NotAllowed as refusal:
        return _answer(delivery, str(refusal), 409)
    db.session.commit()
    return _answer(delivery, f"The mail to {delivery.person.name} is being sent again.")


@blueprint.post("/test")
@requires(ERP_ADMIN)
def test() -> Any:
    address = request.form.get("address", "").strip()
    if not directory.EMAIL.fullmatch(address) or len(address) > 254:
        return _page(address, 422, error=NOT_AN_ADDRESS)
    TaskRequest.ask(TaskKind.TEST_MAIL, current_user, address)
    db.session.commit()
    return redirect(url_for(".index", _anchor="test"), 303)


@blueprint.get("/test")
@requires(ERP_ADMIN)
def tested() -> Any:
    return render_template("erp/_test_mail.html", tested=TaskRequest.last(TaskKind.TEST_MAIL))


@blueprint.get("/unsubscribe/<token>")
@public
def unsubscribe(token: str) -> Any:
    """The page behind the link. Mail scanners open it too, so it changes nothing."""
    return _unsubscribe_page(token)


@blueprint.post("/unsubscribe/<token>")
@public
@from_anywhere
def keep_unsubscribed(token: str) -> Any:
    """One click in a mail program (RFC 8058), without sign-in; the signed token can do nothing else."""
    person = accounts.from_unsubscribe_token(token)
    if person:
        directory.change(person, person, {"subscribed": False})
        db.session.commit()
    return _unsubscribe_page(token)


csrf.exempt(keep_unsubscribed)


def _unsubscribe_page(token: str) -> Any:
    person = accounts.from_unsubscribe_token(token)
    return render_template("auth/unsubscribe.html", person=person), 200 if person else 404


def _page(typed: str | None = None, status: int = 200, error: str = "") -> Any:
    tested = TaskRequest.last(TaskKind.TEST_MAIL)
    begun = tested.subject if tested and tested.asked_by_id == current_user.id else current_user.email
    shown: dict[str, Any] = {
        "address": begun if typed is None else typed,
        "error": error,
        "tested": tested,
        "kinds": KINDS,
    }
    shown |= {"stuck": _stuck(), "page": _others(), "is_set_up": mail_settings.is_set_up()}
    shown |= {"way": mail_settings.describe_way(), "remarks": current_app.config["MAIL_REMARKS"]}
    return render_template("erp/mail.html", **shown), status


def _is_stuck() -> Any:
    given_up = and_(Delivery.outcome == MailOutcome.FAILED, Delivery.created_at > utcnow() - REMEMBERED)
    in_trouble = and_(Delivery.outcome.is_(None), Delivery.error != "")
    return func.coalesce(or_(Delivery.outcome == MailOutcome.UNKNOWN, given_up, in_trouble), False)


def _stuck() -> list[Delivery]:
    stuck = select(Delivery).options(*BESIDE).where(_is_stuck()).order_by(Delivery.id.desc())
    return list(db.session.scalars(stuck.limit(pagination.PER_PAGE)))


def _others() -> pagination.Page:
    newest_first = pagination.Order(Delivery.id, Delivery.id, Delivery.__table__, up=False)
    others = pagination.PagedQuery(select(Delivery).where(not_(_is_stuck())), newest_first)
    return others.page(pagination.ListParams.from_args(request.args), others.count({}), pagination.objects(*BESIDE), {})


def _delivery(delivery_id: int) -> Delivery:
    return db.session.get(Delivery, delivery_id) or abort(404)


def _row(delivery: Delivery, **more: Any) -> str:
    return render_template("erp/_mail_row.html", delivery=delivery, kinds=KINDS, **more)


def _answer(delivery: Delivery, sentence: str, status: int = 200) -> Any:
    if request.headers.get("HX-Request") == "true":
        return _row(delivery, conflict=sentence if status == 409 else ""), status
    flash(sentence)
    return redirect(url_for(".index"), 303)
