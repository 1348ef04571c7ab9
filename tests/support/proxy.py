"""The real server behind the real nginx: deploy/nginx.conf on free ports, with a certificate of a CA of its own."""

import os
import shutil
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import trustme
from conftest import ENVIRON, ROOT, free_port, leave_out, wait_until

AROUND = """
daemon off;
{user}
pid nginx.pid;
error_log error.log;
events {{ }}
http {{
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    include site.conf;
}}
"""


@dataclass(frozen=True)
class Front:
    """The addresses from outside, what a browser that trusts the CA takes them with, and the server behind."""

    url: str
    plain_url: str
    trust: ssl.SSLContext
    environ: dict[str, str]
    server: "subprocess.Popen[bytes]"

    def client(self, address: str = "127.0.0.1") -> httpx.Client:
        """A browser at an address of this machine."""
        return httpx.Client(base_url=self.url, transport=httpx.HTTPTransport(verify=self.trust, local_address=address))


@contextmanager
def fronted(database_url: str, place: Path, sign_ins: str = "1r/s", **settings: str) -> Iterator[Front]:
    """gunicorn with nginx in front, which allows so many `sign_ins`; the log of the server is in `place`/log."""
    nginx = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if nginx is None:
        leave_out("the proxy: nginx was not found")
    port, plain_port, upstream = free_port(), free_port(), free_port()
    url = f"https://localhost:{port}"
    environ = ENVIRON | {"DATABASE_URL": database_url, "PORT": str(upstream), "BASE_URL": url} | settings
    trust = _certified(place)
    (place / "site.conf").write_text(_site(place, url, plain_port, upstream).replace("rate=1r/s", f"rate={sign_ins}"))
    (place / "nginx.conf").write_text(AROUND.format(user="user root;" if os.geteuid() == 0 else ""))
    gunicorn = [Path(sys.executable).parent / "gunicorn", "--config", "gunicorn.conf.py", "app:create_app()"]
    command = [nginx, "-p", f"{place}/", "-c", "nginx.conf", "-e", "error.log"]
    with (
        (place / "log").open("wb") as log,
        subprocess.Popen(gunicorn, cwd=ROOT, env=os.environ | environ, stdout=log, stderr=log) as server,
        subprocess.Popen(command, stdout=log, stderr=log) as proxy,
    ):
        try:
            front = Front(url, f"http://localhost:{plain_port}", trust, environ, server)
            wait_until(lambda: _status(front) == 200)
            yield front
        finally:
            for process in (proxy, server):
                process.terminate()
                process.wait()


def _status(front: Front) -> int:
    try:
        with front.client() as client:
            return client.get("/healthz").status_code
    except httpx.TransportError:
        return 0


def _certified(place: Path) -> ssl.SSLContext:
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost")
    certificate.private_key_pem.write_to_path(place / "tls.key")
    for number, part in enumerate(certificate.cert_chain_pems):
        part.write_to_path(place / "tls.crt", append=number > 0)
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    return trust


def _site(place: Path, url: str, plain_port: int, upstream: int) -> str:
    """The file in deploy/ as the installer fills it in, on ports that anybody may open."""
    site = (ROOT / "deploy" / "nginx.conf").read_text()
    host, _, port = url.removeprefix("https://").partition(":")
    for name, value in {"HOST": host, "PORT": port, "BASE_URL": url, "UPSTREAM": f"127.0.0.1:{upstream}"}.items():
        site = site.replace(f"@{name}@", value)
    site = site.replace("listen 80;", f"listen {plain_port};").replace("/opt/countersign/current", str(ROOT))
    lines = site.replace("/etc/countersign/", f"{place}/").splitlines()
    return "\n".join(line for line in lines if "listen [::]" not in line and "access_log" not in line)
