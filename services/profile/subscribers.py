"""Profile hears nobody: people are told of by rosters, and by themselves, over HTTP. In time it finishes what a roster, or an erasure, has
begun."""

from __future__ import annotations

from collections.abc import Sequence
from time import monotonic
from typing import Final

from services.profile.queries import Keyring, Steps
from shared.parts import Context, Tick, Work

LOOK_S: Final = 10.0
"""Between two looks for keys that are to be destroyed. The request that erases destroys at once; what is left to find is what it could not,
a key that was made at the same instant, and those that a backup brought back, of which the first look after a start finds most."""


class Destroying:
    """Destroys the keys of whoever is erased, as often as it takes."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring, self._looked = keyring, float("-inf")

    async def step(self) -> bool:
        """Destroy what is to be destroyed, if it is time to look, and return whether there was anything."""
        if monotonic() - self._looked < LOOK_S:
            return False
        destroyed = await self._keyring.destroy_erased()
        self._looked = monotonic()
        return destroyed > 0


def ticks(context: Context) -> Sequence[Tick]:
    """Return what profile does in time: it finishes a roster, and an erasure, whose request came to no end."""
    keyring = Keyring(context.pool, context.settings.district())
    return (Work("roster", Steps(context).take), Work("erasure", Destroying(keyring).step))
