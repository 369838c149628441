"""Frozen earlier deciders of mastery, kept for replay: each whole, resting on no live file of the service."""

from typing import Any, Final

from services.mastery.versions.v1_domain import mastery as mastery_1
from shared.decider import Decider

VERSIONS: Final[tuple[Decider[Any], ...]] = (mastery_1,)
