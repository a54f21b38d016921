"""DC Charging Meter: signing energy meters of DC chargers in Home Assistant."""

import asyncio
from pathlib import Path

from homeassistant.const import EVENT_HOMEASSISTANT_CLOSE, Platform
from homeassistant.core import Event, HomeAssistant, callback
from homeassistant.exceptions import (
    ConfigEntryError,
    ConfigEntryNotReady,
    HomeAssistantError,
)
from homeassistant.helpers import config_validation as cv, device_registry as dr
from homeassistant.helpers.typing import ConfigType
from homeassistant.util.hass_dict import HassKey

from .actions import async_setup_actions
from .archive import Archive, ArchiveError
from .connection import connect
from .const import DOMAIN
from .coordinator import DcMeterConfigEntry, DcMeterCoordinator, DcMeterData
from .entity import device_info
from .events import announcer
from .metering.errors import MeterError, WrongMeterError
from .repairs import show_notices
from .sessions import Sessions

PLATFORMS = [
    Platform.BINARY_SENSOR,
    Platform.EVENT,
    Platform.SENSOR,
    Platform.SWITCH,
    Platform.TEXT,
]

CONFIG_SCHEMA = cv.config_entry_only_config_schema(DOMAIN)

ARCHIVE: HassKey[Archive] = HassKey(DOMAIN)
ARCHIVE_OPENING: HassKey[asyncio.Lock] = HassKey(f"{DOMAIN}_archive_opening")
ARCHIVE_FILE = f"{DOMAIN}/receipts.db"


async def async_setup(hass: HomeAssistant, config: ConfigType) -> bool:
    """Set up what all meters share."""
    hass.data[ARCHIVE_OPENING] = asyncio.Lock()
    async_setup_actions(hass)
    return True


async def _async_archive(hass: HomeAssistant) -> Archive:
    """Return the archive of all meters, opened by the first of them.

    It stays open until Home Assistant has written its last: a meter that is being stopped
    still gets its receipt on disk.
    """
    async with hass.data[ARCHIVE_OPENING]:
        if (archive := hass.data.get(ARCHIVE)) is not None:
            return archive
        archive = await hass.async_add_executor_job(
            Archive.open, Path(hass.config.path(ARCHIVE_FILE))
        )
        hass.data[ARCHIVE] = archive

    async def close(_: Event) -> None:
        await hass.async_add_executor_job(hass.data.pop(ARCHIVE).close)

    hass.bus.async_listen_once(EVENT_HOMEASSISTANT_CLOSE, close)
    return archive


async def async_setup_entry(hass: HomeAssistant, entry: DcMeterConfigEntry) -> bool:
    """Set up a meter."""
    try:
        archive = await _async_archive(hass)
    except ArchiveError as err:
        raise ConfigEntryError(
            translation_domain=DOMAIN,
            translation_key="archive_unusable",
            translation_placeholders={"error": str(err)},
        ) from err
    try:
        meter = connect(hass, entry)
    except HomeAssistantError as err:
        # The line is in use with other settings, and one line has only one set of them.
        raise ConfigEntryError(
            translation_domain=DOMAIN,
            translation_key="line_in_use",
            translation_placeholders={"error": str(err)},
        ) from err
    entry.async_on_unload(meter.close)
    try:
        identity = await meter.identify()
        if identity.serial_number != entry.unique_id:
            raise WrongMeterError(
                expected=entry.unique_id, found=identity.serial_number
            )
    except MeterError as err:
        raise ConfigEntryNotReady(
            translation_domain=DOMAIN,
            translation_key=err.key,
            translation_placeholders=err.details,
        ) from err

    device = dr.async_get(hass).async_get_or_create(
        config_entry_id=entry.entry_id, **device_info(identity)
    )
    sessions = Sessions(
        hass, meter, archive, announcer(hass, device.id, identity.serial_number)
    )
    await sessions.resume()
    coordinator = DcMeterCoordinator(hass, entry, meter, sessions)
    await coordinator.async_config_entry_first_refresh()

    @callback
    def show() -> None:
        show_notices(hass, identity.serial_number, meter.notices())

    show()
    entry.async_on_unload(coordinator.async_add_listener(show))
    entry.runtime_data = DcMeterData(
        meter=meter, coordinator=coordinator, sessions=sessions
    )
    await hass.config_entries.async_forward_entry_setups(entry, PLATFORMS)
    return True


async def async_unload_entry(hass: HomeAssistant, entry: DcMeterConfigEntry) -> bool:
    """Unload a meter; what it had to say is no longer shown."""
    show_notices(hass, entry.runtime_data.meter.identity.serial_number, {})
    return await hass.config_entries.async_unload_platforms(entry, PLATFORMS)
