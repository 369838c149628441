"""Schema: one Alembic history per service over a common ledger base. Run as the owner role; services run as the app role."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from alembic import command
from alembic.config import Config
from psycopg.errors import DeadlockDetected, LockNotAvailable
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.exc import OperationalError

from shared.contracts.envelope import chain_start
from shared.errors import CairnError

ROOT: Final = Path(__file__).resolve().parent
MIGRATION_LOCK: Final = 7_012_026
"""Advisory lock under which one migration at a time runs."""
LOCK_S: Final = 30
"""Time that a migration waits for each lock: all who come behind wait with it."""
LIMIT_LOCKS: Final = "SELECT set_config('lock_timeout', :limit, true)"


class InUse(CairnError):
    """The service's processes hold what a migration needs; nothing was changed."""

    def __init__(self, service: str) -> None:
        super().__init__(
            f"nothing of the database of {service} was changed, since its processes hold what the migration needs: stop {service} with all "
            f"its workers, migrate, and start it again"
        )


def migrate(
    service: str, owner_url: str, *, app_role: str | None = None, installation: str = "local", partitions: int = 8, revision: str = "head"
) -> None:  # fmt: skip
    """Bring a service's database to the newest schema. Safe to repeat; what is recorded is never touched.

    Args:
        owner_url: address with the owner role, which owns all tables.
        app_role: role that the service runs with; by default the owner's name with `_app` in place of `_owner`.
        partitions: fixed at installation and for ever.
        revision: to stop at; for tests.

    Raises:
        InUse: a lock was not to be had within LOCK_S, or two waited for each other.
    """
    url = make_url(owner_url).set(drivername="postgresql+psycopg")
    config = _config(service)
    engine = create_engine(url)
    try:
        with engine.begin() as connection:
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": MIGRATION_LOCK})
            connection.execute(text(LIMIT_LOCKS), {"limit": str(int(LOCK_S * 1_000))})
            config.attributes.update(
                connection=connection,
                app_role=app_role or (url.username or "").removesuffix("_owner") + "_app",
                source=f"/{installation}/{service}",
                partitions=partitions,
            )
            command.upgrade(config, revision)
    except OperationalError as error:
        if isinstance(error.orig, LockNotAvailable | DeadlockDetected):
            raise InUse(service) from error
        raise
    finally:
        engine.dispose()


def _config(service: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(ROOT / "migrations"))
    config.set_main_option("version_locations", str(ROOT.parent / "services" / service / "migrations"))
    config.set_main_option("path_separator", "os")
    return config


def create_ledger(op: Any) -> None:
    """Create the ledger's tables, its guards and the app's rights; later tables are the app's to fill.

    `op` is `alembic.op`, a module that stands for the operations of the migration under way.
    """
    attributes = _attributes(op)
    app, source, partitions = attributes["app_role"], attributes["source"], attributes["partitions"]
    for statement in LEDGER_TABLES:
        op.execute(statement)
    for number in range(partitions):
        op.execute(f"INSERT INTO partition (id, length, head) VALUES ({number}, 0, '{chain_start(source, number)}')")  # noqa: S608 - our own numbers
        op.execute(f"INSERT INTO published (partition, position) VALUES ({number}, 0)")  # noqa: S608
    for statement in RIGHTS:
        op.execute(statement.format(app=f'"{app}"'))


def tell_foreign_apart(op: Any) -> None:
    """Let foreign records be parked beside each other that stood at the same offset, as where a topic was made anew: by their bytes' hash.

    Of those parked before it stays unknown, since their bytes are sealed. Once it is run, the release before parks nothing any more: its
    worker ends where it must.
    """
    for statement in FOREIGN_APART:
        op.execute(statement)


def create_key_check(op: Any) -> None:
    """Create the table that holds a database to its keys: what tells them from others, by setting, written at the first start."""
    op.execute("CREATE TABLE key_check (name text PRIMARY KEY, value bytea NOT NULL)")


def let_only_add(op: Any, *tables: str) -> None:
    """Let the service read these tables and add to them: none of its code changes or removes their rows, and nobody in its place may."""
    op.execute(f'REVOKE UPDATE, DELETE, TRUNCATE ON {", ".join(tables)} FROM "{_attributes(op)["app_role"]}"')


