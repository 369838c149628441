"""`make bench-chain`: how much evidence the chain sustains beside what the machine could do without logic, and how late a day follows."""

from __future__ import annotations

import argparse
import sys
from typing import Final

from bench import latency, throughput
from bench.bars import Bars
from bench.form import form
from bench.room import room

PARTS: Final = ("throughput", "latency")


def asked() -> argparse.Namespace:
    """Return what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m bench.chain", description=__doc__)
    parser.add_argument("--count", type=int, default=40_000, help="pieces of evidence in each round of the throughput bench")
    parser.add_argument("--learners", type=int, default=240, help="learners of the latency bench, from 24 to 2400")
    parser.add_argument("--rate", type=float, default=100.0, help="pieces of evidence sent each second of the latency bench")
    parser.add_argument("--seconds", type=float, default=180.0, help="how long the latency bench sends, its warm-up aside; at most 600")
    parser.add_argument("--together", type=int, default=10, help="pieces of evidence in one request of the latency bench, from 1 to 500")
    parser.add_argument("--only", choices=PARTS, help="run this part alone")
    parser.add_argument("--keep", action="store_true", help="leave what was stored, and the installation running, for a look")
    return parser.parse_args()


def main() -> int:
    """Run the benches and return the exit code: 1 where a bar was missed."""
    options, bars = asked(), Bars()
    print(f"Cairn runs {form()}", flush=True)
    with room("latency" if options.keep else "") as folder:
        if options.only in (None, "throughput"):
            throughput.measure(folder / "throughput", options.count, bars)
        if options.only in (None, "latency"):
            load = latency.Load(options.learners, options.rate, options.seconds, options.together)
            latency.measure(folder / "latency", load, bars, options.keep)
    return bars.close()


if __name__ == "__main__":
    sys.exit(main())
