"""What must outlive the process, as rows: SQLAlchemy Core on SQLite or PostgreSQL, one schema for both."""
