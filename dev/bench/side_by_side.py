"""The comparison: the product beside its peers on the same data, and beside the least that a page can be."""

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median
from urllib.parse import quote, urlencode

from dev.bench import growth, load, peers, servers, workloads
from dev.bench.pages import COMMON, Page, Visitor, pages_of
from dev.demo.bulk import RARE

WAITS = "Ready to Export"
ROWS = {
    "the list": WAITS,
    "its last page, by number": "its last page, by number",
    "search that finds 2 %": "search that finds 2 %",
    "search for a rare name": "search for a rare name",
}
UNCHANGED = "the list, unchanged: 304"
# With 100, 10,000 and 1,000,000 projects, where they differ
GOALS = {
    "the list": "3 · 7 · 10 ×",
    "its last page, by number": "3 · 7 · 10 ×",
    "search that finds 2 %": "3 · 4 · 30 ×",
    "search for a rare name": "2.5 · 3 · 80 ×",
    "processor time of the list": "",
    "the same, over a page without a framework": "5 ×",
    "processor time of a static page, over that of a 304": "0.5 ×",
    "accepts, one after another": "1.0 ×",
    "accepts, eight at a time": "1.0 ×",
    "their slowest hundredth": "150 ms",
    "memory: ours with the scheduler, every page seen": "140 MB",
}


@dataclass
class Contender:
    """A server, the request of each row, and the requests per second and processor time that each came to."""

    server: servers.Server
    requests: dict[str, Callable[[], bytes]]
    rates: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    costs: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))  # milliseconds of an answer

    def round(self, seconds: float) -> None:
        for row, request in self.requests.items():
            before = self.server.processor_seconds
            found = load.run(self.server.address, itertools.repeat(request()), 8, seconds)
            most = max(found.statuses, key=lambda status: found.statuses[status])  # a new minute makes a new ETag
            assert most == (304 if row == UNCHANGED else 200), f"{row} was answered {dict(found.statuses)}"
            self.rates[row].append(found.rate)
            self.costs[row].append(1000 * (self.server.processor_seconds - before) / found.statuses.total())

    def forget(self) -> None:
        self.rates.clear()
        self.costs.clear()

    def rate(self, row: str) -> float:
        return median(self.rates[row])

    def cost(self, row: str) -> float:
        return median(self.costs[row])


def compare(path: Path, size: int, rounds: int, seconds: float) -> dict[str, str]:
    """The cells of one size, by row: the product's share of the better peer, then all three."""
    with peers.data_set(path) as theirs:
        with _contenders(path, theirs) as (product, others, bare, static):
            for contender in (product, *others, bare, static):
                contender.round(0.3)
                contender.forget()
            for _ in range(rounds):
                for contender in (product, *others, bare, static):
                    contender.round(seconds)
            cells = {row: _ratio(*(each.rate(row) for each in (product, *others))) for row in ROWS}
            costs = [each.cost("the list") for each in (product, *others)]
            cells["processor time of the list"] = _listed(costs, "{:.2f}", " ms")
            cells |= _costs(product, bare, static)
            memory = [each.server.megabytes for each in others]
        cells |= _accepts(path, theirs, rounds)
    cells["memory: ours with the scheduler, every page seen"] = _listed(
        [growth.memory(path, size), *memory], "{:.0f}", " MB"
    )
    return cells


def _ratio(product: float, *others: float) -> str:
    return f"{product / max(others):.1f} × ({_listed([product, *others], '{:,.0f}', '/s')})"


def _listed(values: list[float], form: str, unit: str) -> str:
    return " · ".join(form.format(value) for value in values) + unit


def _costs(product: Contender, bare: Contender, static: Contender) -> dict[str, str]:
    mine, floor = product.cost("the list"), bare.cost("the list")
    unchanged, bytes_only = product.cost(UNCHANGED), static.cost("the list")
    return {
        "the same, over a page without a framework": f"{mine / floor:.1f} × ({floor:.2f} ms)",
        "processor time of a static page, over that of a 304": f"{bytes_only / unchanged:.2f} × ({unchanged:.2f} ms)",
    }


# --- who is asked what ----------------------------------------------------------------------------------------------


