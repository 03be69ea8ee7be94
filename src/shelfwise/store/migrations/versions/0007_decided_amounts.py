"""How many units somebody accepts of a proposal, where it is another number."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add the column."""
    op.add_column("decisions", sa.Column("amount", sa.Float))
