"""The USB adapter of a meter's line: which one it is, and following it to another port."""

from collections.abc import Callable

from homeassistant.components.usb import USBDevice, async_register_port_event_callback
from homeassistant.config_entries import ConfigEntry
from homeassistant.const import CONF_DEVICE
from homeassistant.core import HomeAssistant, callback

from .connection import LineInUseError, temporary_meter
from .const import CONF_ADAPTER, LOGGER
from .metering.errors import MeterError
from .serial_ports import adapter_at, adapter_id, other_ports


async def note_adapter(hass: HomeAssistant, entry: ConfigEntry) -> None:
    """Keep which adapter the meter was reached through."""
    if (device := entry.data.get(CONF_DEVICE)) is None:
        return
    adapter = await adapter_at(hass, device)
    if adapter is not None and adapter != entry.data.get(CONF_ADAPTER):
        hass.config_entries.async_update_entry(
            entry, data=entry.data | {CONF_ADAPTER: adapter}
        )


async def follow_adapter(hass: HomeAssistant, entry: ConfigEntry) -> bool:
    """Have the entry use the port at which the adapter, and behind it the meter, is now."""
    if (adapter := entry.data.get(CONF_ADAPTER)) is None:
        return False
    device = entry.data[CONF_DEVICE]
    for port in await other_ports(hass, adapter, device):
        data = entry.data | {CONF_DEVICE: port}
        try:
            async with temporary_meter(hass, data | entry.options) as meter:
                identity = await meter.identify()
        except LineInUseError, MeterError:
            continue
        if identity.serial_number == entry.unique_id:
            LOGGER.warning(
                "%s: its adapter moved from %s to %s", entry.title, device, port
            )
            hass.config_entries.async_update_entry(entry, data=data)
            return True
    return False


@callback
def watch_adapter(
    hass: HomeAssistant, entry: ConfigEntry, is_lost: Callable[[], bool]
) -> None:
    """Set the entry up again when its meter is lost and the adapter comes up elsewhere."""

    @callback
    def plugged(added: set[USBDevice], _removed: set[USBDevice]) -> None:
        adapter = entry.data.get(CONF_ADAPTER)
        if (
            adapter is not None
            and is_lost()
            and any(
                adapter_id(port) == adapter and port.device != entry.data[CONF_DEVICE]
                for port in added
            )
        ):
            hass.config_entries.async_schedule_reload(entry.entry_id)

    if CONF_DEVICE in entry.data:
        entry.async_on_unload(async_register_port_event_callback(hass, plugged))
