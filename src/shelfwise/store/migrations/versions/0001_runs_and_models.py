"""Runs, their results, models and their aliases."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "artifacts",
        sa.Column("sha256", sa.String(64), primary_key=True),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("rows", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_table(
        "runs",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("as_of", sa.Date, nullable=False),
        sa.Column("label", sa.String(200)),
        sa.Column("source", sa.String(300), nullable=False),
        sa.Column("origin", sa.String(64), nullable=False),
        sa.Column("pinned", sa.Boolean, nullable=False),
        sa.Column("profile", sa.String(200), nullable=False),
        sa.Column("tiering", sa.String(64), nullable=False),
        sa.Column("group_by", sa.String(300)),
        sa.Column("fitted", sa.Boolean, nullable=False),
        sa.Column("parameters", sa.JSON, nullable=False),
        sa.Column("parameters_sha256", sa.String(64), nullable=False),
        sa.Column("products", sa.BigInteger, nullable=False),
        sa.Column("summary", sa.JSON, nullable=False),
        sa.Column("warnings", sa.JSON, nullable=False),
        sa.Column("quality", sa.JSON),
        sa.Column("results", sa.String(64), sa.ForeignKey("artifacts.sha256"), nullable=False),
        sa.Column("rejected", sa.String(64), sa.ForeignKey("artifacts.sha256")),
    )
    op.create_index("ix_runs_results", "runs", ["results"])
    op.create_index("ix_runs_rejected", "runs", ["rejected"])
    op.create_table(
        "models",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("parameters", sa.JSON, nullable=False),
        sa.Column("parameters_sha256", sa.String(64), nullable=False),
        sa.Column("run_id", sa.String(64), sa.ForeignKey("runs.id", ondelete="SET NULL")),
        sa.Column("training", sa.JSON),
        sa.Column("request_id", sa.String(64)),
        sa.UniqueConstraint("request_id", name="uq_models_request_id"),
    )
    op.create_index("ix_models_run_id", "models", ["run_id"])
    op.create_table(
        "model_aliases",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("alias", sa.String(64), primary_key=True),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("set_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["name", "version"], ["models.name", "models.version"], ondelete="CASCADE"
        ),
    )
