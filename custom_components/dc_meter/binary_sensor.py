"""Binary sensors of a meter."""

from dataclasses import dataclass
from typing import override

from homeassistant.components.binary_sensor import (
    BinarySensorDeviceClass,
    BinarySensorEntity,
    BinarySensorEntityDescription,
)
from homeassistant.const import EntityCategory
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .coordinator import DcMeterConfigEntry, DcMeterCoordinator
from .entity import DcMeterValueDescription, DcMeterValueEntity, has
from .metering.meter import Capability

PARALLEL_UPDATES = 0


@dataclass(frozen=True, kw_only=True)
class DcMeterBinarySensorDescription(
    DcMeterValueDescription[bool | None], BinarySensorEntityDescription
):
    """What a binary sensor takes from the meter."""


def _problem(coordinator: DcMeterCoordinator) -> bool | None:
    words = coordinator.data.error_words
    return None if words is None else bool(words)


BINARY_SENSORS = (
    DcMeterBinarySensorDescription(
        key="transaction_active",
        translation_key="transaction_active",
        device_class=BinarySensorDeviceClass.RUNNING,
        value_fn=lambda coordinator: coordinator.sessions.is_running(
            coordinator.data.transaction_active
        ),
    ),
    DcMeterBinarySensorDescription(
        key="problem",
        device_class=BinarySensorDeviceClass.PROBLEM,
        entity_category=EntityCategory.DIAGNOSTIC,
        value_fn=_problem,
        attributes_fn=lambda coordinator: {
            "error_words": list(coordinator.data.error_words or ())
        },
        exists_fn=has(Capability.ERROR_STATE),
    ),
)


async def async_setup_entry(
    hass: HomeAssistant,
    entry: DcMeterConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the binary sensors this meter has."""
    coordinator = entry.runtime_data.coordinator
    async_add_entities(
        DcMeterBinarySensor(coordinator, description)
        for description in BINARY_SENSORS
        if description.exists_fn(coordinator.meter)
    )


class DcMeterBinarySensor(DcMeterValueEntity, BinarySensorEntity):
    """A yes or no of a meter."""

    entity_description: DcMeterBinarySensorDescription

    @property
    @override
    def is_on(self) -> bool | None:
        """The answer."""
        return self.entity_description.value_fn(self.coordinator)
