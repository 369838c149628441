"""Alembic's entry: runs on the connection that `shared/migrate.py` opened, in its transaction."""

from alembic import context

context.configure(connection=context.config.attributes["connection"])
with context.begin_transaction():
    context.run_migrations()
