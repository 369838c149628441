"""Named points at which a test makes a process die or stand still, to show that nothing is lost there.

Always in the code and never in the way: what is not armed costs one comparison. A process arms one point when it starts, from its settings
(`CAIRN_FAILPOINT`), and refuses to unless `CAIRN_ALLOW_FAILPOINTS` says so.
"""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from typing import Final

from shared.errors import Misconfigured

POINTS: Final = (
    "batch.before", "append.before", "append.within", "append.after", "inbox.before", "inbox.after", "commit.before", "commit.after",
    "produce.before", "produce.after", "published.before", "published.after",
)  # fmt: skip
"""A batch in hand before its transaction begins; around the COPY of events, and in the middle of it; around the move of the inbox; the last
step of a transaction, and the first after it; a batch for Kafka before it is sent, and when the broker has acknowledged it; before and
after `published` moves."""
ACTIONS: Final = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}
FORM: Final = r"^[a-z]+\.[a-z]+:(kill|stop):[1-9][0-9]{0,5}$"


@dataclass
class Armed:
    """What happens, and how many times its point is still passed before."""

    point: str
    action: signal.Signals
    left: int


_armed: Armed | None = None


def arm(setting: str | None, allowed: bool) -> None:
    """Arm what the setting names, such as `commit.before:kill:3` (at the third time); nothing, where there is none.

    Raises:
        Misconfigured: it is not allowed, or names no point.
    """
    global _armed
    if setting is None:
        _armed = None
        return
    if not allowed:
        raise Misconfigured("CAIRN_FAILPOINT makes this process die on purpose: take it away, or set CAIRN_ALLOW_FAILPOINTS=1 in a test")
    point, action, times = setting.split(":")
    if point not in POINTS:
        raise Misconfigured(f"CAIRN_FAILPOINT names {point}, which is no point of the code: name one of {', '.join(POINTS)}")
    _armed = Armed(point, ACTIONS[action], int(times))


def reach(point: str) -> None:
    """Say that a point is reached. Where it is armed and its time has come, the process gets the signal here."""
    armed = _armed
    if armed is None or armed.point != point:
        return
    armed.left -= 1
    if not armed.left:
        os.kill(os.getpid(), armed.action)
