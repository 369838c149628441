"""The topics: one for each service's events, and one on which they ask each other for lost records."""

from __future__ import annotations

from enum import StrEnum


class Topic(StrEnum):
    """What a service publishes on. The values are the services' names."""

    PROFILE = "profile"
    EVIDENCE = "evidence"
    MASTERY = "mastery"
    PATHING = "pathing"
    SCHEDULING = "scheduling"


CONTROL = "control"
"""Requests for refill and the lengths of partitions: no events, never stored."""

RETENTION_MS = 30 * 24 * 60 * 60 * 1000
"""How long Kafka keeps a record after it was published; older history comes by refill."""


def topic_name(prefix: str, topic: str) -> str:
    """Return the name on the broker, such as `cairn.evidence`."""
    return f"{prefix}.{topic}"
