"""Jobs and requests in Spectrum's own words, for tests that say what Spectrum has or receives."""

from collections.abc import Mapping
from typing import Any

from erp import FieldValue, rules
from erp.spectrum.system import values_of
from models import Export, Job, Setting, SettingName, utcnow


def keep_job(row: Mapping[str, str]) -> Job:
    """Put a job into the kept list, by element."""
    return Job.upsert(rules().job_from_raw(row))


def compose(information: Mapping[str, Any], template: Mapping[str, str], typed: Mapping[str, str]) -> list[FieldValue]:
    """Return a request with what was typed, by element or form key."""
    return rules().build_request(information, typed, template)


def values(export: Export) -> dict[str, str]:
    """Return what Spectrum receives, by element."""
    return values_of(export.lines)


def prove_job_list() -> None:
    """Have the job list read and proven, so that a number which it lacks is free."""
    Setting.write(SettingName.JOB_LIST, {"at": utcnow().isoformat(), "proven": True})
