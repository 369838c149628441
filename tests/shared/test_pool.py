"""The process in which searches run ends with the service, also with one that is killed."""

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil

from shared.ticker.pool import SearchPool

PATIENCE_S = 30.0


def test_a_search_process_does_not_outlive_a_service_that_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-m", __name__], cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, text=True) as service:
        assert service.stdout is not None
        search = psutil.Process(int(service.stdout.readline()))
        assert service.pid in [parent.pid for parent in search.parents()]
        service.kill()
    gone, _ = psutil.wait_procs([search], timeout=PATIENCE_S)
    assert gone


if __name__ == "__main__":
    pool = SearchPool()  # Kept: an executor that nobody has any more ends its process.
    print(pool().submit(os.getpid).result(), flush=True)
    time.sleep(PATIENCE_S)
