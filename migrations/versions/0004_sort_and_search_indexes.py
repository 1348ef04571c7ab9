"""What each list needs to be as fast in each of its orders, and a search of any of them, as that of the open queue."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

ORDERS = {"name": "lower(name)", "place": "lower(city)", "sender": "sender_key", "job": "coalesce(job_key, '')"}
WAITS = "status = 'Ready to Export'"
FORGET = "INSERT INTO project_search_all (project_search_all, rowid, search_text) VALUES ('delete', old.id, old.search_text);"
LEARN = "INSERT INTO project_search_all (rowid, search_text) VALUES (new.id, new.search_text);"


def upgrade():
    op.add_column("project", sa.Column("sender_key", sa.String(), nullable=False, server_default=""))
    op.add_column("job", sa.Column("search_text", sa.String(), nullable=False, server_default=""))
    database = op.get_bind()
    of_job = "SELECT id, number || ' ' || name || ' ' || customer_code FROM job"
    fold(of_job, "UPDATE job SET search_text = :folded WHERE id = :id")
    fold("SELECT id, name FROM person", "UPDATE project SET sender_key = :folded WHERE sent_by_id = :id")
    for name, key in ORDERS.items():
        op.execute(f"CREATE INDEX ix_project_{name} ON project ({key}, id)")
    op.execute(f"CREATE INDEX ix_project_ready_sender ON project (status, sender_key, id) WHERE {WAITS}")
    op.create_index("ix_project_status", "project", ["status", "id"])
    if database.dialect.name == "sqlite":
        search_on_sqlite()
    else:
        search_on_postgresql()


def fold(texts, keep):
    """Keep texts case folded, as Python folds them, by id."""
    found = [{"id": row_id, "folded": said.casefold()} for row_id, said in op.get_bind().execute(sa.text(texts))]
    if found:
        op.get_bind().execute(sa.text(keep), found)


def search_on_sqlite():
    """A trigram index over all projects, which has no text of its own: it is told the one that it is to forget."""
    options = "content='project', content_rowid='id', tokenize='trigram case_sensitive 1'"
    op.execute(f"CREATE VIRTUAL TABLE project_search_all USING fts5(search_text, {options})")
    op.execute("INSERT INTO project_search_all (project_search_all) VALUES ('rebuild')")
    changed = "AFTER UPDATE OF search_text ON project WHEN old.search_text <> new.search_text"
    op.execute(f"CREATE TRIGGER search_all_insert AFTER INSERT ON project BEGIN {LEARN} END")
    op.execute(f"CREATE TRIGGER search_all_delete AFTER DELETE ON project BEGIN {FORGET} END")
    op.execute(f"CREATE TRIGGER search_all_update {changed} BEGIN {FORGET} {LEARN} END")


def search_on_postgresql():
    """Where the server has pg_trgm. And a key may be as long as folding makes it, which SQLite never minded."""
    op.alter_column("project", "number_key", type_=sa.String(90))
    if op.get_bind().scalar(sa.text("SELECT count(*) FROM pg_extension WHERE extname = 'pg_trgm'")):
        op.execute("CREATE INDEX ix_project_search_all ON project USING gin (search_text gin_trgm_ops)")


def downgrade():
    if op.get_bind().dialect.name == "sqlite":
        for name in ("insert", "delete", "update"):
            op.execute(f"DROP TRIGGER search_all_{name}")
        op.drop_table("project_search_all")
    else:
        op.execute("DROP INDEX IF EXISTS ix_project_search_all")
        op.alter_column("project", "number_key", type_=sa.String(60))
    for name in ("status", "ready_sender", *ORDERS):
        op.drop_index(f"ix_project_{name}", "project")
    op.drop_column("project", "sender_key")
    op.drop_column("job", "search_text")
