"""Engine, schema and migrations: the one database of an installation, SQLite or PostgreSQL."""
