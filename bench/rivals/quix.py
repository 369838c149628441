"""Quix Streams, exactly once: counts each learner's evidence by competency on the topic that mastery hears, and tells each new count.

Keeps for each learner what mastery's estimate would need at least: how often each competency was scored, and the sum of the scores; the
state lives in RocksDB with a changelog topic, the counts go to a topic, offsets and both in one Kafka transaction.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from quixstreams import Application, State


def main() -> None:
    """Count until so many records were taken, and print when the first came and when the last commit was done."""
    given: dict[str, Any] = json.loads(sys.argv[1])
    first, taken = 0.0, 0

    def note(topic: str, partition: int, offset: int) -> None:
        nonlocal first, taken
        taken += 1
        if taken == 1:
            first = time.perf_counter()
            print(json.dumps({"first": time.process_time()}), flush=True)
        if taken >= given["count"]:
            app.stop()

    app = Application(
        broker_address=given["kafka"], consumer_group=given["group"], auto_offset_reset="earliest", processing_guarantee="exactly-once",
        state_dir=given["folder"], on_message_processed=note, loglevel="WARNING",
    )  # fmt: skip
    told = app.topic(given["topic"], key_deserializer="str", value_deserializer="json")
    onward = app.topic(given["onward"], key_serializer="str", value_serializer="json")

    def count(event: dict[str, Any], state: State) -> list[dict[str, Any]]:
        """Return the new count of each competency that a piece of evidence is about."""
        data = event["data"]
        counts = []
        for competency in data["competency_ids"]:
            scored, total = state.get(competency, (0, 0))
            state.set(competency, (scored + 1, total + data["score_e6"]))
            counts.append({"competency_id": competency, "scored": scored + 1, "total_e6": total + data["score_e6"]})
        return counts

    frame = app.dataframe(told)
    frame = frame[frame["type"] == "evidence.recorded.v1"]
    frame = frame.apply(count, stateful=True)
    frame.to_topic(onward)
    app.run()
    print(json.dumps({"seconds": time.perf_counter() - first, "cpu": time.process_time(), "taken": taken}), flush=True)


if __name__ == "__main__":
    main()
