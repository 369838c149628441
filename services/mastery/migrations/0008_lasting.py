"""What is over is not gone through again and again: an override says itself whether it has ended, and what was deferred is found by its
competencies."""

from alembic import op

revision = "0008"
down_revision = "0007"

STATEMENTS = (
    "ALTER TABLE override ADD COLUMN ended boolean NOT NULL DEFAULT false",
    """UPDATE override o SET ended = true FROM override_end e
        WHERE (e.learner_id, e.competency_id) = (o.learner_id, o.competency_id) AND e.version >= o.version""",
    "DROP TABLE override_end",
    "DROP INDEX override_until",
    "CREATE INDEX override_until ON override (until) WHERE NOT ended",
    # Of their hash, since there may be more of them than an index takes.
    "CREATE INDEX deferred_named ON deferred ((md5(competency_ids::text)::uuid), evidence_id) WHERE competency_ids <> '[]'",
)


def upgrade() -> None:
    """Add column and indexes. Whoever gave or ended an override stays in the ledger."""
    for statement in STATEMENTS:
        op.execute(statement)
