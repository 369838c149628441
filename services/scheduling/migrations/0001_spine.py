"""The ledger, what was heard of learners and staff, what each day took, and the plan in force."""

from alembic import op

from shared.migrate import create_ledger

revision = "0001"
down_revision = None

TABLES = (
    """CREATE TABLE demand (
        school_id uuid NOT NULL, learner_id uuid NOT NULL, demand_version bigint NOT NULL, demand jsonb NOT NULL,
        event_id uuid NOT NULL, correlation uuid NOT NULL, noted_at timestamptz NOT NULL, version bigint NOT NULL,
        PRIMARY KEY (school_id, learner_id)
    )""",
    "CREATE INDEX demand_of_learner ON demand (learner_id, noted_at)",
    """CREATE TABLE staff (
        school_id uuid NOT NULL, staff_id uuid NOT NULL, member jsonb NOT NULL, active boolean NOT NULL, version bigint NOT NULL,
        PRIMARY KEY (school_id, staff_id)
    )""",
    "CREATE TABLE day_head (school_id uuid NOT NULL, day date NOT NULL, version bigint NOT NULL, PRIMARY KEY (school_id, day))",
    """CREATE TABLE day_input (
        school_id uuid NOT NULL, day date NOT NULL, event_id uuid NOT NULL, correlation uuid NOT NULL, version bigint NOT NULL,
        PRIMARY KEY (school_id, day)
    )""",
    """CREATE TABLE day_staff (
        school_id uuid NOT NULL, day date NOT NULL, roster bigint NOT NULL, staff jsonb NOT NULL, version bigint NOT NULL,
        PRIMARY KEY (school_id, day)
    )""",
    """CREATE TABLE day_demand (
        school_id uuid NOT NULL, day date NOT NULL, learner_id uuid NOT NULL, demand_version bigint NOT NULL, demand jsonb NOT NULL,
        version bigint NOT NULL, PRIMARY KEY (school_id, day, learner_id)
    )""",
    """CREATE TABLE day_plan (
        school_id uuid NOT NULL, day date NOT NULL, resources text NOT NULL, status text NOT NULL, value bigint NOT NULL, bound bigint,
        solver text NOT NULL, begun integer NOT NULL, moved bigint NOT NULL, adopted_at timestamptz NOT NULL, version bigint NOT NULL,
        PRIMARY KEY (school_id, day)
    )""",
    """CREATE TABLE learner_day (
        school_id uuid NOT NULL, day date NOT NULL, learner_id uuid NOT NULL, demand_version bigint NOT NULL, placements jsonb NOT NULL,
        changed_at timestamptz NOT NULL, version bigint NOT NULL, PRIMARY KEY (school_id, day, learner_id)
    )""",
    "CREATE INDEX learner_day_of_learner ON learner_day (learner_id, day)",
    """CREATE TABLE placement_change (
        school_id uuid NOT NULL, day date NOT NULL, version bigint NOT NULL, learner_id uuid NOT NULL, demand_version bigint NOT NULL,
        changed_at timestamptz NOT NULL, event_id uuid NOT NULL, causation uuid NOT NULL, correlation uuid NOT NULL,
        PRIMARY KEY (school_id, day, version)
    )""",
    "CREATE INDEX placement_change_of_learner ON placement_change (school_id, day, learner_id, version)",
)


def upgrade() -> None:
    """Create everything."""
    create_ledger(op)
    for statement in TABLES:
        op.execute(statement)
