"""Leaving evidence out gives what would be believed had it never been."""

import random
from dataclasses import replace
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from services.mastery.filter import Normal
from services.mastery.influence import MAX_LEFT_OUT, evidence_of, influences, last_ids
from services.mastery.inputs import inputs_of
from services.mastery.refold import counting, evidence_in, refold
from services.mastery.rule import probability_e6
from services.mastery.state import State, minute_of
from services.mastery.weigh import score_at
from shared.contracts.envelope import StreamId
from shared.contracts.evidence import EvidenceRecorded
from shared.testing import recorded
from tests.mastery.samples import LEARNER, competency, evidence, evidence_sets
from tests.mastery.test_amended import rescore, void
from tests.mastery.test_domain import CHAIN, asked, strong

INPUTS = inputs_of(CHAIN)


def shown(seen: list[EvidenceRecorded], about: str, minute: int) -> tuple[Normal, int] | None:
    state = refold(seen, State(), INPUTS)
    row = state.row(about)
    if row is None:
        return None
    logit, _ = score_at(about, state.general, row, minute, INPUTS)
    return logit, probability_e6(logit, INPUTS.policy_of(about))


@settings(deadline=None, max_examples=40)
@given(evidence_sets(25))
def test_leaving_out_is_as_if_it_had_never_been(drawn: list[EvidenceRecorded]) -> None:
    seen = sorted(drawn, key=lambda each: (each.occurred_at, each.evidence_id.int))
    minute = minute_of(seen[-1].occurred_at) + 500
    for found in influences(competency(1), seen, minute, INPUTS):
        whole, without = shown(seen, competency(1), minute), shown([each for each in seen if each != found.evidence], competency(1), minute)
        assert whole is not None
        if without is not None:
            assert abs(found.logit_e6 - (whole[0].mean - without[0].mean) * 1e6) <= 2
            assert abs(found.probability_e6 - (whole[1] - without[1])) <= 2


def test_only_the_last_twenty_about_the_competency_are_left_out_and_the_strongest_comes_first() -> None:
    draw = random.Random(3)
    seen = [evidence(n, draw.randint(1, 3), right=draw.random() < 0.8, day=n / 4) for n in range(120)]
    found = influences(competency(1), seen, minute_of(seen[-1].occurred_at), INPUTS)
    assert len(found) == MAX_LEFT_OUT
    sizes = [abs(each.logit_e6) for each in found]
    assert sizes == sorted(sizes, reverse=True)
    assert {each.evidence.evidence_id for each in found} == set(last_ids(competency(1), seen, INPUTS))
    assert influences(competency(9), seen, 0, INPUTS) == []


def test_a_wrong_answer_among_right_ones_moves_down_and_a_right_one_up() -> None:
    seen = [*strong(0, 1), evidence(50, 1, right=False, day=9)]
    found = {each.evidence.evidence_id: each.logit_e6 for each in influences(competency(1), seen, minute_of(seen[-1].occurred_at), INPUTS)}
    assert found[evidence(50).evidence_id] < 0 < found[evidence(0).evidence_id]


def test_what_is_void_or_corrected_counts_as_it_stands_now() -> None:
    told = [
        b'{"data":{"evidence":%s}}' % evidence(n, day=n).model_dump_json().encode() for n in (3, 1, 2)
    ]  # fmt: skip
    first, second = (str(evidence(n).evidence_id).encode() for n in (1, 2))
    told += [b'{"data":{"voided":{"evidence_id":"%s"}}}' % first, b'{"data":{"rescored":{"evidence_id":"%s","score_e6":7}}}' % second]
    told += [b'{"data":{"rescored":{"evidence_id":"%s","score_e6":7}}}' % first]
    found = evidence_of(told, INPUTS.framework)
    assert [(each.evidence_id, each.score_e6) for each in found] == [(evidence(2).evidence_id, 7), (evidence(3).evidence_id, 1_000_000)]


@settings(deadline=None, max_examples=40)
@given(evidence_sets(12), st.data())
def test_evidence_is_explained_as_deciders_weigh_it_whatever_was_corrected_since(seen: list[EvidenceRecorded], data: st.DataObject) -> None:
    spec = asked(seen, CHAIN)
    for each in data.draw(st.lists(st.sampled_from(seen), max_size=6)):
        number = each.evidence_id.int & 0xFFFF
        earlier = data.draw(st.sampled_from((None, each.occurred_at - timedelta(days=data.draw(st.integers(1, 20))))))
        corrected = rescore(number, data.draw(st.sampled_from((0, 500_000, 1_000_000))))
        moved = replace(corrected, rescored=corrected.rescored.model_copy(update={"occurred_at": earlier}))
        spec = spec.asked(data.draw(st.sampled_from((moved, moved, void(number)))))
    history = recorded(StreamId("mastery", "learner", str(LEARNER)), spec.past)
    weighed = counting(evidence_in(history), history, INPUTS)
    weighed.sort(key=lambda each: (each.occurred_at, each.evidence_id.int))
    assert evidence_of([event.raw for event in history], INPUTS.framework) == weighed
