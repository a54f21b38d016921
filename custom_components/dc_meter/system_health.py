"""A glance at all meters and their archive, on Home Assistant's system page."""

from typing import Any

from homeassistant.components.system_health import SystemHealthRegistration
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant, callback

from .archive import ArchiveError
from .archive_file import ARCHIVE, ARCHIVE_HEALTH
from .const import DOMAIN


@callback
def async_register(hass: HomeAssistant, register: SystemHealthRegistration) -> None:
    """Register what is told."""
    register.async_register_info(system_health_info)


async def system_health_info(hass: HomeAssistant) -> dict[str, Any]:
    """Return what is told: how many meters answer, and how the archive is."""
    entries = hass.config_entries.async_entries(DOMAIN, include_disabled=False)
    told: dict[str, Any] = {
        "meters": len(entries),
        "meters_answering": sum(
            entry.state is ConfigEntryState.LOADED
            and entry.runtime_data.coordinator.last_update_success
            for entry in entries
        ),
    }
    if (archive := hass.data.get(ARCHIVE)) is None:
        return told
    health = hass.data[ARCHIVE_HEALTH]
    try:
        summary = await hass.async_add_executor_job(archive.summary)
    except ArchiveError as err:
        return told | {"archive_sound": f"{err}"}
    if summary.last_stopped_at is not None:
        told["last_receipt"] = summary.last_stopped_at
    return told | {
        "archive_records": summary.records,
        "archive_size": f"{summary.size_bytes / 1_000_000:.1f} MB",
        "archive_sound": health.unusable
        or health.damage
        or (True if health.checked else "…"),
    }
