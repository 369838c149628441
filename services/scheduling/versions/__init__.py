"""Frozen earlier deciders of scheduling, kept for replay: each whole, resting on no live file of the service, and with the resources as it
read them.
"""

from dataclasses import replace
from typing import Any, Final

from services.scheduling.versions.v1_day import day as day_1
from services.scheduling.versions.v1_resources import RESOURCES as RESOURCES_1
from services.scheduling.versions.v1_resources import adults as adults_1
from services.scheduling.versions.v2_day import day as day_2
from services.scheduling.versions.v2_resources import RESOURCES as RESOURCES_2
from services.scheduling.versions.v2_resources import adults as adults_2
from services.scheduling.versions.v3_day import day as day_3
from services.scheduling.versions.v3_resources import RESOURCES as RESOURCES_3
from services.scheduling.versions.v3_resources import adults as adults_3
from shared.decider import Decider

VERSIONS: Final[tuple[Decider[Any], ...]] = (
    replace(day_1, kinds=(RESOURCES_1,)),
    replace(day_2, kinds=(RESOURCES_2,)),
    replace(day_3, kinds=(RESOURCES_3,)),
)
ADULTS: Final = {day_1.label: adults_1, day_2.label: adults_2, day_3.label: adults_3}
"""By each earlier decider of days: whom it counted among a school's adults. The audit of days asks for it."""
UNDATED: Final = frozenset({day_1.label, day_2.label})
"""Those that know of no date on which something is otherwise. The audit of days asks for that, too."""
