"""The base of every entity of a meter."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, override

from homeassistant.core import callback
from homeassistant.helpers.device_registry import DeviceInfo
from homeassistant.helpers.entity import EntityDescription
from homeassistant.helpers.update_coordinator import CoordinatorEntity

from .const import DOMAIN
from .coordinator import DcMeterCoordinator
from .metering.meter import Capability, Meter, MeterIdentity
from .registry import unique_id


def device_info(identity: MeterIdentity) -> DeviceInfo:
    """Return the device that a meter is; it is known by its serial number."""
    return DeviceInfo(
        identifiers={(DOMAIN, identity.serial_number)},
        manufacturer=identity.manufacturer,
        model=identity.model,
        serial_number=identity.serial_number,
        sw_version=identity.firmware,
    )


class DcMeterEntity(CoordinatorEntity[DcMeterCoordinator]):
    """An entity of one meter, known by serial number and key."""

    _attr_has_entity_name = True
    _written: tuple[object, ...] | None = None

    def __init__(
        self, coordinator: DcMeterCoordinator, description: EntityDescription
    ) -> None:
        """Bind the description to the meter."""
        super().__init__(coordinator)
        self.entity_description = description
        identity = coordinator.meter.identity
        self._attr_device_info = device_info(identity)
        self._attr_unique_id = unique_id(identity.serial_number, description.key)

    @callback
    @override
    def _handle_coordinator_update(self) -> None:
        """Write the state when it says something new: most of a meter's seldom do."""
        if (now := self._says()) != self._written:
            self._written = now
            super()._handle_coordinator_update()

    def _says(self) -> tuple[object, ...]:
        """Return all that makes the state."""
        return (self.available,)


@dataclass(frozen=True, kw_only=True)
class DcMeterValueDescription[T](EntityDescription):
    """What an entity shows of the last reading, the running session, or the meter."""

    value_fn: Callable[[DcMeterCoordinator], T]
    attributes_fn: Callable[[DcMeterCoordinator], dict[str, Any]] | None = None
    exists_fn: Callable[[Meter], bool] = lambda _: True


def has(capability: Capability) -> Callable[[Meter], bool]:
    """Return what tells whether a meter has a capability."""
    return lambda meter: capability in meter.capabilities


class DcMeterValueEntity(DcMeterEntity):
    """An entity that shows a value; its platform says as what."""

    entity_description: DcMeterValueDescription[Any]

    @override
    def _says(self) -> tuple[object, ...]:
        value = self.entity_description.value_fn(self.coordinator)
        return self.available, value, self.extra_state_attributes

    @property
    @override
    def extra_state_attributes(self) -> dict[str, Any] | None:
        """What belongs to the value."""
        if (attributes_fn := self.entity_description.attributes_fn) is None:
            return None
        return attributes_fn(self.coordinator)
