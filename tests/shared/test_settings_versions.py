"""Settings recorded by every version of their decider replay to the same bytes, and the newest goes on where an earlier one stopped.

`python -m tests.shared.test_settings_versions` records those of the newest version, once: a file that is there is never written again.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import orjson
import pytest

from services.mastery.app import PARTS as MASTERY
from services.mastery.calibration import CALIBRATION
from services.mastery.framework import FRAMEWORK
from services.pathing.app import PARTS as PATHING
from services.pathing.catalogue import CATALOGUE
from services.pathing.catalogue import FRAMEWORK as HEARD
from shared.contracts.mastery import FrameworkAdopted, MasteryPageAdded
from shared.decider import Decider
from shared.parts import Parts
from shared.serve import all_deciders, earlier_deciders
from shared.settings_stream import AddPage, AdoptSet, adoption
from shared.stack import ServiceDatabase
from shared.testing import running
from tests.mastery import histories
from tests.mastery.samples import entries, framework
from tests.mastery.test_case import item, link, package
from tests.pathing.test_domain import CATALOGUE_ENTRIES, FRAMEWORK_ENTRIES

FOLDER: Final = Path(__file__).parent / "golden"
FILES: Final = sorted(FOLDER.glob("*.jsonl"))
SERVICES: Final = {"mastery": MASTERY, "pathing": PATHING}


class History(histories.History):
    """A record of the settings of one of the services."""

    def __init__(self, service: str, lines: list[bytes] | None = None) -> None:
        super().__init__(lines or [])
        self.parts: Parts = SERVICES[service]


def deciders_of(service: str) -> dict[int, Decider[Any]]:
    """Return all versions of a service's decider of settings."""
    parts = SERVICES[service]
    return {each.version: each for each in [*all_deciders(parts), *earlier_deciders(parts)] if each.kind == "settings"}


def of_mastery(decider: Decider[Any]) -> History:
    """Frameworks of a page for each competency, one of which changes and changes back, and calibrations between them."""
    one, other = framework((1, 2), (2, 3)), framework((1, 3), (2, 3))
    history = History("mastery").ask(decider, *adoption("mastery", CALIBRATION, entries(), base=""))
    for number, items in enumerate((one, other, one)):
        history.ask(decider, *adoption("mastery", FRAMEWORK, items, together=1))
        history.ask(decider, *adoption("mastery", CALIBRATION, entries(gain_right_e6=60_000 + number)))
    return history


def of_pathing(decider: Decider[Any]) -> History:
    """A framework of another service, heard in three versions, of which the last is the first again, and catalogues of its own."""
    history, known = History("pathing"), set()
    for version, items in enumerate((FRAMEWORK_ENTRIES, FRAMEWORK_ENTRIES[:-1], FRAMEWORK_ENTRIES), 1):
        *pages, last = adoption("pathing", HEARD, items, together=2)
        assert isinstance(last, AdoptSet)
        for page in pages:  # Mastery tells each page once.
            assert isinstance(page, AddPage)
            if (told := orjson.dumps(page.content)) not in known:
                known.add(told)
                history.ask(decider, page)
        history.ask(decider, AdoptSet("pathing", last.kind, last.pages, version))
        history.ask(decider, *adoption("pathing", CATALOGUE, CATALOGUE_ENTRIES[version % 2 :]))
    return history


MADE: Final[dict[str, Callable[[Decider[Any]], History]]] = {"mastery": of_mastery, "pathing": of_pathing}


def read(path: Path) -> tuple[str, int, History]:
    """Return the service, the version and the history of a golden file."""
    service, _, version = path.stem.partition("-v")
    return service, int(version), History(service, path.read_bytes().splitlines())


def test_every_version_has_a_golden_history_of_each_service() -> None:
    assert [path.stem for path in FILES] == [f"{service}-v{version}" for service in SERVICES for version in sorted(deciders_of(service))]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_golden_history_replays_and_is_made_again_to_its_bytes(path: Path) -> None:
    service, version, history = read(path)
    assert history.replay() == []
    assert {event.decider for event in history.events} == {f"{service}.settings/{version}"}
    assert history.lines == MADE[service](deciders_of(service)[version]).lines


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_an_earlier_record_goes_on_with_the_newest_and_both_replay(path: Path) -> None:
    service, _, history = read(path)
    newest = deciders_of(service)[max(deciders_of(service))]
    length = len(history.lines)
    items, kind = (framework((1, 3), (2, 3)), FRAMEWORK) if service == "mastery" else (CATALOGUE_ENTRIES[1:3], CATALOGUE)
    history.ask(newest, *adoption(service, kind, items, together=1))
    told = history.events[length:]
    assert {event.decider for event in told} == {newest.label}
    assert history.replay() == []
    if service == "mastery":
        again = [event for event in told if isinstance(event.data, MasteryPageAdded)]
        assert again, "a page that version 1 still knew was forgotten, and is told again"
        assert {event.data.content[0]["id"] for event in again} < {item["id"] for item in items}


async def test_a_ledger_whose_settings_an_earlier_version_wrote_forgets_what_was_replaced(
    database: Callable[[str], ServiceDatabase], monkeypatch: pytest.MonkeyPatch
) -> None:
    place = database("mastery")
    first, second = package([item(1), item(2)], [link("precedes", 1, 2)]), package([item(1), item(2)], [link("precedes", 2, 1)])
    with monkeypatch.context() as before:
        before.setattr("shared.serve.settings_decider", lambda *given: earlier_deciders(MASTERY)[-1])
        async with running(MASTERY, place) as old:
            for told in (first, second, first):
                assert (await old.client.post("/mastery/case/packages", json=told)).status_code == 200
            recorded = await old.ledger.stream("mastery/settings")
            assert {event.decider for event in recorded} == {"mastery.settings/1"}
    async with running(MASTERY, place) as new:
        assert (await new.client.post("/mastery/case/packages", json=second)).status_code == 200
        _, state = await new.ledger.state("mastery/settings")
        told = (await new.ledger.stream("mastery/settings"))[len(recorded) :]
        assert [type(event.data) for event in told] == [MasteryPageAdded, FrameworkAdopted]
        assert {event.decider for event in told} == {"mastery.settings/2"}
        assert state.pages == {page for _, pages in state.in_force.values() for page in pages}


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for named, make in MADE.items():
        for number, rules in deciders_of(named).items():
            target = FOLDER / f"{named}-v{number}.jsonl"
            if not target.exists():
                target.write_bytes(b"\n".join(make(rules).lines) + b"\n")
