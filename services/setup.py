"""The first day: the steps until Countersign is set up, each with the page or the command that does it."""

from dataclasses import dataclass

from flask import current_app
from sqlalchemy import exists, func, select

from extensions import db
from models import Counter, Delivery, Job, MailOutcome, Person, Setting, SettingName, Status, TaskKind, TaskRequest
from services import mail_settings
from services.cache import cached

INSTALLED = "/opt/countersign"  # where deploy/install puts a release


@dataclass(frozen=True)
class Step:
    """One step; `page` is an endpoint with the words of its link, `command` the end of a command on the server."""

    title: str
    done: bool
    text: str
    page: tuple[str, str] | None = None
    command: str = ""


def is_directory_empty() -> bool:
    return cached("directory is empty", lambda: not db.session.scalar(select(exists(Person.id))))


def has_projects() -> bool:
    return any(Counter.read().get(status) for status in Status)


def remaining_steps() -> int:
    return cached("steps of the set-up", lambda: sum(not step.done for step in list_steps()))


def list_steps() -> list[Step]:
    return [_database(), _spectrum(), _mail(), _second_approver(), _templates(), _first_project()]


def command(rest: str) -> str:
    installed = current_app.root_path.startswith(INSTALLED)
    return f"{'sudo countersign' if installed else '.venv/bin/flask --app app'} {rest}"


def _database() -> Step:
    name = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}[db.engine.dialect.name]
    return Step("Database", True, f"Countersign keeps its data in {name}.")


def _spectrum() -> Step:
    contact, jobs = Setting.read(SettingName.CONTACT) or {}, Setting.read(SettingName.JOB_LIST) or {}
    title, page = "Spectrum connection", ("settings.index", "Settings")
    if not current_app.config["SPECTRUM_URL"]:
        names = "SPECTRUM_URL, SPECTRUM_COMPANY_CODE and SPECTRUM_AUTHORIZATION_ID"
        text = f"Set {names} on the server, and restart Countersign. Then test the connection:"
        return Step(title, False, text, command="spectrum check")
    if not contact.get("connected"):
        return Step(title, False, "Spectrum has not answered yet. Test the connection.", page)
    if not jobs.get("at"):
        return Step(title, False, "Spectrum answers. Its job list hasn't been loaded yet; refresh it.", page)
    return Step(title, True, "Spectrum answers, and its job list is loaded.", page)


def _mail() -> Step:
    title, page = "Mail", ("mails.index", "Mails")
    if not mail_settings.is_set_up():
        text = "Set MAIL_SERVER on the server, and restart Countersign. Until then no email goes out. Then test it:"
        return Step(title, False, text, command="mail check you@example.com")
    tested = TaskRequest.last(TaskKind.TEST_MAIL)
    sent = (tested and tested.succeeded) or db.session.scalar(
        select(Delivery.id).where(Delivery.outcome == MailOutcome.SENT).limit(1)
    )
    if (Setting.read(SettingName.MAIL) or {}).get("held"):
        return Step(title, False, "The last email could not be sent. See why, and fix it.", page)
    return Step(title, bool(sent), "Email goes out." if sent else "No email was sent yet. Send a test mail.", page)


def _second_approver() -> Step:
    able = db.session.scalar(select(func.count()).where(Person.approvers(), Person.can_sign_in())) or 0
    told = {0: "Nobody can accept projects yet.", 1: "Only one person can accept projects."}
    advice = " Give two people ERP Integrations Standard and Can Push to Accounting, so that work doesn't stop."
    text = told[able] + advice if able in told else f"{able} people can accept projects."
    return Step("Second approver", able > 1, text, ("directory.index", "Company Directory"))


def _templates() -> Step:
    marked = Job.count_templates()
    some = "Choose the Spectrum jobs that new jobs are made from. Until then every active job is offered."
    text = f"{marked} marked." if marked else some
    return Step("Job templates", marked > 0, text, ("settings.index", "Settings"))


def _first_project() -> Step:
    done = has_projects()
    text = "There are projects." if done else "Add a project, or import the projects that you have as a CSV file."
    return Step("First project", done, text, ("projects.index", "Projects"))
