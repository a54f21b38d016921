"""The archive's file in the configuration folder, opened once for all meters."""

import asyncio
from pathlib import Path

from homeassistant.const import EVENT_HOMEASSISTANT_CLOSE
from homeassistant.core import Event, HomeAssistant, callback
from homeassistant.util.hass_dict import HassKey

from .archive import Archive
from .const import DOMAIN

ARCHIVE: HassKey[Archive] = HassKey(DOMAIN)
_OPENING: HassKey[asyncio.Lock] = HassKey(f"{DOMAIN}_archive_opening")
_FILE = f"{DOMAIN}/receipts.db"


@callback
def async_setup_archive(hass: HomeAssistant) -> None:
    """Prepare; the archive is opened by whoever needs it first."""
    hass.data[_OPENING] = asyncio.Lock()


async def async_archive(hass: HomeAssistant) -> Archive:
    """Return the archive of all meters. Raises ``ArchiveError``.

    It stays open until Home Assistant has written its last: a meter that is being stopped
    still gets its receipt on disk.
    """
    async with hass.data[_OPENING]:
        if (archive := hass.data.get(ARCHIVE)) is not None:
            return archive
        archive = await hass.async_add_executor_job(
            Archive.open, Path(hass.config.path(_FILE))
        )
        hass.data[ARCHIVE] = archive

    async def close(_: Event) -> None:
        await hass.async_add_executor_job(hass.data.pop(ARCHIVE).close)

    hass.bus.async_listen_once(EVENT_HOMEASSISTANT_CLOSE, close)
    return archive
