"""The serial ports of this machine: who uses one, and where an adapter is plugged in."""

from collections.abc import Iterable
import os

from homeassistant.components.usb import (
    SerialDevice,
    USBDevice,
    async_get_serial_port_consumers,
    async_scan_serial_ports,
)
from homeassistant.const import CONF_DEVICE
from homeassistant.core import HomeAssistant

from .const import DOMAIN


def adapter_id(port: SerialDevice) -> str | None:
    """Return what tells a USB adapter from others, wherever it is plugged in.

    Cheap adapters have no serial number: two of one kind cannot be told apart.
    """
    if not isinstance(port, USBDevice):
        return None
    serial_number = port.serial_number or ""
    return f"{port.vid}:{port.pid}:{serial_number}:{port.interface_num or 0}"


async def adapter_at(hass: HomeAssistant, device: str) -> str | None:
    """Return the adapter at a port; None where there is none on USB."""
    ports = await async_scan_serial_ports(hass)
    at = await _resolve(hass, [device, *(port.device for port in ports)])
    return next(
        (adapter_id(port) for port in ports if at[port.device] == at[device]), None
    )


async def other_ports(hass: HomeAssistant, adapter: str, device: str) -> list[str]:
    """Return the ports but this one at which the adapter can be; ports in use are not."""
    ports = await async_scan_serial_ports(hass)
    at = await _resolve(hass, [device, *(port.device for port in ports)])
    return [
        port.device
        for port in ports
        if adapter_id(port) == adapter
        and at[port.device] != at[device]
        and not await port_users(hass, port.device)
    ]


async def port_users(hass: HomeAssistant, device: str) -> list[str]:
    """Return the titles of what uses a port, but for our entries that use the same name."""
    ports = await async_scan_serial_ports(hass)
    consumers = await async_get_serial_port_consumers(hass, ports)
    at = await _resolve(hass, [device, *consumers])
    ours = {
        entry.entry_id
        for entry in hass.config_entries.async_entries(DOMAIN)
        if entry.data.get(CONF_DEVICE) == device
    }
    return [
        consumer.title
        for path, users in consumers.items()
        if at[path] == at[device]
        for consumer in users
        if consumer.active and consumer.config_entry_id not in ours
    ]


async def _resolve(hass: HomeAssistant, devices: Iterable[str]) -> dict[str, str]:
    """Return what the links among these paths lead to, by path."""

    def resolve() -> dict[str, str]:
        return {
            device: device if "://" in device else os.path.realpath(device)
            for device in devices
        }

    return await hass.async_add_executor_job(resolve)
