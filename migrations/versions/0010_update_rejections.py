"""A rejected update has a comment too, as a rejected export has.

On SQLite a trigger says so: a new constraint would make a table of all that ever happened anew. Events never change.
"""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade():
    if op.get_bind().dialect.name == "sqlite":
        op.execute(
            "CREATE TRIGGER event_update_rejection BEFORE INSERT ON event "
            "WHEN new.action = 'rejected' AND trim(new.comment) = '' "
            "BEGIN SELECT RAISE(ABORT, 'update_rejection_has_comment'); END"
        )
    else:
        op.execute(
            "ALTER TABLE event ADD CONSTRAINT ck_event_update_rejection_has_comment "
            "CHECK (action <> 'rejected' OR trim(comment) <> '')"
        )


def downgrade():
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP TRIGGER event_update_rejection")
    else:
        op.drop_constraint("ck_event_update_rejection_has_comment", "event")
