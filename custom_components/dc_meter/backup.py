"""The archive in Home Assistant's backups: sound, and not in anyone's way."""

from collections.abc import Callable

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError

from .archive import Archive, ArchiveError
from .archive_file import ARCHIVE
from .const import DOMAIN


async def async_pre_backup(hass: HomeAssistant) -> None:
    """Let the file be copied; a session can go on, begin and end all the same."""
    await _ask(hass, Archive.quiesce)


async def async_post_backup(hass: HomeAssistant) -> None:
    """Go on as usual."""
    await _ask(hass, Archive.resume)


async def _ask(hass: HomeAssistant, what: Callable[[Archive], None]) -> None:
    if (archive := hass.data.get(ARCHIVE)) is None:
        return
    try:
        await hass.async_add_executor_job(what, archive)
    except ArchiveError as err:
        raise HomeAssistantError(
            translation_domain=DOMAIN,
            translation_key="archive_unusable",
            translation_placeholders={"error": str(err)},
        ) from err
