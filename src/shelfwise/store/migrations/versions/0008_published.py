"""Published runs: copies of their products that other tools read by views."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

TEXTS = (
    "location", "name", "category", "brand", "supplier", "parent_id", "currency",
)  # fmt: skip


def upgrade() -> None:
    """Make the tables; the views are made when the first run is published."""
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "published_runs",
        sa.Column("run_id", sa.String(64), primary_key=True),
        sa.Column("as_of", sa.Date, nullable=False),
        sa.Column("saved_at", moment, nullable=False),
        sa.Column("published_at", moment, nullable=False),
        sa.Column("label", sa.String(200)),
        sa.Column("source", sa.String(300), nullable=False),
        sa.Column("profile", sa.String(200), nullable=False),
        sa.Column("tiering", sa.String(64), nullable=False),
        sa.Column("currency", sa.String(3)),
        sa.Column("products", sa.BigInteger, nullable=False),
        sa.Column("revenue", sa.Float, nullable=False),
        sa.Column("avg_score", sa.Float, nullable=False),
        sa.Column("high", sa.BigInteger, nullable=False),
        sa.Column("medium", sa.BigInteger, nullable=False),
        sa.Column("low", sa.BigInteger, nullable=False),
    )
    numbers = [
        sa.Column(name, sa.Float)
        for name in ("price", "units_sold", "stock", "unit_cost", "on_order", "lead_time_days")
    ]
    op.create_table(
        "published_products",
        sa.Column("run_id", sa.String(64), primary_key=True),
        sa.Column("place", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("product_id", sa.Text, nullable=False),
        *(sa.Column(name, sa.Text) for name in TEXTS),
        *numbers,
        sa.Column("launch_date", sa.Date),
        sa.Column("discontinued", sa.Boolean),
        *(sa.Column(name, sa.Float) for name in (
            "revenue", "gross_margin", "stock_ratio", "sales_velocity", "units_per_day",
            "performance_score",
        )),
        sa.Column("rank", sa.BigInteger),
        *(sa.Column(name, sa.Text) for name in ("performance_tier", "tier_override", "cluster")),
        sa.Column("score_in_group", sa.Float),
        sa.Column("rank_in_group", sa.BigInteger),
        *(sa.Column(name, sa.Text) for name in ("tier_in_group", "abc_class", "flags", "trend")),
        *(sa.Column(name, sa.Float) for name in ("growth", "growth_low", "growth_high")),
        sa.Column("trend_reason", sa.Text),
        sa.Column("forecast_weeks", sa.BigInteger),
        *(sa.Column(f"forecast_{name}", sa.Float) for name in ("expected", "q5", "q95")),
        sa.Column("action", sa.Text),
        sa.Column("action_amount", sa.Float),
        sa.Column("action_date", sa.Date),
        sa.Column("action_money", sa.Float),
        sa.Column("action_reason", sa.Text),
    )  # fmt: skip
    op.create_index(
        "ix_published_products_run_id_product_id", "published_products", ["run_id", "product_id"]
    )
