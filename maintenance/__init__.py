"""Care of the database: backup, restore, the move to PostgreSQL, and checks before the server starts."""
