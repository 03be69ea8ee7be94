"""Tables derived from a run of order lines: its weeks, trends, forecasts."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Make the table."""
    run = sa.ForeignKey("runs.id", ondelete="CASCADE")
    op.create_table(
        "derived_tables",
        sa.Column("run_id", sa.String(64), run, primary_key=True),
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("results", sa.String(64), sa.ForeignKey("artifacts.sha256"), nullable=False),
        sa.Column("about", sa.JSON, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("ix_derived_tables_results", "derived_tables", ["results"])
