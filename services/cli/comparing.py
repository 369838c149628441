"""`cairn mastery equity`: groups out of a file, sent for one answer, told as lines."""

from __future__ import annotations

import csv
import json
import time
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx

from services.cli.asking import LIMIT_S, refusal, where
from services.cli.words import out
from shared.errors import BadInput, Fault

LEARNER = "learner_id"
MAX_FAULTS = 20


def compare(path: Path, report: Path | None, address: str | None, home: Path | None) -> None:
    """Send the groups of a file, and tell the answer."""
    learners = read_groups(path)
    answer = _asked(f"{where(address, home)}/mastery/equity", learners)
    if not answer.is_success:
        raise refusal(answer, path)
    told = answer.json()
    if report is not None:
        report.parent.mkdir(parents=True, exist_ok=True)
        report.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    for line in told_lines(told):
        out.print(line)


def _asked(address: str, learners: list[dict[str, Any]]) -> httpx.Response:
    """Return the answer; as long as it is under way, the question is sent again."""
    answer = httpx.post(address, json={"learners": learners}, timeout=LIMIT_S)
    while answer.status_code == 503 and b':under-way"' in answer.content:
        out.print(answer.json()["detail"])
        time.sleep(int(answer.headers["Retry-After"]))
        answer = httpx.post(address, json={"learners": learners}, timeout=LIMIT_S)
    return answer


def read_groups(path: Path) -> list[dict[str, Any]]:
    """Return learners with their groups; an empty cell is no group.

    Raises:
        BadInput: the file is no such CSV; each wrong row is named.
    """
    try:
        rows = list(csv.DictReader(path.read_text(encoding="utf-8-sig").splitlines()))
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadInput(f"{path.name} is no CSV file in UTF-8 ({error}): save it as one") from None
    if not rows or LEARNER not in rows[0] or len(rows[0]) == 1:
        raise BadInput(f"{path.name} needs the column {LEARNER}, a column for each way of grouping, and rows")
    faults, learners = [], []
    for number, row in enumerate(rows, 2):
        try:
            learner = str(UUID(row[LEARNER] or ""))
        except ValueError:
            faults.append(Fault(f"{path.name}:{number}", "not-a-uuid", "names no learner by id", "use the ids that profile gives"))
            continue
        groups = {name.strip(): value.strip() for name, value in row.items() if name and name != LEARNER and value and value.strip()}
        learners.append({"learner_id": learner, "groups": groups})
    if faults:
        raise BadInput(f"{path.name}: {len(faults)} of {len(rows)} rows are wrong", faults[:MAX_FAULTS])
    return learners


def told_lines(told: dict[str, Any]) -> list[str]:
    """Return the answer as lines."""
    lines = []
    for column in told["columns"]:
        left = column["left_out"]
        lines.append(f"{column['column']}" + (f" ({left} groups of too few learners left out)" if left else ""))
        for group in column["groups"]:
            levels = ", ".join(f"{level} {_percent(share)}" for level, share in group["levels"].items() if share)
            lines.append(
                f"  {group['group']}: {group['learners']:,} learners, {levels}; bias {_share(group['bias_e6'])}, "
                f"false mastery {_part(group['false_e6'], group['judged'])}, delayed {_part(group['delayed_e6'], group['at_bar'])}"
            )
    if not lines:
        lines.append("nothing is told: too few of these learners are known")
    if told["unknown"]:
        lines.append(f"at least {told['unknown']:,} learners are not known")
    return lines


def _part(millionths: int | None, whole: int | None) -> str:
    return "-" if whole is None else f"{_share(millionths)} of {whole:,}"


def _percent(millionths: int) -> str:
    return f"{millionths / 10_000:.1f} %"


def _share(millionths: int | None) -> str:
    return "-" if millionths is None else f"{millionths / 1e6:.3f}"
