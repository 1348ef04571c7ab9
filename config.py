"""Every setting, read from the environment and checked once, in one place.

`load(environ)` gives the mapping that Flask's config is made from. A value that cannot be used stops the start with a
sentence that names it. Nothing else in the product reads the environment.
"""

import re
import ssl
from collections.abc import Callable, Mapping
from datetime import date, time, timedelta
from email.utils import parseaddr
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, available_timezones

import click
from sqlalchemy.engine import make_url
from tzlocal import get_localzone_name

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
GUESSABLE = re.compile(r"(.+?)\1+|.*(change|replace).?(me|this).*", re.IGNORECASE)  # the former: abcabcabcabcabc
# What may stand in a file of its own, named by NAME_FILE
SECRETS = (
    *("SECRET_KEY", "DATABASE_URL", "SPECTRUM_AUTHORIZATION_ID", "SPECTRUM_CLIENT_SECRET", "MAIL_PASSWORD"),
    *("MAIL_OAUTH_CLIENT_SECRET", "OIDC_CLIENT_SECRET"),
)
# Issuers of Microsoft Entra behind which anybody can be; the last one is the tenant of personal accounts
MULTI_TENANT = {"common", "organizations", "consumers", "9188040d-6c67-4c5b-b112-36a304b66dad"}
MICROSOFT = "https://login.microsoftonline.com"
OUTLOOK = "https://outlook.office365.com/.default"
REFRESHES = ("hourly", "every-4-hours", "daily", "never")


class SettingsError(click.ClickException):
    """A setting that cannot be used; the message is a sentence that names it."""


def load(environ: Mapping[str, str]) -> dict[str, Any]:
    """The checked settings by name, with Flask's own that follow from them.

    Raises SettingsError at the first value that cannot be used.
    """
    environ = _with_files(_plain(environ))
    settings = {name: _read(environ, name, default, parse) for name, (default, parse) in SETTINGS.items()}
    settings["TIMEZONE"] = settings["TIMEZONE"] or _timezone_of_machine(environ.get("TZ", ""))
    settings["BASE_URL"] = settings["BASE_URL"] or f"http://127.0.0.1:{settings['PORT']}"
    _check_together(settings)
    return settings | _follow_from(settings)


