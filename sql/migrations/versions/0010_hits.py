"""Which held out items the evaluated list of each user found, and at which rank."""

from pathlib import Path

from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Add two columns; nobody knows which items were found by trials that are stored already."""
    statements = Path(__file__).with_name("0010_hits.sql").read_text("utf-8")
    op.get_bind().exec_driver_sql(statements, execution_options={"no_parameters": True})
