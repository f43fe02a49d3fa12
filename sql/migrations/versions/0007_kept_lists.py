"""Of how many trials a sweep keeps the lists, and which trials have none any more."""

from pathlib import Path

from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add two columns, and look for rows of deleted trials in their own sweep alone."""
    statements = Path(__file__).with_name("0007_kept_lists.sql").read_text("utf-8")
    op.get_bind().exec_driver_sql(statements, execution_options={"no_parameters": True})
