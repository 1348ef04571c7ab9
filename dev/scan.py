"""`make scan`: the vulnerability scanner wapiti against the real server behind the real proxy, with demo data.

It looks as nobody, then as somebody who may open everything, and fails on any finding of medium weight or more. wapiti
is found on PATH or named by WAPITI; it is not among the requirements, because it brings dozens of packages along.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from conftest import migrate
from sqlalchemy import select
from support.openid_provider import CLIENT_ID, CLIENT_SECRET
from support.proxy import Front, fronted

from app import create_app
from dev.demo import seed
from extensions import db
from models import Level, Person, Project, Status

# those that need nothing of the internet; not ldap, which there is none of: it takes a token that changes for a hit
MODULES = "backup,cookieflags,crlf,csp,csrf,exec,file,htaccess,http_headers,https_redirect,methods,permanentxss"
MODULES += ",redirect,shellshock,sql,timesql,upload,xss"
LIMITS = ["--depth", "3", "--max-links-per-page", "25", "--max-files-per-dir", "15", "--max-scan-time", "150"]
LIMITS += ["--max-attack-time", "40", "--timeout", "10"]
MEDIUM = 2
SIGN_INS = "1000r/s"  # else nginx answers before the product does, with and without a good token
SIGN_IN = ["/login?local=1", "/login/oidc?next=/erp/jobs", "/login/oidc/callback?code=x&state=x&iss=x"]
ERP_PAGES = [
    "/me",
    "/erp/jobs?filter=synced&rejected=1",
    "/erp/jobs?filter=ready-to-update",
    "/erp/mails",
    "/erp/figures",
]
OIDC_CLIENT = {"OIDC_CLIENT_ID": CLIENT_ID, "OIDC_CLIENT_SECRET": CLIENT_SECRET}


def main() -> int:
    wapiti = os.environ.get("WAPITI") or shutil.which("wapiti")
    if not wapiti:
        sys.exit("wapiti was not found. Install it, or name it by WAPITI.")
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        url = f"sqlite:///{place / 'scanned.db'}"
        migrate(url)
        with _openid_provider() as issuer, fronted(url, place, SIGN_INS, OIDC_ISSUER=issuer, **OIDC_CLIENT) as front:
            email, pages = _fill(front)
            signed_in = ["--header", f"Cookie: {_signed_in(front, email)}"]
            visits = {"nobody": _starts(front, SIGN_IN), "signed in": signed_in + _starts(front, pages)}
            return max([_scan(wapiti, who, front, options, place) for who, options in visits.items()])


@contextmanager
def _openid_provider() -> Iterator[str]:
    command = [sys.executable, "-m", "support.openid_provider"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        yield process.stdout.readline().strip()
        process.terminate()


def _starts(front: Front, paths: Sequence[str]) -> list[str]:
    return [word for path in paths for word in ("--start", f"{front.url}{path}")]


def _fill(front: Front) -> tuple[str, list[str]]:
    """Seed the demo; return who may open everything, and pages that a crawl would reach late or never."""
    app = create_app(front.environ)
    with app.app_context():
        seed.seed()
        person = Person.by_email(seed.address("Dana Whitfield"))
        assert person
        person.erp = person.projects = person.directory = Level.ADMIN
        db.session.commit()
        each = {status: db.session.scalar(select(Project.id).where(Project.status == status)) for status in Status}
        pages = [f"/approvals/{number}" for number in each.values()]
        asks = (Status.READY, Status.READY_TO_UPDATE, Status.FAILED)
        pages += [f"/approvals/{each[status]}/accept" for status in asks]
        pages += [f"/approvals/{each[Status.SYNCED]}/receipt", f"/admin/projects/{each[Status.SYNCED]}"]
        pages += [f"/admin/projects/{each[Status.NOT_SENT]}", f"/admin/directory/{person.id}", *ERP_PAGES]
        return person.email, pages


def _signed_in(front: Front, email: str) -> str:
    with front.client() as client:
        token = re.findall(r'name="csrf_token" value="([^"]+)"', client.get("/login").text)[0]
        form = {"csrf_token": token, "email": email, "password": seed.PASSWORD}
        assert client.post("/login", data=form).status_code == 303
        return "; ".join(f"{cookie.name}={cookie.value}" for cookie in client.cookies.jar)


def _scan(wapiti: str, who: str, front: Front, options: list[str], place: Path) -> int:
    report = place / f"{who}.json"
    ends = [word for page in ("logout", "me/password") for word in ("--exclude", f"{front.url}/{page}")]
    command = [wapiti, "--url", f"{front.url}/", "--scope", "domain", "--module", MODULES, *LIMITS, *ends, *options]
    command += ["--flush-session", "--store-session", place, "--format", "json", "--output", report, "--verbose", "0"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return _told(who, json.loads(report.read_text()))


def _told(who: str, report: dict[str, Any]) -> int:
    """Print each finding; return whether any is too serious."""
    pages = report["infos"].get("crawled_pages_nbr")
    kinds = report["vulnerabilities"] | report["anomalies"]
    found = [(each["level"], kind, each) for kind, some in kinds.items() for each in some]
    click.echo(f"As {who}: {pages} pages, {len(found)} findings.")
    for level, kind, each in found:
        click.echo(f"  {level} {kind}: {each['method']} {each['path']} {each['parameter'] or ''} {each['info']}")
    return int(any(level >= MEDIUM for level, _kind, _each in found))


if __name__ == "__main__":
    sys.exit(main())