@contextmanager
def _contenders(path: Path, theirs: Path) -> Iterator[tuple[Contender, list[Contender], Contender, Contender]]:
    """The product, its peers, the page without a framework and the static page, all started."""
    url, captured = f"sqlite:///{path}", servers.KEPT / "pages"
    captured.mkdir(parents=True, exist_ok=True)
    pages = {page.name: page for page in pages_of(url)}
    with ExitStack() as stack:
        product = _product(stack.enter_context(servers.serving(url)), pages, captured)
        others = [_peer(stack.enter_context(peers.serving(peer, theirs)), peer, pages, theirs) for peer in peers.PEERS]
        bare = stack.enter_context(servers.serving(url, "dev.bench.bare:app"))
        static = stack.enter_context(servers.serving(url, "dev.bench.static:app", BENCH_PAGES=str(captured)))
        yield product, others, _plain(bare, "/"), _plain(static, "/list.gz")


def _product(server: servers.Server, pages: dict[str, Page], captured: Path) -> Contender:
    visitor, requests = Visitor(server), dict[str, Callable[[], bytes]]()
    for row, name in ROWS.items():
        visitor.capture(pages[name])
        requests[row] = partial(visitor.request, pages[name].path, **pages[name].headers)
    page = pages[WAITS]
    (captured / "list.gz").write_bytes(visitor.capture(page)[0])

    def ask_again() -> bytes:
        return visitor.request(page.path, **page.headers, **{"If-None-Match": visitor.capture(page)[1]})

    return Contender(server, requests | {UNCHANGED: ask_again})


def _peer(server: servers.Server, peer: peers.Peer, pages: dict[str, Page], theirs: Path) -> Contender:
    """A peer, once it was seen that its pages show the projects that the product's show."""
    visitor = peers.PeerVisitor(server, peer, peers.first_waiting(theirs))
    last = int(pages[ROWS["its last page, by number"]].path.partition("page=")[2]) - 1
    paths = [peer.page_path(0), peer.page_path(last), *(peer.search_path(word.lower()) for word in (COMMON, RARE))]
    requests = dict[str, Callable[[], bytes]]()
    for (row, name), path in zip(ROWS.items(), paths, strict=True):
        visitor.capture(Page(name, path, pages[name].numbers))
        requests[row] = partial(visitor.request, path, **{"Accept-Encoding": "gzip"})
    return Contender(server, requests)


def _plain(server: servers.Server, path: str) -> Contender:
    return Contender(server, {"the list": lambda: f"GET {path} HTTP/1.1\r\nHost: {server.host}\r\n\r\n".encode()})


# --- accepting ------------------------------------------------------------------------------------------------------


def _accepts(path: Path, theirs: Path, rounds: int) -> dict[str, str]:
    found: list[list[tuple[load.Round, load.Round]]] = []
    for _ in range(rounds):
        found.append([workloads.accepts(path), *(_peer_accepts(peer, theirs) for peer in peers.PEERS)])
    alone, together = ([[pair[which] for pair in pairs] for pairs in zip(*found, strict=True)] for which in (0, 1))
    slowest = [median(each.slowest_hundredth for each in of_one) for of_one in together]
    return {
        "accepts, one after another": _ratio(*(median(each.rate for each in of_one) for of_one in alone)),
        "accepts, eight at a time": _ratio(*(median(each.rate for each in of_one) for of_one in together)),
        "their slowest hundredth": _listed(slowest, "{:,.0f}", " ms"),
    }


def _peer_accepts(peer: peers.Peer, theirs: Path) -> tuple[load.Round, load.Round]:
    with servers.copy_of(theirs) as copy:
        waiting = peers.add_waiting(copy, workloads.MORE)
        with peers.serving(peer, copy) as server:
            visitor = peers.PeerVisitor(server, peer, waiting[0][0])
            forms = (_form(visitor, peer, *project) for project in waiting)
            half = workloads.MORE // 2
            alone, together = (load.run(server.address, itertools.islice(forms, half), many) for many in (1, 8))
        assert {*alone.statuses, *together.statuses} == {302}, [alone.statuses, together.statuses]
        assert peers.count_accepted(copy) == workloads.MORE, f"{peer.name} answered an accept that is not there"
    return alone, together


def _form(visitor: Visitor, peer: peers.Peer, project: int, number: str, name: str) -> bytes:
    fields = {peer.token_field: visitor.token, "number": number, "name": name}
    fields |= {"status": "Exporting", "job_number": number}
    return visitor.request(peer.form_path.format(project), urlencode(fields, quote_via=quote))
