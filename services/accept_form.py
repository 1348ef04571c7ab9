"""The accept form: what it begins with, what is wrong with it, and what Spectrum will receive.

It lives between a request and `Project.accept`; it reads the job list and other projects, and changes nothing.
Whether a job number is free stands in `numbering`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from sqlalchemy import bindparam, select

from erp.spectrum.mapping import (
    CREDENTIALS,
    FieldValue,
    compose,
    from_project,
    from_template,
    job_key,
    parameters,
    problems,
    shorten,
)
from extensions import db
from models import Job, Project
from services import job_numbers

# the form's field names, and the AddJob element that each one fills
FIELDS = {
    "job_number": "Job_Number",
    "job_name": "Job_Description",
    "taxable": "Taxable_Flag",
    "customer": "Customer_Code",
    "division": "Division",
    "cost_center": "Cost_Center",
    "price_type": "Price_Method_Code",
}
STARTING = ("customer", "division", "cost_center", "price_type")
# what a template may hold a fixed value for: what nobody else gives, and what is not one job's own
ONE_JOBS_OWN = (
    *("Contract_Number", "Original_Contract", "Status_Code", "Standard_Phase_Category"),
    *("Start_Date", "Complete_Date", "Create_Date"),
)
FIXABLE = tuple(
    each
    for each in parameters("AddJob")
    if each.element not in (*CREDENTIALS, *FIELDS.values(), *from_project({}), *ONE_JOBS_OWN)
)
OFFERED = Job.offered().where(Job.key == bindparam("key"))
SUGGESTED = {"customer": Job.customer_code, "division": Job.division, "cost_center": Job.cost_center}


@dataclass
class AcceptForm:
    """One accept form, filled: texts by field name, the template, and what is wrong, by field name."""

    project: Project
    template: Job | None
    typed: dict[str, str]
    errors: dict[str, str] = field(default_factory=dict)

    @cached_property
    def lines(self) -> list[FieldValue]:
        """Every value that Spectrum will receive, with where it comes from."""
        typed = {element: self.typed[name] for name, element in FIELDS.items()}
        if self.template is None:
            return compose(self.project.information, {}, typed)
        settings = self.template.fixed | {FIELDS["taxable"]: self.template.taxable}
        return compose(self.project.information, self.template.row, typed, settings)

    @property
    def verdict(self) -> job_numbers.NumberCheck:
        """Whether the Spectrum Job ID is free."""
        return job_numbers.check(self.typed["job_number"], self.project)

    @property
    def suggestions(self) -> dict[str, list[str]]:
        """The codes that Spectrum's jobs have, by field name."""
        open_jobs = Job.removed_at.is_(None)
        return {
            name: list(db.session.scalars(select(column).where(open_jobs, column != "").distinct().order_by(column)))
            for name, column in SUGGESTED.items()
        }

    @property
    def other_errors(self) -> list[str]:
        """What Spectrum would refuse of values that this form does not ask for."""
        return [sentence for element, sentence in self._problems.items() if element not in FIELDS.values()]

    @property
    def _problems(self) -> dict[str, str]:
        return problems({line.element: line.value for line in self.lines})

    def check(self) -> bool:
        """Fill `errors` with everything that Spectrum, or another project, stands against; True when nothing does."""
        names = {element: name for name, element in FIELDS.items()}
        self.errors = {names.get(element, element): sentence for element, sentence in self._problems.items()}
        if self.template is None:
            self.errors["template"] = "Select a job template."
        if not self.typed["job_name"]:
            self.errors["job_name"] = "Enter a name for the job."
        if not self.typed["taxable"]:
            self.errors["taxable"] = "Say whether the job is taxable: Yes or No."
        if not (verdict := self.verdict).free:
            self.errors["job_number"] = verdict.sentence
        return not self.errors


def begin(project: Project, given: Iterable[str] = ()) -> AcceptForm:
    """The form as it opens: from the project and the only template there is, or with the values of a failed export.

    `given` are the job numbers that other rows of the same form got.
    """
    if project.export:
        values = project.export.values
        typed = {name: values.get(element, "") for name, element in FIELDS.items()}
        return AcceptForm(project, _offered(project.export.template_number), typed)
    start = {"job_number": job_numbers.begin(project, given), "job_name": shorten(project.name)}
    template = _only_one()
    return AcceptForm(project, template, dict.fromkeys(FIELDS, "") | start | _starting_values(template))


def read(project: Project, form: Mapping[str, str]) -> AcceptForm:
    """The form as it was filled. Where another template was chosen since, values that nobody touched follow it."""
    typed = {name: " ".join(form.get(name, "").split()) for name in FIELDS}
    template, shown = _offered(form.get("template", "")), form.get("template_shown", "")
    if template is not None and template.number != shown:
        before, after = (_starting_values(job) for job in (Job.by_number(shown), template))
        typed |= {name: after[name] for name in after if typed[name] == before[name]}
    return AcceptForm(project, template, typed)


# --- many under one template: what stands in OWN is each project's, the rest is said once ---

OWN = ("job_number", "job_name")


def initial_many(projects: Iterable[Project]) -> list[AcceptForm]:
    """A form for each project as it opens, each with a number of its own."""
    forms: list[AcceptForm] = []
    for project in projects:
        forms.append(begin(project, [form.typed["job_number"] for form in forms]))
    return forms


def from_form_many(projects: Sequence[Project], form: Mapping[str, str]) -> list[AcceptForm]:
    """A form for each project as they were filled; a project's own fields end in `-<id>`."""
    shared = dict(form)
    own = ({name: form.get(f"{name}-{project.id}", "") for name in OWN} for project in projects)
    return [read(project, shared | fields) for project, fields in zip(projects, own, strict=True)]


def check_many(forms: Sequence[AcceptForm]) -> bool:
    """Fill each form's errors, also where two of them ask for one number; True when there are none."""
    keys = [job_key(form.typed["job_number"]) for form in forms]
    for form, key in zip(forms, keys, strict=True):
        if form.check() and keys.count(key) > 1:
            form.errors["job_number"] = job_numbers.TWICE
    return not any(form.errors for form in forms)


def fixed_problems(fixed: Mapping[str, str]) -> dict[str, str]:
    """What Spectrum would refuse of a template's fixed values, by element."""
    return {element: sentence for element, sentence in problems(fixed).items() if element in fixed}


def _offered(number: str) -> Job | None:
    return db.session.scalar(OFFERED, {"key": job_key(number)})


def _only_one() -> Job | None:
    """The template that is the only one offered; None where there is a choice, or nothing to choose from."""
    offered = db.session.scalars(Job.offered().limit(2)).all()
    return offered[0] if len(offered) == 1 else None


def _starting_values(template: Job | None) -> dict[str, str]:
    """What the form begins with under a template, by field name; remembered Taxable among it."""
    share = from_template(template.row if template else {})
    return {name: share[FIELDS[name]] for name in STARTING} | {"taxable": template.taxable if template else ""}
