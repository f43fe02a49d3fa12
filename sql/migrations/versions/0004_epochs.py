"""Epochs of families without a loss or an RMSE on validation, and the objective after each."""

from pathlib import Path

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Relax what supposed a tower, and add a column."""
    statements = Path(__file__).with_name("0004_epochs.sql").read_text("utf-8")
    op.get_bind().exec_driver_sql(statements, execution_options={"no_parameters": True})
