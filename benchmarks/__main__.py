"""Measure what DC Charging Meter costs, beside what Home Assistant's own sensors cost."""

import argparse
import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
import json
import os
from pathlib import Path
import platform
import signal
import sys
import time
import traceback

from .disk import disk
from .questions import QUESTIONS
from .result import Result, table


@dataclass(kw_only=True)
class Report:
    """What is known so far."""

    quick: bool
    file: Path | None
    results: list[Result] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    """Questions without an answer, and why."""

    @property
    def ok(self) -> bool:
        """Whether every question was answered, and all is as it must be."""
        return not self.failed and all(one.ok is not False for one in self.results)

    def write(self) -> None:
        """Write it to its file, if it has one. Raises ``OSError``."""
        if self.file is None:
            return
        report = {
            "quick": self.quick,
            "machine": f"{platform.machine()}, {os.cpu_count()} cores",
            "python": platform.python_version(),
            "disk": str(disk()),
            "failed": self.failed,
            "results": [result.as_dict() for result in self.results],
        }
        self.file.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n")


async def ask(names: Iterable[str], report: Report) -> None:
    """Ask the questions one after another, so that none disturbs another."""
    for name in names:
        began = time.monotonic()
        print(f"{name} …", file=sys.stderr, flush=True)
        try:
            answers = await QUESTIONS[name](quick=report.quick)
        except Exception as err:  # noqa: BLE001  # the others shall be answered all the same
            traceback.print_exc()
            report.failed[name] = repr(err)
        else:
            print(table(answers), file=sys.stderr)
            report.results += answers
        took = time.monotonic() - began
        print(f"({took:.0f} s)\n", file=sys.stderr, flush=True)
        report.write()


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
    report = Report(quick=options.quick, file=options.json)
    try:
        report.write()  # before hours are spent on what cannot be kept
        print(f"Writes below {disk()}.", file=sys.stderr)
    except OSError as err:
        parser.error(str(err))
    # As Ctrl-C does: what was started is ended.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    began = time.monotonic()
    asyncio.run(ask(options.only or QUESTIONS, report))
    print(table(report.results))
    for name, why in report.failed.items():
        print(f"{name} failed: {why}")
    print(f"Took {(time.monotonic() - began) / 60:.0f} minutes.", file=sys.stderr)
    return 0 if report.ok else 1


if __name__ == "__main__":
    sys.exit(main())
