"""What is put in by positions comes out by streams, each whole and in order, however much there is of it."""

from random import Random

import pytest

from services.cli import spool
from services.cli.spool import Row, Spool


def events(streams: int, count: int) -> list[Row]:
    versions = dict.fromkeys(range(streams), 0)
    rows: list[Row] = []
    random = Random(7)
    for position in range(count):
        stream = random.randrange(streams)
        versions[stream] += 1
        rows.append((position, f"evidence/act/{stream}", versions[stream], b"%d" % position * random.randrange(9)))
    return rows


@pytest.mark.parametrize("most", [0, 100, 10_000_000])
@pytest.mark.parametrize(("streams", "count", "expected"), [(40, 900, 900), (1, 300, 10**6), (300, 300, 0), (1, 0, 0)])
def test_each_stream_comes_once_whole_and_in_order(
    most: int, streams: int, count: int, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool, "MOST_BYTES", most)
    rows = events(streams, count)
    with Spool(expected) as spooled:
        for start in range(0, count, 50):
            spooled.put(rows[start : start + 50])
        found = list(spooled.streams())
    names = {row[1] for row in rows}
    assert [name for name, _ in found] == list(dict.fromkeys(name for name, _ in found)), "each once"
    assert {name: list(some) for name, some in found} == {name: [row for row in rows if row[1] == name] for name in names}


def test_versions_decide_the_order_and_not_positions() -> None:
    with Spool(2) as spooled:
        spooled.put([(0, "a", 2, b"x"), (1, "a", 1, b"y")])
        assert list(spooled.streams()) == [("a", [(1, "a", 1, b"y"), (0, "a", 2, b"x")])]


def test_files_are_no_larger_than_they_may_be_where_there_are_several_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "MOST_BYTES", 2_000)
    sizes: list[int] = []
    parts = spool._grouped

    def measured(rows):  # type: ignore[no-untyped-def]
        kept = list(rows)
        sizes.append(sum(len(row[3]) for row in kept))
        return parts(kept)

    monkeypatch.setattr(spool, "_grouped", measured)
    with Spool(0) as spooled:
        spooled.put([(n, f"s{n}", 1, bytes(100)) for n in range(400)])
        assert len(list(spooled.streams())) == 400
    assert max(sizes) <= 2_000
    assert sum(sizes) == 400 * 100
