"""How far the ledger was gone through for what lets acts go, and which of those that wait may go: nobody reads the others any more."""

from alembic import op

revision = "0008"
down_revision = "0007"

STREAMS = {"alias": "'evidence/alias/' || t.alias", "alignment": "'evidence/item/' || t.item_id", "calendar": "'evidence/calendar'"}
STATEMENTS = (
    "SELECT id FROM partition ORDER BY id FOR UPDATE",  # Nobody writes meanwhile: what is counted here is counted once.
    "DROP INDEX act_waiting",
    "DROP INDEX act_waiting_of_alias",
    "DROP INDEX act_waiting_at_item",
    "CREATE INDEX act_waiting ON act (partition, position) INCLUDE (alias, item_id, occurred_at) WHERE learner_id IS NULL",
    "CREATE INDEX act_waiting_of_alias ON act (alias, partition, position) WHERE learner_id IS NULL",
    "CREATE INDEX act_waiting_at_item ON act (item_id, partition, position) WHERE learner_id IS NULL",
    *(f"ALTER TABLE {table} ADD COLUMN partition integer, ADD COLUMN position bigint" for table in STREAMS),
    *(
        f"UPDATE {table} t SET partition = e.partition, position = e.position FROM event e "  # noqa: S608 - our own names
        f"WHERE e.stream = {stream} AND e.version = t.version"
        for table, stream in STREAMS.items()
    ),
    "CREATE INDEX alignment_noted ON alignment (partition, position)",
    """CREATE TABLE noticed (
        partition integer PRIMARY KEY, position bigint NOT NULL, after_partition integer NOT NULL DEFAULT -1,
        after_position bigint NOT NULL DEFAULT -1, accepted bigint NOT NULL, recorded bigint NOT NULL, conflicts bigint NOT NULL
    ) WITH (fillfactor = 50)""",
    """INSERT INTO noticed (partition, position, accepted, recorded, conflicts)
        SELECT id, length, 0, 0, 0 FROM partition""",
    """UPDATE noticed SET accepted = a.accepted, recorded = a.recorded, conflicts = a.conflicts FROM (
        SELECT count(*) FILTER (WHERE alias IS NOT NULL) AS accepted, count(*) FILTER (WHERE learner_id IS NOT NULL) AS recorded,
            (SELECT count(*) FROM conflict) AS conflicts FROM act) a
        WHERE partition = 0""",
    """CREATE TABLE due_act (
        partition integer, position bigint, act_id uuid NOT NULL, alias text COLLATE "C" NOT NULL, PRIMARY KEY (partition, position)
    )""",
    "CREATE INDEX due_act_of_alias ON due_act (alias)",
    """INSERT INTO due_act (partition, position, act_id, alias)
        SELECT a.partition, a.position, a.act_id, a.alias
        FROM act a JOIN alias USING (alias) JOIN alignment USING (item_id) LEFT JOIN calendar c ON true
        WHERE a.learner_id IS NULL AND (c.begins_at IS NULL OR a.occurred_at >= c.begins_at)""",
)


def upgrade() -> None:
    """Add the tables; of what there is, count the acts, and find those that may go."""
    for statement in STATEMENTS:
        op.execute(statement)
