"""How a meter was polled: how long it took, what went wrong, which seconds were missed."""

from collections import deque
from statistics import median, quantiles
from typing import Any

from .metering.tally import Tally

REMEMBERED = 600
"""Durations of so many polls are kept: of ten minutes."""

LATE_S = 1.5
"""A poll that begins so long after the one before is late."""


class Polls:
    """What is known of a meter's polls since its set-up."""

    def __init__(self) -> None:
        """Start with none."""
        self._count = 0
        self._late = 0
        self._missed = 0
        self._began_at_s: float | None = None
        self._durations_s: deque[float] = deque(maxlen=REMEMBERED)
        self._errors = Tally()

    @property
    def last_duration_s(self) -> float | None:
        """How long the last good poll took, waiting for the bus included."""
        return self._durations_s[-1] if self._durations_s else None

    def began(self, now_s: float) -> None:
        """Count a poll."""
        self._count += 1
        if self._began_at_s is not None:
            gap_s = now_s - self._began_at_s
            if gap_s >= LATE_S:
                self._late += 1
                self._missed += round(gap_s) - 1
        self._began_at_s = now_s

    def took(self, duration_s: float) -> None:
        """Note how long a good poll took."""
        self._durations_s.append(duration_s)

    def failed(self, kind: str) -> None:
        """Note what a poll failed with."""
        self._errors.add(kind)

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON-serializable data; ``missed`` are seconds without a poll."""
        return {
            "count": self._count,
            "late": self._late,
            "missed": self._missed,
            "errors": self._errors.as_dict(),
            "duration_ms": self._summary_ms(),
        }

    def _summary_ms(self) -> dict[str, Any] | None:
        if not self._durations_s:
            return None
        took = [duration_s * 1000 for duration_s in self._durations_s]
        return {
            "of_last": len(took),
            "last": round(took[-1], 1),
            "min": round(min(took), 1),
            "median": round(median(took), 1),
            "p99": round(quantiles(took, n=100, method="inclusive")[-1], 1),
            "max": round(max(took), 1),
        }
