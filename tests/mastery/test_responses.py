"""Recorded responses from files of many forms; what is wrong is named with its row and a remedy."""

import csv
import gzip
from pathlib import Path

import numpy as np
import pytest

from services.cli.calibrating import check
from services.cli.responses import Data, read
from services.mastery.fitting.columns import NO_ITEM
from shared.errors import BadInput


def told(folder: Path, text: str | bytes, name: str = "data.csv", groups: tuple[str, ...] = ()) -> Data:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read(path, groups)


def faults(folder: Path, text: str | bytes, name: str = "data.csv") -> list[str]:
    with pytest.raises(BadInput) as caught:
        told(folder, text, name)
    return [str(caught.value), *map(str, caught.value.faults)]


def test_columns_go_by_their_names_whatever_their_order_and_delimiter(tmp_path: Path) -> None:
    found = told(tmp_path, "correct\tskill_id\tuser_id\titem_id\ttimestamp\n1\t7\ta\ti1\t0\n0\t8\tb\t\t0\n").responses
    assert (found.learners, found.items, found.competencies) == (("a", "b"), ("i1",), ("7", "8"))
    assert found.item.tolist() == [0, NO_ITEM]
    assert not found.has_clock


def test_a_learners_responses_come_together_and_in_the_order_of_time(tmp_path: Path) -> None:
    text = "learner,competencies,score,time\na,x,0,2026-01-03\nb,x,1,2026-01-01T12:00:00Z\na,x,1,2026-01-02T12:00:00+02:00\n"
    found = told(tmp_path, text).responses
    assert found.learner.tolist() == [0, 0, 1]
    assert found.score.tolist() == [1.0, 0.0, 1.0]
    assert found.day[1] - found.day[0] == pytest.approx(14 / 24)
    assert found.row.tolist() == [4, 2, 3]


def test_without_a_clock_the_order_of_rows_counts(tmp_path: Path) -> None:
    found = told(tmp_path, "learner,competencies,score\nb,x,0\na,x,1\nb,x,1\n").responses
    assert [found.learners[at] for at in found.learner] == ["b", "b", "a"]
    assert found.score.tolist() == [0.0, 1.0, 1.0]
    assert found.day.tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("rows", ["a,i,x;y,1", "a,i,x|y,1", "a,i,x,1\na,i,y,1"])
def test_one_response_about_two_competencies_is_one_however_it_is_told(tmp_path: Path, rows: str) -> None:
    found = told(tmp_path, f"learner,item,competencies,score\n{rows}\na,i,x,1\n").responses
    assert found.first_link.tolist() == [0, 2, 3]
    assert [found.competencies[link] for link in found.links] == ["x", "y", "x"]


def test_the_same_item_again_is_another_response(tmp_path: Path) -> None:
    assert len(told(tmp_path, "learner,item,competencies,score\na,i,x,1\na,i,x,1\na,i,y,0\n").responses) == 3


def test_parquet_holds_the_same(tmp_path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    path = tmp_path / "data.parquet"
    columns = {"learner": [1, 1, 2], "item": ["i", "j", None], "competencies": [["x", "y"], ["x"], ["y"]], "score": [1.0, 0.5, 0.0]}
    pyarrow.parquet.write_table(pyarrow.table(columns), path)
    found = read(path).responses
    assert (found.learners, found.items, found.competencies) == (("1", "2"), ("i", "j"), ("x", "y"))
    assert found.first_link.tolist() == [0, 2, 3, 4]


def test_a_packed_file_with_a_mark_at_its_beginning_is_read(tmp_path: Path) -> None:
    text = gzip.compress("\ufefflearner,competencies,score,school\na,x,1,north\na,x,0,south\nb,x,0,\n".encode())
    found = told(tmp_path, text, "data.csv.gz", ("school",))
    assert found.groups == {"school": ("north", "(none)")}


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("a,x,nan,item", "data.csv:3: the score nan is not from 0 to 1 - divide it by the possible score"),
        ("a,x,7,item", "data.csv:3: the score 7 is not from 0 to 1"),
        ("a,x,yes,item", "data.csv:3: the score `yes` is no number"),
        (",x,1,item", "data.csv:3: names no learner"),
        ("a,,1,item", "data.csv:3: names no competency - align it, or remove the row"),
        ("a,x,1,essay", "data.csv:3: there is no kind `essay` - give one of item, quiz"),
        ("a", "data.csv:3: the row has 1 fields"),
    ],
)
def test_a_wrong_row_is_named_with_a_remedy(tmp_path: Path, row: str, said: str) -> None:
    whole, first = faults(tmp_path, f"learner,competencies,score,kind\na,x,1,item\n{row}\n")
    assert whole == "data.csv: 1 of 2 rows are wrong"
    assert first.startswith(said)


