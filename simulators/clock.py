"""The clock of an IEM-DCR: it runs on from what it was set to, with the offset it was set with."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
import re
import time
from typing import Literal

type SetLetter = Literal["I", "S"]

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d,\d{3}[+-]\d{4}")

POWER_UP_TIME = datetime(2020, 1, 1, tzinfo=UTC)
"""What the clock shows before it is set (assumed)."""


class MeterClock:
    """A clock that shows whole seconds, as every sample of the device does.

    ``set_letter`` is what follows the time once it is set: I as in a real receipt, or S.
    """

    def __init__(
        self,
        set_letter: SetLetter = "I",
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start unset."""
        self._set_letter = set_letter
        self._monotonic = monotonic
        self.drift_ppm = 0.0
        self.reset()

    def reset(self) -> None:
        """Forget the time, as without supply."""
        self.is_set = False
        self._anchor(POWER_UP_TIME)

    def set(self, text: str) -> None:
        """Take a time such as ``2026-07-01T14:00:00,000+0200``. Raises ``ValueError``."""
        if not TIME.fullmatch(text):
            raise ValueError(f"not a time with milliseconds and offset: {text}")
        moment = datetime.fromisoformat(text)
        self.is_set = True
        self._anchor(moment)

    def now(self) -> datetime:
        """Return the time shown, to the second."""
        return self._exact().replace(microsecond=0)

    def text(self) -> str:
        """Return the time as OCMF writes it, with the letter that says how far to trust it."""
        letter = self._set_letter if self.is_set else "U"
        now = self.now()
        return f"{now:%Y-%m-%dT%H:%M:%S},000{now:%z} {letter}"

    def jump(self, seconds: float) -> None:
        """Put the clock forward, or back."""
        self._anchor(self._exact() + timedelta(seconds=seconds))

    def drift(self, ppm: float) -> None:
        """Run fast by so many parts per million from here on."""
        self._anchor(self._exact())
        self.drift_ppm = ppm

    def _anchor(self, moment: datetime) -> None:
        self._moment = moment
        self._anchored_s = self._monotonic()

    def _exact(self) -> datetime:
        elapsed_s = self._monotonic() - self._anchored_s
        return self._moment + timedelta(seconds=elapsed_s * (1 + self.drift_ppm / 1e6))
