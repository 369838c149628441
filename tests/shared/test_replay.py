"""Replay over versions: each event is decided again by the decider it names, and what breaks is a difference, not an end."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, assert_never, cast
from uuid import UUID

import pytest

from shared.contracts.envelope import Event, Header, Origin, Recorded, StreamId, chain_start, digest, envelope
from shared.contracts.evidence import AliasNoted, ItemAligned
from shared.contracts.mastery import FrameworkAdopted, PolicyAdopted
from shared.contracts.parameters import ParameterPageAdded, set_id_of
from shared.decider import Decider, History, json_codec
from shared.parameters import ParameterKind, Parameters, page_hash
from shared.replay import ChainWalk, Links, Settings, Verifier

STREAM = StreamId("evidence", "note", "a")
ALIAS = hashlib.sha256(b"a").hexdigest()


@dataclass(frozen=True)
class Note:
    event: Event

    @property
    def stream(self) -> StreamId:
        return STREAM


@dataclass(frozen=True)
class State:
    count: int = 0


def decide(command: Note, state: State, parameters: Parameters, history: History = ()) -> Sequence[Event]:
    if isinstance(command.event, AliasNoted) and command.event.learner_id == UUID(int=99):
        raise ZeroDivisionError
    return [command.event]


def evolve_first(state: State, event: AliasNoted) -> State:
    match event:
        case AliasNoted():
            return State(state.count + 1)
        case _:
            assert_never(event)


def evolve_second(state: State, event: Any) -> State:
    return State(state.count + 1)


FIRST = Decider("test.note", 1, "note", State(), decide, evolve_first, Note, json_codec(State))
SECOND = Decider("test.note", 2, "note", State(), decide, evolve_second, Note, json_codec(State))
NOTED = AliasNoted(alias=ALIAS, learner_id=UUID(int=1))
NEW = ItemAligned(item_id=UUID(int=1), iri="urn:item", competency_ids=("c",))


def raws(*told: tuple[Event, str, int]) -> list[bytes]:
    result: list[bytes] = []
    head = chain_start("/local/evidence", 0)
    for version, (event, decider, settings) in enumerate(told, 1):
        result.append(
            envelope(
                source="/local/evidence", stream=STREAM, version=version, partition=0, position=version - 1, previous=head,
                at=datetime(2026, 11, 24, tzinfo=UTC), decider=decider, settings=settings, release="test",
                origin=Origin(str(UUID(int=1)), str(UUID(int=1))), event=event,
            )
        )  # fmt: skip
        head = digest(result[-1])
    return result


def verifier() -> Verifier:
    return Verifier([FIRST, SECOND], Settings((), ()))


def test_an_earlier_decider_need_not_know_the_events_of_a_later_one() -> None:
    checked = verifier()
    assert checked.stream(STREAM.name, raws((NOTED, "test.note/1", 0), (NEW, "test.note/2", 0), (NOTED, "test.note/2", 0))) == []
    assert checked.tally.decisions == 3


def test_a_decider_that_breaks_is_a_difference_of_its_stream_and_replay_goes_on() -> None:
    checked = verifier()
    broken = AliasNoted(alias=ALIAS, learner_id=UUID(int=99))
    assert [found.stream for found in checked.stream(STREAM.name, raws((broken, "test.note/1", 0)))] == [STREAM.name]
    assert checked.stream(STREAM.name, raws((NOTED, "test.note/1", 0))) == []


@pytest.mark.parametrize("version", [-1, 1])
def test_settings_that_never_were_are_a_difference(version: int) -> None:
    raw = raws((NOTED, "test.note/1", 0))[0].replace(b'"settings":0', b'"settings":%d' % version)
    assert len(verifier().stream(STREAM.name, [raw])) == 1


def test_each_version_decides_with_parameter_sets_as_it_read_them() -> None:
    """Sets are parsed by the code frozen with a decider; a set of a kind that came later is none of its business."""

    def told(command: Note, state: State, parameters: Parameters, history: History = ()) -> Sequence[Event]:
        return [ItemAligned(item_id=UUID(int=1), iri="urn:item", competency_ids=(parameters.values["framework"], *sorted(parameters.ids)))]

    then, now = (
        ParameterKind(FrameworkAdopted, lambda pages: f"then {pages}"),
        ParameterKind(FrameworkAdopted, lambda pages: f"now {pages}"),
    )
    later = ParameterKind(PolicyAdopted, lambda pages: "later")
    data: list[Event] = [ParameterPageAdded(content=[1])]
    for adopted in (FrameworkAdopted, PolicyAdopted):
        data.append(adopted(set_id=set_id_of(adopted.KIND, [page_hash([1])]), pages=(page_hash([1]),)))
    settings = Settings((now, later), [cast("Recorded[Any]", SimpleNamespace(data=each)) for each in data])
    deciders = (replace(FIRST, decide=told, evolve=evolve_second, kinds=(then,)), replace(SECOND, decide=told))
    for _ in range(2):  # Kept apart, and from one another.
        for decider, ids in zip(deciders, (("then [[1]]", "framework"), ("now [[1]]", "framework", "policy")), strict=True):
            aligned = ItemAligned(item_id=UUID(int=1), iri="urn:item", competency_ids=ids)
            assert Verifier(deciders, settings).stream(STREAM.name, raws((aligned, decider.label, 3))) == []


def test_an_event_without_a_decider_of_this_release_is_a_difference() -> None:
    for label in ("test.note/3", "other/1", ""):
        told = raws((NOTED, "test.note/1", 0), (NOTED, label, 0), (NOTED, "test.note/2", 0))
        assert [found.version for found in verifier().stream(STREAM.name, told)] == [2]


def test_an_answer_that_is_shorter_or_longer_now_is_a_difference() -> None:
    def shorter(command: Note, state: State, parameters: Parameters, history: History = ()) -> Sequence[Event]:
        return []

    def longer(command: Note, state: State, parameters: Parameters, history: History = ()) -> Sequence[Event]:
        return [command.event, NEW]

    for decided in (shorter, longer):
        checked = Verifier([replace(FIRST, decide=decided)], Settings((), ()))
        assert [found.version for found in checked.stream(STREAM.name, raws((NOTED, "test.note/1", 0)))] == [1]


def test_a_chain_that_lacks_its_end_is_no_whole_record() -> None:
    stored = raws(*((NOTED, "test.note/1", 0) for _ in range(3)))
    for missing in range(len(stored)):
        walk = ChainWalk("/local/evidence", 0, 1)
        for position, raw in enumerate(stored[: len(stored) - missing]):
            walk.take(position, raw)
        assert bool(walk.end(len(stored), digest(stored[-1]))) == bool(missing)


def test_links_say_what_the_walk_says_in_whatever_order_events_come() -> None:
    stored = raws(*((NOTED, "test.note/1", 0) for _ in range(4)))

    def whole(told: Sequence[tuple[int, bytes]], length: int = len(stored), head: str = digest(stored[-1])) -> bool:
        links = Links("/local/evidence", 0, 1, length)
        for position, raw in told:
            links.take(position, Header.read(raw))
        return links.whole(head)

    placed = list(enumerate(stored))
    assert whole(placed)
    assert whole(placed[::-1])
    assert whole(placed[:3], 3, digest(stored[2]))
    assert whole([], 0, chain_start("/local/evidence", 0))
    assert not whole(placed, 2**60), "a length that was changed costs no memory"
    assert not whole([*placed[:3], placed[0]], head=digest(stored[2])), "one event twice is not two"
    for head in (digest(stored[0]), digest(stored[-1]).upper(), "", "changed by hand"):
        assert not whole(placed, head=head)
    for n, raw in placed:
        others = placed[:n] + placed[n + 1 :]
        assert not whole(others)
        assert not whole([*others, (n + 1, raw)])
        for there, instead in ((b'"settings":0', b'"settings":1'), (b"/local/", b"/other/"), (b'"previous":"', b'"previous":"x')):
            assert there in raw
            assert n == len(stored) - 1 or not whole([*others, (n, raw.replace(there, instead))])
            assert not whole([*others, (n, raw.replace(there, instead))], head=digest(raw))
