"""The pages that are measured: the address of each, and the projects that it must show, in their order."""

import gzip
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import httpx
from sqlalchemy import create_engine, text

from dev.bench.servers import Server
from dev.demo.bulk import OWNERS, RARE
from dev.demo.seed import PASSWORD, address

PER_PAGE = 50
NUMBER = re.compile(r"\bM\d{7}\b")
TOKEN = re.compile(r'name="csrf_token" value="([^"]+)"')
READY = "SELECT id, number, name FROM project WHERE status = 'Ready to Export' ORDER BY sent_at, id"
SYNCED = "SELECT number FROM project WHERE status = 'Synced' ORDER BY {} LIMIT 50"
EVERYWHERE = "SELECT number FROM project WHERE name LIKE '{}%' ORDER BY id DESC LIMIT 50"
COMMON = OWNERS[1]


@dataclass(frozen=True)
class Page:
    """One page of one database, and the numbers of the projects that it has to show."""

    name: str
    path: str
    numbers: Sequence[str]
    headers: dict[str, str] = field(default_factory=lambda: {"Accept-Encoding": "gzip"})


def pages_of(database: str) -> list[Page]:
    """The pages of a database, with what each has to show."""
    engine = create_engine(database)
    with engine.connect() as connection:
        ready = connection.execute(text(READY)).all()
        synced, by_name, rare = (
            connection.scalars(text(statement)).all()
            for statement in (
                SYNCED.format("sent_at DESC, id DESC"),
                SYNCED.format("lower(name), id"),
                EVERYWHERE.format(RARE),
            )
        )
    engine.dispose()
    waiting = [row.number for row in ready]
    last = max(0, (len(waiting) - 1) // PER_PAGE * PER_PAGE)
    step = f"?page={last // PER_PAGE + 1}&after={ready[last - 1].id}" if last else ""

    def found(word: str) -> list[str]:
        return [row.number for row in ready if word in row.name][:PER_PAGE]

    return [
        Page("Ready to Export", "/erp/jobs", waiting[:PER_PAGE]),
        Page("the same, not packed", "/erp/jobs", waiting[:PER_PAGE], {}),
        Page("its last page, by Next", f"/erp/jobs{step}", waiting[last:]),
        Page("its last page, by number", f"/erp/jobs?page={last // PER_PAGE + 1}", waiting[last:]),
        Page("search that finds 2 %", f"/erp/jobs?q={COMMON.lower()}", found(COMMON)),
        Page("search for a rare name", f"/erp/jobs?q={RARE.lower()}", found(RARE)),
        Page("waiting 7 days and more", "/erp/jobs?age=older", waiting[:PER_PAGE]),
        Page("filter Synced", "/erp/jobs?filter=synced", synced),
        Page("Synced, by name", "/erp/jobs?filter=synced&sort=name", by_name),
        Page("all projects, a rare name", f"/admin/projects?q={RARE.lower()}", rare),
    ]


class Visitor:
    """An accounting approver who is signed in at a server."""

    def __init__(self, server: Server) -> None:
        self._server = server
        no_reuse = httpx.Limits(max_keepalive_connections=0)  # the server closes what was quiet for two seconds
        self.client = httpx.Client(base_url=server.url, timeout=120, limits=no_reuse)
        self.token = self.sign_in()
        self.cookie = "; ".join(f"{name}={value}" for name, value in self.client.cookies.items())

    def sign_in(self) -> str:
        """Sign in; the token of the forms from then on."""
        self.post("/login", "/login", email=address("Dana Whitfield"), password=PASSWORD)
        return self._token("/me")

    def _token(self, path: str) -> str:
        return str(TOKEN.findall(self.client.get(path).text)[0])

    def post(self, path: str, form: str, **fields: str) -> None:
        answer = self.client.post(path, data={"csrf_token": self._token(form), **fields})
        assert answer.status_code == 303, f"{path} answered {answer.status_code}"

    def fetch(self, path: str, headers: Mapping[str, str]) -> tuple[bytes, httpx.Response]:
        with self.client.stream("GET", path, headers={"Accept-Encoding": "identity", **headers}) as answer:
            return b"".join(answer.iter_raw()), answer

    def capture(self, page: Page) -> tuple[bytes, str]:
        """The page's bytes and its ETag, once it was seen that it shows the right projects."""
        sent, answer = self.fetch(page.path, page.headers)
        text = gzip.decompress(sent) if "Content-Encoding" in answer.headers else sent
        shown = list(dict.fromkeys(NUMBER.findall(text.decode())))
        if answer.status_code != 200 or shown != list(page.numbers):
            raise SystemExit(f"{page.path} shows {shown}, not {list(page.numbers)}.")
        return sent, answer.headers.get("ETag", "")

    def request(self, path: str, form: str = "", **headers: str) -> bytes:
        headers |= {"Host": self._server.host, "Cookie": self.cookie}
        if form:
            headers |= {"Content-Type": "application/x-www-form-urlencoded", "Content-Length": str(len(form))}
        lines = [f"{'POST' if form else 'GET'} {path} HTTP/1.1", *(f"{each}: {text}" for each, text in headers.items())]
        return "\r\n".join([*lines, "", form]).encode()
