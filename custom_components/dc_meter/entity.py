"""The base of every entity of a meter."""

from homeassistant.helpers.device_registry import DeviceInfo
from homeassistant.helpers.entity import EntityDescription
from homeassistant.helpers.update_coordinator import CoordinatorEntity

from .const import DOMAIN
from .coordinator import DcMeterCoordinator
from .metering.meter import MeterIdentity


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

    def __init__(
        self, coordinator: DcMeterCoordinator, description: EntityDescription
    ) -> None:
        """Bind the description to the meter."""
        super().__init__(coordinator)
        self.entity_description = description
        identity = coordinator.meter.identity
        self._attr_device_info = device_info(identity)
        self._attr_unique_id = f"{identity.serial_number}_{description.key}"
