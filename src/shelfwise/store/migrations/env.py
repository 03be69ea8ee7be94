"""How Alembic reaches the database: by the connection that `Database.migrate` hands over."""

from alembic import context

from shelfwise.store.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
    render_as_batch=True,  # SQLite alters a table by copying it.
)
# The transaction is the caller's: all steps succeed, or none.
context.run_migrations()
