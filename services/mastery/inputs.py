"""What everything is decided with: calibration, framework and policies, put together once for each combination; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import sqrt
from typing import Final

from services.mastery.calibration import CALIBRATION, DEFAULT, Calibration
from services.mastery.filter import Normal, faded
from services.mastery.framework import EMPTY, FRAMEWORK, Framework
from services.mastery.policy import POLICY, UTC_DAYS, Days
from services.mastery.rule import Policy
from services.mastery.state import FAR, MINUTES_PER_DAY, Row
from shared.contracts.envelope import MICRO
from shared.parameters import Parameters

MAX_KEPT: Final = 16
"""Combinations kept; replay goes back and forth between them."""
MAX_DUE_DAYS: Final = 3_650
"""What keeps longer is not due at all."""


@dataclass(slots=True)
class Inputs:
    """Calibration, framework and policies in force together."""

    calibration: Calibration
    framework: Framework
    policy: Policy
    """Of all competencies that no other is for."""
    policies: Mapping[str, Policy]
    """By competency, where it differs."""
    families: Mapping[str, Policy]
    """By family, where it differs."""
    days: Days = UTC_DAYS
    _fades: list[Normal] = field(default_factory=list)
    """For each whole day: what a mean is multiplied by, and what a variance grows by."""

    def policy_of(self, competency_id: str) -> Policy:
        """Return what a competency is judged by."""
        return self.policies.get(competency_id, self.policy) if self.policies else self.policy

    def due_minute(self, general: tuple[int, int], row: Row, easiness: float, policy: Policy) -> int:
        """Return the minute at which what is mastered falls below `verify_below`, were nothing more to come; `FAR` for
        never.

        The first whole day, counted from when it was last worked on, found by halving among the days that were worked out once: the
        logit fades and its variance grows from day to day, so that what is below stays below. Only a mean below zero, which fades
        upwards while the variance still grows, may fall below the bar by a little and rise again: that is told as never.
        """
        days = self._fades or self._work_out_days()
        above = easiness - policy.bar_logit + general[0] / MICRO
        mean, wide, own, bound = row.mean / MICRO, general[1] / MICRO, row.variance / MICRO, self.calibration.numbers.competency_variance
        most, z = max(own, bound), policy.verify_z

        def holds(day: int) -> bool:
            kept, grown = days[day]
            return above + mean * kept >= z * sqrt(wide + min(own + grown, most))

        if holds(MAX_DUE_DAYS):
            return FAR
        low, high = 0, MAX_DUE_DAYS
        while high - low > 1:
            middle = (low + high) // 2
            if holds(middle):
                low = middle
            else:
                high = middle
        return min(FAR, row.minute + high * MINUTES_PER_DAY)

    def _work_out_days(self) -> list[Normal]:
        numbers = self.calibration.numbers
        nothing = Normal(1.0, 0.0)
        unbounded = replace(numbers, competency_variance=1e9)
        self._fades = [faded(nothing, float(day), unbounded) for day in range(MAX_DUE_DAYS + 1)]
        return self._fades


_KEPT: dict[tuple[str | None, ...], Inputs] = {}
_CALIBRATION, _FRAMEWORK, _POLICY = CALIBRATION.name, FRAMEWORK.name, POLICY.name


def inputs_of(parameters: Parameters) -> Inputs:
    """Return what is in force, put together; what never was adopted is what ships with the release."""
    of = parameters.ids.get
    key = of(_CALIBRATION), of(_FRAMEWORK), of(_POLICY)
    found = _KEPT.get(key)
    if found is None:
        found = _KEPT[key] = _together(parameters)
        if len(_KEPT) > MAX_KEPT:
            del _KEPT[next(iter(_KEPT))]
    return found


def _together(parameters: Parameters) -> Inputs:
    calibration, framework = parameters.get(CALIBRATION) or DEFAULT, parameters.get(FRAMEWORK) or EMPTY
    policies = parameters.get(POLICY)
    if policies is None:
        return Inputs(calibration, framework, calibration.policy, {}, {})
    families = policies.families
    own = {known.id: families[known.family] for known in framework.competencies.values() if known.family in families}
    return Inputs(calibration, framework, policies.default, own, families, policies.days)
