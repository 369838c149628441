"""The processes of the local installation: planned, started where they do not run, watched until they are ready."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import httpx

from services.cli.belonging import require_own_ledgers
from services.cli.home import (
    GATEWAY,
    MEMBER_OF,
    NAMES,
    RELEASE,
    Entry,
    kept_secrets,
    log_file,
    member_mark,
    members,
    read_entries,
    setting,
    write_entries,
)
from services.cli.release import release_of_code
from shared.clock import CLOCK_FILE, clock_from
from shared.contracts.topics import Topic
from shared.errors import CairnError, Misconfigured
from shared.settings import Settings, load_settings, variable_of
from shared.stack import Stack, create_database, owned_database, require_own_roles
from shared.stack.processes import ask_to_stop, await_end, spawn, tail
from shared.stack.state import Progress, free_port, password, restore_passwords

KEY_BYTES: Final = 32
KNOWS_THE_DISTRICT: Final = (Topic.PROFILE, Topic.EVIDENCE)
"""Services that turn names into ids; no other is given the district's key."""
FIXED: Final = ("installation", "partitions", "topic_prefix")
"""Settings that an installation keeps for ever."""
ASK_LIMIT_S: Final = 6.0
POLL_S: Final = 0.1
READY_LIMIT_S: Final = 120.0
"""For all processes together to answer and be ready, from a cold start on a busy machine."""


class NotReady(CairnError):
    """A process of the installation ended, or does not get ready; the message holds its last words."""


@dataclass(frozen=True)
class State:
    """How a process is, in words."""

    text: str
    ready: bool = False
    answers: bool = False


@dataclass(frozen=True)
class Plan:
    """What is to run, and the settings that all services share."""

    home: Path
    settings: Settings
    release: str
    """Tells this code from other code, also where its version is the same."""
    services: Sequence[Topic]
    port: int | None = None
    workers: Mapping[str, int] = field(default_factory=dict)
    """Processes of a service, where that was said."""


def workers_of(said: Sequence[str]) -> dict[str, int]:
    """Return how many workers each service is to have.

    Raises:
        Misconfigured: it was not said as `service=number`.

    >>> workers_of(["mastery=2"])
    {'mastery': 2}
    """
    found: dict[str, int] = {}
    for one in said:
        name, _, number = one.partition("=")
        if name not in list(Topic) or not number.isdecimal():
            raise Misconfigured(f"--workers {one} cannot be taken: say it like mastery=2, with one of {', '.join(Topic)}")
        found[name] = load_settings(Settings, workers=int(number)).workers
    return found


def plan_of(
    home: Path, now: str | None, installation: str | None, port: int | None, services: Sequence[Topic], workers: Mapping[str, int],
    time_zone: str | None = None,
) -> Plan:  # fmt: skip
    """Return what is to run; changes nothing. What was fixed at the first start need not be said again, nor the time zone, which may be
    another one.

    Raises:
        Misconfigured: it was said otherwise, or a setting cannot be taken.
    """
    asked = {"home": home, "now": now, "installation": installation, "time_zone": time_zone}
    known = next((entry.environment for name, entry in read_entries(home).items() if name != GATEWAY), {})
    given = {name: value for name, value in asked.items() if value is not None}
    said = load_settings(Settings, **given)
    for name in FIXED:
        kept = setting(known, name)
        if kept is None:
            continue
        if name in said.model_fields_set and str(getattr(said, name)) != kept:
            raise Misconfigured(
                f"{variable_of(name)} is {getattr(said, name)}, but this installation was made with {kept}, and that is for ever: "
                "take it away, or start another installation in another --home"
            )
        given[name] = kept
    if "time_zone" not in said.model_fields_set and (kept := setting(known, "time_zone")):
        given["time_zone"] = kept
    settings = load_settings(Settings, **given)
    clock_from(settings.now, home if (home / CLOCK_FILE).exists() else None)  # Refuses what cannot be taken, and keeps nothing.
    return Plan(home, settings, release_of_code(settings.release), services, port, workers)


def restore_secrets(home: Path, progress: Progress) -> None:
    """Take passwords and keys that `secrets.json` has lost from `services.json`, before others are drawn in their place."""
    if restore_passwords(home, kept_secrets(read_entries(home))):
        progress(f"secrets.json of {home} lacked passwords or keys: they were taken from services.json")


