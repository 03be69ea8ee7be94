"""Where the history of products is: a slim file for each run, later merged with others."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the column; runs from before have no history file, and are read as they are."""
    with op.batch_alter_table("runs") as batch:
        batch.add_column(sa.Column("history", sa.String(64)))
        batch.create_foreign_key("fk_runs_history", "artifacts", ["history"], ["sha256"])
        batch.create_index("ix_runs_history", ["history"])
