"""Pages of a list: what an address asks for, and the rows from there on. What the lists are stands in `worklist.py`.

A page begins after the last row of the page before, found by its key in the order (and not by counting the rows that
come first), so that the thousandth page costs what the first one costs.
"""

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import ColumnElement, FromClause, Select, and_, func, or_, select

from extensions import db

PER_PAGE = 50
MANY = 1000  # of what a search found, nobody counts more


@dataclass(frozen=True)
class Query:
    """What an address asks for, as far as it makes sense."""

    q: str
    sort: str
    page: int
    age: str
    after: int  # the id of the row that ends the page before
    before: int  # the id of the row that begins the next page

    @classmethod
    def of(cls, args: Mapping[str, str], sorts: Container[str] = (), ages: Container[str] = ()) -> "Query":
        sort, age = args.get("sort", ""), args.get("age", "")
        return cls(
            q=args.get("q", "").replace("\0", "").strip()[:100],
            sort=sort if sort.removeprefix("-") in sorts else "",
            page=_number(args, "page") or 1,
            age=age if age in ages else "",
            after=_number(args, "after"),
            before=_number(args, "before"),
        )

    def address(self, **changes: Any) -> dict[str, Any]:
        """The query as address parameters, on its first page and without what is at its default."""
        wanted = {"q": self.q, "sort": self.sort, "age": self.age} | changes
        return {name: value for name, value in wanted.items() if value and (name, value) != ("page", 1)}


def _number(args: Mapping[str, str], name: str) -> int:
    text = args.get(name, "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else 0


@dataclass(frozen=True)
class Page:
    """The rows of one page, and how many there are on all pages; None stands for more than `MANY`."""

    rows: Sequence[Any]
    total: int | None
    query: Query
    has_next: bool

    @property
    def first(self) -> int:
        return (self.query.page - 1) * PER_PAGE + 1

    @property
    def last(self) -> int:
        return self.first + len(self.rows) - 1

    @property
    def total_said(self) -> str:
        return f"more than {MANY:,}" if self.total is None else f"{self.total:,}"

    @property
    def next(self) -> dict[str, Any]:
        """The address parameters of the next page."""
        return self.query.address(page=self.query.page + 1, after=self.rows[-1].id)

    @property
    def previous(self) -> dict[str, Any]:
        """The address parameters of the page before."""
        page = self.query.page - 1
        return self.query.address(page=page, before=self.rows[0].id if self.rows and page > 1 else 0)


@dataclass(frozen=True)
class Order:
    """The order of a list: a key that is never null, then the id; `source` is the tables that the key is read from."""

    key: Any
    id: Any
    source: FromClause
    up: bool = True

    def by(self, forwards: bool) -> tuple[ColumnElement[Any], ...]:
        """What to order by; backwards, for the rows that come before one."""
        return (self.key, self.id) if self.up == forwards else (self.key.desc(), self.id.desc())

    def beyond(self, row_id: int, forwards: bool) -> ColumnElement[bool]:
        """The condition that a row comes after the one of that id, or backwards before it."""
        key = select(self.key).select_from(self.source).where(self.id == row_id).correlate(None).scalar_subquery()
        if self.up == forwards:
            return and_(self.key >= key, or_(self.key > key, self.id > row_id))
        return and_(self.key <= key, or_(self.key < key, self.id < row_id))


def page(
    rows: Select[Any], order: Order, query: Query, total: int | None, read: Callable[[Select[Any]], Sequence[Any]]
) -> Page:
    """The page of `rows` that the query asks for, as `read` makes them."""
    if not query.after and not query.before:
        return _by_number(rows, order, query, total, read)
    forwards = not query.before
    beyond = rows.where(order.beyond(query.after or query.before, forwards)).order_by(*order.by(forwards))
    found = read(beyond.limit(PER_PAGE + 1))
    more = len(found) > PER_PAGE
    if not found or not (forwards or more):  # that row is gone, or this is the first page now
        return _by_number(rows, order, replace(query, page=1, after=0, before=0), total, read)
    return Page(found[:PER_PAGE] if forwards else found[PER_PAGE - 1 :: -1], total, query, more or not forwards)


def _by_number(
    rows: Select[Any], order: Order, query: Query, total: int | None, read: Callable[[Select[Any]], Sequence[Any]]
) -> Page:
    """A page as somebody typed its number; past the end is the last page."""
    if total is not None:
        query = replace(query, page=min(query.page, max(1, -(-total // PER_PAGE))))
    ordered = rows.order_by(*order.by(forwards=True)).offset((query.page - 1) * PER_PAGE)
    found = read(ordered.limit(PER_PAGE + 1))
    return Page(found[:PER_PAGE], total, query, len(found) > PER_PAGE)


def count(rows: Select[Any]) -> int | None:
    """How many rows there are; None where there are more than `MANY`, which nobody counts."""
    found = db.session.scalar(select(func.count()).select_from(rows.limit(MANY + 1).subquery())) or 0
    return found if found <= MANY else None


def objects(rows: Select[Any]) -> Sequence[Any]:
    """The rows as they are."""
    return db.session.scalars(rows).all()
