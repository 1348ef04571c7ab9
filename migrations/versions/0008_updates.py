"""What updates of a job need: what accounting accepted last, and the job as it was read for the decision."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

COLUMNS = {
    "project": [
        sa.Column("accepted", sa.JSON()),
        sa.Column("drifted", sa.Boolean(), nullable=False, server_default=sa.false()),
    ],
    "export": [
        sa.Column("is_update", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("seen", sa.JSON(), nullable=False, server_default="{}"),
    ],
    "job": [sa.Column("dates", sa.JSON()), sa.Column("read_at", sa.DateTime(timezone=True))],
}


def upgrade():
    for table, columns in COLUMNS.items():
        for column in columns:
            op.add_column(table, column)


def downgrade():
    for table, columns in COLUMNS.items():
        for column in columns:
            op.drop_column(table, column.name)
