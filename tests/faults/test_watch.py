"""What the watch of I9 sees, and that it says so where it sees nothing."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.faults import watch
from tests.faults.stage import Stage
from tests.faults.town import Town

NOWHERE = "postgresql://nobody@127.0.0.1:1/nothing"


def town(folder: Path, records: Any) -> Town:
    made: Any = Town(None, folder, ("mastery",), "none", {})  # type: ignore[arg-type]
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
