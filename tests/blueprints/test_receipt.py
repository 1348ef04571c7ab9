"""The receipt of an export: what was sent, and what Spectrum has now."""

from collections.abc import Callable
from datetime import date
from typing import Any

from lxml import html
from support.fake_erp import FakeERP
from support.jobs import compose

from erp import Customer
from extensions import db
from models import Job, Person, Project
from services import workflow
from tasks import exports, job_list


def accept(project: Project, cast: dict[str, Person], template: Job) -> None:
    workflow.send(project, cast["manager"])
    typed = {"job_number": "26-014", "job_name": "Depot", "taxable": "Y", "price_type": "F"}
    workflow.accept(project, cast["approver"], compose(project.information, template.row, typed), template, "HB")
    db.session.commit()


def lines(page: str) -> dict[str, list[str]]:
    rows = html.fromstring(page).xpath("//table//tr[td]")
    return {
        " ".join(row.xpath("string(th)").split()): [" ".join(cell.text_content().split()) for cell in row.xpath("td")]
        for row in rows
    }


def test_a_receipt_says_field_by_field_what_was_sent_and_what_spectrum_has_now(
    make_project: Callable[..., Project],
    cast: dict[str, Person],
    template: Job,
    erp: FakeERP,
    browser: Callable[[str], Any],
) -> None:
    project = make_project(start_date=date(2026, 4, 1), completion_date=date(2026, 12, 18))
    erp.kept_customers = [Customer("CASCREST", "Cascade Crest Builders")]
    accept(project, cast, template)
    approver = browser("approver")
    address = f"/approvals/{project.id}/receipt"
    assert approver.get(address).status_code == 409  # nothing was exported yet
    exports.run_due(erp)
    assert lines(approver.get(address).text)["Estimated Start Date"] == ["04/01/2026", "04/01/2026"]
    erp.kept["26-014"] |= {"City": "Fife", "Est_Complete_Date": "01/29/2027"}
    erp.keep({"Job_Number": "26-001"})
    job_list.refresh(erp)
    assert f'href="{address}"' in approver.get(f"/approvals/{project.id}").text
    page = approver.get(address).text
    shown = lines(page)
    assert shown["City differs"] == ["Tacoma", "Fife"]
    assert shown["State"] == ["WA", "WA"]
    assert shown["Taxable"] == ["Y", "not shown by Spectrum"]
    assert shown["Estimated Start Date"] == ["04/01/2026", "04/01/2026"]
    assert shown["Estimated Completion Date differs"] == ["12/18/2026", "01/29/2027"]
    assert shown["Customer"] == ["CASCREST Cascade Crest Builders"] * 2
    assert "CASCREST Cascade Crest Builders" in approver.get(f"/approvals/{project.id}").text
    assert "Manager" in page and "Approver" in page
