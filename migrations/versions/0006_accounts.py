"""A person's company account, the last day of the privilege, and the days on which somebody is away."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

COLUMNS = {
    "oidc_issuer": sa.String(length=255),
    "oidc_subject": sa.String(length=255),
    "can_push_until": sa.Date(),
    "away_from": sa.Date(),
    "away_until": sa.Date(),
}


def upgrade():
    for name, kind in COLUMNS.items():
        op.add_column("person", sa.Column(name, kind, nullable=True))
    op.create_index("uq_person_company_account", "person", ["oidc_issuer", "oidc_subject"], unique=True)


def downgrade():
    op.drop_index("uq_person_company_account", "person")
    for name in reversed(COLUMNS):
        op.drop_column("person", name)