def _plain(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without what editors and docker leave of a settings file: a mark, blanks, quotes."""
    return {name.removeprefix("\ufeff"): _unquoted(value.strip()) for name, value in environ.items()}


def _unquoted(text: str) -> str:
    found = re.fullmatch(r"""(["'])((?:(?!\1).)*)\1""", text, re.DOTALL)
    return found[2] if found else text


def _with_files(environ: Mapping[str, str]) -> dict[str, str]:
    found = dict(environ)
    for name in SECRETS:
        setting, path = _secret_file(environ, name)
        if path and environ.get(name, "").strip():
            raise SettingsError(f"{name} and {setting} are both set. Keep one of them.")
        if path:
            found[name] = _content(setting, path)
    return found


def _secret_file(environ: Mapping[str, str], name: str) -> tuple[str, str]:
    """Return where the file is named and its path: NAME_FILE's, or that of systemd's credential secret_NAME."""
    if path := environ.get(f"{name}_FILE", "").strip():
        return f"{name}_FILE", path
    credential = Path(environ.get("CREDENTIALS_DIRECTORY") or "/nowhere", f"secret_{name}")
    return f"the credential {credential.name}", str(credential) if credential.is_file() else ""


def _content(name: str, path: str) -> str:
    try:
        text = Path(path).read_text("utf-8-sig")
    except OSError as error:
        raise SettingsError(f"{name} must be a file that can be read: {error.strerror} (it is “{path}”).") from None
    except ValueError:
        raise SettingsError(f"{name} must be a file of text in UTF-8 (it is “{path}”).") from None
    if not text.strip():
        raise SettingsError(f"{name} is an empty file (it is “{path}”).")
    return text.removesuffix("\n").removesuffix("\r")


def _read(environ: Mapping[str, str], name: str, default: str, parse: Callable[[str], Any]) -> Any:
    text = environ.get(name, "").strip() or default
    try:
        return parse(text)
    except ValueError as error:
        secret = "@" in text or any(word in name for word in ("KEY", "PASSWORD", "SECRET", "AUTHORIZATION"))
        shown = "" if secret else f" (it is “{text}”)"
        raise SettingsError(f"{name} {error}{shown}.") from None


def _check_together(settings: dict[str, Any]) -> None:
    wanted = ("SPECTRUM_URL", "SPECTRUM_COMPANY_CODE", "SPECTRUM_AUTHORIZATION_ID")
    missing = [name for name in wanted if not settings[name]]
    if 0 < len(missing) < len(wanted):
        raise SettingsError(f"{' and '.join(missing)} must be set too, because another Spectrum setting is.")
    _check_pair(settings, "SPECTRUM_CLIENT_ID", "SPECTRUM_CLIENT_SECRET")
    oidc = [name for name in ("OIDC_ISSUER", "OIDC_CLIENT_ID", "OIDC_CLIENT_SECRET") if not settings[name]]
    if 0 < len(oidc) < 3 or (oidc and settings["OIDC_ONLY"]):
        raise SettingsError(f"{' and '.join(oidc)} must be set too, because another OIDC setting is.")
    if settings["SPECTRUM_AUTH"] == "token" and not settings["SPECTRUM_CLIENT_ID"]:
        raise SettingsError("SPECTRUM_AUTH is token, so SPECTRUM_CLIENT_ID and SPECTRUM_CLIENT_SECRET must be set too.")
    _check_mail(settings)


def _check_pair(settings: dict[str, Any], name: str, secret: str) -> None:
    if bool(settings[name]) != bool(settings[secret]):
        raise SettingsError(f"{name} and {secret} must both be set, or neither of them.")


def _check_mail(settings: dict[str, Any]) -> None:
    way = settings["MAIL_AUTH"]
    if way == "password":
        _check_pair(settings, "MAIL_USERNAME", "MAIL_PASSWORD")
    else:
        wanted = ("MAIL_OAUTH_TENANT", "MAIL_OAUTH_CLIENT_ID", "MAIL_OAUTH_CLIENT_SECRET")
        missing = [name for name in (*wanted, *(("MAIL_SERVER",) if way == "oauth" else ())) if not settings[name]]
        if missing:
            raise SettingsError(f"{' and '.join(missing)} must be set too, because MAIL_AUTH is {way}.")
    _check_sender(settings)
    if settings["MAIL_USE_TLS"] and settings["MAIL_USE_SSL"]:
        raise SettingsError("MAIL_USE_TLS and MAIL_USE_SSL exclude each other: set only one of them to true.")


def _check_sender(settings: dict[str, Any]) -> None:
    """Refuse a sender at an IP address, which mail servers reject; this machine in a demo may."""
    host = urlsplit(settings["BASE_URL"]).hostname or ""
    sends = settings["MAIL_SERVER"] or settings["MAIL_AUTH"] == "graph"
    if sends and not settings["MAIL_DEFAULT_SENDER"] and _is_number(host) and not _is_this_machine(host):
        raise SettingsError(
            "MAIL_DEFAULT_SENDER must be set: BASE_URL has an IP number, and mail needs an address to come from."
        )


def _spectrum_remarks(settings: dict[str, Any]) -> list[str]:
    address = urlsplit(settings["SPECTRUM_URL"])
    if address.scheme != "http" or _is_this_machine(address.hostname or ""):
        return []
    return ["The Authorization ID travels to Spectrum unencrypted. Set SPECTRUM_URL to Spectrum's https address."]


def _mail_remarks(settings: dict[str, Any]) -> list[str]:
    """Return warnings about mail settings that work but are unsafe, for the log and the mail page."""
    server = settings["MAIL_SERVER"].lower()
    password = settings["MAIL_AUTH"] == "password" and settings["MAIL_PASSWORD"]
    encrypted = settings["MAIL_USE_TLS"] or settings["MAIL_USE_SSL"] or _is_this_machine(server)
    remarks = []
    if password and server.endswith((".office365.com", ".outlook.com")):
        remarks.append(
            "Mail signs in to Microsoft 365 with a password. Microsoft is switching that off: by default at the end of "
            "December 2026. Set MAIL_AUTH=oauth or MAIL_AUTH=graph before then."
        )
    if server and not encrypted and (password or settings["MAIL_AUTH"] == "oauth"):
        secret = "password" if password else "token"
        remarks.append(
            f"The mail {secret} travels unencrypted. Set MAIL_USE_TLS=true (port 587) or MAIL_USE_SSL=true (465)."
        )
    return remarks


def _is_number(host: str) -> bool:
    try:
        return bool(ip_address(host))
    except ValueError:
        return False


def _follow_from(settings: dict[str, Any]) -> dict[str, Any]:
    base = urlsplit(settings["BASE_URL"])
    https = base.scheme == "https"
    return {
        "SQLALCHEMY_DATABASE_URI": settings["DATABASE_URL"],
        "SERVER_NAME": base.netloc,
        "TRUSTED_HOSTS": [base.hostname],
        "PREFERRED_URL_SCHEME": base.scheme,
        "MAIL_DEFAULT_SENDER": settings["MAIL_DEFAULT_SENDER"] or f"countersign@{base.hostname}",
        "MAIL_REMARKS": _mail_remarks(settings),
        "SPECTRUM_REMARKS": _spectrum_remarks(settings),
        "MAIL_OAUTH_TOKEN_URL": settings["MAIL_OAUTH_TOKEN_URL"]
        or f"{MICROSOFT}/{settings['MAIL_OAUTH_TENANT']}/oauth2/v2.0/token",
        "MAIL_OAUTH_SCOPE": settings["MAIL_OAUTH_SCOPE"] or _mail_scope(settings),
        "SESSION_COOKIE_NAME": f"countersign-{base.port}" if base.port else "countersign",
        "SESSION_COOKIE_SECURE": https,
        "SESSION_COOKIE_SAMESITE": "Lax",
        "SESSION_REFRESH_EACH_REQUEST": False,  # services/sessions.py notes the use
        "PERMANENT_SESSION_LIFETIME": timedelta(days=7),
        "WTF_CSRF_TIME_LIMIT": None,  # a form left open over lunch is still good; the session bounds it
        "WTF_CSRF_SSL_STRICT": False,  # the guard in access.py looks at Origin and Sec-Fetch-Site instead
        "MAX_CONTENT_LENGTH": 32 * 1024 * 1024,
    }


def _mail_scope(settings: dict[str, Any]) -> str:
    """Microsoft's scope for the way chosen; Graph's own where MAIL_GRAPH_URL is that of a national cloud."""
    graph = urlsplit(settings["MAIL_GRAPH_URL"])
    microsoft = "microsoft" in (graph.hostname or "")
    at = f"https://{graph.netloc}" if microsoft else "https://graph.microsoft.com"
    return f"{at}/.default" if settings["MAIL_AUTH"] == "graph" else OUTLOOK


def _secret_key(text: str) -> str:
    if len(text) < 16 or len(set(text)) < 6 or GUESSABLE.fullmatch(text):
        raise ValueError("must be set to a random text of 16 characters or more, and kept secret")
    return text


def _text(text: str) -> str:
    return text


def _at_most(length: int) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if len(text) > length:
            raise ValueError(f"is {len(text)} characters long; Spectrum takes {length}")
        return text

    return parse


def database_url(text: str) -> str:
    if not text.startswith(("sqlite:///", "postgresql://", "postgresql+psycopg://")):
        raise ValueError("must begin with sqlite:/// or postgresql://")
    try:
        database = make_url(text).database
    except ValueError:
        raise ValueError("must be a whole address, such as postgresql://name@server:5432/countersign") from None
    if text.startswith("sqlite") and database in (None, "", ":memory:"):
        raise ValueError("must name a file, such as sqlite:////var/lib/countersign/countersign.db")
    return re.sub("^postgresql://", "postgresql+psycopg://", text)


def _base_url(text: str) -> str:
    if not text:
        return ""
    meaning = "the address under which people open Countersign, such as https://countersign.example.com"
    address = urlsplit(_web_address(text, meaning))
    if address.scheme == "http" and not _is_this_machine(address.hostname or ""):
        raise ValueError("must begin with https://, because passwords travel there; http:// is for this machine only")
    return text.rstrip("/")


def _is_this_machine(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _spectrum_url(text: str) -> str:
    return _web_address(text, "Spectrum's address, such as https://spectrum.example.com:8482") if text else ""


def _secure_address(text: str) -> str:
    """An address that a secret is sent to: https, http only towards this machine."""
    try:
        parts = urlsplit(text)
        whole = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0 and not re.search(r"\s", text)
    except ValueError:
        whole = False
    if text and (not whole or parts.username is not None or parts.query or parts.fragment):
        raise ValueError("must be a whole address, such as https://login.example.com/token")
    if text and parts.scheme == "http" and not _is_this_machine(parts.hostname or ""):
        raise ValueError("must begin with https://, because a secret travels there; http:// is for this machine only")
    return text.rstrip("/")


def _tenant(text: str) -> str:
    if text.lower() in MULTI_TENANT:
        raise ValueError("must be your own tenant: its Directory ID or domain, such as example.onmicrosoft.com")
    if not re.fullmatch(r"[A-Za-z0-9.-]*", text):
        raise ValueError("must be a Directory ID or a domain, such as example.onmicrosoft.com")
    return text


def _date(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise ValueError("must be a day, such as 2027-03-31") from None


def _web_address(text: str, meaning: str) -> str:
    try:
        parts = urlsplit(text)
        whole = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0 and " " not in text
    except ValueError:  # of the brackets or the port
        whole = False
    if not whole or parts.path.strip("/") or parts.query or parts.fragment or parts.username is not None:
        raise ValueError(f"must be {meaning}, without a path")
    return text.rstrip("/")


def _issuer(text: str) -> str:
    if not text:
        return ""
    try:
        parts = urlsplit(text)
        safe = parts.scheme == "https" or (parts.scheme == "http" and _is_this_machine(parts.hostname or ""))
        whole = safe and parts.hostname and parts.port != 0 and " " not in text
    except ValueError:
        whole = False
    if not whole or parts.query or parts.fragment or parts.username is not None:
        raise ValueError("must be the https address of your provider, as its discovery document calls the issuer")
    if MULTI_TENANT & set(parts.path.lower().split("/")):
        raise ValueError("must name your own tenant, because anybody could sign in through this one")
    return text


def _host(text: str) -> str:
    if not re.fullmatch(r"[\w.:\[\]-]*", text):
        raise ValueError("must be the name or the number of a host, without http://")
    return text


def _sender(text: str) -> str:
    address = r"[^@\s.]+(\.[^@\s.]+)*@[^@\s.]+(\.[^@\s.]+)*"
    if text and not (text.isprintable() and re.fullmatch(address, parseaddr(text)[1])):
        raise ValueError("must be an email address, such as countersign@example.com")
    return text


def _timezone_of_machine(tz: str) -> ZoneInfo:
    """Return the zone of TZ or else of the system; one without a name would silently become UTC."""
    name = tz.removeprefix(":")
    name = name.partition("zoneinfo/")[2] if name.startswith("/") else name
    if name and name not in available_timezones():
        raise SettingsError(
            f"TIMEZONE must be set, because TZ is “{tz}”, which is no IANA time zone, such as America/Los_Angeles."
        )
    return ZoneInfo(name or get_localzone_name() or "UTC")


def _timezone(text: str) -> ZoneInfo | None:
    if text and text not in available_timezones():
        raise ValueError("must be an IANA time zone, such as America/Los_Angeles")
    return ZoneInfo(text) if text else None


def _networks(text: str) -> tuple[IPv4Network | IPv6Network, ...]:
    try:
        networks = tuple(ip_network(each.strip()) for each in text.split(","))
    except ValueError:
        raise ValueError(
            "must be IP addresses or networks with commas between, such as 10.0.0.5,172.16.0.0/12"
        ) from None
    if not all(each.prefixlen for each in networks):
        raise ValueError("must name the proxies only: anybody could claim to come from anywhere")
    return networks


def _one_of(*allowed: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in allowed:
            raise ValueError(f"must be one of {', '.join(allowed)}")
        return text

    return parse


def _flag(text: str) -> bool:
    if text.lower() not in ("true", "yes", "1", "false", "no", "0"):
        raise ValueError("must be yes or no")
    return text.lower() in ("true", "yes", "1")


def _whole(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not text.isdecimal() or not low <= int(text) <= high:
            raise ValueError(f"must be a whole number from {low} to {high}")
        return int(text)

    return parse


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1
    if not 0 < seconds <= 3600:
        raise ValueError("must be a number of seconds above 0 and up to 3600")
    return seconds


def _idle_hours(text: str) -> float:
    try:
        hours = float(text)
    except ValueError:
        hours = -1
    if not 0 < hours <= 168:
        raise ValueError("must be a number of hours above 0 and up to 168, which is a week")
    return hours


def _time_of_day(text: str) -> time:
    if not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", text):
        raise ValueError("must be a time of day, such as 07:00")
    return time.fromisoformat(text)


def _days(text: str) -> frozenset[int]:
    names = [name.strip().lower() for name in text.split(",")]
    if any(name not in DAYS for name in names):
        raise ValueError(f"must be days out of {','.join(DAYS)}, with commas between")
    return frozenset(DAYS.index(name) for name in names)


def _certificates(text: str) -> str:
    if text:
        try:
            Path(text).open("rb").close()
            ssl.create_default_context(cafile=text)
        except ssl.SSLError:
            raise ValueError("must be a file of certificates, in PEM") from None
        except OSError as error:
            raise ValueError(f"must be a file that can be read: {error.strerror}") from None
    return text


# name: (default, what reads it); the defaults are texts, so that they pass the same reading
SETTINGS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "SECRET_KEY": ("", _secret_key),
    "DATABASE_URL": ("sqlite:///countersign.db", database_url),
    "PORT": ("8000", _whole(1, 65535)),  # ahead of BASE_URL, which `make run` makes from it
    "BASE_URL": ("", _base_url),
    "TIMEZONE": ("", _timezone),
    "SPECTRUM_URL": ("", _spectrum_url),
    "SPECTRUM_COMPANY_CODE": ("", _at_most(3)),
    "SPECTRUM_AUTHORIZATION_ID": ("", _at_most(20)),
    "SPECTRUM_CLIENT_ID": ("", _text),
    "SPECTRUM_CLIENT_SECRET": ("", _text),
    "SPECTRUM_SECRET_EXPIRES": ("", _date),
    "SPECTRUM_SECRET_ROTATION": ("no", _flag),
    "SPECTRUM_AUTH": ("auto", _one_of("auto", "none", "basic", "token")),
    "SPECTRUM_GUID": ("auto", _one_of("auto", "fresh", "empty")),
    "SPECTRUM_CA_FILE": ("", _certificates),
    "SPECTRUM_CONNECT_TIMEOUT": ("5", _seconds),
    "SPECTRUM_READ_TIMEOUT": ("60", _seconds),
    "SPECTRUM_DEADLINE": ("120", _seconds),
    "SPECTRUM_REFRESH": ("daily", _one_of(*REFRESHES)),
    "EXPORT_CHECK_SECONDS": ("30", _seconds),
    "MAIL_SERVER": ("", _host),
    "MAIL_PORT": ("25", _whole(1, 65535)),
    "MAIL_USERNAME": ("", _text),
    "MAIL_PASSWORD": ("", _text),
    "MAIL_USE_TLS": ("false", _flag),
    "MAIL_USE_SSL": ("false", _flag),
    "MAIL_DEFAULT_SENDER": ("", _sender),
    "MAIL_CA_FILE": ("", _certificates),
    "MAIL_AUTH": ("password", _one_of("password", "oauth", "graph")),
    "MAIL_OAUTH_TENANT": ("", _tenant),
    "MAIL_OAUTH_CLIENT_ID": ("", _text),
    "MAIL_OAUTH_CLIENT_SECRET": ("", _text),
    "MAIL_OAUTH_SECRET_EXPIRES": ("", _date),
    "MAIL_OAUTH_TOKEN_URL": ("", _secure_address),
    "MAIL_OAUTH_SCOPE": ("", _text),
    "MAIL_GRAPH_URL": ("https://graph.microsoft.com/v1.0", _secure_address),
    "DIGEST_TIME": ("07:00", _time_of_day),
    "DIGEST_DAYS": (",".join(DAYS), _days),
    "BACKUP_COPY_COMMAND": ("", _text),
    "HOST": ("127.0.0.1", _host),
    "TRUSTED_PROXIES": ("127.0.0.0/8,::1", _networks),
    "RUN_SCHEDULER": ("yes", _flag),
    "FOUR_EYES": ("no", _flag),
    "SESSION_IDLE_HOURS": ("12", _idle_hours),
    "OIDC_ISSUER": ("", _issuer),
    "OIDC_CLIENT_ID": ("", _text),
    "OIDC_CLIENT_SECRET": ("", _text),
    "OIDC_NAME": ("your company account", _text),
    "OIDC_ONLY": ("no", _flag),
    "OIDC_CREATE_PEOPLE": ("no", _flag),
    "OIDC_SECRET_EXPIRES": ("", _date),
}
