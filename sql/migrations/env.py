"""Alembic's entry: runs the migrations on the connection that `shared.store.schema.upgrade_schema` opened."""

from alembic import context

from shared.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
