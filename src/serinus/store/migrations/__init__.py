"""The database's history: each file under ``versions/`` leads from one revision to the next."""
