"""The archive's file in the configuration folder, opened once for all meters."""

import asyncio
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from homeassistant.const import EVENT_HOMEASSISTANT_CLOSE
from homeassistant.core import Event, HomeAssistant, callback
from homeassistant.helpers.event import async_track_time_interval
from homeassistant.util.hass_dict import HassKey

from .archive import Archive, ArchiveError
from .const import DOMAIN

ARCHIVE: HassKey[Archive] = HassKey(DOMAIN)
ARCHIVE_HEALTH: HassKey[ArchiveHealth] = HassKey(f"{DOMAIN}_archive_health")
_OPENING: HassKey[asyncio.Lock] = HassKey(f"{DOMAIN}_archive_opening")
_FILE = f"{DOMAIN}/receipts.db"
_LOOK_INTERVAL = timedelta(minutes=1)


@dataclass(kw_only=True, slots=True)
class ArchiveHealth:
    """What is known to be wrong with the archive."""

    changed: Callable[[], None]
    """Called when something may be known anew."""

    unusable: str | None = None
    """Why it cannot be opened or written."""

    damage: str | None = None
    """The first record that does not fit the chain, or why it cannot be walked."""

    checked: bool = False
    """Whether the chain has been walked since the start."""


@callback
def async_setup_archive(hass: HomeAssistant, changed: Callable[[], None]) -> None:
    """Prepare; the archive is opened by whoever needs it first."""
    hass.data[_OPENING] = asyncio.Lock()
    health = hass.data[ARCHIVE_HEALTH] = ArchiveHealth(changed=changed)

    async def look(_: datetime) -> None:
        """See whether what failed goes by now, without waiting for the next session."""
        if (archive := hass.data.get(ARCHIVE)) is None:
            return
        if archive.failure is not None:
            with suppress(ArchiveError):
                await hass.async_add_executor_job(archive.try_to_write)
        health.unusable = archive.failure
        changed()

    async_track_time_interval(
        hass, look, _LOOK_INTERVAL, name="receipt archive", cancel_on_shutdown=True
    )


async def async_archive(hass: HomeAssistant) -> Archive:
    """Return the archive of all meters. Raises ``ArchiveError``.

    It stays open until Home Assistant has written its last: a meter that is being stopped
    still gets its receipt on disk.
    """
    health = hass.data[ARCHIVE_HEALTH]
    async with hass.data[_OPENING]:
        if (archive := hass.data.get(ARCHIVE)) is not None:
            return archive
        try:
            archive = await hass.async_add_executor_job(
                Archive.open, archive_path(hass)
            )
        except ArchiveError as err:
            health.unusable = str(err)
            health.changed()
            raise
        health.unusable = None
        hass.data[ARCHIVE] = archive

    async def close(_: Event) -> None:
        await hass.async_add_executor_job(hass.data.pop(ARCHIVE).close)

    hass.bus.async_listen_once(EVENT_HOMEASSISTANT_CLOSE, close)
    hass.async_create_background_task(
        async_check_archive(hass), "check the receipt archive"
    )
    return archive


async def async_check_archive(hass: HomeAssistant) -> None:
    """Walk the chain, and keep what was found; nobody who writes has to wait for it."""
    health = hass.data[ARCHIVE_HEALTH]
    health.damage = await hass.async_add_executor_job(_damage, archive_path(hass))
    health.checked = True
    health.changed()


def _damage(path: Path) -> str | None:
    try:
        with closing(Archive.open(path)) as archive:
            number = archive.check_chain()
    except ArchiveError as err:
        return str(err)
    return None if number is None else f"#{number}"


def archive_path(hass: HomeAssistant) -> Path:
    """Return where the archive is."""
    return Path(hass.config.path(_FILE))
