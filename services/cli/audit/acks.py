"""A client's own log of what it was told, line by line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple
from uuid import UUID

import orjson

from shared.errors import MalformedInput

KEPT: Final = ("recorded", "waiting", "duplicate", "regraded", "conflict")
"""Results after which an act must be in evidence's ledger."""


class Ack(NamedTuple):
    """What a client was told of one act."""

    act: UUID
    result: str
    message: str | None
    """What the client calls what it told; None where its log does not say."""


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
                found = [Ack(UUID(act["act_id"]), str(act["result"]), _text(act.get("id"))) for act in told if act.get("act_id")]
            except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError, ValueError):
                raise MalformedInput(
                    f"{path.name}:{number}: not a line of acknowledgements: each is {{status, acts: [{{act_id, result}}]}}"
                ) from None
            yield from found


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
