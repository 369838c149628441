"""The ledger, and what is believed and told of each learner."""

from alembic import op

from shared.migrate import create_ledger

revision = "0001"
down_revision = None

TABLES = (
    """CREATE TABLE learner_estimate (
        learner_id uuid PRIMARY KEY, general_mean_e6 bigint NOT NULL, general_variance_e6 bigint NOT NULL, form_mean_e6 bigint NOT NULL,
        form_variance_e6 bigint NOT NULL, version bigint NOT NULL
    )""",
    """CREATE TABLE competency_estimate (
        learner_id uuid NOT NULL, competency_id text NOT NULL, mean_e6 bigint NOT NULL, variance_e6 bigint NOT NULL,
        scored integer NOT NULL, items integer NOT NULL, days integer NOT NULL, last_minute bigint NOT NULL, evidence_id uuid,
        version bigint NOT NULL, PRIMARY KEY (learner_id, competency_id)
    )""",
    """CREATE TABLE level (
        learner_id uuid NOT NULL, competency_id text NOT NULL, level text NOT NULL, probability_e6 integer NOT NULL,
        evidence_ids jsonb NOT NULL, changed_at timestamptz NOT NULL, settings bigint NOT NULL, version bigint NOT NULL,
        PRIMARY KEY (learner_id, competency_id)
    )""",
    """CREATE TABLE level_change (
        learner_id uuid NOT NULL, version bigint NOT NULL, competency_id text NOT NULL, level text NOT NULL, before text NOT NULL,
        probability_e6 integer NOT NULL, evidence_ids jsonb NOT NULL, changed_at timestamptz NOT NULL, PRIMARY KEY (learner_id, version)
    )""",
)


def upgrade() -> None:
    """Create everything."""
    create_ledger(op)
    for statement in TABLES:
        op.execute(statement)
