"""From what is believed of a learner's competencies to what is shown of them."""

from __future__ import annotations

from datetime import timedelta
from math import sqrt
from typing import Any, Final

from services.mastery.explain import Estimate, Known, estimate
from services.mastery.filter import Normal
from services.mastery.inputs import Inputs
from services.mastery.queries.views import CompetencyView
from services.mastery.state import EPOCH, FAR
from shared.contracts.envelope import MICRO
from shared.contracts.mastery import Level
from shared.exact import micro
from shared.ledger.types import Row

_PARTS: Final = ("general", "form")


def competency_view(row: Row, learner: Row | None, minute: int, inputs: Inputs) -> CompetencyView:
    """Return what is known of a competency in a minute."""
    return CompetencyView(**plain(row["competency_id"], row, known_in(row, learner, inputs), minute, inputs)[0])


def known_in(row: Row, learner: Row | None, inputs: Inputs) -> Known:
    """Return what the rows hold; before any evidence, what the calibration begins with."""
    numbers = inputs.calibration.numbers
    general, form = Normal(0.0, numbers.general_variance), Normal(0.0, numbers.form_variance)
    if learner and learner["general_variance_e6"]:
        general, form = (Normal(learner[f"{part}_mean_e6"] / MICRO, learner[f"{part}_variance_e6"] / MICRO) for part in _PARTS)
    level = Level(row.get("level") or Level.UNKNOWN)
    if not row.get("variance_e6"):
        return Known(general, form, Normal(0.0, numbers.competency_variance), 2**32, 0, 0, 0, level)
    competency = Normal(row["mean_e6"] / MICRO, row["variance_e6"] / MICRO)
    return Known(general, form, competency, row["last_minute"], row["scored"], row["items"], row["days"], level)


def plain(competency_id: str, row: Row, known: Known, minute: int, inputs: Inputs) -> tuple[dict[str, Any], Estimate]:
    """Return the values of a `CompetencyView`, and the estimate that they rest on."""
    calibration = inputs.calibration
    shown = estimate(known, minute, calibration, inputs.policy_of(competency_id), calibration.reference_of(competency_id))
    due, override = row.get("due_minute") or 0, bool(row.get("override"))
    overdue = known.level is Level.MASTERED and not override and 0 < due <= minute
    found = inputs.framework.competencies.get(competency_id)
    return {
        "competency_id": competency_id, "code": found.code if found else "", "level": Level.REVERIFY if overdue else known.level,
        "mean_e6": micro(shown.logit.mean), "sd_e6": micro(sqrt(shown.logit.variance)), "success_e6": micro(shown.success),
        "probability_e6": shown.probability_e6, "scored": known.scored, "items": known.items, "days": known.days, "override": override,
        "due_at": EPOCH + timedelta(minutes=due) if 0 < due < FAR else None, "stuck": bool(row.get("needed")),
    }, shown  # fmt: skip
