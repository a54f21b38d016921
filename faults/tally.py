"""What was done, what was checked, and what did not hold."""

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
import os
import time
from typing import Any


class Invariant(StrEnum):
    """What must hold, whatever goes wrong."""

    RECEIPTS = "no receipt lost or doubled"
    VALID = "none wrongly valid"
    ENERGY = "energy never falls, jumps or becomes 0"
    LOST = "unavailable within 3 s of loss"
    BACK = "back within 2 s of return"
    KEPT = "still there when one answer was bad"
    FRESH = "no old value shown as fresh"
    LOG = "one log line each way"
    ALIVE = "no task, socket, file, thread or object left behind"
    OTHERS = "other meters undisturbed"
    REST = "every session comes to an end"
    ARCHIVE = "archive that fails: refused, kept as it is, told"
    MEMORY = "memory grows by less than 2 MB"


@dataclass(kw_only=True)
class Tally:
    """The counts of a campaign."""

    seed: int
    faults: Counter[str] = field(default_factory=Counter)
    sessions: Counter[str] = field(default_factory=Counter)
    checked: Counter[Invariant] = field(default_factory=Counter)
    broken: list[dict[str, Any]] = field(default_factory=list)
    worst_s: dict[str, float] = field(default_factory=dict)
    numbers: dict[str, Any] = field(default_factory=dict)
    began: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """How long it has taken so far."""
        return round(time.monotonic() - self.began, 1)

    def expect(self, invariant: Invariant, holds: bool, where: str, seen: str) -> None:
        """Count a check; ``where`` names fault and meter, ``seen`` what did not hold."""
        self.checked[invariant] += 1
        if not holds:
            self.broken.append(
                {
                    "invariant": invariant,
                    "where": where,
                    "seen": seen,
                    "at_s": self.seconds,
                    # Who is late on a busy machine need not be at fault.
                    "load": round(os.getloadavg()[0], 1),
                }
            )
            print(
                f"{self.seconds:7.1f} s  BROKEN  {invariant}: {where}: {seen}",
                flush=True,
            )

    def note_worst(self, what: str, took_s: float) -> None:
        """Keep the longest of its kind."""
        self.worst_s[what] = max(self.worst_s.get(what, 0), round(took_s, 2))

    def say(self, what: str) -> None:
        """Tell whoever waits how it goes on."""
        print(f"{self.seconds:7.1f} s  {what}", flush=True)

    def report(self) -> dict[str, Any]:
        """Return all of it."""
        broken = Counter(one["invariant"] for one in self.broken)
        return {
            "passed": not self.broken,
            "seed": self.seed,
            "duration_s": self.seconds,
            "faults": {"all": self.faults.total(), **sorted_counts(self.faults)},
            "sessions": {"all": self.sessions["stopped"], **self.sessions},
            "invariants": {
                invariant: {
                    "checked": self.checked[invariant],
                    "broken": broken[invariant],
                }
                for invariant in Invariant
                if self.checked[invariant]
            },
            "worst_s": self.worst_s,
            **self.numbers,
            "broken": self.broken,
        }

    def table(self) -> str:
        """Return it as a person reads it."""
        report = self.report()
        rows = [
            (
                f"{report['faults']['all']} faults, {report['sessions']['all']} sessions,"
                f" {self.seconds:.0f} s, seed {self.seed}"
            ),
            "",
            *(
                f"{count:6}  {kind}"
                for kind, count in sorted_counts(self.faults).items()
            ),
            "",
            f"{'checked':>8} {'broken':>7}",
        ]
        rows += [
            f"{counts['checked']:8} {counts['broken']:7}  {invariant}"
            for invariant, counts in report["invariants"].items()
        ]
        rows += [
            "",
            *(f"{value!s:>10}  {what}" for what, value in self.worst_s.items()),
        ]
        return "\n".join(rows)


def sorted_counts(counts: Counter[str]) -> dict[str, int]:
    """Return counts by name."""
    return dict(sorted(counts.items()))
