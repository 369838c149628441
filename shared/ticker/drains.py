"""Work that lies in a read table until commands have done it."""

from __future__ import annotations

from collections.abc import Sequence
from time import monotonic

import structlog

from shared.contracts.envelope import instant_text
from shared.ledger.failures import ended_idle, is_faulty
from shared.ledger.ledger import Ledger
from shared.ledger.patience import WHOLE_S, connected
from shared.ledger.types import Answer, Ask
from shared.parts import Drain, Work
from shared.ticker.asking import MAX_BROKEN, asked
from shared.ticker.loop import Loop

log = structlog.get_logger(__name__)


class Working(Loop):
    """Takes the steps of one kind of work, each in a transaction of its own, which may be long."""

    grace_s = WHOLE_S

    def __init__(self, work: Work, poll_s: float) -> None:
        super().__init__(work.name, poll_s)
        self._work = work

    async def step(self) -> bool:
        """Take a step; return whether there was one to take."""
        return await self._work.step()


class Draining(Loop):
    """Does one kind of work as it comes; looks again at once while there is some."""

    def __init__(self, ledger: Ledger, drain: Drain, poll_s: float) -> None:
        super().__init__(drain.name, poll_s)
        self._ledger, self._drain = ledger, drain

    async def step(self) -> bool:
        """Ask what is due in one transaction. Work that changes nothing is not done again at once: then this says False."""
        async with connected(self._ledger.pool) as connection:
            due = await self._drain.due(connection, instant_text(self._ledger.clock.now()))
        asks = [asked(self._ledger.service, self.name, item) for item in due]
        self.undone.due((ask.stream.name for ask in asks), monotonic())
        return bool(asks) and any(answer.events for answer in await self._taken(asks, []))

    async def _taken(self, asks: Sequence[Ask], broken: list[Ask]) -> list[Answer]:
        """Ask all in one transaction; where one of them breaks the code, or works for so long that PostgreSQL ends what stands still, in
        halves, so that it holds nothing up but itself.
        """
        try:
            answers = await self._ledger.handle(asks)
        except Exception as error:
            if not (is_faulty(error) or ended_idle(error)) or len(broken) >= MAX_BROKEN:
                raise
            if len(asks) > 1:
                middle = len(asks) // 2
                return [*await self._taken(asks[:middle], broken), *await self._taken(asks[middle:], broken)]
            log.error("work breaks the code", work=self.name, stream=asks[0].stream.name, exc_info=error)
            broken.append(asks[0])
            self.undone.tried(asks[0].stream.name, False, monotonic())
            return []
        for answer in answers:
            self.undone.tried(answer.ask.stream.name, bool(answer.events), monotonic())
        return answers
