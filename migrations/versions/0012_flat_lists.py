"""What the history, the lists of jobs and the accept form need to be as fast with many events and jobs as with few."""

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

OPEN = "gone_at IS NULL AND status_code <> 'C' AND NOT is_template"
LIST = f"(CASE WHEN archived THEN 'archived' WHEN {OPEN} THEN 'open' END)"
ORDERS = {
    "job": "key",
    "name": "substr(lower(name), 1, 100)",
    "customer": "substr(lower(customer_code), 1, 100)",
    "division": "substr(division, 1, 100)",
}
CODES = ("customer_code", "division", "cost_center")
HISTORY = {"action": "action", "person": "person_id", "deed": "person_id, action"}


def upgrade():
    op.drop_index("ix_event_action_at", "event")
    for name, columns in HISTORY.items():
        op.execute(f"CREATE INDEX ix_event_subject_{name} ON event (subject_id, {columns}, at, id)")
    text = ", search_text" if op.get_bind().dialect.name == "sqlite" else ""  # searched in the index, past long rows
    for name, key in ORDERS.items():
        op.execute(f"CREATE INDEX ix_job_list_{name} ON job ({LIST}, {key}, id{text if name == 'job' else ''})")
    for column in CODES:
        op.execute(f"CREATE INDEX ix_job_{column} ON job ({column}) WHERE gone_at IS NULL")
    op.execute("CREATE INDEX ix_job_template ON job (key) WHERE is_template")


def downgrade():
    op.drop_index("ix_job_template", "job")
    for column in CODES:
        op.drop_index(f"ix_job_{column}", "job")
    for name in ORDERS:
        op.drop_index(f"ix_job_list_{name}", "job")
    for name in HISTORY:
        op.drop_index(f"ix_event_subject_{name}", "event")
    op.create_index("ix_event_action_at", "event", ["action", "at"])
