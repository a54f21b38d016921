"""What of a running session is not vouched for, while that lasts."""

from collections.abc import Iterable
from datetime import datetime

from homeassistant.util import dt as dt_util

from .metering.meter import ClockState, MeterReading
from .session import Gap, GapKind


class OpenGaps:
    """The gaps a session is in: at most one of each kind."""

    def __init__(self) -> None:
        """Begin without any."""
        self._begins: dict[GapKind, datetime] = {}

    def __bool__(self) -> bool:
        """Tell whether there is any."""
        return bool(self._begins)

    def begin(self, kind: GapKind, at: datetime) -> None:
        """Be in a gap since then, or longer if that is known already."""
        self._begins.setdefault(kind, at)

    def was_watched(self, until: datetime) -> None:
        """Have the gap over a restart begin no earlier."""
        begins_at = self._begins.get(GapKind.NOT_WATCHED)
        # A clock that was set back since proves nothing. In UTC, for summer time's end is no such.
        if begins_at is not None and begins_at < until <= dt_util.utcnow():
            self._begins[GapKind.NOT_WATCHED] = until

    def so_far(self, until: datetime) -> tuple[Gap, ...]:
        """Return them as if they ended then."""
        return tuple(
            Gap(kind=kind, begins_at=begins_at, ends_at=until)
            for kind, begins_at in self._begins.items()
        )

    def ended_by(self, reading: MeterReading) -> tuple[Gap, ...]:
        """Return those that a reading ends."""
        return tuple(
            gap
            for gap in self.so_far(dt_util.now())
            if gap.kind is not GapKind.CLOCK_UNSYNCHRONIZED
            or reading.clock_state is not ClockState.UNSYNCHRONIZED
        )

    def end(self, gaps: Iterable[Gap]) -> None:
        """Be in these no longer."""
        for gap in gaps:
            del self._begins[gap.kind]

    def clear(self) -> None:
        """Be in none."""
        self._begins.clear()
