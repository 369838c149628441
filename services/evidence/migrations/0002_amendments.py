"""Corrections and voids beside the acts."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the table."""
    op.execute(
        """CREATE TABLE amendment (
            act_id uuid NOT NULL, version bigint NOT NULL, void boolean NOT NULL, score_e6 integer, author_id uuid NOT NULL,
            cause text NOT NULL, at timestamptz NOT NULL, PRIMARY KEY (act_id, version)
        )"""
    )
