"""The distinct values of an indexed column, by one look-up in the index for each value, however many rows have it."""

from typing import Any

from sqlalchemy import ColumnElement, func, select

from extensions import db


def distinct_values(column: Any, *conditions: ColumnElement[bool]) -> list[Any]:
    """Return the values in their order. `conditions` are those of a partial index on the column."""
    leap = select(func.min(column).label("value")).where(*conditions).cte("leap", recursive=True)
    following = select(func.min(column)).where(column > leap.c.value, *conditions).scalar_subquery()
    leap = leap.union_all(select(following).where(leap.c.value.is_not(None)))
    return list(db.session.scalars(select(leap.c.value).where(leap.c.value.is_not(None))))
