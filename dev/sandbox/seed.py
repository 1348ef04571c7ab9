"""Starting data of the sandbox Spectrum: Halvorsen Builders from the CSV files in `seed/`, and generated jobs."""

import csv
from collections.abc import Iterator
from pathlib import Path

from dev.sandbox.field_tables import ACCESS, parameters
from dev.sandbox.store import Code, Job, Store, now

FILES = Path(__file__).parent / "seed"
KINDS = {"customer": "customers.csv", "division": "divisions.csv", "cost center": "cost_centers.csv"}
STREETS = ("Alder", "Birch", "Cedar", "Dogwood", "Elder", "Fir", "Gale", "Hemlock", "Juniper", "Larch", "Maple")
WORKS = ("Reroof", "Seismic Upgrade", "Addition", "Repaving", "Office Fit-out", "HVAC Renewal", "Storm Drain")


def fill(
    store: Store, *, seed_jobs: bool = True, generated: int = 0, divisions: bool = True, odd: bool = False
) -> None:
    """Put the codes into an empty store, then the seed's jobs, odd ones, and so many generated ones."""
    for kind, file in KINDS.items():
        store.save_codes(
            Code(
                kind, row["code"], row["name"], row.get("on_hold") == "yes", row.get("cost_center", ""),
                row.get("taxable", ""), row.get("inactive") != "yes",
            )
            for row in _rows(file)
        )  # fmt: skip
    if seed_jobs:
        store.save_jobs(_job(row, row.pop("hidden") == "yes") for row in _rows("jobs.csv"))
        blank = _blank("AddPhase")
        store.save_phases(blank | phase for phase in _rows("phases.csv"))
    if odd:
        store.save_jobs(_job(row) for row in _rows("odd_jobs.csv"))
    store.save_codes(_generated_codes(generated))
    store.save_jobs(_job(fields) for fields in _generated_jobs(generated, divisions))


def _rows(file: str) -> list[dict[str, str]]:
    with (FILES / file).open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def _job(fields: dict[str, str], hidden: bool = False) -> Job:
    return Job(_blank("AddJob") | fields, hidden, "seed", now())


def _blank(service: str) -> dict[str, str]:
    return {field.element: "" for field in parameters(service) if field.element not in ACCESS}


def _generated_codes(jobs: int) -> Iterator[Code]:
    for number in range(1, -(-jobs // 100) + 1):
        yield Code("customer", f"CUST{number:04}", f"Customer {number:04}", taxable=("N", "", "Y")[number % 3])
    for number in range(10, 20 if jobs else 10):
        yield Code("division", str(number), f"Region {number}")
        yield Code("cost center", f"CC{number}", f"Branch {number}")


def _generated_jobs(jobs: int, divisions: bool) -> Iterator[dict[str, str]]:
    customers = -(-jobs // 100)
    for number in range(jobs):
        street, work = STREETS[number % len(STREETS)], WORKS[number % len(WORKS)]
        yield {
            "Company_Code": "HB",
            "Job_Number": f"{number // 1000 + 10}-{number % 1000:05}",
            "Job_Description": f"{street} St {work}",
            "Division": str(number // 3 % 10 + 10) if divisions else "",
            "Cost_Center": f"CC{number // 7 % 10 + 10}",
            "Customer_Code": f"CUST{number % customers + 1:04}",
            "Address_1": f"{number % 9000 + 100} {street} St",
            "City": "Tacoma",
            "State": "WA",
            "Zip_Code": f"{98401 + number % 90}",
            "Price_Method_Code": "FTCU"[number % 4],
            "Taxable_Flag": "Y",
            "Status_Code": "AAAAAAAIAC"[number % 10],
        }
