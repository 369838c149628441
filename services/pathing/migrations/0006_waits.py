"""Steps of paths that were planned before a step said whether it waits: none of them does."""

from alembic import op

revision = "0006"
down_revision = "0005"

STEPS = """
    UPDATE path SET steps = (
        SELECT jsonb_agg('{"waits": false}' || step ORDER BY number) FROM jsonb_array_elements(steps) WITH ORDINALITY AS s(step, number))
    WHERE EXISTS (SELECT FROM jsonb_array_elements(steps) step WHERE jsonb_typeof(step) = 'object' AND NOT step ? 'waits')"""


def upgrade() -> None:
    """Say so in the read table of paths, as a fold of the ledger does."""
    op.execute(STEPS)
