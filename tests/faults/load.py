"""A client that tells evidence while something goes wrong: it repeats what was not acknowledged, and writes down what was."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from services.cli.audit.acks import AMENDED
from tests.faults import seeds
from tests.faults.town import NeverHappened, Town, eventually

REQUEST_S = 15.0
"""A request that is not answered by then counts as unknown and is sent again."""
PAUSE_S = 0.2
PATIENCE_S = 120.0
"""For which one request is sent again and again, where a load says nothing else. Who has to give up is a finding."""
Request = tuple[str, dict[str, Any]]
"""Path and body of a POST."""
TAKEN, LATER = 200, (429, 502, 503, 504)


@dataclass
class Load:
    """What a client offers and what it was told. Threads share one stream of quizzes."""

    town: Town
    seed: int
    pause_s: float = 0.1
    """Between two requests of one thread."""
    clients: int = 2
    requests: Iterator[Request] | None = None
    """What is told, in place of the seed's quizzes."""
    patience_s: float = PATIENCE_S
    may_tell: Callable[[], bool] = lambda: True
    """Asked before each request; where it says no, that is told later."""
    acks: list[dict[str, Any]] = field(default_factory=list)
    """Answers with 2xx: their status, what became of each act, and when they came, by this machine's monotonic clock in seconds."""
    answers: Counter[int] = field(default_factory=Counter)
    """Answers by status; 0 where there was none."""
    retry_after: int = 0
    """Answers with 429 that said when to come back."""
    unexpected: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _stop: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.requests is None:
            self.requests = (("/evidence", {"items": quiz}) for quiz in seeds.quizzes(self.seed))

    @property
    def told(self) -> int:
        """Acts that were acknowledged."""
        return len({act["act_id"] for ack in self.acks for act in ack["acts"]})

    @property
    def waited(self) -> int:
        """Acts that were acknowledged as waiting: whose they are, or of what, was not known then."""
        return len({act["act_id"] for ack in self.acks for act in ack["acts"] if act["result"] == "waiting"})

    def first_after(self, moment: float) -> float | None:
        """Return when the first acknowledgement after this moment came; None where none did. Seconds of the monotonic clock."""
        return min((ack["at"] for ack in self.acks if ack["at"] >= moment), default=None)

    def begin(self) -> None:
        """Start to tell."""
        for _ in range(self.clients):
            thread = threading.Thread(target=self._run, daemon=True)
            self._threads.append(thread)
            thread.start()

    def end(self) -> None:
        """Stop, and wait until everything that was begun is acknowledged.

        Raises:
            NeverHappened: somebody answered what no client expects, or nobody takes the rest.
        """
        self._stop.set()
        until = time.monotonic() + self.patience_s
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
        if any(thread.is_alive() for thread in self._threads) or self.unexpected:
            raise NeverHappened(f"evidence was not taken: {self.unexpected[:3] or 'no answer'}; answers {dict(self.answers)}")

    def until(self, more: int, seconds: float = PATIENCE_S) -> None:
        """Wait until so many further acts are acknowledged."""
        goal, end = self.told + more, time.monotonic() + seconds
        while self.told < goal:
            if time.monotonic() > end or self.unexpected:
                raise NeverHappened(f"evidence was not taken: {self.unexpected[:3] or dict(self.answers)}")
            time.sleep(PAUSE_S / 4)

    def tell(self, acts: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Send one request until it is acknowledged; return what became of each act."""
        with httpx.Client(timeout=REQUEST_S) as client:
            return self._tell(client, ("/evidence", {"items": acts}))

    def amended(self, answer: dict[str, Any]) -> None:
        """Note what a correction or a void was answered with."""
        with self._lock:
            self.acks.append({"status": TAKEN, "acts": [answer | {"result": AMENDED}], "at": time.monotonic()})

    def _run(self) -> None:
        with httpx.Client(timeout=REQUEST_S) as client:
            while not self._stop.is_set() and not self.unexpected:
                if not self.may_tell():
                    time.sleep(PAUSE_S)
                    continue
                with self._lock:
                    assert self.requests is not None
                    request = next(self.requests)
                self._tell(client, request)
                time.sleep(self.pause_s)

    def _tell(self, client: httpx.Client, request: Request) -> list[dict[str, Any]]:
        until = time.monotonic() + self.patience_s
        while time.monotonic() < until:
            address = self.town.address("evidence")
            answer = self._post(client, address, request) if address else None
            with self._lock:
                self.answers[answer.status_code if answer is not None else 0] += 1
            if answer is not None and answer.status_code == TAKEN:
                results: list[dict[str, Any]] = answer.json()["results"]
                with self._lock:
                    self.acks.append({"status": TAKEN, "acts": results, "at": time.monotonic()})
                return results
            if answer is not None and answer.status_code not in LATER:
                self.unexpected.append(f"{answer.status_code}: {answer.text[:300]}")
                return []
            pause = PAUSE_S
            if answer is not None and "retry-after" in answer.headers:
                self.retry_after += answer.status_code == 429
                pause = min(1.0, float(answer.headers["retry-after"]))
            time.sleep(pause)
        self.unexpected.append(f"no acknowledgement within {self.patience_s:g} s")
        return []

    def _post(self, client: httpx.Client, address: str, request: Request) -> httpx.Response | None:
        try:
            return client.post(address + request[0], json=request[1])
        except httpx.TransportError:
            return None

    def write(self, path: Path) -> Path:
        """Write down what was told, as `cairn audit check --acks` reads it."""
        path.write_text("".join(json.dumps(ack) + "\n" for ack in self.acks))
        return path


def behind(town: Town) -> int:
    """Return how many events of evidence mastery has not applied yet."""
    ((length,),) = town.ask("evidence", "SELECT sum(length) FROM partition")
    ((applied,),) = town.ask("mastery", "SELECT sum(position + 1) FROM inbox WHERE source = 'evidence'")
    return int(length - applied)


def passes(town: Town, why: str, seconds: float) -> None:
    """Wait until mastery has gone past all evidence that there is now, in every partition, whoever had it before."""
    lengths = dict(town.ask("evidence", "SELECT id, length FROM partition"))

    def passed() -> bool:
        rows = town.ask("mastery", "SELECT partition, position FROM inbox WHERE source = 'evidence'")
        return all(position >= lengths[partition] - 1 for partition, position in rows)

    eventually(passed, why, seconds)


@contextmanager
def load(town: Town, seed: int, **given: Any) -> Iterator[Load]:
    """Yield a client at work; at the end everything it began is acknowledged."""
    made = Load(town, seed, **given)
    made.begin()
    try:
        yield made
        made.end()
    finally:
        made._stop.set()
