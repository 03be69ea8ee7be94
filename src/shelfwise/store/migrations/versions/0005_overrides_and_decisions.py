"""What people say about products: tiers that they set, and answers to proposals."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Make the tables."""
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "tier_overrides",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("product_id", sa.String(255), nullable=False),
        sa.Column("location", sa.String(255)),
        sa.Column("tier", sa.String(64), nullable=False),
        sa.Column("reason", sa.String(500), nullable=False),
        sa.Column("who", sa.String(200), nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("first_day", sa.Date, nullable=False),
        sa.Column("last_day", sa.Date),
        sa.Column("ended_at", moment),
    )
    op.create_index("ix_tier_overrides_product_id", "tier_overrides", ["product_id"])
    op.create_table(
        "decisions",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("product_id", sa.String(255), nullable=False),
        sa.Column("location", sa.String(255)),
        sa.Column("action", sa.String(64), nullable=False),
        sa.Column("verdict", sa.String(64), nullable=False),
        sa.Column("reason", sa.String(500), nullable=False),
        sa.Column("who", sa.String(200), nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("run_id", sa.String(64), sa.ForeignKey("runs.id", ondelete="SET NULL")),
        sa.Column("first_day", sa.Date, nullable=False),
        sa.Column("last_day", sa.Date),
    )
    op.create_index("ix_decisions_product_id", "decisions", ["product_id"])
    op.create_index("ix_decisions_run_id", "decisions", ["run_id"])
