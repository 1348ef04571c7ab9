"""The accept form: its first values, its errors, and the request that Spectrum will receive.

It stands between a request and `workflow.accept`; it reads the job list and other projects, and changes nothing.
Whether a job number is free stands in `job_numbers`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from sqlalchemy import bindparam

from erp import FieldValue, job_key, rules
from extensions import db
from lib.distinct import distinct_values
from models import Customer, Export, Job, Person, Project, Setting, SettingName
from services import connection_state, failure, job_numbers

FIELDS = tuple(each.key for each in rules().accept_fields)
OWN_FIELDS = ("job_number", "job_name")  # each project's; among many under one template the rest is shared
TEMPLATE = Job.template_choices().where(Job.key == bindparam("key"))
LATELY = 3  # templates
CHOOSABLE = ("division", "customer", "price_type", "taxable")  # fields that a setting can require
SUGGESTED = {"division": Job.division, "cost_center": Job.cost_center}


@dataclass
class AcceptForm:
    """One accept form, filled: texts by field name, the template, and what is wrong, by field name."""

    project: Project
    template: Job | None
    typed: dict[str, str]
    errors: dict[str, str] = field(default_factory=dict)

    @cached_property
    def lines(self) -> list[FieldValue]:
        if self.template is None:
            return rules().build_request(self.project.information, self.typed)
        defaults = self.template.defaults | {"taxable": self.template.taxable}
        return rules().build_request(self.project.information, self.typed, self.template.row, defaults)

    @cached_property
    def number_check(self) -> job_numbers.NumberCheck:
        return job_numbers.check(self.typed["job_number"], self.project)

    @property
    def customer_note(self) -> str:
        """The customer's name, or what is odd about its code, as a sentence; "" where nothing is known."""
        code = self.typed["customer"]
        if customer := Customer.by_code(code):
            return customer.name if customer.active else f"{customer.title} is inactive in Spectrum."
        listed = connection_state.job_list().get("customers")
        return f"Spectrum's customer list has no {code}. Check the code before you export." if code and listed else ""

    @property
    def customers(self) -> Mapping[str, str]:
        of_jobs = dict.fromkeys(_codes(Job.customer_code), "")
        return of_jobs | {customer.code: customer.name for customer in Customer.choices()}

    @property
    def suggestions(self) -> dict[str, list[str]]:
        return {name: _codes(column) for name, column in SUGGESTED.items()}

    @property
    def other_errors(self) -> list[str]:
        return [sentence for key, sentence in rules().problems(self.lines).items() if key not in FIELDS]

    def check(self) -> bool:
        """Fill `errors` with everything that Spectrum, or another project, stands against; True when nothing does."""
        self.errors = rules().problems(self.lines)
        if self.template is None:
            self.errors["template"] = "Select a job template."
        if not self.typed["job_name"]:
            self.errors["job_name"] = "Enter a name for the job."
        if not self.typed["taxable"]:
            self.errors["taxable"] = "Choose Yes or No."
        for key in required_fields():
            if not self.typed[key]:
                self.errors.setdefault(key, f"{rules().label(key)} is missing. Your company requires it.")
        if not self.number_check.usable:
            self.errors["job_number"] = self.number_check.sentence
        return not self.errors


def required_fields() -> list[str]:
    """The fields that an acceptance must fill because the settings say so, beside those that Spectrum requires."""
    return list(Setting.read(SettingName.REQUIRED, []))


def initial(project: Project, by: Person | None = None, taken_in_form: Iterable[str] = ()) -> AcceptForm:
    if project.export:
        typed = dict.fromkeys(FIELDS, "") | rules().typed(project.export.lines)
        template = _find_template(project.export.template_number)
        return AcceptForm(project, template, typed, failure.field_errors(project.export))
    template = _last_template(by) or _only_template()
    start = {
        "job_number": job_numbers.initial(project, taken_in_form),
        "job_name": rules().shorten(project.name),
    }
    return AcceptForm(project, template, dict.fromkeys(FIELDS, "") | start | _starting_values(template))


def from_form(project: Project, form: Mapping[str, str]) -> AcceptForm:
    """The form as it was filled. Where another template was chosen since, values that nobody touched follow it."""
    typed = {name: " ".join(form.get(name, "").split()) for name in FIELDS}
    typed["customer"] = Customer.code_of(typed["customer"])
    template, shown = _find_template(form.get("template", "")), form.get("template_shown", "")
    if template is not None and template.number != shown:
        before, after = (_starting_values(job) for job in (Job.by_number(shown), template))
        typed |= {name: after[name] for name in after if typed[name] == before[name]}
    return AcceptForm(project, template, typed)


# --- many under one template ----------------------------------------------------------------------------------------


def initial_many(projects: Iterable[Project], by: Person | None = None) -> list[AcceptForm]:
    forms: list[AcceptForm] = []
    for project in projects:
        forms.append(initial(project, by, [form.typed["job_number"] for form in forms]))
    return forms


def from_form_many(projects: Sequence[Project], form: Mapping[str, str]) -> list[AcceptForm]:
    """A form for each project as they were filled; a project's own fields end in `-<id>`.

    A customer of its own stands in for the one of all.
    """
    return [from_form(project, {**form, **_own_fields(project, form)}) for project in projects]


def _own_fields(project: Project, form: Mapping[str, str]) -> dict[str, str]:
    own = {name: form.get(f"{name}-{project.id}", "") for name in OWN_FIELDS}
    customer = form.get(f"customer-{project.id}", "").strip()
    return own | ({"customer": customer} if customer else {})


def check_many(forms: Sequence[AcceptForm]) -> bool:
    """Fill each form's errors, also where two of them ask for one number; True when there are none."""
    keys = [job_key(form.typed["job_number"]) for form in forms]
    for form, key in zip(forms, keys, strict=True):
        if form.check() and keys.count(key) > 1:
            form.errors["job_number"] = job_numbers.TWICE
    return not any(form.errors for form in forms)


def _codes(column: Any) -> list[str]:
    return [code for code in distinct_values(column, Job.removed_at.is_(None)) if code]


def _find_template(number: str) -> Job | None:
    return db.session.scalar(TEMPLATE, {"key": job_key(number)})


def template_groups(by: Person) -> dict[str, list[Job]]:
    """The job templates to choose from, by heading: those that the approver used lately, and the others."""
    offered, used = Job.offered_templates(), _templates_used(by)
    others = "Templates" if any(job.is_template for job in offered) else "All Jobs"
    groups = {"Used Lately": used, others: [job for job in offered if job not in used]}
    return {label: jobs for label, jobs in groups.items() if jobs}


def _last_template(by: Person | None) -> Job | None:
    return next(iter(_templates_used(by)), None) if by else None


def _templates_used(by: Person) -> list[Job]:
    return [job for number in Export.templates_used(by)[:LATELY] if (job := _find_template(number))]


def _only_template() -> Job | None:
    offered = Job.offered_templates(limit=2)
    return offered[0] if len(offered) == 1 else None


def _starting_values(template: Job | None) -> dict[str, str]:
    share = rules().starting_values(template.row if template else {})
    taxable = template.taxable if template else ""
    return share | {"taxable": taxable or Customer.taxable_of(share["customer"])}
