"""Whom an unanswered comment on a project waits for."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade():
    op.add_column("project", sa.Column("question_to", sa.String(length=40)))
    op.execute("CREATE INDEX ix_project_question ON project (question_to, id) WHERE question_to IS NOT NULL")


def downgrade():
    op.drop_index("ix_project_question", "project")
    op.drop_column("project", "question_to")
