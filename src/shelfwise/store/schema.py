"""The tables of the store: every column once, for SQLite and PostgreSQL.

Results are not in them: they are Parquet files, named by their hash (`artifacts`).
A change here needs a step in `migrations/versions`; a test compares the two.
"""

import datetime as dt
from typing import Any

import sqlalchemy as sa

from shelfwise.store.reporting import PRODUCT, Kind


class Utc(sa.TypeDecorator[dt.datetime]):
    """A moment in UTC, with its zone on every database; SQLite alone would lose it."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: dt.datetime | None, dialect: Any) -> dt.datetime | None:
        """To UTC; a moment without a zone is a mistake of ours."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a moment without a time zone")
        return value.astimezone(dt.UTC)

    def process_result_value(self, value: dt.datetime | None, dialect: Any) -> dt.datetime | None:
        """From UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=dt.UTC) if value.tzinfo is None else value.astimezone(dt.UTC)


metadata = sa.MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
    }
)

ID = sa.String(64)
HASH = sa.String(64)
NAME = sa.String(64)
REASON_LETTERS = 500

artifacts = sa.Table(
    "artifacts",
    metadata,
    sa.Column("sha256", HASH, primary_key=True),
    sa.Column("bytes", sa.BigInteger, nullable=False),
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Column("created_at", Utc, nullable=False),
)

runs = sa.Table(
    "runs",
    metadata,
    sa.Column("id", ID, primary_key=True),
    sa.Column("created_at", Utc, nullable=False),
    sa.Column("as_of", sa.Date, nullable=False),
    sa.Column("label", sa.String(200)),
    sa.Column("source", sa.String(300), nullable=False),
    sa.Column("origin", NAME, nullable=False),
    sa.Column("pinned", sa.Boolean, nullable=False),
    sa.Column("profile", sa.String(200), nullable=False),
    sa.Column("tiering", NAME, nullable=False),
    sa.Column("group_by", sa.String(300)),
    sa.Column("fitted", sa.Boolean, nullable=False),
    sa.Column("parameters", sa.JSON, nullable=False),
    sa.Column("parameters_sha256", HASH, nullable=False),
    sa.Column("products", sa.BigInteger, nullable=False),
    sa.Column("summary", sa.JSON, nullable=False),
    sa.Column("warnings", sa.JSON, nullable=False),
    sa.Column("quality", sa.JSON),
    sa.Column("results", HASH, sa.ForeignKey("artifacts.sha256"), nullable=False, index=True),
    sa.Column("rejected", HASH, sa.ForeignKey("artifacts.sha256"), index=True),
    sa.Column("history", HASH, sa.ForeignKey("artifacts.sha256"), index=True),
)

derived_tables = sa.Table(
    "derived_tables",
    metadata,
    sa.Column("run_id", ID, sa.ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("name", NAME, primary_key=True),
    sa.Column("results", HASH, sa.ForeignKey("artifacts.sha256"), nullable=False, index=True),
    sa.Column("about", sa.JSON, nullable=False),
    sa.Column("created_at", Utc, nullable=False),
)

models = sa.Table(
    "models",
    metadata,
    sa.Column("name", NAME, primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("created_at", Utc, nullable=False),
    sa.Column("parameters", sa.JSON, nullable=False),
    sa.Column("parameters_sha256", HASH, nullable=False),
    sa.Column("run_id", ID, sa.ForeignKey("runs.id", ondelete="SET NULL"), index=True),
    sa.Column("training", sa.JSON),
    sa.Column("request_id", ID, unique=True),
)

model_aliases = sa.Table(
    "model_aliases",
    metadata,
    sa.Column("name", NAME, primary_key=True),
    sa.Column("alias", NAME, primary_key=True),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("set_at", Utc, nullable=False),
    sa.ForeignKeyConstraint(
        ["name", "version"], ["models.name", "models.version"], ondelete="CASCADE"
    ),
)

tier_overrides = sa.Table(
    "tier_overrides",
    metadata,
    sa.Column("id", ID, primary_key=True),
    sa.Column("product_id", sa.String(255), nullable=False, index=True),
    sa.Column("location", sa.String(255)),
    sa.Column("tier", NAME, nullable=False),
    sa.Column("reason", sa.String(REASON_LETTERS), nullable=False),
    sa.Column("who", sa.String(200), nullable=False),
    sa.Column("created_at", Utc, nullable=False),
    sa.Column("first_day", sa.Date, nullable=False),
    sa.Column("last_day", sa.Date),
    sa.Column("ended_at", Utc),
)

decisions = sa.Table(
    "decisions",
    metadata,
    sa.Column("id", ID, primary_key=True),
    sa.Column("product_id", sa.String(255), nullable=False, index=True),
    sa.Column("location", sa.String(255)),
    sa.Column("action", NAME, nullable=False),
    sa.Column("verdict", NAME, nullable=False),
    sa.Column("reason", sa.String(REASON_LETTERS), nullable=False),
    sa.Column("who", sa.String(200), nullable=False),
    sa.Column("created_at", Utc, nullable=False),
    sa.Column("run_id", ID, sa.ForeignKey("runs.id", ondelete="SET NULL"), index=True),
    sa.Column("first_day", sa.Date, nullable=False),
    sa.Column("last_day", sa.Date),
    sa.Column("amount", sa.Float),
)

api_keys = sa.Table(
    "api_keys",
    metadata,
    sa.Column("prefix", sa.String(8), primary_key=True),
    sa.Column("sha256", HASH, nullable=False),
    sa.Column("name", sa.String(200), nullable=False),
    sa.Column("scopes", sa.JSON, nullable=False),
    sa.Column("created_at", Utc, nullable=False),
    sa.Column("expires_at", Utc),
    sa.Column("revoked_at", Utc),
)

audit_log = sa.Table(
    "audit_log",
    metadata,
    sa.Column("id", ID, primary_key=True),
    sa.Column("at", Utc, nullable=False),
    sa.Column("who", sa.String(200), nullable=False),
    sa.Column("action", NAME, nullable=False),
    sa.Column("target", sa.String(200), nullable=False),
    sa.Column("request_id", ID),
    sa.Column("detail", sa.JSON),
)

idempotency = sa.Table(
    "idempotency",
    metadata,
    sa.Column("key_sha256", HASH, primary_key=True),
    sa.Column("request_sha256", HASH, nullable=False),
    sa.Column("result_id", sa.String(200), nullable=False),
    sa.Column("started_at", Utc, nullable=False, index=True),
    sa.Column("done", sa.Boolean, nullable=False),
)

uploads = sa.Table(
    "uploads",
    metadata,
    sa.Column("id", ID, primary_key=True),
    sa.Column("created_at", Utc, nullable=False, index=True),
    sa.Column("name", sa.String(255), nullable=False),
    sa.Column("kind", NAME, nullable=False),
    sa.Column("bytes", sa.BigInteger, nullable=False),
)

deliveries = sa.Table(
    "deliveries",
    metadata,
    sa.Column("id", ID, primary_key=True),
    sa.Column("run_id", ID, sa.ForeignKey("runs.id", ondelete="CASCADE"), nullable=False,
              index=True),
    sa.Column("schedule", NAME),
    sa.Column("target", sa.JSON, nullable=False),
    sa.Column("state", NAME, nullable=False, index=True),
    sa.Column("round", sa.Integer, nullable=False),
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("reason", sa.String(REASON_LETTERS)),
    sa.Column("note", sa.String(REASON_LETTERS)),
    sa.Column("created_at", Utc, nullable=False),
    sa.Column("due_at", Utc),
    sa.Column("sent_at", Utc),
)  # fmt: skip

job_progress = sa.Table(
    "job_progress",
    metadata,
    sa.Column("job_id", sa.String(200), primary_key=True),
    sa.Column("phase", NAME, nullable=False),
    sa.Column("done", sa.Float),
    sa.Column("at", Utc, nullable=False),
)

workers = sa.Table(
    "workers",
    metadata,
    sa.Column("id", ID, primary_key=True),
    sa.Column("started_at", Utc, nullable=False),
    sa.Column("seen_at", Utc, nullable=False),
)

published_runs = sa.Table(
    "published_runs",
    metadata,
    sa.Column("run_id", ID, primary_key=True),
    sa.Column("as_of", sa.Date, nullable=False),
    sa.Column("saved_at", Utc, nullable=False),
    sa.Column("published_at", Utc, nullable=False),
    sa.Column("label", sa.String(200)),
    sa.Column("source", sa.String(300), nullable=False),
    sa.Column("profile", sa.String(200), nullable=False),
    sa.Column("tiering", NAME, nullable=False),
    sa.Column("currency", sa.String(3)),
    sa.Column("products", sa.BigInteger, nullable=False),
    sa.Column("revenue", sa.Float, nullable=False),
    sa.Column("avg_score", sa.Float, nullable=False),
    sa.Column("high", sa.BigInteger, nullable=False),
    sa.Column("medium", sa.BigInteger, nullable=False),
    sa.Column("low", sa.BigInteger, nullable=False),
)

_TYPES: dict[Kind, Any] = {
    "text": sa.Text, "number": sa.Float, "whole": sa.BigInteger, "boolean": sa.Boolean,
    "date": sa.Date,
}  # fmt: skip
# No row refers to a run: what is published stays when its run has had its time.
published_products = sa.Table(
    "published_products",
    metadata,
    sa.Column("run_id", ID, primary_key=True),
    sa.Column("place", sa.BigInteger, primary_key=True, autoincrement=False),
    *(
        sa.Column(field.name, _TYPES[field.kind], nullable=field.name != "product_id")
        for field in PRODUCT
    ),
    sa.Index("ix_published_products_run_id_product_id", "run_id", "product_id"),
)
