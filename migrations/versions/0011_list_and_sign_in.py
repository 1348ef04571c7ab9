"""When each person signed in last, what the filters of the list of projects need, and deleting what was never sent.

The database still refuses to delete an event while its project is there: a project goes first, and its events with it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

INDEXES = {"created_by": "(created_by_id, id)", "sent_by": "(sent_by_id, id)", "inactive": "(id) WHERE NOT active"}
THERE = "old.project_id IS NULL OR EXISTS (SELECT 1 FROM project WHERE project.id = old.project_id)"
REFUSE = "BEGIN SELECT RAISE(ABORT, 'an event is never changed'); END"
OF_EVENTS = "CREATE TRIGGER event_change BEFORE {} ON event FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
PROJECT_OF_EVENT = "ALTER TABLE event ALTER CONSTRAINT fk_event_project_id {}DEFERRABLE"


def upgrade():
    op.add_column("person", sa.Column("last_sign_in_at", sa.DateTime(timezone=True)))
    for name, columns in INDEXES.items():
        op.execute(f"CREATE INDEX ix_project_{name} ON project {columns}")
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP TRIGGER event_delete")
        op.execute(f"CREATE TRIGGER event_delete BEFORE DELETE ON event WHEN {THERE} {REFUSE}")
        return
    op.execute(PROJECT_OF_EVENT.format(""))
    op.execute("DROP TRIGGER event_change ON event")
    op.execute(OF_EVENTS.format("UPDATE"))
    op.execute(
        "CREATE FUNCTION refuse_deletion() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN IF {THERE} THEN RAISE EXCEPTION 'an event is never changed'; END IF; RETURN old; END $$"
    )
    op.execute("CREATE TRIGGER event_delete BEFORE DELETE ON event FOR EACH ROW EXECUTE FUNCTION refuse_deletion()")


def downgrade():
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP TRIGGER event_delete")
        op.execute(f"CREATE TRIGGER event_delete BEFORE DELETE ON event {REFUSE}")
    else:
        op.execute("DROP TRIGGER event_delete ON event")
        op.execute("DROP FUNCTION refuse_deletion()")
        op.execute("DROP TRIGGER event_change ON event")
        op.execute(OF_EVENTS.format("UPDATE OR DELETE"))
        op.execute(PROJECT_OF_EVENT.format("NOT "))
    for name in INDEXES:
        op.drop_index(f"ix_project_{name}", "project")
    op.drop_column("person", "last_sign_in_at")
