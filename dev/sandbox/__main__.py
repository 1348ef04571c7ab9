"""`python -m dev.sandbox`: the sandbox Spectrum and the sandbox mailbox on 127.0.0.1, from one process.

Once all three listen, their addresses stand on stdout, a line each. SIGTERM and SIGINT end it.
"""

import argparse
import asyncio
import errno
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

from dev.sandbox import seed, smtp
from dev.sandbox.mailbox_site import MailboxSite
from dev.sandbox.mails import Mails
from dev.sandbox.spectrum_site import SpectrumSite
from dev.sandbox.store import Store
from dev.sandbox.web import Server


def main() -> int:
    """Serve until told to stop; the exit status."""
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
    parser.add_argument("--verbose", action="store_true", help="write each web request to stderr")
    return parser.parse_args()


async def _serve(options: argparse.Namespace) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    store, mails = Store(options.data / "spectrum.db"), Mails(options.data)
    mailbox = MailboxSite(mails)
    with _naming(options.spectrum_port):
        spectrum_web = Server(options.spectrum_port, SpectrumSite(store), options.verbose)
    with _naming(options.mailbox_port):
        mailbox_web = Server(options.mailbox_port, mailbox, options.verbose)
    with _naming(options.smtp_port):
        post = await smtp.serve(options.smtp_port, mails, mailbox.faults)
    if store.is_empty():
        seed.fill(store)
    for server in (spectrum_web, mailbox_web):
        Thread(target=server.serve_forever, daemon=True).start()
    smtp_port = post.sockets[0].getsockname()[1]
    sys.stdout.write(
        f"spectrum http://127.0.0.1:{spectrum_web.server_port}\n"
        f"smtp 127.0.0.1:{smtp_port}\n"
        f"mailbox http://127.0.0.1:{mailbox_web.server_port}\n"
    )
    sys.stdout.flush()
    await stopped.wait()


@contextmanager
def _naming(port: int) -> Iterator[None]:
    """Let the error of a port that cannot be had say which one it is."""
    try:
        yield
    except OSError as error:
        taken = error.errno == errno.EADDRINUSE
        why = "is taken by another program" if taken else f"cannot be used ({error.strerror})"
        raise OSError(error.errno, f"port {port} {why}") from None


if __name__ == "__main__":
    sys.exit(main())
