"""Who is erased, and how the service destroys the keys of whoever the record says is."""

from alembic import op

from shared.migrate import let_run

revision = "0006"
down_revision = "0005"

TABLES = (
    """CREATE TABLE erasure (
        learner_id uuid PRIMARY KEY, erased boolean NOT NULL, since timestamptz NOT NULL, body jsonb NOT NULL, version bigint NOT NULL
    )""",
    "CREATE INDEX erasure_newest ON erasure (since DESC, learner_id DESC)",
    # Version of her erasure stream when the key was made: an erasure behind it destroys the key, also one that a backup brings back.
    "ALTER TABLE person_key ADD COLUMN erasures bigint NOT NULL DEFAULT 0",
)
# With the owner's rights, and so bounded by the record, to which the service only adds: no key goes whose owner no event says was erased.
DESTROY = """
    CREATE FUNCTION destroy_erased_keys() RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
        WITH gone AS (
            DELETE FROM public.person_key k USING public.erasure e WHERE e.learner_id = k.person_id AND k.erasures < e.version
            AND EXISTS (
                SELECT FROM public.event v WHERE v.stream = ('profile/erasure/' || k.person_id) COLLATE "C" AND v.version > k.erasures
                AND v.type = 'profile.learner-erased.v1')
            RETURNING 1)
        SELECT count(*) FROM gone
    $$"""


def upgrade() -> None:
    """Add the table, the column and the function."""
    for statement in (*TABLES, DESTROY):
        op.execute(statement)
    let_run(op, "destroy_erased_keys()")
