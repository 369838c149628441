"""Workers that do nothing but live, die or fail as they are told: `python -m tests.shared.some_workers HOW COUNT PORT`, by test_workers."""

import asyncio
import os
import sys

from shared.errors import CairnError
from shared.telemetry import Metrics
from shared.workers import Line, Supervisor, worker_names


def live(how: str, line: Line) -> None:
    """Serve one line at the shared port that names the process and what it knows of the others, until asked to stop."""
    if how == "die":
        os._exit(3)
    if how == "fail" and line.name.endswith("-1"):
        raise CairnError("this database was restored behind its readers")
    asyncio.run(_live(how, line))


async def _live(how: str, line: Line) -> None:
    metrics = Metrics(line.metrics)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        metrics.relay_published.inc()
        metrics.waiting.set(os.getpid())
        said = [line.name, str(os.getpid()), "; ".join(line.others), metrics.render().decode().replace("\n", "\\n")]
        writer.write("\t".join(said).encode())
        writer.close()

    server = await asyncio.start_server(answer, sock=line.socket())
    following = asyncio.create_task(line.follow())
    while not following.done():
        line.report(["it is tired"] if how == "tired" and line.name.endswith("-1") else [])
        await asyncio.wait([following], timeout=0.1)
    server.close()
    sys.stdout.write(f"{line.name} ended well\n")


if __name__ == "__main__":
    how, count, port = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    try:
        Supervisor(live, [how], worker_names("w", count), "127.0.0.1", port).run()
    except CairnError as error:
        sys.exit(f"failed: {error}")
