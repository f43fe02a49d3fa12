"""Refits: chosen architectures trained once more, on all ratings, as trials of their own."""

from pathlib import Path

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Link a refit to its chosen trial; a sweep has a configuration once beside its refits."""
    statements = Path(__file__).with_name("0006_refits.sql").read_text("utf-8")
    op.get_bind().exec_driver_sql(statements, execution_options={"no_parameters": True})
