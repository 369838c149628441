"""What has happened so far, as each service counts it, and whether everything that was sent has gone all the way."""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from typing import Final

from demo.client import Cairn, Unexpected
from demo.installation import Place
from services.cli.audit import Installation, settle
from shared.contracts.topics import Topic

LINE: Final = re.compile(r'cairn_ledger_events_total\{type="([^"]+)"\} ([0-9.e+]+)')
SETTLE_LIMIT_S: Final = 120.0
QUIET_S: Final = 1.2
"""A day that did not change for so long has taken everything: it is looked at twice a second."""
QUIET_LIMIT_S: Final = 60.0
POLL_S: Final = 0.2


async def events(cairn: Cairn) -> Counter[str]:
    """Return how many events of each type the running processes have written."""
    pages = await asyncio.gather(*(cairn.text(f"/{service}/metrics") for service in Topic))
    return Counter({kind: int(float(count)) for page in pages for kind, count in LINE.findall(page)})


async def arrived(place: Place) -> None:
    """Return when every service has heard all that the others told."""
    await settle(Installation(place.records), SETTLE_LIMIT_S, watch=False, quiet_s=0)


async def days_rest(cairn: Cairn, school_id: str) -> None:
    """Return when today and tomorrow are planned, and no plan has changed for a while.

    Raises:
        Unexpected: there is no plan, or it never rests.
    """
    seen: object = None
    since = started = time.monotonic()
    while time.monotonic() - started < QUIET_LIMIT_S:
        days = [await cairn.find(f"/scheduling/schools/{school_id}/days/{day}", limit="1") for day in ("today", "tomorrow")]
        state = [(day["adopted_at"], day["learners"]) if day else None for day in days]
        if state != seen:
            seen, since = state, time.monotonic()
        elif None not in state and time.monotonic() - since > QUIET_S:
            return
        await asyncio.sleep(POLL_S)
    raise Unexpected(f"the school's days did not come to rest within {QUIET_LIMIT_S:.0f} s")
