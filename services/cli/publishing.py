"""Calibrations over HTTP: which one is in force, one by its id, and putting one in force."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
from rich.markup import escape

from services.cli import calibrating
from services.cli.asking import LIMIT_S, refusal
from services.cli.words import in_words, out
from services.mastery.calibration import DEFAULT_ENTRIES, Calibration, parse

PATH = "/mastery/calibrations"
SHIPPED = "shipped"
"""Stands for the set that ships with the release."""


def in_force(address: str) -> tuple[str, str, Calibration]:
    """Return name in words, id and content of the calibration in force."""
    found = _get(f"{address}{PATH}/in-force")
    return f"the calibration in force ({found['set_id'][:12]})", found["set_id"], parse([found["entries"]])


def set_of(address: str, set_id: str) -> list[dict[str, Any]]:
    """Return the entries of a calibration that the service knows."""
    entries: list[dict[str, Any]] = _get(f"{address}{PATH}/{set_id}")["entries"]
    return entries


def publish(address: str, entries: Sequence[dict[str, Any]], why: str) -> None:
    """Put a set in force and tell the answer in words."""
    answer = httpx.put(f"{address}{PATH}", json={"entries": list(entries), "why": why}, timeout=LIMIT_S)
    if not answer.is_success:
        raise refusal(answer, Path("calibration.json"))
    for line in in_words(answer.json()):
        out.print(escape(line))
    if why:
        out.print("the reason is part of what was published, which therefore has an id of its own")


def restore(address: str, set_id: str, why: str) -> None:
    """Put a set that once was in force, or `shipped`, in force again, and tell the answer in words."""
    known = calibrating.id_of(DEFAULT_ENTRIES) if set_id == SHIPPED else set_id
    answer = httpx.post(f"{address}{PATH}/{known}/restoration", json={"why": why}, timeout=LIMIT_S)
    if not answer.is_success:
        raise refusal(answer, Path(set_id))
    for line in in_words(answer.json()):
        out.print(escape(line))
    out.print("the reason is part of what is in force now, which therefore has an id of its own")


def _get(url: str) -> dict[str, Any]:
    answer = httpx.get(url, timeout=LIMIT_S)
    if not answer.is_success:
        raise refusal(answer, Path("--calibration"))
    found: dict[str, Any] = answer.json()
    return found
