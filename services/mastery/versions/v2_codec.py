"""How a learner's state is kept: a header, then its parts as they lie in memory; pure.

30 competencies and 48 items take 2.4 KB. All integers are little-endian, on every machine.
"""

from __future__ import annotations

from struct import Struct
from typing import Final

import orjson

from services.mastery.versions.v2_state import ITEM_BYTES, ROW_BYTES, Override, State
from shared.decider import Codec

FORMAT: Final = 1
_HEADER: Final = Struct("<q16siIiIIHBII")
"""Watermark, general level, form, when the first competency is due, number of competencies, number of items, bytes of the names and of
what people set."""


def encode(state: State) -> bytes:
    """Return the bytes of a state."""
    names = "\n".join(state.names).encode() if state.names else b""
    people = orjson.dumps([[tuple(found) for found in state.overrides], state.waivers]) if state.overrides or state.waivers else b""
    rows = state.rows
    header = _HEADER.pack(
        state.last_us, state.last_id.to_bytes(16, "big"), *state.general, *state.form, state.next_due, len(rows) // ROW_BYTES,
        len(state.items) // ITEM_BYTES, len(names), len(people),
    )  # fmt: skip
    return b"".join((header, rows, state.items, names, people))


def decode(content: bytes) -> State:
    """Return the state that these bytes hold."""
    last_us, last_id, mean, variance, form_mean, form_variance, due, n, m, named, said = _HEADER.unpack_from(content)
    rows = _HEADER.size + n * ROW_BYTES
    items = rows + m * ITEM_BYTES
    names = items + named
    overrides, waivers = orjson.loads(content[names : names + said]) if said else ((), ())
    return State(
        last_us, int.from_bytes(last_id, "big"), (mean, variance), (form_mean, form_variance), content[_HEADER.size : rows],
        content[rows:items], tuple(content[items:names].decode().split("\n")) if named else (), due,
        tuple(Override(*found) for found in overrides), tuple((name, before) for name, before in waivers),
    )  # fmt: skip


CODEC: Final = Codec(FORMAT, encode, decode)
