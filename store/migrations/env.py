"""Alembic's entry: runs the migrations on the connection that `store.migrate` hands over, in its transaction.

Triggers are installed anew at the end, because SQLite loses those of a table that batch mode rebuilds. There a file is
also marked as ours.
"""

from alembic import context

from store import triggers
from store.schema import metadata
from store.sqlite_file import APPLICATION_ID

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=metadata,
    render_as_batch=connection.dialect.name == "sqlite",
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
triggers.install(connection)
if connection.dialect.name == "sqlite":
    connection.exec_driver_sql(f"PRAGMA application_id = {APPLICATION_ID}")
