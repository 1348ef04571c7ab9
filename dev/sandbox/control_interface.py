"""The sandbox Spectrum's control interface, all JSON, by which tests look into it and change it.

GET, POST /sandbox/jobs and DELETE /sandbox/jobs/<number>; GET, POST /sandbox/customers; GET /sandbox/calls;
/sandbox/faults (GET, POST, DELETE, DELETE /<id>); /sandbox/personality (GET, POST, DELETE); DELETE /sandbox/tokens;
POST /sandbox/reset, back to the seed, takes `seed` (false: without its jobs), `jobs` (so many generated ones),
`divisions` (false: the generated ones have none), `odd` (true: jobs with unusual numbers and names too).
"""

from dataclasses import asdict, fields, replace
from typing import Any

from flask import Flask, abort, jsonify
from flask.typing import ResponseReturnValue

from dev.sandbox import seed
from dev.sandbox.faults import Faults
from dev.sandbox.pages import posted_object
from dev.sandbox.personality import Installation, Personality
from dev.sandbox.services import elements
from dev.sandbox.store import Code, Job, Store

JOB_ELEMENTS = elements("AddJob")
PHASE_ELEMENTS = elements("AddPhase")
CUSTOMER_FIELDS = {each.name for each in fields(Code)} - {"kind"}


def add_controls(app: Flask, store: Store, faults: Faults, installation: Installation) -> None:
    _add_jobs(app, store)
    _add_customers(app, store)
    _add_personality(app, installation)

    @app.get("/sandbox/calls")
    def calls() -> ResponseReturnValue:
        return jsonify(store.calls())

    @app.post("/sandbox/reset")
    def reset() -> ResponseReturnValue:
        given = posted_object()
        faults.switch_off()
        installation.become(Personality())
        with store.lock:
            store.clear()
            seed.fill(
                store,
                seed_jobs=given.get("seed", True),
                generated=given.get("jobs", 0),
                divisions=given.get("divisions", True),
                odd=given.get("odd", False),
            )
        return {"jobs": len(store.jobs())}


def _add_jobs(app: Flask, store: Store) -> None:
    def as_received(job: Job) -> dict[str, Any]:
        about = {"hidden": job.hidden, "origin": job.origin, "arrived_at": job.arrived_at}
        return {**job.fields, **about, "phases": store.phases(job.number)}

    @app.get("/sandbox/jobs")
    def jobs() -> ResponseReturnValue:
        return jsonify([as_received(job) for job in store.jobs()])

    @app.post("/sandbox/jobs")
    def put_job() -> ResponseReturnValue:
        """Add a job or change the elements given; `hidden` and `phases` may come along."""
        given = posted_object()
        phases, unknown = given.pop("phases", []), set(given) - {*JOB_ELEMENTS, "hidden"}
        if unknown or not str(given.get("Job_Number", "")).strip():
            abort(400, f"Give a Job_Number, and only AddJob's elements. Unknown: {sorted(unknown)}.")
        before = store.job(given["Job_Number"])
        hidden = given.pop("hidden", before.hidden if before else False)
        values = dict.fromkeys(JOB_ELEMENTS, "") | (before.fields if before else {}) | given
        store.save_job(values, origin="control", hidden=hidden)
        number = {"Job_Number": given["Job_Number"]}
        store.save_phases([dict.fromkeys(PHASE_ELEMENTS, "") | phase | number for phase in phases])
        return as_received(find_job(store, given["Job_Number"])), 200 if before else 201

    @app.delete("/sandbox/jobs/<path:number>")
    def delete_job(number: str) -> ResponseReturnValue:
        store.delete_job(find_job(store, number).number)
        return {}


def _add_customers(app: Flask, store: Store) -> None:
    @app.get("/sandbox/customers")
    def customers() -> ResponseReturnValue:
        return jsonify(store.codes("customer"))

    @app.post("/sandbox/customers")
    def put_customer() -> ResponseReturnValue:
        """Add a customer or change it: `code`, `name`, `on_hold`, `cost_center`, `taxable` (any text), `active`."""
        given = posted_object()
        if not given.get("code") or set(given) - CUSTOMER_FIELDS:
            abort(400, f"Give a code, and only {', '.join(sorted(CUSTOMER_FIELDS))}.")
        before = store.code("customer", given["code"]) or Code("customer", given["code"], "")
        store.save_codes([replace(before, **given)])
        return given, 201


def _add_personality(app: Flask, installation: Installation) -> None:
    @app.get("/sandbox/personality")
    def read_personality() -> ResponseReturnValue:
        return asdict(installation.personality)

    @app.post("/sandbox/personality")
    def post_personality() -> ResponseReturnValue:
        installation.become(installation.personality.changed(posted_object()))
        return asdict(installation.personality)

    @app.delete("/sandbox/personality")
    def delete_personality() -> ResponseReturnValue:
        installation.become(Personality())
        return asdict(installation.personality)


def find_job(store: Store, number: str) -> Job:
    return store.job(number) or abort(404, f"There is no job {number}.")
