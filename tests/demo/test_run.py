"""The whole demonstration, small, as a newcomer runs it: real servers, real services, everything over HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from demo import installation, main, words
from demo.client import Unexpected
from demo.installation import FOLDER, MARK, STORED, Place, begin
from demo.main import FAILED, Options, run
from demo.school import school
from services.cli import fleet
from services.cli.home import NAMES, Entry, log_file, services_file, write_entries
from services.cli.installation import stop
from shared.clock import CLOCK_FILE
from shared.contracts.topics import Topic
from shared.errors import Misconfigured
from shared.stack.state import HOME_MARK, StackError, claim

LEARNERS = 24
TOLD = 3_000
"""Characters of each log that are told."""


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A folder for an installation, which is gone afterwards whatever happens; what its processes said last stands beside a failure."""
    yield tmp_path / "home"
    for name in NAMES:
        log = log_file(tmp_path / "home", name)
        if log.exists():
            print(f"{log.name}: {log.read_text(errors='replace')[-TOLD:]}")
    stop(tmp_path / "home", wipe=True)


def test_the_demonstration_ends_well_and_writes_down_what_it_was_told(home: Path, tmp_path: Path) -> None:
    acks = tmp_path / "acks.jsonl"
    assert run(Options(home, LEARNERS, 7, acks)) == 0
    page = (home / "demo" / "day.html").read_text()
    assert all(learner.given in page for learner in school(LEARNERS, 7).learners)
    lines = [json.loads(line) for line in acks.read_text().splitlines()]
    acts = [act for line in lines for act in line["acts"]]
    assert len({act["act_id"] for act in acts}) == len(acts) > 1_000
    assert {act["result"] for act in acts} == {"recorded"}
    assert [line["status"] for line in lines if line["status"] >= 400] == [422], "only the spoilt roster is refused"


def test_a_school_that_does_not_fit_is_refused_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="--learners"):
        run(Options(tmp_path / "home", 3))
    assert not (tmp_path / "home").exists()


def test_a_demonstration_that_goes_wrong_says_what_still_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def tell(*_: object) -> str:
        raise Unexpected("POST /evidence/caliper was not taken after 30 tries: status 503")

    services_file(tmp_path).write_text(json.dumps({"evidence": {"port": 1}}))
    monkeypatch.setattr(main, "begin", lambda *_: Place(tmp_path))
    monkeypatch.setattr(main, "_tell", tell)
    assert run(Options(tmp_path, LEARNERS)) == FAILED
    told = capsys.readouterr().out
    assert "was not taken" in told
    assert "not running" in told[told.index("evidence  ") :], "beside its name"
    assert "log" in told


def test_a_file_that_cannot_be_written_is_refused_before_anything_is_wiped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(main, "begin", lambda *_: pytest.fail("the earlier demonstration was wiped"))
    with pytest.raises(Misconfigured, match=r"acks\.jsonl cannot be written"):
        run(Options(tmp_path / "home", LEARNERS, acks=tmp_path / "nowhere" / "acks.jsonl"))


def test_addresses_and_commands_are_whole_at_any_width(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = Console(file=StringIO(), width=40, highlight=False)
    monkeypatch.setattr(words, "out", said)
    place, learner = Place(tmp_path / "a [school] of ours"), "dc2c85ad-cd37-83d5-bb5d-6fc950542ef8"
    write_entries(tmp_path, {"gateway": Entry(28323)})
    tmp_path.joinpath("a [school] of ours").mkdir()
    services_file(tmp_path).rename(services_file(place.home))
    main._end(place, Options(place.home, acks=Path("acks.jsonl")), learner)
    lines = said.file.getvalue().splitlines()
    assert f"  cairn replay show --learner {learner} --home '{place.home}'" in lines
    assert f"  http://127.0.0.1:28323/mastery/learners/{learner}/needs" in lines


def test_an_installation_that_is_no_demonstration_is_left_alone(tmp_path: Path) -> None:
    services = tmp_path / "services.json"
    services.write_text(json.dumps({"gateway": {"port": 1}}))
    with pytest.raises(Misconfigured, match="not a demonstration"):
        run(Options(tmp_path, LEARNERS))
    assert services.exists()


def test_a_folder_that_was_marked_and_then_put_to_other_use_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installation, "up", lambda *_, **__: None)
    claim(tmp_path)
    (tmp_path / FOLDER).mkdir()
    (tmp_path / FOLDER / MARK).write_text("{}")
    write_entries(tmp_path, {"profile": Entry(1, {"CAIRN_INSTALLATION": "local"})})
    with pytest.raises(Misconfigured, match="not a demonstration"):
        begin(tmp_path, LEARNERS, 1)
    assert services_file(tmp_path).exists()


@pytest.mark.parametrize("name", STORED)
def test_what_may_be_left_of_an_installation_is_left_alone(tmp_path: Path, name: str) -> None:
    claim(tmp_path)
    (tmp_path / FOLDER).mkdir()
    (tmp_path / FOLDER / MARK).write_text("{}")
    (tmp_path / name).write_text('{"district-key": "aa"}')
    with pytest.raises(Misconfigured, match=f"holds {name}, and no services.json"):
        begin(tmp_path, LEARNERS, 1)
    assert (tmp_path / name).exists()
    assert not (tmp_path / CLOCK_FILE).exists()


def test_a_start_that_comes_to_nothing_leaves_the_folder_to_whoever_is_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def up(home: Path, now: str, installation: str) -> None:
        fleet.plan_of(home, now, installation, None, list(Topic), {})
        raise StackError("Java 17 or newer is missing")

    monkeypatch.setattr(installation, "up", up)
    for _ in range(2):
        (tmp_path / CLOCK_FILE).write_text('{"now": "2026-10-13T07:30:00Z", "offset_us": -1}')  # As an earlier release left it.
        with pytest.raises(StackError):
            begin(tmp_path, LEARNERS, 1)
        assert sorted(path.name for path in tmp_path.iterdir()) == [HOME_MARK]


def test_a_demonstration_is_known_again_also_where_it_did_not_get_ready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def up(home: Path, now: str, installation: str) -> None:
        write_entries(home, {"profile": Entry(1, {"CAIRN_INSTALLATION": installation})})
        (home / "secrets.json").write_text("{}")
        raise fleet.NotReady("profile is not ready after 120 s")

    monkeypatch.setattr(installation, "up", up)
    for _ in range(2):
        with pytest.raises(fleet.NotReady):
            begin(tmp_path / "home", LEARNERS, 1)
        assert (tmp_path / "home" / FOLDER / MARK).exists()
