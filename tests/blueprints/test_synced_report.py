"""The list of synced projects tells how each got into Spectrum, and gives the exports of any period as a file."""

import csv
import re
from collections.abc import Callable

import pytest
import time_machine
from conftest import Browser
from support.jobs import compose, keep_job

from extensions import db
from models import Job, Person, Project
from services import workflow

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def test_the_synced_list_and_its_file_say_who_accepted_by_which_template_for_whom_and_how_fast(
    browser: Callable[[str], Browser],
    make_project: Callable[..., Project],
    cast: dict[str, Person],
    template: Job,
) -> None:
    project = make_project()
    with time_machine.travel("2026-11-02T18:00:00Z", tick=False):
        workflow.send(project, cast["manager"])
        db.session.commit()
    lines = compose(project.information, {}, {"Job_Number": "26-014", "Customer_Code": "CASCREST"})
    with time_machine.travel("2026-11-03T06:30:00Z", tick=False):  # still the 2nd in the company
        workflow.accept(project, cast["approver"], lines, template, "HB")
        export = project.export
        export.created_at = export.accepted_at
        workflow.mark_exported(project)
        keep_job({"Job_Number": "26-014", "Customer_Code": "CASCREST"})
        db.session.commit()
    onlooker = browser("onlooker")
    page = onlooker.get("/erp/jobs?filter=synced").text
    assert "Nov 2, 2026, 10:30 PM" in page
    assert re.findall(r'data-as="\w+.*? ">([^<]*)</td>', page)[-3:] == ["Approver", "T-COMM", "CASCREST"]
    assert 'action="/erp/exports.csv"' in page

    def file_of(since: str, until: str) -> list[dict[str, str]]:
        text = onlooker.get(f"/erp/exports.csv?from={since}&to={until}").text
        return list(csv.DictReader(text.removeprefix("\ufeff").splitlines()))

    assert file_of("2026-11-02", "2026-11-02") == [
        {
            "project_number": "26-014",
            "project_name": "Depot Lofts Retail Shell",
            "spectrum_job_id": "26-014",
            "customer": "CASCREST",
            "template": "T-COMM",
            "sent_by": "Manager",
            "sent_at": "2026-11-02T10:00:00-08:00",
            "accepted_by": "Approver",
            "accepted_at": "2026-11-02T22:30:00-08:00",
            "exported_at": "2026-11-02T22:30:00-08:00",
            "hours_to_decide": "12.5",
        }
    ]
    assert file_of("2026-11-03", "") == file_of("", "2026-11-01") == []
    assert len(file_of("", "")) == len(file_of("nonsense", "2026-11-30")) == 1
