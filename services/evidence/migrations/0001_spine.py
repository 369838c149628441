"""The ledger, acts as told and as meant, conflicts, and what makes an act's learner and competencies known."""

from alembic import op

from shared.migrate import create_ledger

revision = "0001"
down_revision = None

TABLES = (
    # Told (alias and what follows) and meant (learner_id and what follows) come from events of different partitions, in any order.
    """CREATE TABLE act (
        act_id uuid PRIMARY KEY,
        alias text COLLATE "C", item_id uuid, score_e6 integer, occurred_at timestamptz, kind text, format text, duration_ms bigint,
        partition integer, position bigint, accepted_at timestamptz, correlation uuid,
        learner_id uuid, competency_ids jsonb, recorded_at timestamptz
    )""",
    "CREATE INDEX act_waiting ON act (partition, position) INCLUDE (alias, item_id) WHERE learner_id IS NULL",
    "CREATE INDEX act_waiting_of_alias ON act (alias, item_id) WHERE learner_id IS NULL",
    "CREATE INDEX act_waiting_at_item ON act (item_id) WHERE learner_id IS NULL",
    "CREATE INDEX act_of_learner ON act (learner_id, occurred_at, act_id) WHERE learner_id IS NOT NULL",
    """CREATE TABLE conflict (
        act_id uuid NOT NULL, version bigint NOT NULL, score_e6 integer NOT NULL, occurred_at timestamptz NOT NULL, item_id uuid NOT NULL,
        same_person boolean NOT NULL, told_at timestamptz NOT NULL, PRIMARY KEY (act_id, version)
    )""",
    """CREATE TABLE alias (alias text COLLATE "C" PRIMARY KEY, learner_id uuid NOT NULL, version bigint NOT NULL)""",
    """CREATE TABLE alignment (
        item_id uuid PRIMARY KEY, iri text COLLATE "C" NOT NULL UNIQUE, competency_ids jsonb NOT NULL, version bigint NOT NULL
    )""",
)


def upgrade() -> None:
    create_ledger(op)
    for table in TABLES:
        op.execute(table)
