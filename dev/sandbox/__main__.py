"""`python -m dev.sandbox`: the sandbox Spectrum, mailbox and OpenID provider on 127.0.0.1, from one process.

Once all of them listen, it prints their addresses to stdout, a line each. SIGTERM and SIGINT end it.
"""

import argparse
import asyncio
import errno
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import parseaddr
from pathlib import Path
from threading import Thread

from dev.sandbox import seed, smtp
from dev.sandbox.faults import Faults
from dev.sandbox.mail_provider import MailTokens
from dev.sandbox.mailbox_site import mailbox_site
from dev.sandbox.mails import Mails
from dev.sandbox.openid_site import openid_site
from dev.sandbox.pages import serve
from dev.sandbox.spectrum_site import spectrum_site
from dev.sandbox.store import Store


def main() -> int:
    options = _options()
    try:
        options.data.mkdir(parents=True, exist_ok=True)
        asyncio.run(_serve(options))
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        sys.stderr.write(f"The sandbox cannot start: {where}{error.strerror or error}.\n")
        return 1
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m dev.sandbox", description="A Spectrum and a mailbox to practise on."
    )
    parser.add_argument("--data", type=Path, required=True, help="directory that keeps jobs and mails")
    parser.add_argument("--spectrum-port", type=int, default=8482, help="0 for any free port, like the others")
    parser.add_argument("--smtp-port", type=int, default=1025)
    parser.add_argument("--mailbox-port", type=int, default=8025)
    parser.add_argument("--oidc-port", type=int, help="also play an OpenID provider there")
    parser.add_argument("--person", action="append", default=[], help="NAME <EMAIL>: who can sign in with the provider")
    parser.add_argument("--verbose", action="store_true", help="write each web request to stderr")
    return parser.parse_args()


async def _serve(options: argparse.Namespace) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    store, mails = Store(options.data / "spectrum.db"), Mails(options.data)
    mail_faults, mail_tokens = Faults(), MailTokens()
    with _naming(options.spectrum_port):
        spectrum_web = serve(options.spectrum_port, spectrum_site(store), options.verbose)
    with _naming(options.mailbox_port):
        mailbox_web = serve(options.mailbox_port, mailbox_site(mails, mail_faults, mail_tokens), options.verbose)
    webs = [spectrum_web, mailbox_web]
    if options.oidc_port is not None:
        people = {email: name for name, email in map(parseaddr, options.person)}
        with _naming(options.oidc_port):
            webs.append(serve(options.oidc_port, openid_site(people), options.verbose))
    with _naming(options.smtp_port):
        post = await smtp.serve(options.smtp_port, mails, mail_faults, mail_tokens)
    if store.is_empty():
        seed.fill(store)
    for server in webs:
        Thread(target=server.serve_forever, daemon=True).start()
    smtp_port = post.sockets[0].getsockname()[1]
    sys.stdout.write(
        f"spectrum http://127.0.0.1:{spectrum_web.port}\n"
        f"smtp 127.0.0.1:{smtp_port}\n"
        f"mailbox http://127.0.0.1:{mailbox_web.port}\n"
        + "".join(f"oidc http://127.0.0.1:{web.port}\n" for web in webs[2:])
    )
    sys.stdout.flush()
    await stopped.wait()


@contextmanager
def _naming(port: int) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        taken = error.errno == errno.EADDRINUSE
        why = "is taken by another program" if taken else f"cannot be used ({error.strerror})"
        raise OSError(error.errno, f"port {port} {why}") from None


if __name__ == "__main__":
    sys.exit(main())
