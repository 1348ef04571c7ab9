"""Permissions: the label that every route carries, and the one guard that reads it.

A route without a label is closed to everybody.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit

from flask import Response, abort, current_app, request
from flask_login import current_user
from sqlalchemy import select
from werkzeug.exceptions import Forbidden

from extensions import SAFE_METHODS, db, login_manager
from models import Level, Person, Project

TOOLS = {"erp": "ERP Integrations", "projects": "Projects", "directory": "Company Directory"}
PRIVILEGE = "Can Push to Accounting"
# What each level allows, by tool; each one includes those before it
ALLOWED: dict[str, dict[Level, str]] = {
    "erp": {
        Level.NONE: "The tool is not shown.",
        Level.READ_ONLY: "View the lists, the history and each project's record.",
        Level.STANDARD: f"Refresh the job list. With {PRIVILEGE}: accept, reject, link, import and archive.",
        Level.ADMIN: "Change the settings and job templates, pause exports, see mails and approvers.",
    },
    "projects": {
        Level.NONE: "The tool is not shown.",
        Level.READ_ONLY: "View projects, and comment on them.",
        Level.STANDARD: "The same as Read Only.",
        Level.ADMIN: "Create, edit, send, retrieve and import projects.",
    },
    "directory": {
        Level.NONE: "The tool is not shown.",
        Level.READ_ONLY: "View the people and what each may do.",
        Level.STANDARD: "The same as Read Only.",
        Level.ADMIN: "Add people, change what they may do, and sign them out.",
    },
}
LARGEST_ANONYMOUS_FORM = 128 * 1024  # bytes; a larger one would cost its sender nothing to make, and us time to read
LARGEST_ID = 2**31 - 1  # what a database's integer holds
View = TypeVar("View", bound=Callable[..., Any])


@dataclass(frozen=True)
class Rule:
    """A route's requirement: a level per tool, perhaps the privilege."""

    erp: Level = Level.NONE
    projects: Level = Level.NONE
    directory: Level = Level.NONE
    push: bool = False
    public: bool = False
    or_sender: bool = False  # whoever sent the project may see it all the same

    def hidden_from(self, person: Person) -> bool:
        """The tool is not there for this person at all."""
        return any(getattr(person, tool) is Level.NONE for tool in TOOLS if getattr(self, tool) is not Level.NONE)

    def missing(self, person: Person) -> list[str]:
        lacks = [
            f"{name} {needed.label}{'' if needed is Level.ADMIN else ' or more'}"
            for tool, name in TOOLS.items()
            if not getattr(person, tool) >= (needed := getattr(self, tool))
        ]
        return lacks + [f"the privilege {PRIVILEGE}"] * (self.push and not person.may_push)


APPROVER = Rule(erp=Level.STANDARD, push=True)
ERP_ADMIN = Rule(erp=Level.ADMIN)
PROJECT_ADMIN = Rule(projects=Level.ADMIN)


def requires(rule: Rule) -> Callable[[View], View]:
    def label(view: View) -> View:
        view.access_rule = rule  # type: ignore[attr-defined]  # a function carries its label
        return view

    return label


def changes_nothing(view: View) -> View:
    """Label a view that is asked by POST and only reads, so that it does not wait for those who write."""
    view.changes_nothing = True  # type: ignore[attr-defined]  # a function carries its label
    return view


def from_anywhere(view: View) -> View:
    """Label a view that other sites may post to, because a signed token in its address decides."""
    view.from_anywhere = True  # type: ignore[attr-defined]  # a function carries its label
    return view


public = requires(Rule(public=True))
signed_in = requires(Rule())


def may(rule: Rule) -> bool:
    return not rule.missing(current_user._get_current_object())


def refusal(person: Person, rule: Rule) -> str:
    return f"You need {' and '.join(rule.missing(person))} for this. {who_can_grant(rule.push and not person.may_push)}"


def who_can_grant(privilege: bool) -> str:
    helpers = select(Person.name).where(Person.directory_admins()).order_by(Person.name)
    names = db.session.scalars(helpers.where(Person.holders()) if privilege else helpers).all()
    return f"{' or '.join(names) or 'Whoever runs the server, with flask users,'} can grant it."


def log_refusal(reason: str) -> None:
    """Log the route's pattern and the person's id, never typed text or tokens."""
    who = current_user.id if current_user.is_authenticated else "nobody signed in"
    where = request.url_rule or "no such address"
    current_app.logger.warning(
        "refused %s %s to %s from %s: %s", request.method, where, who, request.remote_addr, reason
    )


def guard() -> Any:
    """Before every request: our own address, our own pages, and the label of the route."""
    _refuse_other_hosts()
    _refuse_other_sites()
    if request.endpoint is None:
        return None  # no such address, which Flask says by itself
    if any(isinstance(value, int) and value > LARGEST_ID for value in (request.view_args or {}).values()):
        abort(404)
    rule: Rule | None = getattr(current_app.view_functions[request.endpoint], "access_rule", None)
    if rule is None:
        raise Forbidden("This page is closed: it does not say who may open it.")
    if rule.public and request.method in SAFE_METHODS:
        return None
    if not current_user.is_authenticated:
        request.max_content_length = LARGEST_ANONYMOUS_FORM
        return None if rule.public else login_manager.unauthorized()
    if rule.public:
        return None
    return None if rule.or_sender and _is_sender() else _check(rule)


def _check(rule: Rule) -> None:
    person = current_user._get_current_object()  # and not through the proxy, which looks each time
    if rule.hidden_from(person):
        log_refusal("the tool is not there for this person")
        abort(404)
    if rule.missing(person):
        raise Forbidden(refusal(person, rule))


def _is_sender() -> bool:
    project = db.session.get(Project, (request.view_args or {}).get("project_id"))
    return project is not None and project.sent_by_id == current_user.id


def _refuse_other_hosts() -> None:
    """The Host header is ours, with our port. The answer is plain text, because no page has its links now."""
    host = request.headers.get("Host", "")
    if host == current_app.config["SERVER_NAME"]:
        return
    base = urlsplit(current_app.config["BASE_URL"])
    if _place(f"{base.scheme}://{host}") != _place(base.geturl()):
        log_refusal("another host")
        abort(Response(f"Countersign answers at {base.geturl()} only.\n", 400, mimetype="text/plain"))


def _refuse_other_sites() -> None:
    """An unsafe request comes from one of our own pages. On plain HTTP browsers send no Sec-Fetch-Site."""
    view = current_app.view_functions.get(request.endpoint or "")
    if request.method in SAFE_METHODS or getattr(view, "from_anywhere", False):
        return
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    ours = origin is None or _place(origin) == _place(current_app.config["BASE_URL"])
    if site not in (None, "same-origin") or not ours:
        raise Forbidden("This came from another site, so nothing was done. Open Countersign itself and try again.")


def _place(address: str) -> tuple[str, str | None, int | None] | None:
    """Scheme, host and port of an address, however it is written; None where it is none."""
    try:
        parts = urlsplit(address)
        return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        return None
