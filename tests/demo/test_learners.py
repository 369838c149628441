"""How simulated learners answer, and the Caliper that tells of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise

from demo import learners
from demo.caliper import envelope
from demo.items import ROUNDS
from demo.learners import Answer, Mind, mind
from demo.school import LMS, Learner, school
from services.evidence.caliper import read_envelope
from shared.contracts.evidence import Kind
from shared.keys import alias_of, person_alias

KEY = bytes(32)
NOW = datetime(2026, 10, 13, 7, 30, tzinfo=UTC)


def six_weeks(learner: Learner, seed: int) -> tuple[Mind, list[Answer]]:
    hers = mind(learner, seed)
    told = sorted(learners.start_of_year(hers), key=lambda answer: answer.ended_at)
    for day in learners.school_days()[ROUNDS:]:
        told += learners.quiz(hers, day)
    return hers, told


def test_the_same_seed_gives_the_same_answers() -> None:
    (learner, *_) = school(24, 1).learners
    assert six_weeks(learner, 1)[1] == six_weeks(learner, 1)[1]
    assert six_weeks(learner, 1)[1] != six_weeks(learner, 2)[1]


def test_everybody_answers_in_order_of_time_and_never_twice_at_once() -> None:
    for learner in school(24, 2).learners:
        times = [answer.ended_at for answer in six_weeks(learner, 2)[1]]
        assert all(before < after for before, after in pairwise(times))
        assert times[-1] < NOW


def test_learners_differ_and_get_on() -> None:
    told = [six_weeks(learner, 1) for learner in school(60, 1).learners]
    right = [sum(answer.given for answer in answers) / sum(answer.possible for answer in answers) for _, answers in told]
    assert max(right) - min(right) > 0.05
    assert 0.75 < sum(right) / len(right) < 0.98
    assert sum(hers.at.get("mathematics", 0) for hers, _ in told) > len(told)


def test_closed_days_and_weekends_have_no_school() -> None:
    days = learners.school_days()
    assert len(days) == 28
    assert learners.TODAY.weekday() == 1
    assert learners.TODAY - days[0] == timedelta(weeks=6)


def test_the_service_reads_every_answer_as_it_was_given() -> None:
    _, told = six_weeks(school(24, 1).learners[0], 1)
    heard = read_envelope(envelope(told, NOW), partial(person_alias, KEY), NOW + timedelta(days=1))
    acts = [each.told for each in heard]
    assert len({act.act_id for act in acts if act}) == len(told)
    for answer, act in zip(told, acts, strict=True):
        assert act is not None
        assert act.alias == alias_of(KEY, f"{LMS}/users/", answer.learner.lms_id)
        assert act.score_e6 == round(answer.given * 1_000_000 / answer.possible)
        assert act.occurred_at == answer.ended_at.replace(microsecond=answer.ended_at.microsecond // 1000 * 1000)
        assert act.duration_ms == (answer.ended_at - answer.started_at) // timedelta(milliseconds=1)
        assert act.kind is (Kind.QUIZ if answer.possible > 1 else Kind.ITEM)
