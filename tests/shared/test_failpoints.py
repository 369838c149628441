"""Fail points: nothing happens where none is armed, and none is armed by accident."""

import ast
import os
import signal
from pathlib import Path

import pytest

from shared import failpoints
from shared.errors import Misconfigured
from shared.settings import Settings, load_settings

SHARED = Path(failpoints.__file__).parent


@pytest.fixture(autouse=True)
def disarmed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failpoints, "_armed", None)


def signals(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    sent: list[int] = []
    monkeypatch.setattr(os, "kill", lambda pid, number: sent.append(number))
    return sent


def test_what_is_not_armed_lets_everybody_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    sent = signals(monkeypatch)
    failpoints.arm(None, allowed=False)
    for point in failpoints.POINTS:
        failpoints.reach(point)
    assert sent == []


def test_the_signal_comes_once_and_at_the_time_that_was_named(monkeypatch: pytest.MonkeyPatch) -> None:
    sent = signals(monkeypatch)
    failpoints.arm("commit.before:stop:3", allowed=True)
    for _ in range(2):
        failpoints.reach("commit.before")
        failpoints.reach("commit.after")
    assert sent == []
    failpoints.reach("commit.before")
    assert sent == [signal.SIGSTOP]
    failpoints.reach("commit.before")
    assert sent == [signal.SIGSTOP]


def test_nothing_is_armed_without_leave_or_under_a_name_that_nobody_has() -> None:
    with pytest.raises(Misconfigured, match="CAIRN_ALLOW_FAILPOINTS=1"):
        failpoints.arm("commit.before:kill:1", allowed=False)
    with pytest.raises(Misconfigured, match=r"name one of batch\.before"):
        failpoints.arm("lunch.before:kill:1", allowed=True)
    with pytest.raises(Misconfigured, match="CAIRN_FAILPOINT"):
        load_settings(Settings, failpoint="commit.before:explode:1")


def test_every_point_stands_in_the_code_once() -> None:
    found: list[str] = []
    for path in SHARED.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "reach":
                assert isinstance(node.args[0], ast.Constant)
                found.append(str(node.args[0].value))
    assert sorted(found) == sorted(failpoints.POINTS)
