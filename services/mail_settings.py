"""The settings of mail: is it set up, from which address, and which way does it go."""

from calendar import day_name
from email.utils import parseaddr
from urllib.parse import urlsplit

from flask import current_app


def is_set_up() -> bool:
    return bool(current_app.config["MAIL_SERVER"]) or uses_graph()


def uses_graph() -> bool:
    return bool(current_app.config["MAIL_AUTH"] == "graph")


def sender() -> str:
    return parseaddr(current_app.config["MAIL_DEFAULT_SENDER"])[1]


def mailbox() -> str:
    return str(current_app.config["MAIL_USERNAME"]) or sender()


def server() -> str:
    settings = current_app.config
    if uses_graph():
        return urlsplit(str(settings["MAIL_GRAPH_URL"])).netloc
    return f"{settings['MAIL_SERVER']}:{settings['MAIL_PORT']}"


def describe_digest_times() -> str:
    at, days = current_app.config["DIGEST_TIME"], sorted(current_app.config["DIGEST_DAYS"])
    *most, last = [day_name[day] for day in days]
    on = "every day" if len(days) == len(day_name) else f"on {', '.join(most)}{' and ' if most else ''}{last}"
    return f"at {at.hour % 12 or 12}:{at:%M %p} {on}"


def describe_way() -> str:
    """The way that mail goes, such as “SMTP to mail.example.com:587 with STARTTLS, without sign-in”."""
    settings = current_app.config
    if uses_graph():
        return f"Microsoft Graph at {server()}, from the mailbox {mailbox()}"
    tls = "STARTTLS" if settings["MAIL_USE_TLS"] else "TLS" if settings["MAIL_USE_SSL"] else "no encryption"
    return f"SMTP to {server()} with {tls}, {_describe_sign_in()}"


def _describe_sign_in() -> str:
    if current_app.config["MAIL_AUTH"] == "oauth":
        return f"signed in as {mailbox()} with an OAuth token"
    name = current_app.config["MAIL_USERNAME"]
    return f"signed in as {name} with a password" if name else "without sign-in"
