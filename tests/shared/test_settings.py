"""Settings come from the environment alone, name what is wrong, and are all documented."""

import os
import subprocess
import sys
import traceback
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from pydantic import Field

from shared.auth import refuse_open_host
from shared.errors import Misconfigured
from shared.settings import Settings, load_settings, settings_table, variable_of
from shared.zones import day_in

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("CAIRN_")]:
        monkeypatch.delenv(name)


def test_nothing_needs_to_be_set() -> None:
    settings = load_settings(Settings)
    assert (settings.home, settings.installation, settings.partitions, settings.host) == (Path(".cairn"), "local", 8, "127.0.0.1")
    assert (settings.now, settings.otlp_endpoint, settings.district_key, settings.allow_unauthenticated) == (None, None, None, False)
    assert settings.release[0].isdigit()


def test_the_environment_counts_and_what_is_given_counts_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAIRN_PARTITIONS", "32")
    monkeypatch.setenv("CAIRN_PORT", "8000")
    monkeypatch.setenv("CAIRN_NOW", "")
    settings = load_settings(Settings, port=9000)
    assert (settings.partitions, settings.port, settings.now) == (32, 9000, None)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("partitions", "0"), ("partitions", "eight"), ("port", "65536"), ("port", "-1"), ("installation", "My District"),
        ("installation", "a/b"),
        ("consume_max_records", "0"), ("group_commit_max", "5001"), ("relay_poll_ms", "9"), ("stalled_after_s", "0"), ("log_level", "LOUD"),
        ("allow_unauthenticated", "perhaps"), ("topic_prefix", "a b"), ("otlp_endpoint", "collector:4318"), ("instance_id", "a/b"),
        ("time_zone", "Los Angeles"), ("time_zone", "PST"), ("time_zone", "../etc/passwd"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_named_by_its_variable_and_not_repeated(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable_of(name), value)
    with pytest.raises(Misconfigured, match=f"^{variable_of(name)}: ") as caught:
        load_settings(Settings)
    assert "input_value" not in str(caught.value)


@pytest.mark.parametrize("name", ["database_url", "owner_database_url"])
@pytest.mark.parametrize(
    "value", ["postgresql://app:s3cr#t@[h/name", "app s3cr#t host", "password='s3cr#t", "postgresql://app:s3cr#t%zz@h/n"]
)
def test_what_is_no_address_of_a_database_is_not_repeated_since_a_password_may_be_in_it(name: str, value: str) -> None:
    with pytest.raises(Misconfigured, match=f"^{variable_of(name)}: .* percent-encoded") as caught:
        load_settings(Settings, **{name: value})
    assert "s3cr" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("value", ["postgresql://app:s%40cret@h:5432/name", "host=/run/postgresql dbname=mastery user=app", "", None])
def test_an_address_of_a_database_may_have_both_forms(value: str | None) -> None:
    assert load_settings(Settings, database_url=value).database_url == value


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.4", "cairn.example", ""])
def test_a_host_open_to_strangers_needs_a_word_from_the_operator(host: str) -> None:
    with pytest.raises(Misconfigured, match="CAIRN_ALLOW_UNAUTHENTICATED=1"):
        load_settings(Settings, host=host)
    assert load_settings(Settings, host=host, allow_unauthenticated=True).host == host


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_this_machine_is_no_stranger(host: str) -> None:
    refuse_open_host(host, allow_unauthenticated=False)
    assert load_settings(Settings, host=host).host == host


def test_an_address_that_is_missing_is_named_when_it_is_needed() -> None:
    settings = load_settings(Settings)
    for needed, name in (
        (settings.kafka, "KAFKA_SERVERS"),
        (settings.database, "DATABASE_URL"),
        (settings.owner_database, "OWNER_DATABASE_URL"),
    ):
        with pytest.raises(Misconfigured, match=f"CAIRN_{name} is not set"):
            needed()
    with pytest.raises(Misconfigured, match="CAIRN_DISTRICT_KEY"):
        settings.district()
    with pytest.raises(Misconfigured, match="CAIRN_PARKING_KEY"):
        settings.parking()


def test_secrets_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    secret = "5ec7e7" * 10 + "0123"
    monkeypatch.setenv("CAIRN_DISTRICT_KEY", secret)
    monkeypatch.setenv("CAIRN_DATABASE_URL", f"postgresql://app:{secret}@127.0.0.1/mastery")
    settings = load_settings(Settings)
    assert settings.district().hex() == secret
    assert settings.database().endswith("/mastery")
    assert secret not in repr(settings) + str(settings)


def test_a_worker_keeps_its_name() -> None:
    assert load_settings(Settings).instance_of("mastery") == "mastery-0"
    assert load_settings(Settings, instance_id="mastery-3").instance_of("mastery") == "mastery-3"


def test_days_are_those_of_utc_until_a_time_zone_is_named() -> None:
    late = datetime(2026, 12, 2, 0, 5, tzinfo=UTC)
    assert day_in(load_settings(Settings).zone(), late) == date(2026, 12, 2)
    assert day_in(load_settings(Settings, time_zone="Pacific/Honolulu").zone(), late) == date(2026, 12, 1)


def test_every_setting_is_described_in_the_table_with_its_default_and_bounds() -> None:
    assert all(field.description for field in Settings.model_fields.values())
    table = settings_table()
    assert all(f"| `{variable_of(name)}` |" in table for name in Settings.model_fields)
    assert "| `CAIRN_PARTITIONS` | `8` | Lanes" in table
    assert "From 1 to 1024. |" in table


def test_a_service_shows_only_what_it_adds() -> None:
    class Own(Settings):
        depth: int = Field(3, ge=1, le=9, description="How deep.")

    assert settings_table(Own).splitlines()[2:] == ["| `CAIRN_DEPTH` | `3` | How deep. From 1 to 9. |"]


def test_importing_reads_no_environment() -> None:
    """With every variable wrong, the import works and only the call fails."""
    code = "import shared.settings as s\ntry:\n    s.load_settings(s.Settings)\nexcept s.Misconfigured:\n    print('late')"
    wrong = {variable_of(name): "\x7f?" for name in Settings.model_fields}
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=os.environ | wrong, capture_output=True, text=True, check=True, timeout=60
    )
    assert run.stdout == "late\n"
