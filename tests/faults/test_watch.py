"""What the watch of I9 sees, and that it says so where it sees nothing."""

import asyncio
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any, LiteralString

import httpx
import psycopg
import pytest

from services.mastery.app import PARTS as MASTERY
from services.scheduling.app import PARTS
from shared.clock import FixedClock
from shared.stack import ServiceDatabase
from shared.testing import running
from tests.faults import watch
from tests.faults.stage import Stage
from tests.faults.town import Servers, Town
from tests.scheduling.test_http import BEFORE_SCHOOL, demands, planned

NOBODY = "127.0.0.1:1"
NOWHERE = "postgresql://nobody@127.0.0.1:1/nothing"


def town(folder: Path, records: Any) -> Town:
    made: Any = Town(Servers(folder, NOBODY, NOWHERE), folder, ("mastery",), "none", {})
    made.databases = records
    return made  # type: ignore[no-any-return]


class Answers:
    """A process that answers as it is told to."""

    address = "http://mastery"


@pytest.mark.parametrize(("codes", "well"), [([], False), ([200], True), ([200, 503], False), ([200, 200], True)])
async def test_a_service_is_well_only_where_it_runs_and_every_process_of_it_is_ready(codes: list[int], well: bool) -> None:
    left = iter(codes)
    async with httpx.AsyncClient(transport=httpx.MockTransport(lambda request: httpx.Response(next(left)))) as client:
        running: Any = [Answers() for _ in codes]
        assert await watch.all_well(client, [running]) is well


async def test_who_does_not_answer_is_not_silent() -> None:
    def away(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("nobody is there")

    async with httpx.AsyncClient(transport=httpx.MockTransport(away)) as client:
        running: Any = [Answers()]
        assert not await watch.all_well(client, [running])


def test_databases_that_never_answer_were_not_looked_at(tmp_path: Path) -> None:
    database = type("Database", (), {"app_url": NOWHERE})()
    with watch.watched(town(tmp_path, {"mastery": database})) as seen:
        pass
    assert (seen.looks, seen.wrong) == (0, [])


def test_a_relay_that_stands_still_and_says_it_is_well_is_a_violation(
    tmp_path: Path, database: Callable[[str], ServiceDatabase], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def well(*asked: Any) -> bool:
        return True

    async def record(place: ServiceDatabase) -> None:
        async with running(MASTERY, place):  # It has a calibration to record, and no relay.
            pass

    place = database("mastery")
    asyncio.run(record(place))
    monkeypatch.setattr(watch, "all_well", well)
    monkeypatch.setattr(watch, "TOLD_S", 0.0)
    monkeypatch.setattr(watch, "EVERY_S", 0.05)
    watching = town(tmp_path, {"mastery": place})
    watching.environment["CAIRN_STALLED_AFTER_S"] = "0.3"
    with watch.watched(watching) as seen:
        end = time.monotonic() + 60
        while seen.looks < 40 and time.monotonic() < end:
            time.sleep(0.05)
    assert [line for line in seen.wrong if "not on Kafka" in line and line.startswith("I9: mastery is ready")] == seen.wrong != []


def test_a_watch_that_breaks_is_a_violation(tmp_path: Path) -> None:
    with watch.watched(town(tmp_path, {"mastery": None})) as seen:
        pass
    assert [line for line in seen.wrong if line.startswith("I9: nobody watched any more")] == seen.wrong != []


def test_a_stall_that_was_seen_is_a_violation_also_where_the_scenario_breaks_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from contextlib import contextmanager

    from tests.faults import stage as stages

    @contextmanager
    def fake(*given: Any) -> Any:
        yield watch.Watched(looks=1, behind=3, wrong=["I9: mastery stands still"])

    monkeypatch.setattr(stages, "watched", fake)
    monkeypatch.setattr(stages.towns, "town", fake)
    stage = Stage(None, tmp_path, 1, "broken")  # type: ignore[arg-type]
    with pytest.raises(KeyError), stage.town():
        raise KeyError
    assert (stage.verdict.looks, stage.verdict.violations) == (3, ["I9: mastery stands still"])


async def until_somebody_waits(connection: Any) -> None:
    waiting = "SELECT FROM pg_locks WHERE NOT granted AND relation = 'learner_day'::regclass"
    async with asyncio.timeout(60):
        while not await (await connection.execute(waiting)).fetchall():  # noqa: ASYNC110 - a lock tells nobody.
            await asyncio.sleep(0.05)


async def test_a_day_is_seen_with_all_that_it_took_or_with_nothing_of_it(database: Callable[[str], ServiceDatabase]) -> None:
    """Somebody holds the last table of a day locked, so that whatever is written of it before stays as it is for a while."""
    place, seen = database("scheduling"), watch.Watched()
    async with (
        running(PARTS, place, clock=FixedClock(BEFORE_SCHOOL)) as service,
        await psycopg.AsyncConnection.connect(place.owner_url) as holder,
        await psycopg.AsyncConnection.connect(place.app_url, autocommit=True) as looker,
    ):
        await planned(service)
        await watch.look_at_days(looker, seen)
        await holder.execute("LOCK TABLE learner_day IN SHARE MODE")
        await service.hear(*demands(2))
        ticking = asyncio.create_task(service.tick())
        await until_somebody_waits(looker)
        await watch.look_at_days(looker, seen)
        await holder.commit()
        await ticking
        await watch.look_at_days(looker, seen)
    assert (seen.days, seen.halves) == (6, {}), "two days are open"


@pytest.mark.parametrize("harm", [
    "UPDATE day_plan SET moved = moved + 1", "UPDATE day_head SET version = version - 1", "DELETE FROM learner_day WHERE version < 9",
    "UPDATE day_head SET version = version + 1",
])  # fmt: skip
async def test_a_half_written_day_is_found_while_it_is_visible(database: Callable[[str], ServiceDatabase], harm: LiteralString) -> None:
    place, ending = database("scheduling"), threading.Event()
    seen = watch.Watched()
    async with (
        running(PARTS, place, clock=FixedClock(BEFORE_SCHOOL)) as service, await psycopg.AsyncConnection.connect(place.owner_url) as owner
    ):  # fmt: skip
        await planned(service)
        watching = asyncio.create_task(watch.watch_days(place.app_url, seen, ending))
        async with asyncio.timeout(60):
            while not seen.days:  # noqa: ASYNC110 - whoever looks tells nobody.
                await asyncio.sleep(0.05)
            assert not seen.halves
            await owner.execute(harm)
            await owner.commit()
            while not seen.halves:  # noqa: ASYNC110 - whoever looks tells nobody.
                await asyncio.sleep(0.05)
        ending.set()
        await watching
    assert not seen.wrong


def test_a_half_written_day_is_a_violation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def see(connection: Any, seen: watch.Watched) -> None:
        seen.halves["a day"] = seen.halves.get("a day", 0) + 1

    async def connect(*_: Any, **__: Any) -> Any:
        return nullcontext()

    monkeypatch.setattr(watch, "look_at_days", see)
    monkeypatch.setattr("psycopg.AsyncConnection.connect", connect)
    place = town(tmp_path, {"scheduling": type("Database", (), {"app_url": NOWHERE})()})
    place.services = ("scheduling",)
    with watch.watched(place) as seen:
        while not seen.halves:
            time.sleep(0.01)
    assert [line for line in seen.wrong if line.startswith("I8: a day was visible half-written")]
