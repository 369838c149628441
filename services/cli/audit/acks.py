"""A client's own log of what it was told, line by line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple
from uuid import UUID

import orjson

from shared.errors import MalformedInput

AMENDED: Final = "amended"
"""What a log calls a correction or a void that was answered with an `event_id`."""
KEPT: Final = ("recorded", "waiting", "duplicate", "regraded", "conflict", AMENDED)
"""Results after which an act must be in evidence's ledger."""


class Ack(NamedTuple):
    """What a client was told of one act."""

    act: UUID
    result: str
    message: str | None
    """What the client calls what it told; None where its log does not say."""
    event: UUID | None = None
    """Of an amendment, the event that keeps it; None where the log does not say."""


def read_acks(path: Path) -> Iterator[Ack]:
    """Yield what a client was told, act by act.

    Raises:
        MalformedInput: a line is not what a client writes; it names the line.
    """
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            try:
                entry = orjson.loads(line)
                told = entry["acts"] if 200 <= int(entry["status"]) < 300 else ()
                found = [_ack(act) for act in told if act.get("act_id")]
            except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError, ValueError):
                raise MalformedInput(
                    f"{path.name}:{number}: not a line of acknowledgements: each is {{status, acts: [{{act_id, result}}]}}, for a "
                    f"correction or void with {AMENDED} as its result, and its event_id"
                ) from None
            yield from found


def _ack(told: Mapping[str, Any]) -> Ack:
    event = told.get("event_id")
    return Ack(UUID(told["act_id"]), str(told["result"]), _text(told.get("id")), None if event is None else UUID(event))


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def all_acks(paths: Sequence[Path]) -> Iterator[Ack]:
    """Yield what stands in several logs.

    Raises:
        MalformedInput: as `read_acks`; or no act stands in any of them, which would prove nothing.
    """
    count = 0
    for path in paths:
        for told in read_acks(path):
            count += 1
            yield told
    if not count:
        names = ", ".join(path.name for path in paths)
        raise MalformedInput(f"{names} names no act that was acknowledged, so there is nothing to compare: is it the client's log?")
