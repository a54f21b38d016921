"""The tariff text on the meter's display."""

from typing import override

from homeassistant.components.text import TextEntity, TextEntityDescription
from homeassistant.const import EntityCategory
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .actions import translated_errors
from .coordinator import DcMeterConfigEntry
from .entity import DcMeterEntity
from .metering.meter import MAX_TARIFF_TEXT, Capability

PARALLEL_UPDATES = 1

TARIFF_TEXT = TextEntityDescription(
    key="tariff_text",
    translation_key="tariff_text",
    native_max=MAX_TARIFF_TEXT,
    entity_category=EntityCategory.CONFIG,
)


async def async_setup_entry(
    hass: HomeAssistant,
    entry: DcMeterConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the tariff text to a meter that shows one."""
    coordinator = entry.runtime_data.coordinator
    if Capability.TARIFF_TEXT in coordinator.meter.capabilities:
        async_add_entities([DcMeterTariffText(coordinator, TARIFF_TEXT)])


class DcMeterTariffText(DcMeterEntity, TextEntity):
    """The text a driver reads before a transaction."""

    @property
    @override
    def native_value(self) -> str | None:
        """The text set last; unknown when nobody here has set one."""
        return self.coordinator.data.tariff_text

    @override
    def _says(self) -> tuple[object, ...]:
        return *super()._says(), self.native_value

    @override
    async def async_set_value(self, value: str) -> None:
        """Show this text."""
        with translated_errors():
            await self.coordinator.meter.set_tariff_text(value)
        await self.coordinator.async_refresh()
