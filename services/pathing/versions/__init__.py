"""Frozen earlier deciders of pathing, kept for replay: each whole, resting on no live file of the service, and with the parameter sets as
it read them.
"""

from dataclasses import replace
from typing import Any, Final

from services.pathing.versions.v1_catalogue import CATALOGUE, FRAMEWORK
from services.pathing.versions.v1_domain import pathing as pathing_1
from shared.decider import Decider

VERSIONS: Final[tuple[Decider[Any], ...]] = (replace(pathing_1, kinds=(FRAMEWORK, CATALOGUE)),)
