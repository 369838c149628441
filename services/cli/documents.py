"""The pages of docs/ that are written from the code: `python -m services.cli.documents` writes them anew.

A house test compares them, so that a setting, metric or route cannot change without its page.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from services.cli.verify import parts_of
from shared.clock import FixedClock
from shared.contracts.topics import Topic
from shared.http import Health
from shared.parts import Parts
from shared.serve import TEST_KEY, application, build
from shared.settings import Settings, load_settings, settings_table
from shared.telemetry import metrics_table

DOCS: Final = Path(__file__).resolve().parents[2] / "docs"
COMMAND: Final = "python -m services.cli.documents"
OPERATIONS: Final = "operations"
"""Tag of the routes that every service has."""
NOT_SETTINGS: Final = MappingProxyType(
    {
        "CAIRN_POSTGRES_URL": "PostgreSQL as its administrator, for `cairn up` and tests on a server that is there already. "
        "Another installation's databases there are left alone: `cairn up` refuses them.",
        "CAIRN_TEST_HOME": "State directory whose servers the tests use, start if need be, and leave running.",
        "CAIRN_MEMBER_OF": "Set by `cairn up` in each of its processes, by which `cairn down` knows them again. Leave it alone.",
        "CAIRN_UP_RELEASE": "Set by `cairn up` in each of its processes: the release that it was started as, with a hash of its code. "
        "The next `cairn up` starts those of other code anew. Leave it alone.",
        "CAIRN_NATIVE": "`1` where Cairn is built: its most used modules are compiled. `make native` sets it.",
        "JAVA_HOME": "The Java that the local stack runs Kafka with; else the first on the PATH.",
    }
)
"""Variables that no service reads as a setting, and who reads them."""

OF_THE_GATEWAY: Final = MappingProxyType(
    {
        "/": "Show on a page what runs, and where each service's documentation is.",
        "/health/live": "Say that the gateway answers.",
        "/health/ready": "Say whether all services get on with their work; 503 with reasons where one does not.",
    }
)
"""Path -> what it does."""


def settings_page() -> str:
    """Return docs/settings.md: the settings that every service has, those that one adds, and the variables that are none."""
    kinds = {service: parts_of(service).settings for service in Topic}
    parts = [
        "# Settings",
        f"Read from the environment when a process starts. An empty variable counts as not set.\nThis page is written by `{COMMAND}`.",
        settings_table().rstrip(),
        "## Settings of one service",
        *(_own_settings(service, kind) for service, kind in kinds.items() if len(kind.model_fields) > len(Settings.model_fields)),
    ]
    if parts[-1].startswith("##"):
        parts.append("No service adds settings of its own: what decides about learners are parameter sets, part of the record.")
    rows = "\n".join(f"| `{name}` | {meaning} |" for name, meaning in NOT_SETTINGS.items())
    parts += ["## Other variables", f"| Variable | Meaning |\n|---|---|\n{rows}"]
    return "\n\n".join(parts) + "\n"


def _own_settings(service: Topic, kind: type[Settings]) -> str:
    return f"### {service}\n\n{settings_table(kind).rstrip()}"


def metrics_page() -> str:
    """Return docs/metrics.md: what every service counts."""
    told = f"Every service answers `GET /metrics` in the text format of Prometheus. This page is written by `{COMMAND}`."
    return f"# Metrics\n\n{told}\n\n{metrics_table()}"


def api_page() -> str:
    """Return docs/api.md: every route of every service, from the OpenAPI documents that the services answer with."""
    documents = {service: openapi_of(parts_of(service)) for service in Topic}
    sections = [
        "# HTTP API",
        "The gateway that `cairn up` starts answers all of these under one address. `/<service>/docs` shows parameters, bodies and\n"
        "answers, and tries them. Lists are paged: `limit` and `after`. An error is a problem document (RFC 9457) that names the place\n"
        f"and what to do. This page is written by `{COMMAND}`.",
    ]
    for service, document in documents.items():
        rows = [row for tags, row in _rows(document) if OPERATIONS not in tags]
        sections.append(f"## {service}\n\n{_table(rows)}")
    rows = [row for tags, row in _rows(documents[Topic.PROFILE], "/<service>") if OPERATIONS in tags]
    rows += ["| GET | `/<service>/docs` | Show the API on a page that needs no internet. |"]
    rows += ["| GET | `/<service>/openapi.json` | Give the OpenAPI 3.1 document. |"]
    sections.append(f"## Every service, as the gateway names it\n\n{_table(rows)}")
    rows = [f"| GET | `{path}` | {meaning} |" for path, meaning in OF_THE_GATEWAY.items()]
    sections.append(f"## The gateway\n\n{_table(rows)}")
    return "\n\n".join(sections) + "\n"


def openapi_of(parts: Parts) -> dict[str, Any]:
    """Return a service's OpenAPI document. Nothing is opened."""
    settings = load_settings(parts.settings, database_url="postgresql:///none", parking_key=TEST_KEY, district_key=TEST_KEY)
    service = build(parts, settings, FixedClock(datetime(2026, 11, 24, tzinfo=UTC)), lambda: ThreadPoolExecutor(1))
    return application(service, _healthy).openapi()


async def _healthy() -> Health:
    return Health(ready=True)


def _rows(document: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[list[str], str]]:
    """Yield the tags and the line of each route, in the order of the document."""
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            line = f"| {method.upper()} | `{prefix}{path}` | {_sentence(operation.get('description', ''))} |"
            yield operation.get("tags", []), line


def _sentence(text: str) -> str:
    """Return the first sentence of a text.

    >>> _sentence("Take a file: all of it,\\nor nothing. May be repeated.")
    'Take a file: all of it, or nothing.'
    """
    first, dot, _ = " ".join(text.split()).partition(". ")
    return (first + dot).strip().replace("|", "\\|")


def _table(rows: list[str]) -> str:
    return "\n".join(["| Method | Path | What it does |", "|---|---|---|", *rows])


PAGES: Final[Mapping[str, Callable[[], str]]] = MappingProxyType(
    {"api.md": api_page, "metrics.md": metrics_page, "settings.md": settings_page}
)
"""File in docs/ -> what it ought to say."""


def main() -> None:
    """Write every page."""
    for name, page in PAGES.items():
        (DOCS / name).write_text(page(), encoding="utf-8")
        sys.stdout.write(f"{DOCS / name}\n")


if __name__ == "__main__":
    main()
