"""Frozen earlier deciders of mastery, kept for replay: each whole, resting on no live file of the service. Parameter
sets come to them as the service parses them."""

from typing import Any, Final

from services.mastery.versions.v1_domain import mastery as mastery_1
from services.mastery.versions.v2_domain import mastery as mastery_2
from shared.decider import Decider

VERSIONS: Final[tuple[Decider[Any], ...]] = (mastery_1, mastery_2)
