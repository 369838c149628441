"""Why a competency stands as it does: in words for teachers, in numbers for auditors."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from services.mastery.calibration import CALIBRATION
from services.mastery.explain import answers_needed, contributions, missing, sentence, unmet
from services.mastery.framework import FRAMEWORK
from services.mastery.influence import MAX_TOLD, Influence, evidence_of, influences, last_ids
from services.mastery.inputs import Inputs, inputs_of
from services.mastery.policy import POLICY, Days, entry_of
from services.mastery.queries.learners import known_in, plain
from services.mastery.queries.reading import Queries
from services.mastery.queries.views import Contribution, Mover, OverrideView, Prerequisite, Sentence, Similar, Why
from services.mastery.state import KIND_BITS, minute_of
from services.mastery.words import Said, percent, say
from shared.contracts.mastery import Level
from shared.exact import micro
from shared.ledger.types import Row
from shared.parameters import Parameters


async def why(queries: Queries, learner_id: UUID, competency_id: str, parameters: Parameters, now: datetime) -> Why | None:
    """Return why a competency stands as it does; None where neither the framework nor any evidence names it.

    Leaving evidence out takes a tenth of a second for a learner of 900 events; it is done beside the event loop.
    """
    inputs, minute = inputs_of(parameters), minute_of(now)
    found = await queries.competency_of(learner_id, competency_id)
    if found is None and competency_id not in inputs.framework.competencies:
        return None
    learner, told = await queries.learner(learner_id), await queries.evidence_of(learner_id)
    before, alike = list(inputs.framework.prerequisites.get(competency_id, ())), _similar(competency_id, inputs)
    levels = await queries.levels_of(learner_id, before + alike)
    waived = [(each.competency_id, each.prerequisite_id) for each in await queries.waivers_of(learner_id)]
    override = next((each for each in await queries.overrides_of(learner_id) if each.competency_id == competency_id), None)
    moved, ids, kinds = await asyncio.to_thread(_weighed, told, competency_id, minute, inputs)
    row: Row = found or {}
    known = replace(known_in(row, learner, inputs), kinds=kinds)
    values, shown = plain(competency_id, row, known, minute, inputs)
    # What a person set is no step towards what work would show.
    known, policy = replace(known, level=Level.UNKNOWN if override else values["level"]), inputs.policy_of(competency_id)
    waiting = unmet(competency_id, inputs.framework, levels, waived)
    competencies = inputs.framework.competencies
    names = [_named(name, inputs) for name in waiting] if competency_id in competencies else None
    lacks = missing(known, shown, names, policy, inputs.days, bool(competencies))
    more = answers_needed(known, shown, inputs.calibration, policy)
    parts, first = contributions(known, shown), sentence(known, shown, lacks, more, override is not None)
    movers = [(each, _mover(each, inputs.days)) for each in moved]
    beside = _beside(row, override, values["due_at"], inputs.days)
    said = [first, *beside, *lacks, *(words for *_, words in parts), *(words for _, words in movers)]
    return Why(
        **values, learner_id=learner_id, words=" ".join(each.text for each in (first, *beside)),
        statement=competencies[competency_id].statement if competency_id in competencies else "",
        said=[Sentence(key=each.key, values=dict(each.values), text=each.text) for each in said], since=row.get("changed_at"),
        contributions=[Contribution(part=p, logit_e6=micro(logit), decides=d, words=words.text) for p, logit, d, words in parts],
        moved_most=[_shown(each, words) for each, words in movers], missing=[lack.text for lack in lacks], right_answers_needed=more,
        prerequisites=_prerequisites(before, competency_id, levels, waived, inputs), set_by_a_person=override,
        similar=[Similar(competency_id=n, code=_code(n, inputs), level=levels.get(n, Level.UNKNOWN)) for n in alike],
        bar_e6=micro(policy.bar), certainty_e6=micro(policy.certainty), policy=_policy(competency_id, inputs), evidence_ids=ids,
        decided_by=row.get("evidence_ids") or [], framework_id=parameters.id_of(FRAMEWORK), policy_id=parameters.id_of(POLICY),
        calibration_id=parameters.id_of(CALIBRATION), settings=row.get("settings") or 0,
    )  # fmt: skip


def _weighed(told: Sequence[bytes], competency_id: str, minute: int, inputs: Inputs) -> tuple[list[Influence], list[UUID], int]:
    """Return what moved the competency most, the last evidence about it, and the kinds of all of it as bits."""
    evidence = evidence_of(told, inputs.framework)
    kinds = 0
    for seen in evidence:
        if competency_id in inputs.framework.current(seen.competency_ids):
            kinds |= KIND_BITS[seen.kind]
    moved = influences(competency_id, evidence, minute, inputs)[:MAX_TOLD]
    return moved, last_ids(competency_id, evidence, inputs), kinds


def _mover(moved: Influence, days: Days) -> Said:
    seen = moved.evidence
    key = "moved.up" if moved.logit_e6 >= 0 else "moved.down"
    return say(key, kind=seen.kind.value.capitalize(), on=days.date(seen.occurred_at).isoformat(), score=percent(seen.score_e6))


def _shown(moved: Influence, words: Said) -> Mover:
    seen = moved.evidence
    return Mover(
        evidence_id=seen.evidence_id, occurred_at=seen.occurred_at, kind=seen.kind, score_e6=seen.score_e6, logit_e6=moved.logit_e6,
        probability_e6=moved.probability_e6, words=words.text,
    )  # fmt: skip


def _beside(row: Row, override: OverrideView | None, due_at: datetime | None, days: Days) -> list[Said]:
    """Return what is said beside the level itself."""
    said = []
    if override is not None:
        said.append(say("override", role=override.role.value, until=days.date(override.until).isoformat()))
    if row.get("needed"):
        said.append(say("stuck", idle=row["idle"], days=row["idle_days"]))
    if due_at is not None and override is None:
        said.append(say("due", on=days.date(due_at).isoformat()))
    return said


def _similar(competency_id: str, inputs: Inputs) -> list[str]:
    """Return the competencies in force that mean the same, or nearly, whichever of the two says so."""
    known = inputs.framework.competencies
    own = known[competency_id].similar if competency_id in known else ()
    return sorted({*own, *(name for name, other in known.items() if competency_id in other.similar)} & known.keys())


def _code(competency_id: str, inputs: Inputs) -> str:
    found = inputs.framework.competencies.get(competency_id)
    return found.code if found else ""


def _prerequisites(
    before: Sequence[str], competency_id: str, levels: Mapping[str, Level], waived: Sequence[tuple[str, str]], inputs: Inputs
) -> list[Prerequisite]:
    waiting = unmet(competency_id, inputs.framework, levels, waived)
    return [
        Prerequisite(
            competency_id=name, code=inputs.framework.competencies[name].code, level=levels.get(name, Level.UNKNOWN),
            met=name not in waiting, waived=(competency_id, name) in waived,
        )
        for name in before
    ]  # fmt: skip


def _policy(competency_id: str, inputs: Inputs) -> dict[str, Any]:
    found = inputs.framework.competencies.get(competency_id)
    days = {"timezone": inputs.days.timezone or None, "utc_offset_minutes": inputs.days.utc_offset_minutes}
    return entry_of(inputs.policy_of(competency_id)) | {"family": found.family if found else ""} | days


def _named(competency_id: str, inputs: Inputs) -> str:
    found = inputs.framework.competencies.get(competency_id)
    return found.code if found and found.code else competency_id
