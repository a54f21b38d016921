"""How a meter's device and entities are known in Home Assistant's registries."""

from typing import Any

from homeassistant.config_entries import ConfigEntry
from homeassistant.const import Platform
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import device_registry as dr, entity_registry as er

from .const import DOMAIN


def unique_id(serial_number: str | None, key: str) -> str:
    """Return the unique id of a meter's entity."""
    return f"{serial_number}_{key}"


@callback
def find_device(hass: HomeAssistant, entry: ConfigEntry[Any]) -> dr.DeviceEntry | None:
    """Return the device of an entry's meter; None before the meter has ever answered."""
    assert entry.unique_id is not None
    return dr.async_get(hass).async_get_device_by_identifier(
        (DOMAIN, entry.unique_id), entry.entry_id
    )


@callback
def is_replaced(device: dr.DeviceEntry, entry: ConfigEntry[Any]) -> bool:
    """Tell whether a device of an entry is a meter whose place another one took."""
    return (DOMAIN, entry.unique_id) not in device.identifiers


def serial_number_of(device: dr.DeviceEntry) -> str:
    """Return the serial number of the meter that a device is, also of a replaced one."""
    return next(
        serial_number
        for domain, serial_number in device.identifiers
        if domain == DOMAIN
    )


@callback
def take_place(
    hass: HomeAssistant, entry: ConfigEntry[Any], old: dr.DeviceEntry
) -> None:
    """Give the meter that took an entry over what its user gave the device of the one before.

    By area and labels automations find it.
    """
    assert entry.unique_id is not None
    devices = dr.async_get(hass)
    new = devices.async_get_or_create(
        config_entry_id=entry.entry_id, identifiers={(DOMAIN, entry.unique_id)}
    )
    devices.async_update_device(
        new.id,
        area_id=old.area_id or new.area_id,
        labels=old.labels | new.labels,
        name_by_user=old.name_by_user or new.name_by_user,
    )


@callback
def find_entity(
    hass: HomeAssistant, platform: Platform, entry: ConfigEntry[Any], key: str
) -> er.RegistryEntry | None:
    """Return the entity of an entry's meter; None before it was there for the first time."""
    registry = er.async_get(hass)
    entity_id = registry.async_get_entity_id(
        platform, DOMAIN, unique_id(entry.unique_id, key)
    )
    return registry.async_get(entity_id) if entity_id else None
