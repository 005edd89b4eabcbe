"""Alembic migrations of the PostgreSQL schemas `core` and `audit`."""
