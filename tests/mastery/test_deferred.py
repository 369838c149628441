"""Evidence that names no competency of the frameworks in force waits, and counts in its place once one does."""

from hypothesis import given, settings
from hypothesis import strategies as st

from services.mastery.codec import encode
from services.mastery.commands import CountEvidence, DeferEvidence, MasteryCommand, Recalibrate
from services.mastery.domain import mastery
from services.mastery.subscribers import settle
from shared.contracts.evidence import EvidenceRecorded
from shared.contracts.mastery import Estimated, EvidenceDeferred, Reestimated
from shared.ledger import Ask
from shared.parameters import NO_PARAMETERS, Parameters
from shared.testing import SOMEBODY, Spec, check_decider
from tests.mastery.samples import LEARNER, competency, counted, evidence, evidence_sets, parameters
from tests.mastery.test_amended import rescore, void

SMALL = parameters((1, 2))
"""Names competencies 1 to 6."""
UNNAMED = 70
LATER = parameters((1, 2), size=80, version=9)


def settled(seen: list[EvidenceRecorded], numbers: Parameters) -> list[MasteryCommand]:
    """Return what mastery asks itself about evidence that comes under these parameters."""
    return [ask.command for ask in settle([Ask(command, SOMEBODY) for command in counted(seen)], numbers)]  # type: ignore[misc]  # Its own.


def test_evidence_about_nothing_that_is_known_is_deferred_and_moves_nothing() -> None:
    known = Spec(mastery, SMALL).asked(*counted([evidence(1, 1)]))
    (command,) = settled([evidence(2, UNNAMED, day=1)], SMALL)
    assert isinstance(command, DeferEvidence)
    deferred = known.when(command)
    deferred.then(EvidenceDeferred(evidence=evidence(2, UNNAMED, day=1)))
    assert list(deferred.state.every_row()) == list(known.state.every_row())
    assert (deferred.state.general, deferred.state.items) == (known.state.general, known.state.items)
    known.given(*deferred.events).when(command).then_nothing()


def test_one_known_competency_is_enough_and_before_the_first_framework_everything_counts() -> None:
    assert settled([evidence(1, 1, UNNAMED)], SMALL) == counted([evidence(1, 1, UNNAMED)])
    assert settled([evidence(1, UNNAMED)], NO_PARAMETERS) == counted([evidence(1, UNNAMED)])
    ask = Ask(Recalibrate(LEARNER, 3), SOMEBODY, record=7)
    assert list(settle([ask], SMALL)) == [ask]


@settings(max_examples=60, deadline=None)
@given(evidence_sets(10), st.sets(st.integers(0, 9)))
def test_once_a_framework_names_it_all_is_as_if_it_had_been_known_from_the_start(seen: list[EvidenceRecorded], which: set[int]) -> None:
    mixed = [each.model_copy(update={"competency_ids": (competency(UNNAMED),)}) if n in which else each for n, each in enumerate(seen)]
    waited = Spec(mastery, SMALL).asked(*settled(mixed, SMALL))
    released = Spec(mastery, LATER, waited.past).asked(Recalibrate(LEARNER, 9))
    known = Spec(mastery, LATER).asked(*settled(mixed, LATER), Recalibrate(LEARNER, 9))
    assert encode(released.state) == encode(known.state)
    released.when(Recalibrate(LEARNER, 9)).then_nothing()


def test_it_stays_out_while_nothing_names_it_whatever_else_is_weighed_again() -> None:
    seen = [evidence(1, 1), evidence(2, UNNAMED, day=4), evidence(3, 1, day=2)]
    spec = Spec(mastery, SMALL).asked(*settled(seen, SMALL), void(1), Recalibrate(LEARNER, 2))
    assert isinstance(spec.past[2], Reestimated), "what happened before the deferred work comes late"
    assert [name for name, _ in spec.state.every_row()] == [competency(1)]
    alone = Spec(mastery, SMALL).asked(*counted([evidence(3, 1, day=2)]))
    assert list(spec.state.every_row()) == list(alone.state.every_row())


def test_corrected_or_voided_while_it_waits_it_counts_as_it_stands() -> None:
    waiting = Spec(mastery, SMALL).asked(DeferEvidence(evidence(5, UNNAMED, right=False)), rescore(5, 1_000_000))
    released = Spec(mastery, LATER, waiting.past).asked(Recalibrate(LEARNER, 9))
    right = Spec(mastery, LATER).asked(*counted([evidence(5, UNNAMED)]))
    assert list(released.state.every_row()) == list(right.state.every_row())
    gone = Spec(mastery, LATER, waiting.asked(void(5)).past)
    gone.when(Recalibrate(LEARNER, 9)).then_nothing()


def test_told_again_after_its_framework_came_it_is_not_counted_twice() -> None:
    waiting = Spec(mastery, SMALL).asked(DeferEvidence(evidence(5, UNNAMED)))
    later = Spec(mastery, LATER, waiting.past)
    later.when(CountEvidence(evidence(5, UNNAMED))).then_nothing()
    swept = later.asked(Recalibrate(LEARNER, 9))
    swept.when(CountEvidence(evidence(5, UNNAMED))).then_nothing()
    swept.when(DeferEvidence(evidence(5, UNNAMED))).then_nothing()
    assert isinstance(swept.when(CountEvidence(evidence(6, UNNAMED, day=1))).events[0], Estimated)


def test_the_four_properties_hold_with_deferred_evidence() -> None:
    def some(drawn: list[EvidenceRecorded]) -> list[MasteryCommand]:
        commands: list[MasteryCommand] = [DeferEvidence(each) if n % 3 == 0 else CountEvidence(each) for n, each in enumerate(drawn)]
        return [*commands, void(0), rescore(3, 500_000), Recalibrate(LEARNER, 4)]

    check_decider(mastery, evidence_sets(10).map(some), SMALL, examples=40)