def prepare(plan: Plan, stack: Stack, progress: Progress) -> dict[str, Entry]:
    """Return what is to run, each with its port and settings, its database made and at the newest schema.

    Raises:
        StackError: the server's databases are another installation's; nothing was changed.
        Misconfigured: the databases are this home's, and their ledgers another installation's, or began by another clock; nothing was
            changed.
    """
    from shared.migrate import migrate  # Here, so that other commands need not wait for all that it imports.

    require_own_roles(stack.postgres_url, plan.services, plan.home)  # Of all services, before anything is made for the first.
    made = {service: owned_database(stack.postgres_url, service, plan.home) for service in plan.services}
    ours = {str(service): database.owner_url for service, database in made.items() if database is not None}
    require_own_ledgers(ours, plan.settings.installation, plan.settings.partitions)
    known, entries = read_entries(plan.home), dict[str, Entry]()
    if known or ours:
        _require_own_clock(plan)
    gateway = _entry(plan.home, GATEWAY, known, plan.port)
    before = {service: _entry(plan.home, service, known) for service in plan.services}  # While they run: each keeps its port.
    _end_other_releases(plan, known, progress)
    for service in plan.services:
        progress(f"bringing the database of {service} to the newest schema")
        database = create_database(stack.postgres_url, service, plan.home)
        clock_from(plan.settings.now, plan.home)  # Starts here, at the first start: one that fails earlier leaves no clock behind.
        migrate(service, database.owner_url, installation=plan.settings.installation, partitions=plan.settings.partitions)
        entry = before[service]
        environment = _environment(plan, stack, service) | {
            "CAIRN_DATABASE_URL": database.app_url,
            "CAIRN_PORT": str(entry.port),
            "CAIRN_WORKERS": _workers(plan, known.get(service), service),
        }
        entries[service] = replace(entry, environment=environment, owner_url=database.owner_url)
    environment = {"CAIRN_HOME": str(plan.home), "CAIRN_PORT": str(gateway.port), RELEASE: plan.release}
    entries[GATEWAY] = replace(gateway, environment=environment)
    return entries


def _require_own_clock(plan: Plan) -> None:
    """Refuse to move the clock of an installation that began by the clock of its machine."""
    file = plan.home / CLOCK_FILE
    if plan.settings.now is not None and not file.exists():
        raise Misconfigured(
            f"{variable_of('now')} is {plan.settings.now}, but this installation was started before, and there is no {file}: take the "
            "setting away, or, where the file was lost, put it back; or start another installation in another --home. Nothing was changed"
        )


def _end_other_releases(plan: Plan, known: Mapping[str, Entry], progress: Progress) -> None:
    """End what runs as another release: `start` starts it anew, on the schema that its own release is written for.

    Before the migration, so that neither does older code meet a newer schema, nor the migration a service that holds its tables. The
    gateway goes first, so that nobody meets a service that is going.
    """
    for name in (GATEWAY, *plan.services):
        entry = known.get(name)
        if entry is not None and entry.environment.get(RELEASE) != plan.release:
            was = f"release {entry.environment[RELEASE]}" if RELEASE in entry.environment else "an earlier release"
            _end(plan.home, name, progress, f"ending {name} of {was}: that of release {plan.release} takes its place")


def _environment(plan: Plan, stack: Stack, service: Topic) -> dict[str, str]:
    """Return the settings of a service. An empty one counts as not set: it hides what `cairn up` itself was given."""
    knows = service in KNOWS_THE_DISTRICT
    fixed = {variable_of(name): str(getattr(plan.settings, name)) for name in FIXED}
    return fixed | {
        "CAIRN_HOME": str(plan.home),
        "CAIRN_TIME_ZONE": plan.settings.time_zone,
        "CAIRN_KAFKA_SERVERS": stack.kafka_servers,
        "CAIRN_DISTRICT_KEY": password(plan.home, "district-key", KEY_BYTES) if knows else "",
        "CAIRN_PARKING_KEY": password(plan.home, f"parking-key/{service}", KEY_BYTES),
        "CAIRN_OWNER_DATABASE_URL": "",
        "CAIRN_HOST": "127.0.0.1",
        "CAIRN_NOW": "",
        RELEASE: plan.release,
    }


