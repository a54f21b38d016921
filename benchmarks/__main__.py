"""Measure what DC Charging Meter costs, beside what Home Assistant's own sensors cost."""

import argparse
import asyncio
from collections.abc import Iterable
import json
import os
from pathlib import Path
import platform
import signal
import sys
import time

from .questions import QUESTIONS
from .result import Result, table


async def ask(names: Iterable[str], *, quick: bool) -> list[Result]:
    """Ask the questions one after another, so that none disturbs another."""
    results = []
    for name in names:
        began = time.monotonic()
        print(f"{name} …", file=sys.stderr, flush=True)
        answers = await QUESTIONS[name](quick=quick)
        took = time.monotonic() - began
        print(f"{table(answers)}\n({took:.0f} s)\n", file=sys.stderr, flush=True)
        results += answers
    return results


def main() -> int:
    """Parse the command line, measure, print and write."""
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="in under 15 minutes")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument(
        "--only",
        action="append",
        choices=QUESTIONS,
        metavar="NAME",
        help=f"this question, or several: {', '.join(QUESTIONS)}",
    )
    options = parser.parse_args()
    # As Ctrl-C does: what was started is ended.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    results = asyncio.run(ask(options.only or QUESTIONS, quick=options.quick))
    print(table(results))
    if options.json is not None:
        report = {
            "quick": options.quick,
            "machine": f"{platform.machine()}, {os.cpu_count()} cores",
            "python": platform.python_version(),
            "results": [result.as_dict() for result in results],
        }
        options.json.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n")
    return 0 if all(result.ok is not False for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
