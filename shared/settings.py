"""Every setting, read from the environment (`CAIRN_...`) when `load_settings` is called, never on import."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self, TypeVar
from zoneinfo import ZoneInfo

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict
from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.auth import refuse_open_host
from shared.errors import Misconfigured
from shared.failpoints import FORM
from shared.keys import key_from
from shared.zones import timezones

PREFIX: Final = "CAIRN_"
_UNINSTALLED_RELEASE: Final = "0.1.0"


def _release() -> str:
    try:
        return version("cairn")
    except PackageNotFoundError:  # Run from a checkout that was never installed.
        return _UNINSTALLED_RELEASE


class Settings(BaseSettings):
    """What an operator decides. A service with settings of its own extends this class.

    Raises:
        Misconfigured: the host is open to strangers; every other mistake is a `ValidationError`, which `load_settings` translates.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, extra="ignore", frozen=True, hide_input_in_errors=True)

    home: Path = Field(Path(".cairn"), description="State directory of the local stack and the clock.")
    installation: str = Field(
        "local",
        pattern=r"^[a-z0-9][a-z0-9-]{0,62}$",
        description="Name of the district's installation. Stands in every event: never change it after the first one.",
    )
    partitions: int = Field(
        8, ge=1, le=1024, description="Lanes of every ledger and topic (a district: 32). Fixed at installation: never change it."
    )
    topic_prefix: str = Field("cairn", pattern=r"^[A-Za-z0-9._-]{1,100}$", description="First part of the names of topics.")
    release: str = Field(default_factory=_release, pattern=r"^\S{1,64}$", description="Code release, as it is written into events.")

    time_zone: str = Field(
        "UTC",
        description="IANA name of the district's time zone, such as `America/Los_Angeles`: by its midnight days of paths begin, and those "
        "on which rosters are taken. The same on every machine; `cairn up` keeps what it was told last.",
    )
    kafka_servers: str | None = Field(None, description="Kafka, as `host:port`, several with commas. The local stack sets it.")
    database_url: str | None = Field(None, repr=False, description="The service's database, as its app role. The local stack sets it.")
    owner_database_url: str | None = Field(None, repr=False, description="The same database as its owner role; migrations only.")
    district_key: SecretStr | None = Field(
        None,
        description="64 hex digits, for profile and evidence. Makes people's ids and keeps their keys: never change it, back it up apart. "
        "A start under another one is refused.",
    )
    parking_key: SecretStr | None = Field(
        None,
        description="64 hex digits: seals records that were set aside. Each service has its own; without it none can be read again. A "
        "start under another one is refused.",
    )
    host: str = Field("127.0.0.1", description="Address that HTTP is served at.")
    port: int = Field(0, ge=0, le=65_535, description="Port that HTTP is served at; 0 takes a free one.")
    allow_unauthenticated: bool = Field(
        False, description="Serve at other addresses than this machine's own, though nobody is asked who they are."
    )
    now: str | None = Field(
        None,
        description="Instant at which the installation's clock starts, such as `2026-11-24T08:00:00Z`. Counts once, at the first start.",
    )
    instance_id: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9._-]{1,200}$",
        description="Name of this machine's (first) worker, the same after a restart and another on each machine that runs the service; "
        "`<service>-0` where it is not set. Further workers add their number. A second process under the same name ends.",
    )
    workers: int = Field(
        1, ge=1, le=64, description="Processes of the service on this machine; of all machines together at most as many as partitions."
    )

    consume_max_records: int = Field(2000, ge=1, le=10_000, description="Records that a consumer takes from Kafka at once.")
    session_timeout_ms: int = Field(
        10_000, ge=6_000, le=300_000, description="Silence after which Kafka gives a worker's partitions to others."
    )
    group_commit_max: int = Field(500, ge=1, le=5_000, description="Commands of HTTP requests that share a transaction at most.")
    relay_poll_ms: int = Field(100, ge=10, le=10_000, description="How often the relay looks for events that nobody told it about.")
    ticker_poll_ms: int = Field(200, ge=10, le=60_000, description="How often the ticker looks for something due.")
    stalled_after_s: int = Field(
        30,
        ge=1,
        le=3_600,
        description="Time without progress, of a service or of one of the partitions that it hears, while there is work, after which it is "
        "not ready.",
    )

    failpoint: str | None = Field(
        None,
        pattern=FORM,
        description="For tests of faults: where this process dies or stands still, such as `commit.before:kill:3`.",
    )
    allow_failpoints: bool = Field(False, description="Let `CAIRN_FAILPOINT` have its way. Never set it where evidence matters.")

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="Least severe log line that is written.")
    otlp_endpoint: Annotated[str, Field(pattern=r"^https?://")] | None = Field(
        None, description="Where traces go (OTLP over HTTP), such as `http://127.0.0.1:4318/v1/traces`. Without it they go nowhere."
    )

    @field_validator("time_zone")
    @classmethod
    def _is_time_zone(cls, value: str) -> str:
        if value not in timezones():
            raise ValueError("is no name of the IANA time zone database: write one such as America/Los_Angeles")
        return value

    @field_validator("database_url", "owner_database_url")
    @classmethod
    def _is_address(cls, value: str | None) -> str | None:
        try:
            conninfo_to_dict(value or "")
        except ProgrammingError:  # Its words quote the address, and with it the password.
            raise ValueError(
                "is no address of PostgreSQL: write postgresql://USER:PASSWORD@HOST:PORT/DATABASE, with special characters of the "
                "password percent-encoded (@ is %40)"
            ) from None
        return value

    @model_validator(mode="after")
    def _keep_strangers_out(self) -> Self:
        refuse_open_host(self.host, self.allow_unauthenticated)
        return self

    def zone(self) -> ZoneInfo:
        """Return the time zone of the installation's days."""
        return ZoneInfo(self.time_zone)

    def kafka(self) -> str:
        """Return Kafka's address, or raise `Misconfigured` naming the setting."""
        return _needed(self.kafka_servers, "kafka_servers")

    def database(self) -> str:
        """Return the address of the database for the app role, or raise `Misconfigured` naming the setting."""
        return _needed(self.database_url, "database_url")

    def owner_database(self) -> str:
        """Return the address of the database for the owner role, or raise `Misconfigured` naming the setting."""
        return _needed(self.owner_database_url, "owner_database_url")

    def district(self) -> bytes:
        """Return the district key as 32 bytes, or raise `Misconfigured` naming the setting and where to take it from."""
        return key_from("" if self.district_key is None else self.district_key.get_secret_value())

    def parking(self) -> bytes:
        """Return the parking key as 32 bytes, or raise `Misconfigured` naming the setting and where to take it from."""
        return key_from("" if self.parking_key is None else self.parking_key.get_secret_value(), variable_of("parking_key"))

    def keys(self) -> dict[str, bytes]:
        """Return the keys that this service uses, by setting; its database holds it to them (`shared.key_check`).

        Raises:
            Misconfigured: one is not set, or is no key.
        """
        return {"parking_key": self.parking()}

    def instance_of(self, service: str) -> str:
        """Return the name of this worker in the service's consumer group."""
        return self.instance_id or f"{service}-0"


