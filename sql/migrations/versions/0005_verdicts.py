"""Results of each user, and verdicts."""

from pathlib import Path

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add two tables, and room in them for the sweeps that are there."""
    statements = Path(__file__).with_name("0005_verdicts.sql").read_text("utf-8")
    op.get_bind().exec_driver_sql(statements, execution_options={"no_parameters": True})
