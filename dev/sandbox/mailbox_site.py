"""The web address of the sandbox mailbox: its pages, the raw mails, the mail provider, and the control for tests.

Mails are not trusted: their text is escaped, and their HTML stands alone behind a policy of its own.
"""

from flask import Flask, Response, abort, jsonify, render_template
from flask.typing import ResponseReturnValue

from dev.sandbox import smtp
from dev.sandbox.fault_pages import fault_pages
from dev.sandbox.faults import Faults
from dev.sandbox.mail_provider import MailTokens, provider_pages
from dev.sandbox.mails import Mail, Mails
from dev.sandbox.pages import make_app

HTML_POLICY = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def mailbox_site(mails: Mails, faults: Faults, tokens: MailTokens) -> Flask:
    app = make_app()
    app.register_blueprint(provider_pages(tokens, mails))
    app.register_blueprint(
        fault_pages(
            faults, smtp.read, smtp.read_form, "mailbox_faults.html", commands=smtp.COMMANDS, defaults=smtp.DEFAULTS
        )
    )

    def find(number: int) -> Mail:
        return mails.get(number) or abort(404, f"There is no mail {number}.")

    @app.get("/")
    def list_mails() -> str:
        return render_template("mails.html", mails=mails.all(), faults=faults.listed())

    @app.get("/mails/<int:number>")
    def show_mail(number: int) -> str:
        return render_template("mail.html", mail=find(number))

    @app.get("/mails/<int:number>/html")
    def show_html(number: int) -> Response:
        html = find(number).part("html").encode("utf-8", "replace")
        return Response(html, headers={"Content-Security-Policy": HTML_POLICY})

    @app.get("/mails/<int:number>.eml")
    def show_raw(number: int) -> Response:
        headers = {"Content-Type": "message/rfc822", "X-Content-Type-Options": "nosniff"}
        return Response(find(number).raw, headers=headers)

    @app.get("/sandbox/mails")
    def mails_as_json() -> ResponseReturnValue:
        return jsonify([mail.as_dict() for mail in mails.all()])

    @app.post("/sandbox/reset")
    def reset() -> ResponseReturnValue:
        faults.switch_off()
        mails.clear()
        return {}

    return app
