"""Demo data: a small general contractor's people and projects, told through the product's own rules.

Each project of projects.csv has a story; its events are dated back, so that the demo looks like a company at work.
"""

import csv
from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path

from sqlalchemy import delete, func, select
from sqlalchemy import event as sa_event
from sqlalchemy.orm import ORMExecuteState

from dev.demo.bulk import seed_many
from dev.demo.bulk_insert import bypass_wal
from erp import rules
from extensions import db, writing
from models import INFORMATION, Delivery, Event, Export, Job, Level, Person, Project, Setting, SettingName, utcnow
from services import accounts, comments, update_form, workflow

COMPANY_CODE = "HB"
PASSWORD = "level-and-plumb"  # noqa: S105 - printed for everybody
CAST: tuple[tuple[str, str, Level, Level, Level, bool], ...] = (
    # role, name, erp, projects, directory, can push
    ("Project manager", "Kari Iversen", Level.NONE, Level.ADMIN, Level.NONE, False),
    ("Estimator", "Ruben Chen", Level.READ_ONLY, Level.READ_ONLY, Level.NONE, False),
    ("Accounting approver", "Dana Whitfield", Level.ADMIN, Level.READ_ONLY, Level.NONE, True),
    ("Second approver", "Marcus Reed", Level.STANDARD, Level.READ_ONLY, Level.NONE, True),
    ("Administrator", "Ingrid Solberg", Level.READ_ONLY, Level.READ_ONLY, Level.ADMIN, True),
)
TEMPLATES = {
    "T-COMM": {"Customer_Code": "CASCREST", "Division": "1", "Cost_Center": "TACOMA", "Price_Method_Code": "F"},
    "T-TI": {"Division": "2", "Cost_Center": "SEATTLE", "Price_Method_Code": "C"},
    "T-CIVIL": {"Customer_Code": "PIERCECO", "Division": "3", "Cost_Center": "TACOMA", "Price_Method_Code": "U"},
    "T-PUBLIC": {"Customer_Code": "PUYALLUPSD", "Division": "1", "Cost_Center": "OLYMPIA", "Price_Method_Code": "F"},
    "T-RESI": {"Customer_Code": "HARBORLITE", "Division": "5", "Cost_Center": "OLYMPIA", "Price_Method_Code": "C"},
    "T-SERVICE": {"Division": "4", "Cost_Center": "SERVICE", "Price_Method_Code": "T"},
}


MARKED = {
    "T-COMM": ("Template Commercial", "Y"),
    "T-TI": ("Template Tenant Improve", "Y"),
    "T-CIVIL": ("Template Civil Unit Price", "Y"),
    "T-PUBLIC": ("Template Public Works", "N"),
}


def address(name: str) -> str:
    return f"{name.lower().replace(' ', '.')}@halvorsen.example"


def seed(many: int = 0, progress: Callable[[str], object] = lambda line: None) -> str:
    """Fill an empty or a demo database, once: with the stories, or with `many` projects instead.

    Returns what was done; `progress` is told how far it is. Raises ValueError for any other database.
    """
    if many:
        bypass_wal()
    with writing():
        filled = Setting.read(SettingName.DEMO, [])
        if not filled and any(db.session.scalar(select(func.count()).select_from(each)) for each in (Person, Project)):
            raise ValueError("This database is in use already; demo data goes into an empty one only.")
        if many in filled:
            return "The demo data is there already."
        if many and max(filled, default=0) > 0:
            raise ValueError(f"This database has {max(filled)} such projects already; only an empty one takes others.")
        Setting.write(SettingName.DEMO, [*filled, many])
        cast = {row[1]: _person(*row[1:]) for row in CAST}
        if many:
            seed_many(many, cast["Kari Iversen"], cast["Dana Whitfield"], COMPANY_CODE, progress)
            return f"{many} projects and {len(cast)} people."
        _mark_templates()
        rows = list(csv.DictReader((Path(__file__).parent / "projects.csv").read_text("utf-8").splitlines()))
        for row in rows:
            begins = utcnow() - timedelta(days=int(row["days"]))
            _tell(row, Story(cast["Kari Iversen"], cast["Dana Whitfield"], begins))
        db.session.execute(delete(Delivery))  # the mails of the past were read long ago
    return f"{len(rows)} projects and {len(cast)} people."


def _person(name: str, erp: Level, projects: Level, directory: Level, can_push: bool) -> Person:
    if known := Person.by_email(address(name)):
        return known
    person = Person(email=address(name), name=name, erp=erp, projects=projects, directory=directory, can_push=can_push)
    accounts.set_password(person, PASSWORD)
    db.session.add(person)
    return person


def _mark_templates() -> None:
    """Offer some of the templates, with Taxable remembered; the first refresh of the job list completes them."""
    for number, (name, taxable) in MARKED.items():
        raw = {"Job_Number": number, "Job_Description": name, **TEMPLATES[number]}
        template = Job.upsert(rules().job_from_raw(raw))
        template.is_template, template.taxable = True, taxable


