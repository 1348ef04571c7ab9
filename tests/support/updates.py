"""A project with its job in a Spectrum in memory, and its update as far as a test wants it."""

from typing import Any

from support.fake_erp import FakeERP
from support.jobs import compose

from erp.spectrum.fields import UPDATE_ELEMENTS
from extensions import db
from models import Job, Person, Project, Status
from services import update_form, workflow
from tasks import exports, updates


class UpdateStory:
    """The people's and Spectrum's moves around one project that is a job."""

    def __init__(self, erp: FakeERP, project: Project, manager: Person, approver: Person, template: Job) -> None:
        self.erp, self.project, self.manager, self.approver = erp, project, manager, approver
        workflow.send(project, manager)
        typed = {"Job_Number": project.number, "Job_Description": project.name[:25], "Taxable_Flag": "Y"}
        lines = compose(project.information, template.row, typed | {"Price_Method_Code": "F"})
        workflow.accept(project, approver, lines, template, "HB")
        db.session.commit()
        self.run()
        assert project.status is Status.SYNCED
        self.job["Create_Date"] = "01/05/2026"

    @property
    def job(self) -> dict[str, str]:
        """The job in Spectrum, by element."""
        return self.erp.kept[str(self.project.job_key)]

    def change_job(self, **columns: str) -> None:
        """Somebody changes the job in Spectrum."""
        for column, value in columns.items():
            self.job[UPDATE_ELEMENTS[column]] = value

    def send(self, **changes: Any) -> None:
        workflow.edit(self.project, self.manager, self.project.information | changes)
        workflow.send(self.project, self.manager)
        db.session.commit()

    def read(self) -> update_form.UpdateForm:
        """The form as it opens, with the job just read."""
        worked, why = updates.read_job(self.erp, self.project.id)
        assert worked, why
        db.session.expire_all()
        return update_form.initial(self.project)

    def accept(self, *columns: str) -> None:
        """Accept what opens ticked, or these columns."""
        form = self.read()
        form.ticked = frozenset(columns) or form.ticked
        form.seen = {line.change.column: line.there for line in form.lines if line.change.column in form.ticked}
        assert form.check(), form.errors
        workflow.accept_update(self.project, self.approver, form.request, form.seen)
        db.session.commit()

    def run(self) -> None:
        exports.run_due(self.erp)
        db.session.expire_all()
