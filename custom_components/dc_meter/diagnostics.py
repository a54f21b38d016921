"""What a maintainer needs to help without a second question.

Who charged is nobody's business: of sessions and requests only what is listed here goes out.
Keys and serial numbers are what a problem hangs on; they stay.
"""

from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant

from .archive import ArchiveError
from .archive_file import ARCHIVE, ARCHIVE_HEALTH, async_check_archive
from .connection import line_of
from .coordinator import DcMeterConfigEntry, DcMeterData
from .session import Session
from .trust import Trust

_LIBRARIES = (
    "modbus-connection",
    "tmodbus",
    "serialx",
    "aiohttp",
    "cryptography",
    "mashumaro",
    "fpdf2",
)


async def async_get_config_entry_diagnostics(
    hass: HomeAssistant, entry: DcMeterConfigEntry
) -> dict[str, Any]:
    """Return diagnostics of a meter, also of one that could not be set up."""
    told: dict[str, Any] = {
        "entry": {
            "data": dict(entry.data),
            "options": dict(entry.options),
            "state": entry.state.value,
            "reason": entry.reason,
        },
        "libraries": await hass.async_add_executor_job(_versions),
        "line": line_of(hass, entry),
        "archive": await _archive(hass),
    }
    if entry.state is ConfigEntryState.LOADED:
        told |= _meter(entry.runtime_data)
    return told


def _versions() -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for library in _LIBRARIES:
        try:
            found[library] = version(library)
        except PackageNotFoundError:
            found[library] = None
    return found


async def _archive(hass: HomeAssistant) -> dict[str, Any]:
    health = hass.data[ARCHIVE_HEALTH]
    if (archive := hass.data.get(ARCHIVE)) is None:
        return {"unusable": health.unusable}
    await async_check_archive(hass)
    try:
        summary = await hass.async_add_executor_job(archive.summary)
    except ArchiveError as err:
        return {"unusable": str(err), "damage": health.damage}
    return {
        "unusable": health.unusable,
        "damage": health.damage,
        "records": summary.records,
        "size_bytes": summary.size_bytes,
        "schema_version": summary.schema_version,
    }


def _meter(data: DcMeterData) -> dict[str, Any]:
    coordinator = data.coordinator
    return {
        "identity": asdict(data.meter.identity),
        "capabilities": [capability.name for capability in data.meter.capabilities],
        "reading": {
            name: None if value is None else str(value)
            for name, value in asdict(coordinator.data).items()
        },
        "poll": {
            "last_success": coordinator.last_update_success,
            "last_error": coordinator.last_exception
            and repr(coordinator.last_exception),
            **coordinator.polls.as_dict(),
        },
        "registers": coordinator.registers.as_dict()["registers"],
        "clock_is_off": coordinator.clock.is_off,
        "session": data.sessions.current and _session(data.sessions.current),
        "trust": _trust(data.trust),
        "meter": data.meter.diagnostics(),
    }


def _session(session: Session) -> dict[str, Any]:
    """Return what is known of a session but who charges, and whatever somebody typed."""
    request = session.request
    return {
        "asked_at": session.asked_at.isoformat(),
        "started_at": session.started_at and session.started_at.isoformat(),
        "identification_status": request.identification_status,
        "identification_level": request.identification_level,
        "identification_flags": list(request.identification_flags),
        "identification_type": request.identification_type,
        "begins_with": session.start
        and {
            "energy_import_wh": str(session.start.energy_import_wh),
            "energy_export_wh": str(session.start.energy_export_wh),
            "reversed": session.start.reversed,
            "is_signed": session.start.signed_value is not None,
        },
        "gaps": [gap.as_dict() for gap in session.gaps],
        "warnings": list(session.warnings),
        "has_price": session.price is not None,
    }


def _trust(trust: Trust) -> dict[str, Any] | None:
    return None if trust.key is None else asdict(trust.key)
