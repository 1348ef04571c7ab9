"""Keyset pagination: a page begins after the last row of the page before, so page 1,000 costs what page 1 costs.

Where somebody typed a page number, rows are skipped in an index, from the nearer end.
"""

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from sqlalchemy import ColumnElement, FromClause, Select, and_, bindparam, func, or_, select, union_all
from sqlalchemy.sql.base import ExecutableOption

from extensions import db
from lib.text import clean

PER_PAGE = 50
MANY = 1000  # counting stops there


@dataclass(frozen=True)
class ListParams:
    """The parameters of a list's address; one that makes no sense is ignored."""

    q: str
    sort: str
    page: int
    age: str
    after: int  # the id of the row that ends the page before
    before: int  # the id of the row that begins the next page

    @classmethod
    def from_args(cls, args: Mapping[str, str], sorts: Container[str] = (), ages: Container[str] = ()) -> "ListParams":
        sort, age = args.get("sort", ""), args.get("age", "")
        return cls(
            q=clean(args.get("q", ""))[:100],
            sort=sort if sort.removeprefix("-") in sorts else "",
            page=_number(args, "page") or 1,
            age=age if age in ages else "",
            after=_number(args, "after"),
            before=_number(args, "before"),
        )

    def address(self, **changes: Any) -> dict[str, Any]:
        """The query as address parameters, on its first page and without defaults."""
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
    query: ListParams
    has_next: bool
    is_bounded: bool = False  # a search that did not look through the whole list

    @property
    def first(self) -> int:
        return (self.query.page - 1) * PER_PAGE + 1

    @property
    def last(self) -> int:
        return self.first + len(self.rows) - 1

    @property
    def total_text(self) -> str:
        return f"more than {MANY:,}" if self.total is None else f"{self.total:,}"

    @property
    def next(self) -> dict[str, Any]:
        return self.query.address(page=self.query.page + 1, after=self.rows[-1].id)

    @property
    def previous(self) -> dict[str, Any]:
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
        return (self.key, self.id) if self.up == forwards else (self.key.desc(), self.id.desc())

    def beyond(self, forwards: bool, place: str = "beyond") -> ColumnElement[bool]:
        """The condition that a row comes after the one whose id is the parameter `place`, or backwards before it."""
        there: ColumnElement[Any] = bindparam(place)
        key = select(self.key).select_from(self.source).where(self.id == there).correlate(None).scalar_subquery()
        if self.up == forwards:
            return and_(self.key >= key, or_(self.key > key, self.id > there))
        return and_(self.key <= key, or_(self.key < key, self.id < there))


Values = Mapping[str, Any]
Read = Callable[[Select[Any], Values], Sequence[Any]]


_LIMIT: ColumnElement[int] = bindparam("limit")


@dataclass(frozen=True)
class PagedQuery:
    """The statements of an ordered list. Keep one: building a statement takes longer than running it."""

    rows: Select[Any]
    order: Order
    counted: Select[Any] | None = None  # a cheaper statement with as many rows
    parts: tuple[ColumnElement[bool], ...] = ()  # conditions that split the list; an index has each part in its order
    is_bounded: bool = False  # to the rows up to the one whose id is the parameter `bound`

    def page(self, query: ListParams, total: int | None, read: Read, values: Values) -> Page:
        if query.page > 1 and not (query.after or query.before):
            query = self._by_number(query, total, values)
        place = query.after or query.before
        statement = self._beyond[not query.before] if place else self._first
        found = read(statement, {**values, "beyond": place, "limit": PER_PAGE + 1})
        more = len(found) > PER_PAGE
        if place and (not found or (query.before and not more)):  # that row is gone, or this is the first page now
            return self.page(replace(query, page=1, after=0, before=0), total, read, values)
        rows = found[PER_PAGE - 1 :: -1] if query.before else found[:PER_PAGE]
        return Page(rows, total, query, more, self.is_bounded)

    def _by_number(self, query: ListParams, total: int | None, values: Values) -> ListParams:
        """The query with the row that ends the page before, where somebody typed a page's number; at most the last."""
        page = query.page if total is None else min(query.page, max(1, -(-total // PER_PAGE)))
        skipped = (page - 1) * PER_PAGE
        if not skipped:
            return replace(query, page=1)
        forwards = total is None or skipped <= total // 2
        after = self.nth(skipped - 1 if forwards else (total or 0) - skipped, values, forwards)
        return replace(query, page=page if after else 1, after=after)

    def nth(self, skipped: int, values: Values, forwards: bool = True) -> int:
        """The id of the row after so many from the beginning, or from the end; 0 where there is none."""
        return db.session.connection().execute(self._nth[forwards], {**values, "skipped": skipped}).scalar() or 0

    def ids(self, values: Values, limit: int) -> list[int]:
        first = self._listed.order_by(*self.order.by(forwards=True)).limit(limit)
        return list(db.session.connection().scalars(first, dict(values)))

    def count(self, values: Values) -> int | None:
        found: int = db.session.connection().execute(self._count, {**values, "limit": MANY + 1}).scalar_one()
        return found if found <= MANY else None

    @cached_property
    def bounded(self) -> "PagedQuery":
        """The same, only up to the row whose id is the parameter `bound`."""
        return replace(self, rows=self.rows.where(self.order.beyond(False, "bound")), is_bounded=True)

    @cached_property
    def _first(self) -> Select[Any]:
        return self._page_of(forwards=True)

    @cached_property
    def _beyond(self) -> dict[bool, Select[Any]]:
        return {way: self._page_of(way, self.order.beyond(way)) for way in (True, False)}

    def _page_of(self, forwards: bool, *place: ColumnElement[bool]) -> Select[Any]:
        """The statement of one page: of a list in parts, its first rows are among the first ones of each part."""
        order, limit = self.order.by(forwards), _LIMIT
        if not self.parts:
            return self.rows.where(*place).order_by(*order).limit(limit)
        firsts = [self._ids.where(part, *place).order_by(*order).limit(limit).subquery() for part in self.parts]
        among = union_all(*(select(*first.c) for first in firsts))
        return self.rows.where(self.order.id.in_(among)).order_by(*order).limit(limit)

    @cached_property
    def _nth(self) -> dict[bool, Select[Any]]:
        """The statements for the id of the nth row, from the beginning (True) or the end; an index answers them."""
        nth = self._listed.limit(1).offset(bindparam("skipped"))
        return {forwards: nth.order_by(*self.order.by(forwards)) for forwards in (True, False)}

    @cached_property
    def _count(self) -> Select[Any]:
        some = self._listed if self.counted is None else self.counted
        return select(func.count()).select_from(some.limit(bindparam("limit")).subquery())

    @property
    def _ids(self) -> Select[Any]:
        return self.rows.with_only_columns(self.order.id)

    @property
    def _listed(self) -> Select[Any]:
        return self._ids.where(or_(*self.parts)) if self.parts else self._ids


def objects(*options: ExecutableOption) -> Read:
    return lambda statement, values: db.session.scalars(statement.options(*options), values).all()
