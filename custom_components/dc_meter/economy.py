"""Which values may wait before they are shown, so that the database grows less."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any, Self

from .const import (
    CONF_CURRENT_BOUND,
    CONF_LONGEST_WAIT,
    CONF_POWER_BOUND,
    CONF_RECORDING,
    CONF_VOLTAGE_BOUND,
)


class Recording(StrEnum):
    """What is shown, and so recorded."""

    EVERY_CHANGE = "every_change"
    ECONOMICAL = "economical"


ALWAYS = Decimal("Infinity")
"""The bound of what may wait however much it changes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Economy:
    """Changes smaller than these may wait, for so long at the most.

    Energies wait however much they change: they are exact whenever something begins or ends.
    """

    voltage_v: Decimal = Decimal(5)
    current_a: Decimal = Decimal(2)
    power_w: Decimal = Decimal(1000)
    longest_wait_s: float = 60

    @classmethod
    def chosen(cls, options: Mapping[str, Any]) -> Self | None:
        """Return what the options ask for; None when every change is shown."""
        if options.get(CONF_RECORDING) != Recording.ECONOMICAL:
            return None
        return cls(
            voltage_v=Decimal(str(options[CONF_VOLTAGE_BOUND])),
            current_a=Decimal(str(options[CONF_CURRENT_BOUND])),
            power_w=Decimal(str(options[CONF_POWER_BOUND])),
            longest_wait_s=options[CONF_LONGEST_WAIT],
        )


def may_wait(shown: object, value: object, bound: Decimal) -> bool:
    """Tell whether a value is near enough to the one shown; what is no number never waits."""
    if not isinstance(shown, Decimal | float) or not isinstance(value, Decimal | float):
        return shown == value
    return abs(Decimal(value) - Decimal(shown)) < bound
