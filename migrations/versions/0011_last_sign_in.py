"""When each person signed in last."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade():
    op.add_column("person", sa.Column("last_sign_in_at", sa.DateTime(timezone=True)))


def downgrade():
    op.drop_column("person", "last_sign_in_at")
