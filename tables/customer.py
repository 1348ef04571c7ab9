"""Spectrum's customers, as the job list was last read with them."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import String, delete, insert, select
from sqlalchemy.orm import Mapped, mapped_column

from erp import job_key
from extensions import Base, db

SHOWN = 2000  # customers that a form offers at most: more would make it slow


class Customer(Base):
    """A customer by code. Without a list of customers it is what the job list says: code and name."""

    __tablename__ = "customer"

    key: Mapped[str] = mapped_column(primary_key=True)  # the code as codes are compared
    code: Mapped[str] = mapped_column()
    name: Mapped[str] = mapped_column(default="")
    taxable: Mapped[str] = mapped_column(String(1), default="")  # "Y", "N", or "" where there is no standard
    active: Mapped[bool] = mapped_column(default=True)

    @property
    def title(self) -> str:
        return f"{self.code} {self.name}".strip()

    @classmethod
    def by_code(cls, code: str) -> "Customer | None":
        return db.session.get(cls, job_key(code)) if code.strip() else None

    @classmethod
    def name_of(cls, code: str) -> str:
        customer = cls.by_code(code)
        return customer.name if customer else ""

    @classmethod
    def take_over(cls, customers: Sequence[dict[str, Any]], complete: bool) -> None:
        """Bring the table to a list that was read. One that is empty or cut short takes nothing away."""
        rows = {job_key(each["code"]): {"key": job_key(each["code"]), **each} for each in customers}
        if rows:
            db.session.execute(delete(cls) if complete else delete(cls).where(cls.key.in_(rows)))
            db.session.execute(insert(cls), list(rows.values()))

    @classmethod
    def choices(cls) -> Sequence["Customer"]:
        return db.session.scalars(select(cls).where(cls.active).order_by(cls.code).limit(SHOWN)).all()

    @classmethod
    def code_of(cls, typed: str) -> str:
        if not typed or cls.by_code(typed):
            return typed
        named = db.session.scalars(select(cls.code).where(cls.name == typed).limit(2)).all()
        return named[0] if len(named) == 1 else typed

    @classmethod
    def taxable_of(cls, code: str) -> str:
        customer = cls.by_code(code)
        return customer.taxable if customer else ""
