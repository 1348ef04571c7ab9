"""The ERP settings: exports paused and resumed, job numbers, job templates, the job list confirmed.

Every change by a person is an event. Alarms are the sentences that ERP pages show while something needs a person.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import or_, select

from erp import rules
from extensions import db
from lib import formatting
from models import Counter, Event, Job, Person, Setting, SettingName, Status, TaskKind, TaskRequest, utcnow
from services import expiry
from services.cache import cached
from services.connection_state import job_list, secret_alarm

TAXABLE = {"": "Ask each time", "Y": "Yes", "N": "No"}
SHOWN = 20  # jobs that a search for templates shows


# --- what people set ------------------------------------------------------------------------------------------------


def pause(by: Person) -> None:
    if not Setting.read(SettingName.PAUSED):
        Setting.write(SettingName.PAUSED, {"by": by.name, "at": utcnow().isoformat()})
        _record(by, "paused exports")


def resume(by: Person) -> None:
    if Setting.read(SettingName.PAUSED):
        Setting.write(SettingName.PAUSED, None)
        _record(by, "resumed exports")


def set_number_pattern(by: Person, pattern: str) -> None:
    before = Setting.read(SettingName.PATTERN, "")
    if pattern != before:
        Setting.write(SettingName.PATTERN, pattern)
        _record(by, "changed the job number pattern", changes=[["Job Number Pattern", before, pattern]])


def set_required(by: Person, keys: list[str]) -> None:
    """Change the fields that an acceptance must fill beside those that Spectrum requires."""
    before = Setting.read(SettingName.REQUIRED, [])
    if keys != before:
        Setting.write(SettingName.REQUIRED, keys)
        words = [", ".join(map(rules().label, each)) for each in (before, keys)]
        _record(by, "changed the required fields", changes=[["Also Required", *words]])


def confirm_job_list(by: Person) -> None:
    last = job_list()
    if last.get("doubt"):
        Setting.write(SettingName.JOB_LIST, last | {"confirmed": last["reading"]})
        _record(by, "confirmed the job list")
    TaskRequest.ask(TaskKind.REFRESH_JOBS, by)


# --- job templates --------------------------------------------------------------------------------------------------


def template_options(job: Job) -> dict[str, Any]:
    return {name: getattr(job, name) for name in ("is_template", "taxable", "copy_phases", "defaults")}


def template_problems(options: dict[str, Any]) -> dict[str, str]:
    return rules().default_problems(options["defaults"])


def set_template(by: Person, job: Job, options: dict[str, Any]) -> None:
    old, new = _in_words(template_options(job)), _in_words(options)
    both = [(label, old.get(label, ""), new.get(label, "")) for label in {**old, **new}]
    changes = [[label, was, now] for label, was, now in both if was != now]
    if changes:
        for column, value in options.items():
            setattr(job, column, value)
        _record(by, f"changed job template {job.number}", changes=changes)


def _in_words(options: dict[str, Any]) -> dict[str, str]:
    return {
        "Offered as a job template": "yes" if options["is_template"] else "no",
        "Taxable": TAXABLE[options["taxable"]],
        "Copies its phases": "yes" if options["copy_phases"] else "no",
        **{rules().label(key): value for key, value in options["defaults"].items()},
    }


def find_templates(q: str) -> Sequence[Job]:
    if not q:
        return []
    matching = [Job.search_text.contains(word, autoescape=True) for word in q.casefold().split()]
    open_jobs = select(Job).where(Job.removed_at.is_(None), Job.status_code != "C", *matching)
    return db.session.scalars(open_jobs.order_by(Job.number).limit(SHOWN)).all()


def latest_events() -> Sequence[Event]:
    words = (
        "paused exports",
        "resumed exports",
        "changed the job number pattern",
        "changed job template %",
        "changed the required fields",
    )
    settings = or_(*(Event.action.like(word) for word in (*words, "confirmed the job list")))
    of_no_project = select(Event).where(Event.project_id.is_(None), settings)  # where few of so many events are
    return db.session.scalars(of_no_project.order_by(Event.id.desc()).limit(10)).all()


def _record(by: Person, action: str, **details: Any) -> None:
    db.session.add(Event(person=by, action=action, details=details))


# --- alarms ---------------------------------------------------------------------------------------------------------


def export_alarm() -> str:
    """Return the banner about what holds all exports: a wrong setting, or a Spectrum that is silent; else empty."""
    return cached("export alarm", _export_alarm)


def _export_alarm() -> str:
    held, contact = Setting.read(SettingName.HELD), Setting.read(SettingName.CONTACT, {})
    counts = Counter.read()
    waiting = sum(counts.get(status, 0) for status in (Status.EXPORTING, Status.UPDATING))
    if not waiting or Setting.read(SettingName.PAUSED):
        return ""
    if not held and not contact.get("connected", True):
        since = formatting.format_time(datetime.fromisoformat(contact["since"]))
        wait = "waits and goes by itself" if waiting == 1 else "wait and go by themselves"
        return f"Spectrum has not answered since {since}. {formatting.plural(waiting, 'accepted project')} {wait}."
    if not held:
        return ""
    return f"Exports are waiting: {held['error']} They go out by themselves once this is fixed; nobody has to retry."


def admin_alarms() -> list[str]:
    return [alarm for alarm in (cached("client secret", secret_alarm), *expiry.warnings()) if alarm]
