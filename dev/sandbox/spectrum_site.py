"""The addresses of the sandbox Spectrum: its services, its two pages, and the control interface for tests.

What the services do is in `spectrum`, what can go wrong with them in `spectrum_faults`.
"""

import secrets
from collections.abc import Mapping
from typing import Any

from dev.sandbox import fault_catalog, seed, soap
from dev.sandbox.fault_pages import FaultPages
from dev.sandbox.faults import Faults
from dev.sandbox.spectrum import NOT_KEPT, SERVICES, Call
from dev.sandbox.spectrum_faults import CATALOG
from dev.sandbox.store import Job, Store
from dev.sandbox.web import TEMPLATES, RefusedError, Reply, Request, Site, as_json, page
from erp.spectrum.mapping import parameters

JOB_ELEMENTS = [field.element for field in parameters("AddJob") if field.element not in NOT_KEPT]
PHASE_ELEMENTS = [field.element for field in parameters("AddPhase") if field.element not in NOT_KEPT]


class SpectrumSite(Site):
    """The sandbox Spectrum over one store."""

    def __init__(self, store: Store) -> None:
        self.store, self.faults, self.tokens = store, Faults(), set[str]()
        fault_pages = FaultPages(
            self.faults, fault_catalog.read, fault_catalog.read_form, "spectrum_faults.html",
            kinds=CATALOG.values(), services=SERVICES,
        )  # fmt: skip
        super().__init__(
            [
                ("GET", "/", self.jobs_page),
                ("GET", "/jobs/(.+)", self.job_page),
                ("GET", r"/wsdls/(\w+)\.jws", self.wsdl),
                ("POST", r"/ws/(\w+)", self.call),
                ("POST", "/connect/token", self.token),
                ("GET", "/sandbox/jobs", self.list_jobs),
                ("POST", "/sandbox/jobs", self.put_job),
                ("DELETE", "/sandbox/jobs/(.+)", self.delete_job),
                ("GET", "/sandbox/calls", self.list_calls),
                ("POST", "/sandbox/reset", self.reset),
                *fault_pages.routes,
            ]
        )

    # Pages

    def jobs_page(self, _: Request) -> Reply:
        """The jobs, the newest arrivals first."""
        return page("jobs.html", jobs=self.store.jobs(), faults=self.faults.listed())

    def job_page(self, _: Request, number: str) -> Reply:
        """One job: every field that came, and its phases."""
        job = self._job(number)
        fields = [(element, job.value(element)) for element in JOB_ELEMENTS]
        return page("job.html", job=job, fields=fields, phases=self.store.phases(number))

    # Services

    def wsdl(self, request: Request, service: str) -> Reply:
        """The description of a service."""
        taken = self.faults.take(lambda fault: fault["fault"] == "wsdl-missing" and _concerns(fault, service))
        if taken or service not in SERVICES:
            raise RefusedError(404, f"There is no description of a service {service}.")
        address = f"http://{request.headers['Host']}/ws/{service}"
        text = TEMPLATES.get_template("service.wsdl").render(
            service=service, address=address, types=soap.TYPES, fields=parameters(service)
        )
        return Reply(text.encode(), content_type=soap.XML)

    def call(self, request: Request, service: str) -> Reply:
        """A SOAP call: read, answered, and logged before the answer is on its way."""
        try:
            call = self._understood(request, service)
        except soap.SoapError as refused:
            self.store.log_call(service, "", f"not understood: {refused.text}", None)
            return Reply(soap.fault(refused.code, refused.text), 500, soap.XML)
        taken = self.faults.take(lambda fault: fault["fault"] != "wsdl-missing" and _concerns(fault, service))
        reply = fault_catalog.respond(call, taken)
        number = call.sent.get("Job_Number", call.sent.get("pJob_Number", ""))
        self.store.log_call(service, number, call.outcome, ", ".join(fault["fault"] for fault in taken) or None)
        return reply

    def _understood(self, request: Request, service: str) -> Call:
        if service not in SERVICES:
            text = f"Error identifying Web Service: Could not find WebService named: {service}"
            raise soap.SoapError("Client", text)
        if not request.headers.get("Content-Type", "").startswith("text/xml"):
            raise soap.SoapError("Client", "The Content-Type of a SOAP 1.1 call is text/xml.")
        action = request.headers.get("SOAPAction", "").strip('"').partition("://")[2]
        if action != f"{request.headers['Host']}/ws/{service}":
            raise soap.SoapError("Client", "The SOAPAction must be the full endpoint address.")
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        return Call(self.store, service, soap.read_call(service, request.body), token in self.tokens)

    def token(self, request: Request) -> Reply:
        """A bearer token for client credentials; any client is taken."""
        form = request.form()
        if form.get("grant_type") != "client_credentials" or form.get("scope") != "spectrumapi":
            return as_json({"error": "invalid_scope" if "grant_type" in form else "invalid_request"}, 400)
        self.tokens.add(token := secrets.token_urlsafe())
        answer = {"access_token": token, "token_type": "Bearer", "expires_in": 3600}  # nosec B105
        return as_json(answer)

    # Control interface

    def list_jobs(self, _: Request) -> Reply:
        """All jobs, hidden ones too, as received."""
        return as_json([self._as_received(job) for job in self.store.jobs()])

    def put_job(self, request: Request) -> Reply:
        """Add a job or change the elements given; `hidden` and `phases` may come along."""
        given = request.json_object()
        phases, unknown = given.pop("phases", []), set(given) - {*JOB_ELEMENTS, "hidden"}
        if unknown or not str(given.get("Job_Number", "")).strip():
            raise RefusedError(400, f"Give a Job_Number, and only AddJob's elements. Unknown: {sorted(unknown)}.")
        before = self.store.job(given["Job_Number"])
        hidden = given.pop("hidden", before.hidden if before else False)
        fields = dict.fromkeys(JOB_ELEMENTS, "") | (before.fields if before else {}) | given
        self.store.save_job(fields, origin="control", hidden=hidden)
        number = {"Job_Number": given["Job_Number"]}
        self.store.save_phases([dict.fromkeys(PHASE_ELEMENTS, "") | phase | number for phase in phases])
        return as_json(self._as_received(self._job(given["Job_Number"])), 200 if before else 201)

    def delete_job(self, _: Request, number: str) -> Reply:
        """Take a job away, with its phases."""
        self.store.delete_job(self._job(number).number)
        return as_json({})

    def list_calls(self, _: Request) -> Reply:
        """The calls since the last reset."""
        return as_json(self.store.calls())

    def reset(self, request: Request) -> Reply:
        """Back to the seed, or to `{"jobs": N, "seed": false}`; the calls and faults are forgotten too."""
        given = request.json_object()
        self.faults.switch_off()
        with self.store.lock:
            self.store.clear()
            seed.fill(self.store, seed_jobs=given.get("seed", True), generated=given.get("jobs", 0))
        return as_json({"jobs": len(self.store.jobs())})

    def _job(self, number: str) -> Job:
        job = self.store.job(number)
        if not job:
            raise RefusedError(404, f"There is no job {number}.")
        return job

    def _as_received(self, job: Job) -> dict[str, Any]:
        about = {"hidden": job.hidden, "origin": job.origin, "arrived_at": job.arrived_at}
        return {**job.fields, **about, "phases": self.store.phases(job.number)}


def _concerns(fault: Mapping[str, Any], service: str) -> bool:
    return fault["service"] in ("*", service)
