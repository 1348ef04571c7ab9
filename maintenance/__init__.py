"""Care of the database: backup, restore, and the move to PostgreSQL."""
