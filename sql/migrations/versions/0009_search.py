"""Sweeps that grow by a search, repeats or blends, and trials that are stopped."""

from pathlib import Path

from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Add columns and one table; what was stored before was all asked for by its sweep file."""
    statements = Path(__file__).with_name("0009_search.sql").read_text("utf-8")
    op.get_bind().exec_driver_sql(statements, execution_options={"no_parameters": True})
