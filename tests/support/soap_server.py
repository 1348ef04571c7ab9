"""Servers of a few lines that answer SOAP calls in odd ways, and the texts of replies."""

import re
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Thread
from typing import Any

from erp.spectrum.client import Spectrum
from erp.spectrum.fields import returns

AUTHORIZATION_ID, COMPANY = "DEMO-COUNTERSIGN", "HB"
TYPES = "http://www.northgate-is.com/proiv/webservices/types"
TLS_HELLO = b"\x16"

Behaviour = Callable[[socket.socket, bytes], None]


def client(url: str, **options: Any) -> Spectrum:
    """A client that does not wait long, and does not pause."""
    given = {"connect_timeout": 2, "read_timeout": 5, "deadline": 10, "pauses": (0.0, 0.0), **options}
    return Spectrum(url, COMPANY, AUTHORIZATION_ID, **given)


@contextmanager
def server(behave: Behaviour, trust: ssl.SSLContext | None = None) -> Iterator[str]:
    """Answer each connection's request with `behave`, then close; gives the address."""

    def serve() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with suppress(OSError), connection:
                    stream = trust.wrap_socket(connection, server_side=True) if trust else connection
                    with stream:
                        behave(stream, _request_of(stream))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = Thread(target=serve)
        thread.start()
        try:
            yield f"{'https' if trust else 'http'}://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


@contextmanager
def answering(*answers: bytes) -> Iterator[tuple[str, list[str]]]:
    """Answer one after another, the last one for good; gives the address and the requests as they come."""
    received: list[str] = []

    def behave(connection: socket.socket, request: bytes) -> None:
        received.append(request.decode(errors="replace"))
        connection.sendall(answers[min(len(received), len(answers)) - 1])

    with server(behave) as url:
        yield url, received


def _request_of(connection: socket.socket) -> bytes:
    """Read one HTTP request whole, or the hello of a client that wants TLS."""
    received = connection.recv(65536)
    while b"\r\n\r\n" not in received and not received.startswith(TLS_HELLO):
        received += _more(connection)
    head, _, body = received.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: (\d+)", head)
    while length and len(body) < int(length[1]):
        body += _more(connection)
    return head + b"\r\n\r\n" + body


def _more(connection: socket.socket) -> bytes:
    received = connection.recv(65536)
    if not received:
        raise ConnectionError
    return received


def http(body: bytes | str, status: int = 200, content_type: str = "text/xml; charset=utf-8") -> bytes:
    content = body.encode() if isinstance(body, str) else body
    head = f"HTTP/1.1 {status} x\r\nContent-Type: {content_type}\r\nContent-Length: {len(content)}\r\n\r\n"
    return head.encode() + content


def envelope(content: str) -> str:
    soap = "http://schemas.xmlsoap.org/soap/envelope/"
    return f'<e:Envelope xmlns:e="{soap}" xmlns:n="{TYPES}"><e:Header/><e:Body>{content}</e:Body></e:Envelope>'


def reply(content: str, service: str = "AddJob") -> str:
    return envelope(f"<n:{service}Response><returnArray>{content}</returnArray></n:{service}Response>")


def fault(code: str, text: str) -> str:
    return envelope(f"<e:Fault><faultcode>e:{code}</faultcode><faultstring>{text}</faultstring></e:Fault>")


def row(code: str, desc: str = "", column: str = "") -> str:
    """A row of a write."""
    return f"<response><error_code>{code}</error_code><desc>{desc}</desc><column>{column}</column></response>"


def data(*rows: str) -> str:
    return f"<returnData>{''.join(rows)}</returnData>"


def listed(*jobs: dict[str, str], service: str = "GetJobMain") -> str:
    """A read's whole reply, with every declared column of each job, its values as they stand in XML."""
    fields = ["".join(f"<{element}>{job.get(element, '')}</{element}>" for element in returns(service)) for job in jobs]
    wrapper = service[0].lower() + service[1:]
    rows = "\r\n".join(f"<response>{each}</response>" for each in fields)
    return reply(data(f"<{wrapper}>\r\n{rows}\r\n</{wrapper}>"), service)
