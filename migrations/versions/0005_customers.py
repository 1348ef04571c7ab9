"""Spectrum's customers by code, so that people can choose them by name; and how often a new job was proven absent."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade():
    op.create_table(
        "customer",
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("taxable", sa.String(1), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_customer"),
    )
    op.add_column("export", sa.Column("absences", sa.Integer(), nullable=False, server_default="0"))


def downgrade():
    op.drop_column("export", "absences")
    op.drop_table("customer")
