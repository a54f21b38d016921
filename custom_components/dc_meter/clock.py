"""Whether a meter's clock has been off for longer than setting it takes."""

from time import monotonic
from typing import Final

from .metering.meter import ClockState, MeterReading

OFF_S: Final = 10
"""More than any meter's clock is off between two times it is set."""

PATIENCE_S: Final = 600
"""A clock that is off for so long is not set, or does not stay so."""


class ClockWatch:
    """Watches the clock of one meter."""

    def __init__(self) -> None:
        """Start with nothing known of it."""
        self._off_since_s: float | None = None

    @property
    def is_off(self) -> bool:
        """Whether it has been off for too long."""
        since_s = self._off_since_s
        return since_s is not None and monotonic() - since_s >= PATIENCE_S

    def note(self, reading: MeterReading, now_s: float) -> None:
        """Take note of a reading and when it came, by the monotonic clock."""
        is_off = (
            reading.clock_state is ClockState.UNSYNCHRONIZED
            or abs(reading.clock_offset_s or 0) > OFF_S
        )
        if not is_off:
            self._off_since_s = None
        elif self._off_since_s is None:
            self._off_since_s = now_s
