"""The first schema: the tables, and the triggers that link the large ones to trials."""

from pathlib import Path

from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create everything in an empty schema."""
    for name in ("0001_first_schema.sql", "0001_trial_links.sql"):
        statements = Path(__file__).with_name(name).read_text("utf-8")
        op.get_bind().exec_driver_sql(statements, execution_options={"no_parameters": True})
