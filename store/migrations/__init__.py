"""Alembic migrations, shipped inside the package and run by `store.migrate`; there is no alembic.ini."""
