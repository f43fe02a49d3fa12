"""Where each version of the ratings was read, refreshes, and users who were forgotten."""

from pathlib import Path

from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add columns to data sets, sweeps and trials, and one table; what was stored before has no source."""
    statements = Path(__file__).with_name("0008_sources.sql").read_text("utf-8")
    op.get_bind().exec_driver_sql(statements, execution_options={"no_parameters": True})
