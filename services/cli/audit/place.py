"""Where an installation's records, topics and services are: all that the oracle is given. It trusts none of it, and writes to none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from services.cli.home import GATEWAY, read_entries, services_of, setting
from services.cli.verify import parts_of
from shared.contracts.topics import Topic
from shared.errors import Misconfigured


@dataclass(frozen=True)
class Installation:
    """One installation as the oracle reaches it. What is not given is left out of the check, and said so.

    A test names only what it has: `Installation({"mastery": url, ...}, name="local")`.
    """

    urls: Mapping[str, str] = field(repr=False)
    """Service -> address of its database, as a role that may read it."""
    name: str = "local"
    """As it stands in every event."""
    owner_urls: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Service -> address as a role that may make temporary tables, in which tables are folded anew."""
    kafka_servers: str | None = None
    prefix: str = "cairn"
    addresses: Mapping[str, str] = field(default_factory=dict)
    """Service -> where its process answers `/health/ready`, such as `http://127.0.0.1:8001`."""
    gateway: str | None = None
    """Where all services answer, for what they say over HTTP."""

    @property
    def services(self) -> list[str]:
        """The services there are, each before those it hears: what was applied is read before what it came from has grown."""
        ordered: list[str] = []

        def put(service: str) -> None:
            if service not in ordered:
                for each in self.urls:
                    if service in heard_by(each):
                        put(each)
                ordered.append(service)

        for service in self.urls:
            put(service)
        return ordered


def heard_by(service: str) -> tuple[str, ...]:
    """Return the services whose events a service hears."""
    subscription = parts_of(service).subscription
    return tuple(str(topic) for topic in subscription.topics) if subscription else ()


def installation_at(home: Path) -> Installation:
    """Return the local installation of a home folder.

    Raises:
        Misconfigured: nothing was ever started there, or not all services.
    """
    entries, services = read_entries(home), services_of(home)
    missing = [str(topic) for topic in Topic if topic not in services]
    if missing:
        raise Misconfigured(f"{home} knows no {', '.join(missing)}: run `cairn up` first; the check needs all services")
    environment = services[Topic.EVIDENCE].environment
    owners = {str(topic): entry.owner_url for topic, entry in services.items() if entry.owner_url}
    return Installation(
        urls={str(topic): setting(entry.environment, "database_url") or "" for topic, entry in services.items()},
        name=setting(environment, "installation") or "local",
        owner_urls=owners,
        kafka_servers=setting(environment, "kafka_servers"),
        prefix=setting(environment, "topic_prefix") or "cairn",
        addresses={str(topic): entry.address for topic, entry in services.items()},
        gateway=entries[GATEWAY].address if GATEWAY in entries else None,
    )
