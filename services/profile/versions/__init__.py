"""Frozen earlier deciders of profile, kept for replay: each whole, resting on no live file of the service."""

from typing import Any, Final

from services.profile.versions.v1_alias import aliases as aliases_1
from services.profile.versions.v1_learner import learners as learners_1
from shared.decider import Decider

VERSIONS: Final[tuple[Decider[Any], ...]] = (aliases_1, learners_1)
