"""States of streams that are over: a cache that would only grow. Nothing of the record goes."""

from __future__ import annotations

from typing import Final

import structlog

from shared.ledger.ledger import Ledger
from shared.ledger.patience import connected
from shared.parts import Lapse
from shared.ticker.loop import Loop

MAX_LAPSED: Final = 500
"""States that one step lets go of."""
LAPSE: Final = """
    WITH over AS (
        SELECT id FROM stream WHERE id > %(first)s AND id < %(beyond)s AND format > 0 AND substring(id FROM '[^/]*$') < %(before)s
        ORDER BY id LIMIT %(most)s FOR UPDATE SKIP LOCKED
    )
    UPDATE stream SET format = 0, state = '' FROM over WHERE stream.id = over.id"""
"""No codec has format 0: another format means that the state is folded again."""

log = structlog.get_logger(__name__)


class Lapsing(Loop):
    """Lets go of states of one kind of stream: once for each day, and once at the start."""

    def __init__(self, ledger: Ledger, lapse: Lapse, poll_s: float) -> None:
        super().__init__(f"lapse-{lapse.kind}", poll_s)
        self._ledger, self._lapse = ledger, lapse
        self._day = ""

    def rest_s(self, worked: bool, took_s: float) -> float:
        """Return how long to wait before the next step: there is no hurry."""
        return self._poll_s

    async def step(self) -> bool:
        """Let go of some states that are over; return whether there were any."""
        today = self._ledger.clock.now().date().isoformat()
        if today == self._day:
            return False
        prefix = f"{self._ledger.service}/{self._lapse.kind}"
        over = {"first": f"{prefix}/", "beyond": f"{prefix}0", "before": self._lapse.before(today), "most": MAX_LAPSED}
        async with connected(self._ledger.pool) as connection:
            await self._ledger.now(connection)
            gone: int = (await connection.execute(LAPSE, over)).rowcount
        if gone < MAX_LAPSED:
            self._day = today
        if gone:
            log.info("states let go of", kind=self._lapse.kind, count=gone)
        return gone > 0