S = TypeVar("S", bound=Settings)


class DistrictSettings(Settings):
    """Settings of a service that makes people's ids, and so holds the district's key."""

    def keys(self) -> dict[str, bytes]:
        """Return the keys that this service uses, the district's included."""
        return super().keys() | {"district_key": self.district()}


def load_settings(kind: type[S], **given: Any) -> S:
    """Return the settings of this process: the environment, and before it what is `given`.

    Raises:
        Misconfigured: a setting cannot be taken; the message names each one, and never its value.
    """
    try:
        return kind(**given)
    except ValidationError as error:
        faults = "; ".join(f"{variable_of(str(fault['loc'][0]))}: {fault['msg']}" for fault in error.errors(include_input=False))
        raise Misconfigured(f"{faults} (docs/settings.md lists every setting)") from None


def variable_of(name: str) -> str:
    """Return the environment variable of a setting."""
    return PREFIX + name.upper()


def settings_table(kind: type[Settings] = Settings) -> str:
    """Return the Markdown table of the settings that this class adds to its base."""
    lines = ["| Variable | Default | Meaning |", "|---|---|---|"]
    inherited = set() if kind is Settings else set(Settings.model_fields)
    for name, field in kind.model_fields.items():
        if name not in inherited:
            default = "the installed package's" if field.default_factory else "" if field.default is None else f"`{field.default}`"
            lines.append(f"| `{variable_of(name)}` | {default} | {field.description}{_bounds(field.metadata)} |")
    return "\n".join(lines) + "\n"


def _needed(value: str | None, name: str) -> str:
    if value is None:
        raise Misconfigured(f"{variable_of(name)} is not set: `cairn up` sets it for the local stack, elsewhere give the address")
    return value


def _bounds(metadata: list[Any]) -> str:
    least = next((bound.ge for bound in metadata if hasattr(bound, "ge")), None)
    most = next((bound.le for bound in metadata if hasattr(bound, "le")), None)
    return "" if least is None else f" From {least} to {most}."