class Story:
    """The verbs of the product, a few hours apart, beginning at a moment in the past."""

    def __init__(self, manager: Person, approver: Person, begins: datetime) -> None:
        self.manager, self.approver, self.now = manager, approver, begins

    def dated(self) -> None:
        """Have what just happened written down, dated back to its place in the story; the next comes later."""
        db.session.flush()
        self.now += timedelta(hours=5)

    def create(self, information: dict[str, object]) -> Project:
        project = workflow.create(self.manager, information)
        project.created_at = self.now
        self.dated()
        return project

    def send(self, project: Project, note: str = "") -> None:
        workflow.send(project, self.manager, note)
        project.sent_at = self.now
        self.dated()

    def accept(self, project: Project, template: str, **typed: str) -> Export:
        decided = {"job_number": project.number, "job_name": project.name[:25], "taxable": "Y", **typed}
        lines = rules().build_request(project.information, decided, TEMPLATES[template])
        workflow.accept(project, self.approver, lines, Job(number=template), COMPANY_CODE)
        export = project.export
        assert export
        export.accepted_at = self.now
        export.due_at = None
        self.dated()
        return export


def _tell(row: dict[str, str], story: Story) -> None:
    information: dict[str, object] = {column: row[column] for column in INFORMATION}
    for column in ("start_date", "completion_date"):
        information[column] = date.fromisoformat(row[column]) if row[column] else None

    def date_back(state: ORMExecuteState) -> None:
        if state.statement is Event.INSERT:
            state.parameters["at"] = story.now  # type: ignore[index]  # one row's

    sa_event.listen(db.session, "do_orm_execute", date_back)
    project = story.create(information)
    STORIES[row["story"]](story, project, row["detail"])
    db.session.flush()
    sa_event.remove(db.session, "do_orm_execute", date_back)


def _inactive(story: Story, project: Project, _detail: str) -> None:
    workflow.set_active(project, story.manager, False)
    story.dated()


def _asked(story: Story, project: Project, question: str) -> None:
    story.send(project)
    comments.add(project, story.approver, question, "", answer_needed=True)
    story.dated()


def _retrieved(story: Story, project: Project, _detail: str) -> None:
    story.send(project)
    workflow.retrieve(project, story.manager)
    story.dated()


def _rejected(story: Story, project: Project, comment: str) -> None:
    story.send(project)
    workflow.reject(project, story.approver, comment)
    story.dated()


def _synced(story: Story, project: Project, template: str) -> None:
    story.send(project)
    export = story.accept(project, template)
    export.sent_at = export.created_at = export.finished_at = story.now
    workflow.mark_exported(project)
    story.dated()


def _exporting(story: Story, project: Project, template: str) -> None:
    """Never due, so that the demo keeps one on its way; Take Back releases it."""
    story.send(project)
    export = story.accept(project, template)
    export.error = "The demo holds this one back, so that there is an export to look at. Take Back releases it."


def _checking(story: Story, project: Project, template: str) -> None:
    """Its number is a job that Spectrum's operator may not see, so looking would never settle it; it is not due.

    Being looked for all day, it would raise the alarm of an export that is stuck.
    """
    story.send(project)
    export = story.accept(project, template)
    export.sent_at, export.checks, export.resent, export.step = story.now, 8, True, "Checking"
    cause = "Spectrum did not answer in time; the job may exist."
    workflow.mark_unknown(project, cause)
    export.error = cause
    story.dated()


def _refused(story: Story, project: Project, template: str) -> None:
    story.send(project)
    export = story.accept(project, template, customer="HARBRLITE")
    _fail(
        story,
        export,
        "Spectrum refused to create the job: Customer: Customer Code HARBRLITE is invalid.",
        [["Customer_Code", "Customer Code HARBRLITE is invalid."]],
    )


def _another(story: Story, project: Project, number: str) -> None:
    story.send(project)
    export = story.accept(project, "T-SERVICE", job_number=number)
    export.conflicting_job = {"Job_Number": number, "Job_Description": "City Shops HVAC Renewal", "Status_Code": "A"}
    _fail(story, export, f"Job {number} already exists in Spectrum and is not this project.", [], keep_job=True)


def _fail(story: Story, export: Export, cause: str, messages: list[list[str]], keep_job: bool = False) -> None:
    export.sent_at = export.finished_at = story.now
    export.error, export.field_errors = cause, messages
    workflow.mark_failed(export.project, cause, keep_job=keep_job)
    story.dated()


def _to_update(story: Story, project: Project, changes: str) -> None:
    """`changes` reads `phone=253-555-0199; city=Fife`."""
    _synced(story, project, "T-COMM")
    values = dict(change.split("=") for change in changes.split("; "))
    workflow.edit(project, story.manager, project.information | values)
    story.dated()
    story.send(project, "Please change this in Spectrum as well.")


def _updating(story: Story, project: Project, changes: str) -> None:
    """Never due, as the export that is held back."""
    _to_update(story, project, changes)
    form = update_form.UpdateForm(project, frozenset(each.column for each in update_form.changes(project)))
    workflow.accept_update(project, story.approver, form.request, update_form.accepted_values(project))
    assert project.export
    project.export.accepted_at, project.export.due_at = story.now, None
    project.export.error = "The demo holds this one back, so that there is an update to look at. Take Back releases it."
    story.dated()


def _update_refused(story: Story, project: Project, changes: str) -> None:
    _updating(story, project, changes)
    assert project.export
    cause = "Spectrum did not accept the update: State is invalid, value does not match specified field mask."
    _fail(story, project.export, cause, [["State", "State is invalid, value does not match specified field mask"]])


STORIES: dict[str, Callable[[Story, Project, str], None]] = {
    "not sent": lambda _story, _project, _detail: None,
    "ready": Story.send,
    "asked": _asked,
    "inactive": _inactive,
    "retrieved": _retrieved,
    "rejected": _rejected,
    "synced": _synced,
    "exporting": _exporting,
    "checking": _checking,
    "refused": _refused,
    "another": _another,
    "to update": _to_update,
    "updating": _updating,
    "update refused": _update_refused,
}
