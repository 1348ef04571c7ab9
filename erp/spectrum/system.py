"""Spectrum as the port's Rules describe it: form keys and columns on one side, Spectrum's elements on the other."""

from collections.abc import Sequence
from typing import Any

from erp import Comparison, ErpJob, FieldValue, FormField, Project, Request, Texts, is_damaged
from erp.spectrum import mapping, rules
from erp.spectrum.abbreviations import shorten
from erp.spectrum.fields import (
    CREDENTIALS,
    FORM_ELEMENTS,
    LABELS,
    PRICE_METHODS,
    PROJECT_ELEMENTS,
    REPEATED,
    SERVICES,
    STARTING,
    UPDATE_ELEMENTS,
    Field,
    parameters,
)
from erp.spectrum.salvage import LOST, unescape

# One job's own: never the same for each job of a template.
ONE_JOBS_OWN = (
    *("Contract_Number", "Original_Contract", "Status_Code", "Standard_Phase_Category"),
    *("Start_Date", "Complete_Date", "Create_Date"),
)
USUAL_DEFAULTS = (
    *("Job_Type", "Tax_Class_Code", "Certified_Flag", "Work_Comp_Code", "Wage_Rate_Level"),
    *("Work_State_Tax_Code", "Work_County_Tax_Code", "Work_Local_Tax_Cod"),
)
COLUMN_LABELS = {"number": "Project Number", "name": "Project Name"} | {
    column: LABELS[element] for column, element in PROJECT_ELEMENTS.items()
}
LIMITED = ("address_1", "address_2", "city", "zip")  # a phone loses its dashes, and the others are chosen

_ADD_JOB = {field.element: field for field in parameters("AddJob")}
_KEYS = {element: key for key, element in [*PROJECT_ELEMENTS.items(), *FORM_ELEMENTS.items()]}
_UPDATE_KEYS = {element: key for key, element in UPDATE_ELEMENTS.items()}
_WORDS = {"Price_Method_Code": PRICE_METHODS, "Taxable_Flag": {"Y": "Yes", "N": "No"}}


def _form_field(key: str, field: Field, **more: Any) -> FormField:
    choices = _WORDS.get(field.element) or {code: code for code in rules.CHOICES.get(field.element, "")}
    return FormField(key, LABELS[field.element], field.max, field.required, choices, **more)