def let_run(op: Any, function: str) -> None:
    """Let the service alone, beside the owner, run a function that does something with the owner's rights."""
    op.execute(f"REVOKE EXECUTE ON FUNCTION {function} FROM PUBLIC")
    op.execute(f'GRANT EXECUTE ON FUNCTION {function} TO "{_attributes(op)["app_role"]}"')


def _attributes(op: Any) -> Any:
    return op.get_context().config.attributes


# Collation "C" where an index lasts for ever: others change with the operating system's library, and with them what is found and unique.
LEDGER_TABLES: Final = (
    """CREATE TABLE partition (
        id integer PRIMARY KEY, length bigint NOT NULL, head text NOT NULL, last_at timestamptz
    )""",
    "CREATE TABLE published (partition integer PRIMARY KEY REFERENCES partition, position bigint NOT NULL)",
    """CREATE TABLE event (
        partition integer NOT NULL, position bigint NOT NULL, stream text COLLATE "C" NOT NULL, version bigint NOT NULL,
        key text COLLATE "C" NOT NULL, type text COLLATE "C" NOT NULL, recorded_at timestamptz NOT NULL, bytes bytea NOT NULL,
        PRIMARY KEY (partition, position), UNIQUE (stream, version)
    )""",
    "ALTER TABLE event ALTER COLUMN bytes SET STORAGE EXTERNAL",
    """CREATE TABLE stream (
        id text COLLATE "C" PRIMARY KEY, key text NOT NULL, partition integer NOT NULL, version bigint NOT NULL,
        format integer NOT NULL, state bytea NOT NULL
    ) WITH (toast_tuple_target = 8160, fillfactor = 70)""",
    "CREATE INDEX stream_walk ON stream (partition, id)",
    """CREATE TABLE inbox (
        source text NOT NULL, partition integer NOT NULL, position bigint NOT NULL DEFAULT -1, head text NOT NULL, kafka_offset bigint,
        PRIMARY KEY (source, partition)
    )""",
    """CREATE TABLE parked (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, source text NOT NULL, partition integer NOT NULL, position bigint,
        kafka_offset bigint NOT NULL, key text NOT NULL, trouble text NOT NULL, reason text NOT NULL, bytes bytea NOT NULL,
        attempts integer NOT NULL DEFAULT 0, parked_at timestamptz NOT NULL DEFAULT now(), resolved_at timestamptz, resolution text,
        UNIQUE (source, partition, position)
    )""",
    # A foreign record may be read again; an event may not, though a topic made anew may give it an offset that was parked before.
    "CREATE UNIQUE INDEX parked_foreign ON parked (source, partition, kafka_offset) WHERE position IS NULL",
    "CREATE INDEX parked_open ON parked (source, key, position) WHERE resolved_at IS NULL",
    "CREATE TABLE parameter_page (hash text PRIMARY KEY, data bytea NOT NULL)",
    "CREATE TABLE parameter_set (id text PRIMARY KEY, kind text NOT NULL, pages text[] NOT NULL)",
    """CREATE TABLE cursor (
        name text NOT NULL, partition integer NOT NULL, after_key text NOT NULL DEFAULT '', done boolean NOT NULL DEFAULT false,
        PRIMARY KEY (name, partition)
    )""",
    """CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'the record is never changed: % on % is refused', TG_OP, TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
        END
    $$""",
    *(
        f"CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        for table in ("event", "parameter_page")
    ),
)

FOREIGN_APART: Final = (
    'ALTER TABLE parked ADD COLUMN hash text COLLATE "C"',
    "DROP INDEX parked_foreign",
    "CREATE UNIQUE INDEX parked_foreign ON parked (source, partition, kafka_offset, hash) WHERE position IS NULL",
)

RIGHTS: Final = (
    "GRANT USAGE ON SCHEMA public TO {app}",
    "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON TABLES TO {app}",
    "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT USAGE ON SEQUENCES TO {app}",
    "GRANT SELECT, INSERT ON event, parameter_page TO {app}",
    "GRANT SELECT, INSERT, UPDATE ON partition, published, stream, inbox, parked, parameter_set, cursor TO {app}",
    "GRANT DELETE ON stream, cursor TO {app}",
    "GRANT SELECT ON alembic_version TO {app}",
)
