"""The button that sets the meter's clock."""

from typing import override

from homeassistant.components.button import ButtonEntity, ButtonEntityDescription
from homeassistant.const import EntityCategory
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .actions import translated_errors
from .coordinator import DcMeterConfigEntry
from .entity import DcMeterEntity
from .metering.meter import Capability

PARALLEL_UPDATES = 1

SET_CLOCK = ButtonEntityDescription(
    key="set_clock",
    translation_key="set_clock",
    entity_category=EntityCategory.CONFIG,
)


async def async_setup_entry(
    hass: HomeAssistant,
    entry: DcMeterConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the button to a meter with a clock."""
    coordinator = entry.runtime_data.coordinator
    if Capability.CLOCK in coordinator.meter.capabilities:
        async_add_entities([DcMeterSetClock(coordinator, SET_CLOCK)])


class DcMeterSetClock(DcMeterEntity, ButtonEntity):
    """Sets the clock now, rather than when it is due."""

    @override
    async def async_press(self) -> None:
        """Set it; the meter refuses while a transaction runs."""
        with translated_errors():
            await self.coordinator.meter.synchronize_clock()
        await self.coordinator.async_refresh()
