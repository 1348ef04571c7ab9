"""Everything that a page may call: it reads and changes the database only, and returns at once."""
