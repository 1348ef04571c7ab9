"""What somebody typed when the sign-in had ended: kept in the page, shown after the sign-in, sent again by a click.

Nothing is stored. A form with a password is never kept, nor one that no page of ours surely posted.
"""

from flask import current_app, render_template, request, session
from flask_login import current_user
from itsdangerous import BadData, URLSafeSerializer

LARGEST = 64 * 1024  # bytes of a form that is kept


def keep() -> str:
    """The form that was posted, signed, to travel through the sign-in; "" where there is nothing to keep."""
    if (request.content_length or 0) > LARGEST:
        return ""
    fields = [(name, value) for name, value in request.form.items(multi=True) if name != "csrf_token"]
    told = "Origin" in request.headers or "Sec-Fetch-Site" in request.headers  # and the guard has seen that it is ours
    if not fields or not told or "password" in request.form or request.files:
        return ""
    person_id = session.get("_user_id", "").partition(".")[0]  # whose sign-in it was, where the cookie still says so
    return str(_signer().dumps([request.full_path.rstrip("?"), fields, person_id]))


def offer(kept: str) -> str | None:
    """A page that asks the person signed in whether to send it again; None where there is nothing of theirs."""
    try:
        address, fields, person_id = _signer().loads(kept)
    except BadData:
        return None
    if person_id not in ("", str(current_user.id)):
        return None
    return render_template("auth/resubmit.html", address=address, fields=fields)


def _signer() -> URLSafeSerializer:
    return URLSafeSerializer(current_app.config["SECRET_KEY"], salt="unsent")