def test_all_wrong_rows_are_counted_and_the_first_named(tmp_path: Path) -> None:
    found = faults(tmp_path, "learner,competencies,score\n" + "a,x,2\n" * 30)
    assert found[0] == "data.csv: 30 of 30 rows are wrong, the first 20 are named"
    assert len(found) == 21


def test_missing_columns_are_named_with_what_they_may_be_called(tmp_path: Path) -> None:
    whole, first, second = faults(tmp_path, "pupil,skill\na,x\n")
    assert whole == "data.csv lacks columns; it has pupil, skill"
    assert first.startswith("data.csv:1: no column `learner` - name it `learner` or `learner_id`")
    assert "no column `score`" in second


def test_a_wrong_encoding_is_named_with_its_row(tmp_path: Path) -> None:
    assert faults(tmp_path, b"learner,competencies,score\na,x,1\n\xff,x,1\n")[1] == "data.csv:3: byte 0xff - save it as UTF-8"


def test_a_cell_beyond_what_is_read_is_named_and_what_others_of_the_process_read_stays(tmp_path: Path) -> None:
    limit, long = csv.field_size_limit(), "x" * 200_000
    assert faults(tmp_path, f"learner,competencies,score\na,x,1\na,{long},1\n")[1].startswith("data.csv:3: field larger than")
    assert faults(tmp_path, f"learner,competencies,score,{long}\na,x,1,0\n")[1].startswith("data.csv:1: field larger than")
    assert csv.field_size_limit() == limit


def test_what_is_no_file_of_its_kind_is_said(tmp_path: Path) -> None:
    assert "no whole gzip file" in faults(tmp_path, b"learner", "data.csv.gz")[0]
    assert "no Parquet file" in faults(tmp_path, b"learner", "data.parquet")[0]
    assert "is empty" in faults(tmp_path, "")[0]
    assert "no responses" in faults(tmp_path, "learner,competencies,score\n")[0]


def test_what_nothing_can_be_fitted_to_is_refused(tmp_path: Path) -> None:
    rows = "".join(f"l{at % 30},x,1\n" for at in range(300))
    with pytest.raises(BadInput, match="all came out alike"):
        check(told(tmp_path, "learner,competencies,score\n" + rows), "data.csv")
    with pytest.raises(BadInput, match="holds 1 learners; 20 are needed"):
        check(told(tmp_path, "learner,competencies,score\n" + "a,x,1\na,x,0\n" * 200), "data.csv")
    with pytest.raises(BadInput, match="holds 30 responses; 200 are needed"):
        check(told(tmp_path, "learner,competencies,score\n" + "".join(f"l{at},x,{at % 2}\n" for at in range(30))), "data.csv")
    assert np.isfinite(told(tmp_path, "learner,competencies,score\na,x,1\n").responses.score).all()


@pytest.mark.parametrize(
    ("at", "said"),
    [("-5", "before 1970"), ("1969-12-31", "before 1970"), ("99999999999", "in the future"), ("2999-01-01", "in the future")],
)
def test_times_before_1970_and_in_the_future_are_named_by_row(tmp_path: Path, at: str, said: str) -> None:
    message, fault = faults(tmp_path, f"learner,competencies,score,time\na,x,1,1254000000\na,x,1,{at}\n")
    assert "1 of 2 rows are wrong" in message
    assert "data.csv:3" in fault
    assert said in fault
    assert "leave the column out" in fault


def test_a_column_that_stands_twice_is_refused(tmp_path: Path) -> None:
    assert any("two columns are called `score`" in fault for fault in faults(tmp_path, "learner,competencies,score,Score\na,x,1,0\n"))
    assert told(tmp_path, "learner,competencies,score,note,note\na,x,1,0,0\n").rows == 1
