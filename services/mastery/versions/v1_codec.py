"""How a learner's state is kept: a header, then its columns as they lie in memory; pure.

30 competencies and 48 items take 2.9 KB at most. The columns are little-endian, as every machine that the project runs on; a state is a
cache, so another machine would fold again.
"""

from __future__ import annotations

from array import array
from struct import Struct
from typing import Final

from services.mastery.versions.v1_state import State
from shared.decider import Codec

FORMAT: Final = 1
_HEADER: Final = Struct("<q16siIiIHBI")
"""Watermark, general level, form, number of competencies, number of items, bytes of the names."""


def encode(state: State) -> bytes:
    """Return the bytes of a state."""
    names = "\n".join(state.names).encode()
    return b"".join(
        (
            _HEADER.pack(
                state.last_us, state.last_id.to_bytes(16, "big"), *state.general, *state.form, len(state.means), len(state.item_marks),
                len(names),
            ),
            state.keys, state.means.tobytes(), state.variances.tobytes(), state.minutes.tobytes(), state.scored.tobytes(),
            state.days.tobytes(), state.levels.tobytes(), state.marks.tobytes(), state.kept, state.item_marks.tobytes(),
            state.item_minutes.tobytes(), state.item_counts.tobytes(), state.item_percents.tobytes(), names,
        )
    )  # fmt: skip


def decode(content: bytes) -> State:
    """Return the state that these bytes hold."""
    last_us, last_id, mean, variance, form_mean, form_variance, n, m, length = _HEADER.unpack_from(content)
    at = _HEADER.size

    def column(code: str, count: int, width: int) -> array[int]:
        nonlocal at
        start, at = at, at + count * width
        return array(code, content[start:at])

    def plain(size: int) -> bytes:
        nonlocal at
        start, at = at, at + size
        return content[start:at]

    return State(
        last_us, int.from_bytes(last_id, "big"), (mean, variance), (form_mean, form_variance),
        keys=plain(16 * n), means=column("i", n, 4), variances=column("I", n, 4), minutes=column("I", n, 4), scored=column("B", n, 1),
        days=column("B", n, 1), levels=column("B", n, 1), marks=column("I", 3 * n, 4), kept=plain(32 * n),
        item_marks=column("Q", m, 8), item_minutes=column("I", m, 4), item_counts=column("B", m, 1), item_percents=column("B", m, 1),
        names=tuple(plain(length).decode().split("\n")) if length else (),
    )  # fmt: skip


CODEC: Final = Codec(FORMAT, encode, decode)
