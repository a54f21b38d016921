"""Whether a meter answers: told on the bus when that changes, and remembered until it does again."""

from collections.abc import Collection
from typing import Any

from homeassistant.config_entries import ConfigEntry
from homeassistant.const import ATTR_DEVICE_ID
from homeassistant.core import CoreState, HomeAssistant, callback
from homeassistant.util.hass_dict import HassKey

from .const import DOMAIN, EVENT_BACK, EVENT_DC_METER, EVENT_LOST
from .metering.errors import MeterError
from .registry import find_device

_LOST: HassKey[dict[str, dict[str, Any]]] = HassKey(f"{DOMAIN}_lost")
"""What was told, by entry id; kept beside the entries, which may be loaded anew meanwhile."""


@callback
def lost_meters(hass: HomeAssistant) -> Collection[dict[str, Any]]:
    """Return what was told of the meters that do not answer now; a disabled one is not asked."""
    lost = hass.data.get(_LOST, {})
    return [
        lost[entry.entry_id]
        for entry in hass.config_entries.async_entries(DOMAIN, include_disabled=False)
        if entry.entry_id in lost
    ]


@callback
def report_lost(
    hass: HomeAssistant, entry: ConfigEntry[Any], error: MeterError
) -> None:
    """Tell that a meter does not answer, once, and to automations that listen.

    They do once Home Assistant has started; who does not answer by then is tried again.
    """
    if hass.state is not CoreState.running:
        return
    lost = hass.data.setdefault(_LOST, {})
    # A meter that never answered has no device, and nobody to miss it.
    if entry.entry_id in lost or (device_id := _device_id(hass, entry)) is None:
        return
    lost[entry.entry_id] = {
        "type": EVENT_LOST,
        ATTR_DEVICE_ID: device_id,
        "error": {"key": error.key, "message": str(error)},
    }
    hass.bus.async_fire(EVENT_DC_METER, lost[entry.entry_id])


@callback
def report_back(hass: HomeAssistant, entry: ConfigEntry[Any]) -> None:
    """Tell that a meter answers again, when it was lost."""
    if hass.data.get(_LOST, {}).pop(entry.entry_id, None):
        hass.bus.async_fire(
            EVENT_DC_METER,
            {"type": EVENT_BACK, ATTR_DEVICE_ID: _device_id(hass, entry)},
        )


@callback
def forget_lost(hass: HomeAssistant, entry: ConfigEntry[Any]) -> None:
    """Forget a meter whose entry is removed."""
    hass.data.get(_LOST, {}).pop(entry.entry_id, None)


def _device_id(hass: HomeAssistant, entry: ConfigEntry[Any]) -> str | None:
    device = find_device(hass, entry)
    return None if device is None else device.id