class SpectrumRules:
    """Spectrum's rules, without a call to it."""

    name = "Spectrum"
    name_length = _ADD_JOB["Job_Description"].max
    services = tuple(SERVICES)
    states = rules.STATES
    limits = {column: _ADD_JOB[PROJECT_ELEMENTS[column]].max for column in LIMITED}
    accept_fields = tuple(_form_field(key, _ADD_JOB[element]) for key, element in FORM_ELEMENTS.items())
    default_fields = tuple(
        _form_field(
            field.element,
            field,
            usual=field.element in USUAL_DEFAULTS,
            hint="" if field.element == "Work_Local_Tax_Cod" else field.note,  # the note is about the element's name
        )
        for field in _ADD_JOB.values()
        if field.element not in (*CREDENTIALS, *FORM_ELEMENTS.values(), *PROJECT_ELEMENTS.values(), *ONE_JOBS_OWN)
    )
    update_fields = tuple(
        FormField(column, COLUMN_LABELS[column], _ADD_JOB[element].max) for column, element in UPDATE_ELEMENTS.items()
    )

    def label(self, key: str) -> str:
        return COLUMN_LABELS.get(key) or LABELS.get(FORM_ELEMENTS.get(key, key), key)

    def form_key(self, key: str) -> str:
        return _KEYS.get(key, key)

    def job_number_problem(self, number: str) -> str | None:
        return rules.job_number_problem(number)

    def shorten(self, name: str) -> str:
        return shorten(name, self.name_length)

    def project_problems(self, project: Project) -> dict[str, str]:
        found = rules.problems(mapping.from_project(project))
        return {column: found[element] for column, element in PROJECT_ELEMENTS.items() if element in found}

    def project_changes(self, project: Project) -> dict[str, str]:
        said, name = {}, str(project["name"])
        if len(name) > self.name_length:
            said["name"] = (
                f"Spectrum allows {self.name_length} characters; "
                f"accounting will shorten it, for example to “{self.shorten(name)}”."
            )
        if problem := self.job_number_problem(str(project["number"])):
            said["number"] = f"Accounting chooses another number for Spectrum. {problem}"
        return said

    def starting_values(self, template: Texts) -> dict[str, str]:
        share = mapping.from_template(template)
        return {key: share[FORM_ELEMENTS[key]] for key in STARTING}

    def build_request(
        self, project: Project, typed: Texts, template: Texts | None = None, defaults: Texts | None = None
    ) -> list[FieldValue]:
        return mapping.build_request(project, template or {}, _by_element(typed), _by_element(defaults or {}))

    def build_update(self, number: str, changes: Project) -> list[FieldValue]:
        values = {UPDATE_ELEMENTS[column]: value for column, value in changes.items()}
        texts = {"Job_Number": number} | {element: mapping.as_sent(element, value) for element, value in values.items()}
        return [
            FieldValue(field.element, LABELS[field.element], texts[field.element], "project")
            for field in parameters("UpdateJob")
            if texts.get(field.element)
        ]

    def update_values(self, project: Project) -> dict[str, str]:
        values = {column: mapping.as_sent(element, project[column]) for column, element in UPDATE_ELEMENTS.items()}
        return values | {"name": self.shorten(values["name"])}

    def job_values(self, raw: Texts, dates: Texts | None = None) -> dict[str, str]:
        there = {**(dates or {}), **raw}
        read = {column: there[element] for column, element in UPDATE_ELEMENTS.items() if element in there}
        return {column: unescape(value.strip()) for column, value in read.items()}

    def unread_value(self, job: Texts, dates: Texts) -> str:
        there = {"Create_Date": LOST, **dates, **job}
        whole = there | {"Status_Code": there.get("Status_Code", "").strip() or LOST}  # no job is without a status
        return next((LABELS[element] for element in REPEATED if is_damaged(whole[element])), "")

    def same_value(self, column: str, sent: str, there: str) -> bool:
        return mapping.same(UPDATE_ELEMENTS[column], sent, there)

    def thaw(self, frozen: Sequence[Sequence[str]]) -> list[FieldValue]:
        return [FieldValue(element, self.label(element), value, source) for element, value, source in frozen]

    def typed(self, request: Request) -> dict[str, str]:
        values = values_of(request)
        return {key: values.get(element, "") for key, element in FORM_ELEMENTS.items()}

    def problems(self, request: Request) -> dict[str, str]:
        return {_KEYS.get(element, element): told for element, told in rules.problems(values_of(request)).items()}

    def update_problems(self, request: Request) -> dict[str, str]:
        found = rules.problems(values_of(request))
        return {_UPDATE_KEYS[each.key]: found[each.key] for each in request if each.key in _UPDATE_KEYS.keys() & found}

    def default_problems(self, defaults: Texts) -> dict[str, str]:
        return {element: told for element, told in rules.problems(defaults).items() if element in defaults}

    def job_from_request(self, request: Request) -> ErpJob:
        return mapping.to_job(values_of(request))

    def job_from_raw(self, raw: Texts) -> ErpJob:
        return mapping.to_job(raw)

    def project_from_job(self, raw: Texts, dates: Texts | None = None) -> dict[str, object]:
        return mapping.to_project({**raw, **(dates or {})})

    def differences(self, request: Request, job: Texts, dates: Texts | None = None) -> list[FieldValue]:
        sources = {each.key: each.source for each in request}
        differing = mapping.differing(values_of(request), {**(dates or {}), **job})
        return [FieldValue(element, self.label(element), there, sources[element]) for element, there in differing]

    def compare(self, project: Project, job: Texts, dates: Texts | None = None) -> list[Comparison]:
        there = {**(dates or {}), **job}
        named = {"Job_Number": str(project["number"]), "Job_Description": str(project["name"])}
        ours = named | mapping.from_project(project)
        columns = {"Job_Number": "number", **_UPDATE_KEYS}
        differing = dict(mapping.differing(ours, there))
        return [
            Comparison(columns[each], LABELS[each], ours[each], unescape(there[each]), each in differing)
            for each in ours
            if each in there
        ]


def values_of(request: Request) -> dict[str, str]:
    return {each.key: each.value for each in request}


def _by_element(texts: Texts) -> dict[str, str]:
    return {FORM_ELEMENTS.get(key, key): value for key, value in texts.items()}
