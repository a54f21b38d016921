"""Steps of a register, left out of the sum that statistics and the Energy dashboard show.

A sensor of state class total adds every difference to its sum: a register that falls from
446 kWh to 0 would be -446 kWh of energy, and with a new ``last_reset`` whatever it shows now
would be energy since then. Neither has flowed. So the sum is adjusted, as a person can with
Home Assistant's statistics tool, once the recorder has compiled the five minutes in which the register stepped.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from homeassistant.components.sensor import DOMAIN as SENSOR_DOMAIN
from homeassistant.const import EVENT_RECORDER_5MIN_STATISTICS_GENERATED, UnitOfEnergy
from homeassistant.core import CALLBACK_TYPE, Event, HomeAssistant, callback
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.recorder import get_instance
from homeassistant.util import dt as dt_util

from .const import DOMAIN
from .plausible import recall_wh

_PERIOD = timedelta(minutes=5)


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """A register that stepped without energy having flowed."""

    unique_id: str
    """Of the sensor that shows it."""

    wh: Decimal
    at: datetime

    @property
    def begins(self) -> datetime:
        """When the five minutes of statistics in which it stepped begin."""
        return self.at.replace(
            minute=self.at.minute - self.at.minute % 5, second=0, microsecond=0
        )

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON-serializable data."""
        return {
            "unique_id": self.unique_id,
            "wh": str(self.wh),
            "at": self.at.isoformat(),
        }


class Steps:
    """The steps that the statistics still have to leave out."""

    def __init__(self, hass: HomeAssistant, *, left_out: Callable[[], None]) -> None:
        """Start with none; ``left_out`` is called when there are fewer."""
        self._hass = hass
        self._left_out = left_out
        self._open: list[Step] = []

    def recall(self, kept: list[dict[str, Any]]) -> None:
        """Take up what ``keep`` returned; raises what ``recall_wh`` does, for other things."""
        for step in kept:
            self._open.append(
                Step(
                    unique_id=str(step["unique_id"]),
                    wh=recall_wh(step["wh"]),
                    at=dt_util.as_utc(datetime.fromisoformat(step["at"])),
                )
            )

    def keep(self) -> list[dict[str, Any]]:
        """Return what is still to be left out."""
        return [step.as_dict() for step in self._open]

    @callback
    def add(self, unique_id: str, wh: Decimal) -> None:
        """Leave out a step that is shown now."""
        self._open.append(Step(unique_id=unique_id, wh=wh, at=dt_util.utcnow()))

    @callback
    def watch(self) -> CALLBACK_TYPE:
        """Adjust the statistics each time the recorder has compiled some."""
        return self._hass.bus.async_listen(
            EVENT_RECORDER_5MIN_STATISTICS_GENERATED, self._compiled
        )

    @callback
    def _compiled(self, _: Event) -> None:
        now = dt_util.utcnow()
        due = [step for step in self._open if now >= step.begins + _PERIOD]
        for step in due:
            self._open.remove(step)
            entity_id = er.async_get(self._hass).async_get_entity_id(
                SENSOR_DOMAIN, DOMAIN, step.unique_id
            )
            if entity_id is not None:
                get_instance(self._hass).async_adjust_statistics(
                    entity_id,
                    step.begins,
                    -float(step.wh),
                    UnitOfEnergy.WATT_HOUR,
                )
        if due:
            self._left_out()
