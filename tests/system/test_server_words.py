"""What the command line says of a server that refuses it: why, which setting to mend, and never what that setting holds."""

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from aiokafka.errors import KafkaConnectionError
from psycopg import OperationalError, errors
from psycopg_pool import PoolTimeout

from services.cli.words import server_trouble
from shared import serve
from shared.stack import ServiceDatabase
from tests.system.test_words import failed, home, run  # noqa: F401 - a fixture

STARTING, CLIENTS, SILENCE = "starting up or shutting down: do this again", "too many clients", "PostgreSQL does not answer"
REFUSED = "refuses the user or the password"


@pytest.fixture
def mastery(home: Path, database: Any) -> ServiceDatabase:  # noqa: F811
    place: ServiceDatabase = database("mastery")
    return place


def wrong(url: str) -> str:
    """Return an address with another password."""
    parts = urlsplit(url)
    return url.replace(f":{parts.password}@", ":hunter2@")


def test_a_wrong_password_is_no_silence(mastery: ServiceDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "CONNECT_S", 0.5)
    for name, given in (("PARKING_KEY", "00" * 32), ("DATABASE_URL", wrong(mastery.app_url)), ("KAFKA_SERVERS", "127.0.0.1:1")):
        monkeypatch.setenv(f"CAIRN_{name}", given)
    monkeypatch.setenv("CAIRN_OWNER_DATABASE_URL", wrong(mastery.owner_url))
    for words, setting in (
        (("rebuild", "mastery", "level"), "CAIRN_OWNER_DATABASE_URL"), (("migrate", "mastery"), "CAIRN_OWNER_DATABASE_URL"),
        (("park", "list", "mastery"), "CAIRN_DATABASE_URL"), (("serve", "mastery"), "CAIRN_DATABASE_URL"),
    ):  # fmt: skip
        said = failed(run(*words))
        assert f"PostgreSQL refuses the user or the password, or lets this machine not in (its log says which): {setting} holds" in said
        assert "does not answer" not in said
        assert not any(secret in said for secret in ("hunter2", "postgresql://"))


def test_a_database_that_is_not_there_is_told_without_its_address(mastery: ServiceDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAIRN_OWNER_DATABASE_URL", mastery.owner_url + "_hunter2")
    said = failed(run("rebuild", "mastery", "level"))
    assert "PostgreSQL refuses the connection (database ... does not exist): mend CAIRN_DATABASE_URL or CAIRN_OWNER" in said
    assert "hunter2" not in said


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (errors.InvalidPassword("x"), REFUSED), (errors.InvalidAuthorizationSpecification("x"), REFUSED),
        (errors.ReadOnlySqlTransaction("x"), "PostgreSQL takes nothing that writes"),
        (errors.DiskFull("x"), "the disk of PostgreSQL is full"), (errors.TooManyConnections("x"), CLIENTS),
        (errors.CannotConnectNow("x"), STARTING), (errors.AdminShutdown("x"), STARTING),
        (errors.DeadlockDetected("x"), "broken this off (DeadlockDetected, SQLSTATE 40P01)"), (errors.ConnectionFailure("x"), SILENCE),
        (OperationalError("failed: FATAL:  password authentication failed for user \"x\""), REFUSED),
        (OperationalError("failed: fe_sendauth: no password supplied"), REFUSED),
        (OperationalError("failed: FATAL:  no pg_hba.conf entry for host \"10.0.0.7\", user \"x\""), REFUSED),
        (OperationalError("failed: FATAL:  sorry, too many clients already"), CLIENTS),
        (OperationalError("failed: FATAL:  remaining connection slots are reserved for roles with the SUPERUSER attribute"), CLIENTS),
        (OperationalError("failed: FATAL:  the database system is shutting down"), STARTING),
        (OperationalError("failed: FATAL:  could not write init file: No space left on device"), "the disk of PostgreSQL is full"),
        (OperationalError("failed: Connection refused"), SILENCE), (PoolTimeout("none within 30 s"), SILENCE),
        (KafkaConnectionError("x"), "Kafka does not answer"), (ValueError("x"), None),
    ],
)  # fmt: skip
def test_what_postgresql_says_is_told_and_only_silence_is_called_so(error: Exception, told: str | None) -> None:
    class Wrapped(Exception):
        pass

    def wrapped() -> Exception:
        try:
            raise Wrapped from error
        except Wrapped as caught:
            return caught

    for each in (error, wrapped()):
        said = server_trouble(each)
        assert said is None if told is None else told in (said or "")