def _workers(plan: Plan, known: Entry | None, service: Topic) -> str:
    """Return how many processes a service is to have: as many as before, unless something else was said."""
    kept = setting(known.environment, "workers") if known else None
    return str(plan.workers.get(service, kept or plan.settings.workers))


def _entry(home: Path, name: str, known: Mapping[str, Entry], port: int | None = None) -> Entry:
    """Return the entry with a port that it has already or that is free."""
    old = known.get(name)
    if old is not None and old.process is not None and port in (None, old.port):
        return old
    return Entry(port=port or free_port(home, name))


def start(home: Path, entries: dict[str, Entry], progress: Progress) -> None:
    """Start what does not run, and anew what runs with other settings or another release; note each process as soon as it is started."""
    known = read_entries(home)
    (home / "log").mkdir(exist_ok=True)
    for name, entry in list(entries.items()):
        old = known.get(name)
        if old is not None and old.process is not None and old.environment == entry.environment:
            entries[name] = old
            continue
        _end(home, name, progress, f"ending what is left of {name}")
        progress(f"starting {name} on port {entry.port}")
        pid, started = _spawn(home, name, entry)
        entries[name] = replace(entry, pid=pid, started=started)
        _note(home, known | entries)
    _note(home, known | entries)


def _end(home: Path, name: str, progress: Progress, words: str) -> None:
    """End the processes of this name, if there are any, and say so."""
    left = members(home, (name,))
    if left:
        progress(words)
        ask_to_stop(left)
        await_end(left)


def _note(home: Path, entries: Mapping[str, Entry]) -> None:
    """Write down the processes, in the order in which people expect them."""
    write_entries(home, {name: entries[name] for name in NAMES if name in entries})


def _spawn(home: Path, name: str, entry: Entry) -> tuple[int, float]:
    log = log_file(home, name)
    if log.exists():
        log.replace(log.with_suffix(".before.log"))
    words = ["gateway"] if name == GATEWAY else ["serve", name]
    argv = [sys.executable, "-m", "services.cli", *words]
    return spawn(argv, log, cwd=home, environment=entry.environment | {MEMBER_OF: member_mark(home, name)})


def await_ready(home: Path, entries: Mapping[str, Entry], progress: Progress) -> None:
    """Return when all of these are ready; the gateway, when it answers: it is ready when all services are, also those not asked for.

    Raises:
        NotReady: one of them ended, or is not ready within READY_LIMIT_S.
    """
    waiting = dict(entries)
    deadline = time.monotonic() + READY_LIMIT_S
    with httpx.Client(timeout=ASK_LIMIT_S) as client:
        while waiting:
            progress(f"waiting until {', '.join(waiting)} {'is' if len(waiting) == 1 else 'are'} ready")
            before = len(waiting)
            while len(waiting) == before:
                states = {name: health(client, entry) for name, entry in waiting.items()}
                waiting = {name: waiting[name] for name, state in states.items() if not (state.answers if name == GATEWAY else state.ready)}
                for name, entry in waiting.items():
                    if entry.process is None:
                        raise NotReady(f"{name} ended while it started.{_last_words(home, name)}")
                    if time.monotonic() > deadline:
                        raise NotReady(f"{name} is not ready after {READY_LIMIT_S:.0f} s: {states[name].text}.{_last_words(home, name)}")
                time.sleep(POLL_S)


def health(client: httpx.Client, entry: Entry) -> State:
    """Return how a process says it is."""
    try:
        answer = client.get(f"{entry.address}/health/ready")
        said: dict[str, Any] = answer.json()
    except httpx.TransportError:
        return State("it does not answer")
    except ValueError:
        return State("its answer is not understood")
    if answer.status_code == httpx.codes.OK:
        return State("; ".join(["ready", *said.get("notes", [])]), ready=True, answers=True)
    return State(f"not ready: {'; '.join(said.get('reasons', [])) or answer.status_code}", answers=True)


def _last_words(home: Path, name: str) -> str:
    log = log_file(home, name)
    return f" Its last words ({log}):\n{tail(log)}\nMend what it names and run `cairn up` again: what runs is kept"
