"""`make faults`: every scenario, or those that are named, on servers of their own.

CAIRN_TEST_HOME names a home folder whose servers are used and left running.
Exit code 1 at a violation; under CI=true also where one of the short set is left out.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path

from shared.stack import StackError, down, find_stack
from tests.faults.run import every, run_all
from tests.faults.town import Servers

BROKER = {"log.retention.check.interval.ms": "1000", "log.initial.task.delay.ms": "1000"}


def asked(known: list[str]) -> argparse.Namespace:
    """Return what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="of the load and of everything that is drawn")
    parser.add_argument("--scenario", action="append", choices=known, help="run this one alone; may be given several times")
    parser.add_argument("--short", action="store_true", help="those of `make test` only")
    parser.add_argument("--list", action="store_true", help="tell what there is, and run nothing")
    parser.add_argument("--keep", action="store_true", help="leave the logs for a look")
    return parser.parse_args()


def main() -> int:
    """Run what is asked for and return the exit code."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # What was started is ended, as after Ctrl-C.
    known = every()
    options = asked([each.name for each in known])
    chosen = [each for each in known if (not options.scenario or each.name in options.scenario) and (each.short or not options.short)]
    if options.list:
        for each in chosen:
            print(f"{each.number:>2} {each.name:<22} {'short' if each.short else '     '} {each.doc.splitlines()[0]}")
        return 0
    folder = Path(tempfile.mkdtemp(prefix="cairn-faults-"))
    folder.chmod(0o755)  # PostgreSQL runs as somebody else where we are root.
    kept = os.environ.get("CAIRN_TEST_HOME")
    home = Path(kept) if kept else folder / "home"
    try:
        stack = find_stack(home, lambda step: print(f"  {step}", flush=True), broker_settings=BROKER)
        servers = Servers(home, stack.kafka_servers, stack.postgres_url)
        try:
            return run_all(chosen, servers, folder, options.seed)
        finally:
            servers.drop()
    except StackError as error:
        print(f"no scenario can run: {error}\n0 scenarios run, invariant violations = 0")
        return 1
    finally:
        if not kept:
            down(home, wipe=True)
        if options.keep:
            print(f"kept: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
