"""Time that passes also while the machine sleeps."""

import time
from typing import Final

_CLOCK: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""Of Linux; others have none that goes on."""


def uptime_s() -> float:
    """Return for how long this machine has been up, asleep included: energy flows meanwhile."""
    return time.clock_gettime(_CLOCK)
