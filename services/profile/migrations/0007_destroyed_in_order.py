"""Keys of whoever is erased are destroyed in the order of their ids, so that two who do so wait for each other, and never both."""

from alembic import op

revision = "0007"
down_revision = "0006"

# Who may run it stays as it is.
DESTROY = """
    CREATE OR REPLACE FUNCTION destroy_erased_keys() RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
        WITH found AS (
            SELECT k.person_id FROM public.person_key k JOIN public.erasure e ON e.learner_id = k.person_id
            WHERE k.erasures < e.version AND EXISTS (
                SELECT FROM public.event v WHERE v.stream = ('profile/erasure/' || k.person_id) COLLATE "C" AND v.version > k.erasures
                AND v.type = 'profile.learner-erased.v1')
            ORDER BY k.person_id FOR UPDATE OF k),
        gone AS (DELETE FROM public.person_key k USING found WHERE k.person_id = found.person_id RETURNING 1)
        SELECT count(*) FROM gone
    $$"""


def upgrade() -> None:
    """Put the function in place of the one before."""
    op.execute(DESTROY)
