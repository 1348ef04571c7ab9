"""`make run`: the app with the sandbox Spectrum and mailbox beside it, until Ctrl-C.

It only starts processes: the app knows the sandbox by the addresses in instance/demo.env.
"""

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import config
from dev.demo.seed import CAST, PASSWORD, address
from dev.sandbox.pages import CLIENT

ROOT = Path(__file__).resolve().parent.parent.parent
INSTANCE = ROOT / "instance"
BIN = Path(sys.executable).parent


def settings() -> dict[str, str]:
    """The demo's own settings, so that it never meets a real Spectrum or mail server, and the environment's others."""
    port = os.environ.get("PORT", "8000")
    kept = dict(line.split("=", 1) for line in _lines(INSTANCE / "demo.env"))
    ours = {
        "SECRET_KEY": kept.get("SECRET_KEY") or secrets.token_hex(32),
        "DATABASE_URL": "sqlite:///demo.db",
        "PORT": port,
        "BASE_URL": os.environ.get("BASE_URL") or f"http://127.0.0.1:{port}",
        "SPECTRUM_URL": f"http://127.0.0.1:{os.environ.get('SPECTRUM_PORT', '8482')}",
        "SPECTRUM_COMPANY_CODE": "HB",
        "SPECTRUM_AUTHORIZATION_ID": "DEMO-COUNTERSIGN",
        "EXPORT_CHECK_SECONDS": os.environ.get("EXPORT_CHECK_SECONDS") or "5",
        "MAIL_SERVER": "127.0.0.1",
        "MAIL_PORT": os.environ.get("SMTP_PORT", "1025"),
        "MAIL_DEFAULT_SENDER": "countersign@halvorsen.example",
        **(_mail_by_token() if os.environ.get("MAIL_AUTH", "password") != "password" else {}),
        **(_company_sign_in() if os.environ.get("OIDC", "no").lower() in ("yes", "true", "1") else {}),
    }
    return {name: os.environ[name] for name in config.SETTINGS if os.environ.get(name)} | ours


def _company_sign_in() -> dict[str, str]:
    return {
        "OIDC_ISSUER": f"http://127.0.0.1:{os.environ.get('OIDC_PORT', '8090')}",
        "OIDC_CLIENT_ID": CLIENT[0],
        "OIDC_CLIENT_SECRET": CLIENT[1],
        "OIDC_NAME": "Halvorsen",
    }


def _mail_by_token() -> dict[str, str]:
    """MAIL_AUTH=oauth and MAIL_AUTH=graph, with the sandbox as the provider."""
    provider = f"http://127.0.0.1:{os.environ.get('MAILBOX_PORT', '8025')}"
    return {
        "MAIL_OAUTH_TENANT": "sandbox",
        "MAIL_OAUTH_CLIENT_ID": CLIENT[0],
        "MAIL_OAUTH_CLIENT_SECRET": CLIENT[1],
        "MAIL_OAUTH_TOKEN_URL": f"{provider}/oauth/token",
        "MAIL_GRAPH_URL": f"{provider}/v1.0",
        "MAIL_USERNAME": "countersign@halvorsen.example",
    }


def _refuse_taken_port(port: int) -> None:
    """Say so at once: the server itself would try for seconds, below the sign-ins."""
    with socket.socket() as attempt:
        attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            attempt.bind(("127.0.0.1", port))
        except OSError:
            raise SystemExit(f"Countersign cannot start: port {port} is taken by another program.") from None


def _answers(port: int, server: subprocess.Popen[str]) -> bool:
    """Wait until the server listens; False where it ended instead."""
    while server.poll() is None:
        with socket.socket() as attempt:
            if attempt.connect_ex(("127.0.0.1", port)) == 0:
                return True
        time.sleep(0.1)
    return False


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def main() -> int:
    INSTANCE.mkdir(exist_ok=True)
    demo = settings()
    (INSTANCE / "demo.env").write_text("".join(f"{name}={value}\n" for name, value in demo.items()))
    environ = {**os.environ, **demo}
    for each in (signal.SIGINT, signal.SIGTERM):  # a shell starts background processes with SIGINT ignored
        signal.signal(each, signal.default_int_handler)
    started: list[subprocess.Popen[str]] = []
    try:
        started.append(_start_sandbox(demo))
        for command in ("db upgrade", "demo seed", "jobs refresh"):
            _flask(command, environ)
        _refuse_taken_port(int(demo["PORT"]))
        gunicorn = [str(BIN / "gunicorn"), "--config", "gunicorn.conf.py", "--log-level", "warning", "app:create_app()"]
        with (INSTANCE / "demo.log").open("a") as log:
            server = subprocess.Popen(gunicorn, cwd=ROOT, env=environ, stderr=log, text=True, start_new_session=True)
        started.append(server)
        if _answers(int(demo["PORT"]), server):
            _say_where(demo)
        else:
            print("Countersign did not start; instance/demo.log says why.", file=sys.stderr)
        return server.wait()
    except KeyboardInterrupt:
        return 0
    finally:
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, signal.SIG_IGN)
        for process in reversed(started):
            process.terminate()
            process.wait()


def _start_sandbox(demo: dict[str, str]) -> subprocess.Popen[str]:
    ports = {
        "--spectrum-port": demo["SPECTRUM_URL"].rpartition(":")[2],
        "--smtp-port": demo["MAIL_PORT"],
        "--mailbox-port": os.environ.get("MAILBOX_PORT", "8025"),
    }
    if "OIDC_CLIENT_ID" in demo:
        ports["--oidc-port"] = demo["OIDC_ISSUER"].rpartition(":")[2]
    options = [word for pair in ports.items() for word in pair]
    options += [word for _, name, *_ in CAST for word in ("--person", f"{name} <{address(name)}>")]
    command = [sys.executable, "-m", "dev.sandbox", "--data", str(INSTANCE / "sandbox"), *options]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stdout
    for _ in ports:  # each says where it listens
        if not process.stdout.readline():
            raise SystemExit(process.wait() or 1)
    return process


def _flask(command: str, environ: dict[str, str]) -> None:
    done = subprocess.run([str(BIN / "flask"), "--app", "app", *command.split()], cwd=ROOT, env=environ, check=False)
    if done.returncode:
        raise SystemExit(done.returncode)


def _say_where(demo: dict[str, str]) -> None:
    lines = [
        "",
        f"Countersign         {demo['BASE_URL']}",
        f"Sandbox Spectrum    {demo['SPECTRUM_URL']}",
        f"Sandbox mailbox     http://127.0.0.1:{os.environ.get('MAILBOX_PORT', '8025')}",
        *([f"Company sign-in     {demo['OIDC_ISSUER']}"] if "OIDC_ISSUER" in demo else []),
        "Log                 instance/demo.log",
        "",
        "Sign in as",
        *(f"{role:<20}  {address(name):<38}  {PASSWORD}" for role, name, *_ in CAST),
        "",
        "Ctrl-C stops all of it.",
    ]
    print("\n".join(lines), flush=True)


if __name__ == "__main__":
    sys.exit(main())
