"""Frozen earlier deciders of mastery, kept for replay: each whole, resting on no live file of the service, and with the parameter sets as
it read them.
"""

from dataclasses import replace
from typing import Any, Final

from services.mastery.versions.v1_domain import mastery as mastery_1
from services.mastery.versions.v1_membership import membership as membership_1
from services.mastery.versions.v2_calibration import CALIBRATION
from services.mastery.versions.v2_domain import mastery as mastery_2
from services.mastery.versions.v2_framework import FRAMEWORK
from services.mastery.versions.v2_policy import POLICY
from services.mastery.versions.v3_domain import mastery as mastery_3
from services.mastery.versions.v4_domain import mastery as mastery_4
from services.mastery.versions.v4_framework import FRAMEWORK as FRAMEWORK_4
from services.mastery.versions.v4_policy import POLICY as POLICY_4
from services.mastery.versions.v5_domain import mastery as mastery_5
from shared.decider import Decider

VERSIONS: Final[tuple[Decider[Any], ...]] = (
    replace(mastery_1, kinds=(CALIBRATION, FRAMEWORK)),
    replace(mastery_2, kinds=(CALIBRATION, FRAMEWORK, POLICY)),
    replace(mastery_3, kinds=(CALIBRATION, FRAMEWORK, POLICY)),
    replace(mastery_4, kinds=(CALIBRATION, FRAMEWORK_4, POLICY_4)),
    replace(mastery_5, kinds=(CALIBRATION, FRAMEWORK_4, POLICY_4)),
    replace(membership_1, kinds=(CALIBRATION, FRAMEWORK, POLICY)),
)
"""Version 1 was frozen without parsers of its own; it reads what the parsers of version 2 give, which are as they were then. Each
later version shares with those before it the files that are the same in both."""
