"""The web address of the sandbox Spectrum: its services and its pages.

The work of the services is in `services`, their faults in `spectrum_faults`, the settings in `personality`; how tests
steer it is in `control_interface`.
"""

import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from flask import Flask, Response, redirect, render_template, request
from flask.typing import ResponseReturnValue

from dev.sandbox import fault_catalog, personality, rules, seed, soap
from dev.sandbox.access import Access
from dev.sandbox.control_interface import JOB_ELEMENTS, add_controls, find_job
from dev.sandbox.fault_pages import fault_pages
from dev.sandbox.faults import Faults
from dev.sandbox.field_tables import parameters
from dev.sandbox.pages import make_app
from dev.sandbox.personality import Installation, Personality
from dev.sandbox.services import SERVICES, Call
from dev.sandbox.spectrum_faults import CATALOG
from dev.sandbox.store import Store

CONTENT_TYPES = ("text/xml", "text/plain", "application/xml")


def spectrum_site(store: Store) -> Flask:
    faults, installation = Faults(), Installation()
    app = make_app()
    app.register_blueprint(
        fault_pages(
            faults, fault_catalog.read, fault_catalog.read_form, "spectrum_faults.html",
            kinds=CATALOG.values(), services=SERVICES,
        )
    )  # fmt: skip
    access = Access(installation)
    _add_sign_in(app, store, access, installation)
    _add_services(app, store, faults, installation, access)
    _add_pages(app, store, faults, installation)
    add_controls(app, store, faults, installation)
    return app


def _add_sign_in(app: Flask, store: Store, access: Access, installation: Installation) -> None:
    @app.post("/connect/token")
    def token() -> ResponseReturnValue:
        return access.issue(request.form)

    @app.post("/secretRotation")
    def rotate() -> ResponseReturnValue:
        answer, status = access.rotate(request.form)
        time.sleep(installation.personality.rotation_seconds)
        store.log_call("secretRotation", "", "rotated" if status == 200 else "refused", None)
        return answer, status

    @app.delete("/sandbox/tokens")
    def forget_tokens() -> ResponseReturnValue:
        access.forget_tokens()
        return {}


def _add_services(app: Flask, store: Store, faults: Faults, installation: Installation, access: Access) -> None:
    def is_there(service: str) -> bool:
        return service in SERVICES and service not in installation.personality.missing

    def authorization() -> str:
        return request.headers.get("Authorization", "")

    def unauthorized() -> Response:
        scheme = "Bearer" if installation.personality.sign_in == "token" else 'Basic realm="Spectrum"'
        return Response(status=401, headers={"WWW-Authenticate": scheme})

    @app.get("/wsdls/<service>.jws")
    def describe(service: str) -> ResponseReturnValue:
        if installation.personality.wsdl_sign_in and not access.lets_in(authorization()):
            return unauthorized()
        taken = faults.take(lambda fault: fault["fault"] == "wsdl-missing" and _concerns(fault, service))
        if taken or not is_there(service):
            return render_template("wsdl_missing.html", service=service), 404
        address = f"{request.host_url}ws/{service}"
        text = render_template(
            "service.wsdl", service=service, address=address, types=soap.TYPES, fields=parameters(service)
        )
        return Response(text, content_type=soap.XML)

    @app.post("/ws/<service>")
    def call(service: str) -> Response:
        if not access.lets_in(authorization()):
            return unauthorized()
        try:
            made = understand(service)
            with installation.stumbling(made.is_read) as falls:
                if falls:
                    raise soap.SoapError("Server", soap.OVERLOADED)
                return answer(made)
        except soap.SoapError as refused:
            store.log_call(service, "", f"not understood: {refused.text}", None)
            return Response(soap.fault(refused.code, refused.text), 500, content_type=soap.XML)

    def understand(service: str) -> Call:
        if not is_there(service):
            raise soap.SoapError("Client", soap.NOT_FOUND.format(service=service))
        if request.mimetype not in CONTENT_TYPES:
            raise soap.SoapError("Client", "The Content-Type of a SOAP 1.1 call is text/xml.")
        if request.headers.get("SOAPAction", "").strip('"').partition("://")[2] != f"{request.host}/ws/{service}":
            raise soap.SoapError("Client", "The SOAPAction must be the full endpoint address.")
        sent = rules.shorten(service, soap.read_call(service, request.get_data()))
        return Call(store, installation, service, sent, access.has_token(authorization()))

    def answer(made: Call) -> Response:
        service, number = made.service, made.sent.get("Job_Number", made.sent.get("pJob_Number", ""))
        taken = faults.take(lambda fault: fault["fault"] != "wsdl-missing" and _concerns(fault, service))
        response = fault_catalog.respond(made, taken)
        store.log_call(service, number, made.outcome, ", ".join(fault["fault"] for fault in taken) or None)
        return response


def _add_pages(app: Flask, store: Store, faults: Faults, installation: Installation) -> None:
    @app.get("/")
    def list_jobs() -> str:
        unusual = installation.personality != Personality()
        return render_template("jobs.html", jobs=store.jobs(), faults=faults.listed(), unusual=unusual)

    @app.get("/jobs/<path:number>")
    def show_job(number: str) -> str:
        job = find_job(store, number)
        values = [(element, job.value(element)) for element in {**dict.fromkeys(JOB_ELEMENTS), **job.fields}]
        return render_template("job.html", job=job, fields=values, phases=store.phases(number))

    @app.get("/personality")
    def show_personality() -> str:
        groups = personality.GROUPS
        return render_template(
            "personality.html", groups=groups, now=asdict(installation.personality), choices=personality.CHOICES
        )

    @app.post("/personality")
    def change_personality() -> ResponseReturnValue:
        ordinary = Personality()
        given = {} if "ordinary" in request.form else personality.read_form(request.form)
        installation.become(ordinary.changed(given))
        return redirect("/personality", 303)

    @app.post("/data")
    def load_data() -> ResponseReturnValue:
        with store.lock:
            store.clear()
            seed.fill(
                store,
                generated=request.form.get("jobs", 0, type=int),
                divisions="divisions" in request.form,
                odd="odd" in request.form,
            )
        return redirect("/", 303)


def _concerns(fault: Mapping[str, Any], service: str) -> bool:
    return fault["service"] in ("*", service)
