"""Frozen earlier deciders of pathing, kept for replay: each rests on no live file of the service, only on what was frozen with it or
before it, and reads the parameter sets as it did.
"""

from dataclasses import replace
from typing import Any, Final

from services.pathing.versions.v1_catalogue import CATALOGUE as CATALOGUE_1
from services.pathing.versions.v1_catalogue import FRAMEWORK as FRAMEWORK_1
from services.pathing.versions.v1_domain import pathing as pathing_1
from services.pathing.versions.v2_catalogue import CATALOGUE as CATALOGUE_2
from services.pathing.versions.v2_catalogue import FRAMEWORK as FRAMEWORK_2
from services.pathing.versions.v2_domain import pathing as pathing_2
from services.pathing.versions.v3_catalogue import CATALOGUE as CATALOGUE_3
from services.pathing.versions.v3_catalogue import FRAMEWORK as FRAMEWORK_3
from services.pathing.versions.v3_domain import pathing as pathing_3
from services.pathing.versions.v4_domain import pathing as pathing_4
from shared.decider import Decider

VERSIONS: Final[tuple[Decider[Any], ...]] = (
    replace(pathing_1, kinds=(FRAMEWORK_1, CATALOGUE_1)),
    replace(pathing_2, kinds=(FRAMEWORK_2, CATALOGUE_2)),
    replace(pathing_3, kinds=(FRAMEWORK_3, CATALOGUE_3)),
    replace(pathing_4, kinds=(FRAMEWORK_3, CATALOGUE_3)),
)
