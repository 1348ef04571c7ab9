"""What a list needs to be as fast with a million projects as with a hundred: counts, order, and search."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

WAITS = "status = 'Ready to Export'"
OPEN_QUEUE = {"number": "number_key", "name": "lower(name)", "place": "lower(city)"}
ADD = "INSERT INTO tally VALUES ({0}.status, {1}) ON CONFLICT (name) DO UPDATE SET n = n + excluded.n;"
FORGET = "DELETE FROM project_search WHERE rowid = old.id;"
LEARN = "INSERT INTO project_search (rowid, text) SELECT new.id, new.search_text WHERE new." + WAITS + ";"


def upgrade():
    op.create_table(
        "tally",
        sa.Column("name", sa.String(40), nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_tally")),
    )
    op.execute("INSERT INTO tally SELECT status, count(*) FROM project GROUP BY status")
    op.execute("INSERT INTO tally VALUES ('revision', 0)")
    op.drop_index("ix_project_status", "project")
    op.execute("CREATE INDEX ix_project_listed ON project (status, coalesce(sent_at, created_at), id)")
    op.create_index("ix_project_company_code", "project", ["company_code"])
    for name, key in OPEN_QUEUE.items():
        op.execute(f"CREATE INDEX ix_project_ready_{name} ON project (status, {key}, id) WHERE {WAITS}")
    op.create_index("ix_export_project_id", "export", ["project_id"])
    op.create_index("ix_export_accepted_by", "export", ["accepted_by_id", "id"])
    op.drop_index("ix_event_subject_id", "event")
    op.create_index("ix_event_subject_at", "event", ["subject_id", "at", "id"])
    if op.get_bind().dialect.name == "sqlite":
        count_on_sqlite()
        search_on_sqlite()
    else:
        count_on_postgresql()
        search_on_postgresql()


def count_on_sqlite():
    moved = "AFTER UPDATE OF status ON project WHEN old.status <> new.status"
    op.execute(f"CREATE TRIGGER tally_insert AFTER INSERT ON project BEGIN {ADD.format('new', 1)} END")
    op.execute(f"CREATE TRIGGER tally_delete AFTER DELETE ON project BEGIN {ADD.format('old', -1)} END")
    op.execute(f"CREATE TRIGGER tally_update {moved} BEGIN {ADD.format('old', -1)} {ADD.format('new', 1)} END")


def search_on_sqlite():
    """A trigram index over the open queue only, which is what is searched all day and stays small."""
    op.execute("CREATE VIRTUAL TABLE project_search USING fts5(text, tokenize='trigram case_sensitive 1')")
    op.execute(f"INSERT INTO project_search (rowid, text) SELECT id, search_text FROM project WHERE {WAITS}")
    changed = "AFTER UPDATE OF status, search_text ON project"
    waited = f"WHEN (old.{WAITS} OR new.{WAITS}) AND (old.status <> new.status OR old.search_text <> new.search_text)"
    op.execute(f"CREATE TRIGGER search_insert AFTER INSERT ON project WHEN new.{WAITS} BEGIN {LEARN} END")
    op.execute(f"CREATE TRIGGER search_delete AFTER DELETE ON project WHEN old.{WAITS} BEGIN {FORGET} END")
    op.execute(f"CREATE TRIGGER search_update {changed} {waited} BEGIN {FORGET} {LEARN} END")


def count_on_postgresql():
    """Once for each statement, in the order of the names, so that two writers never wait for each other in a circle."""
    op.execute(
        "CREATE FUNCTION count_projects() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "IF TG_OP = 'INSERT' THEN "
        "INSERT INTO tally SELECT status, count(*) FROM later GROUP BY status ORDER BY status "
        "ON CONFLICT (name) DO UPDATE SET n = tally.n + excluded.n; "
        "ELSIF TG_OP = 'DELETE' THEN "
        "INSERT INTO tally SELECT status, -count(*) FROM earlier GROUP BY status ORDER BY status "
        "ON CONFLICT (name) DO UPDATE SET n = tally.n + excluded.n; "
        "ELSE "
        "INSERT INTO tally SELECT status, sum(n) FROM "
        "(SELECT status, 1 AS n FROM later UNION ALL SELECT status, -1 FROM earlier) AS moved "
        "GROUP BY status HAVING sum(n) <> 0 ORDER BY status "
        "ON CONFLICT (name) DO UPDATE SET n = tally.n + excluded.n; "
        "END IF; RETURN NULL; END $$"
    )
    now, before = "NEW TABLE AS later", "OLD TABLE AS earlier"
    for verb, tables in (("INSERT", now), ("DELETE", before), ("UPDATE", f"{now} {before}")):
        op.execute(
            f"CREATE TRIGGER tally_{verb.lower()} AFTER {verb} ON project REFERENCING {tables} "
            "FOR EACH STATEMENT EXECUTE FUNCTION count_projects()"
        )


def search_on_postgresql():
    """The same with pg_trgm; where the server does not have it, the search works without, and slower."""
    available = sa.text("SELECT count(*) FROM pg_available_extensions WHERE name = 'pg_trgm'")
    if op.get_bind().scalar(available):
        op.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
        op.execute(
            f"CREATE INDEX ix_project_ready_search ON project USING gin (search_text gin_trgm_ops) WHERE {WAITS}"
        )


def downgrade():
    on_sqlite = op.get_bind().dialect.name == "sqlite"
    for name in ("tally_insert", "tally_delete", "tally_update"):
        op.execute(f"DROP TRIGGER {name}" + ("" if on_sqlite else " ON project"))
    if on_sqlite:
        for name in ("insert", "delete", "update"):
            op.execute(f"DROP TRIGGER search_{name}")
        op.drop_table("project_search")
    else:
        op.execute("DROP FUNCTION count_projects()")
        op.execute("DROP INDEX IF EXISTS ix_project_ready_search")
    for name in ("ix_project_listed", "ix_project_company_code", *(f"ix_project_ready_{name}" for name in OPEN_QUEUE)):
        op.drop_index(name, "project")
    op.drop_index("ix_event_subject_at", "event")
    op.create_index("ix_event_subject_id", "event", ["subject_id"])
    op.drop_index("ix_export_accepted_by", "export")
    op.drop_index("ix_export_project_id", "export")
    op.create_index("ix_project_status", "project", ["status"])
    op.drop_table("tally")
