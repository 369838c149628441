"""`eventsourcing` on PostgreSQL: appends events, one in each transaction, as its applications do.

Given: where the database is, how many threads. Asked: lists of events as `[stream, version, type, text]`; each is appended at "go".
"""

from __future__ import annotations

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

from eventsourcing.persistence import InfrastructureFactory, StoredEvent
from eventsourcing.utils import Environment


def main() -> None:
    """Append what standard input brings, a list in each line, and print how long each took."""
    given: dict[str, Any] = json.loads(sys.argv[1])
    threads = given.pop("threads")
    environment = Environment(name="Bench", env={"PERSISTENCE_MODULE": "eventsourcing.postgres"} | given)
    recorder = InfrastructureFactory.construct(environment).application_recorder()
    with ThreadPoolExecutor(threads) as pool:
        print("ready", flush=True)
        for line in sys.stdin:
            events = [
                StoredEvent(originator_id=UUID(stream), originator_version=version, topic=topic, state=text.encode())
                for stream, version, topic, text in json.loads(line)
            ]
            print("ready", flush=True)
            sys.stdin.readline()
            began = time.perf_counter()
            list(pool.map(lambda event: recorder.insert_events([event]), events))
            print(time.perf_counter() - began, flush=True)


if __name__ == "__main__":
    main()
