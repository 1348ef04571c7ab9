"""Events are looked up by what was done and when."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade():
    op.create_index(op.f("ix_event_action_at"), "event", ["action", "at"])
    op.create_index(op.f("ix_event_at"), "event", ["at"])


def downgrade():
    op.drop_index(op.f("ix_event_at"), "event")
    op.drop_index(op.f("ix_event_action_at"), "event")
