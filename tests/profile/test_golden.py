"""Histories recorded by every version of the deciders replay to the same bytes, and a later version goes on where an earlier one stopped.

`python -m tests.profile.test_golden` records those of the newest versions, once: a file that is there is never written again.
"""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar
from uuid import UUID

import pytest

from services.profile import domain, erasure
from services.profile.app import PARTS
from services.profile.versions import v1_alias, v1_learner
from shared.contracts.profile import Asker, ErasureGround, LiftGround, PreferencesStated
from shared.decider import Decider
from shared.parts import Parts
from tests.mastery.histories import History
from tests.profile.test_domain import ADA, ALIAS, BEN, erased_by, lifted_by, name, rostered, says

FOLDER = Path(__file__).parent / "golden"
FILES = sorted(FOLDER.glob("*.jsonl"))
AUTHORS = [UUID(int=100 + number) for number in range(domain.MAX_AUTHORS)]
LABELS = {"alias": "profile.alias", "learner": "profile.learner", "erasure": "profile.erasure"}


class ProfileHistory(History):
    """A record of profile."""

    parts: ClassVar[Parts] = PARTS


def read(path: Path) -> ProfileHistory:
    return ProfileHistory(path.read_bytes().splitlines())


def golden(path: Path) -> tuple[str, int]:
    """Return which decider a golden history is of, and its version."""
    version, _, kind = path.stem.partition("-")
    return LABELS[kind], int(version.removeprefix("v"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_golden_history_replays_to_its_bytes(path: Path) -> None:
    history = read(path)
    assert history.replay() == []
    decider, version = golden(path)
    assert {event.decider for event in history.events} == {f"{decider}/{version}"}


def test_every_version_has_a_golden_history() -> None:
    versions = {(each.name, each.version) for each in [*PARTS.versions, *PARTS.deciders] if each.name in LABELS.values()}
    assert {golden(path) for path in FILES} == versions


def test_an_alias_that_one_learner_had_for_ever_passes_on_with_the_newest_version_and_both_replay() -> None:
    history = read(FOLDER / "v1-alias.jsonl")
    history.ask(domain.aliases, domain.IdentifyLearner(ALIAS, BEN))
    assert [(event.decider, event.data.learner_id) for event in history.of(f"profile/alias/{ALIAS}")] == [
        ("profile.alias/1", ADA), ("profile.alias/2", BEN),
    ]  # fmt: skip
    assert history.replay() == []


def test_a_learner_of_whom_nobody_more_might_speak_is_spoken_of_again_and_both_replay() -> None:
    history = read(FOLDER / "v1-learner.jsonl")
    stream = domain.TakeRostered(rostered()).stream.name
    spoken = [event.data.author_id for event in history.of(stream) if isinstance(event.data, PreferencesStated)]
    assert set(spoken) == set(AUTHORS), "as many as version 1 heard"
    history.ask(domain.learners, says(BEN, 60))
    assert history.of(stream)[-1].decider == "profile.learner/2"
    assert history.replay() == []


@pytest.mark.parametrize(("kind", "code"), [("alias", "alias-taken"), ("learner", "too-many-authors")])
def test_what_an_earlier_version_refused_it_refuses_for_ever(kind: str, code: str) -> None:
    """What the newest version allows was never an answer of the first one: a record that says so was tampered with."""
    history = read(FOLDER / f"v2-{kind}.jsonl")
    forged = ProfileHistory([raw.replace(f"{LABELS[kind]}/2".encode(), f"{LABELS[kind]}/1".encode()) for raw in history.lines])
    assert [code in found.what for found in forged.replay()] == [True]


def of_alias(rules: ModuleType | Any) -> ProfileHistory:
    """Told, told again; and passed on, where the version does so."""
    history = ProfileHistory()
    history.ask(rules.aliases, rules.IdentifyLearner(ALIAS, ADA), rules.IdentifyLearner(ALIAS, ADA), rules.IdentifyLearner("b" * 64, BEN))
    if rules.aliases.version > 1:
        history.ask(rules.aliases, rules.IdentifyLearner(ALIAS, BEN), rules.IdentifyLearner(ALIAS, ADA))
    return history


def of_learner(rules: ModuleType | Any) -> ProfileHistory:
    """Rostered, changed, withdrawn; as many authors as there may be, with and without words; and one more, where the version hears her."""
    history = ProfileHistory()
    told = [rostered(), rostered(grade="06"), rostered(active=False), rostered()]
    history.ask(rules.learners, *(rules.TakeRostered(each) for each in told))
    said = [says(author, number, words=name("dinosaurs") if number % 2 else None) for number, author in enumerate(AUTHORS)]
    said += [says(AUTHORS[0], 30), says(AUTHORS[1], 31, areas=())]
    said += [says(BEN, 40), says(AUTHORS[2], 41)] if rules.learners.version > 1 else []
    return history.ask(rules.learners, *(rules.StatePreferences(each.told) for each in said))


def of_erasure(rules: ModuleType | Any) -> ProfileHistory:
    """Erased, told again by somebody else, lifted, told again, and erased again; and somebody who was never erased."""
    erased = [
        erased_by(asker, ground) for asker, ground in ((Asker.GUARDIAN, ErasureGround.REQUEST), (Asker.DISTRICT, ErasureGround.RETENTION))
    ]
    lifted = [lifted_by(asker, ground) for asker, ground in ((Asker.DISTRICT, LiftGround.MISTAKE), (Asker.GUARDIAN, LiftGround.REQUEST))]
    told = [rules.EraseLearner(erased[0]), rules.EraseLearner(erased[1]), *map(rules.LiftErasure, lifted), rules.EraseLearner(erased[1])]
    return ProfileHistory().ask(rules.erasures, *told, rules.LiftErasure(lifted[0].model_copy(update={"learner_id": BEN})))


def record() -> None:
    """Write the golden histories that are not there yet."""
    FOLDER.mkdir(exist_ok=True)
    deciders: list[tuple[str, Decider[Any], Any]] = [
        ("alias", v1_alias.aliases, v1_alias), ("learner", v1_learner.learners, v1_learner),
        ("alias", domain.aliases, domain), ("learner", domain.learners, domain), ("erasure", erasure.erasures, erasure),
    ]  # fmt: skip
    for kind, decider, rules in deciders:
        path = FOLDER / f"v{decider.version}-{kind}.jsonl"
        if not path.exists():
            made = {"alias": of_alias, "learner": of_learner, "erasure": of_erasure}[kind](rules)
            path.write_bytes(b"\n".join(made.lines) + b"\n")


if __name__ == "__main__":
    record()
