"""What a maintainer needs to help without a second question."""

from dataclasses import asdict
from typing import Any

from homeassistant.components.diagnostics import async_redact_data
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant

from .coordinator import DcMeterConfigEntry, DcMeterData

# Who charged is nobody's business; keys and serial numbers are what a problem hangs on.
TO_REDACT = {
    "ID",
    "identification_data",
    "client_id",
    "user_data",
}


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
        }
    }
    if entry.state is ConfigEntryState.LOADED:
        told |= _meter(entry.runtime_data)
    return async_redact_data(told, TO_REDACT)


def _meter(data: DcMeterData) -> dict[str, Any]:
    session = data.sessions.current
    return {
        "identity": asdict(data.meter.identity),
        "capabilities": [capability.name for capability in data.meter.capabilities],
        "reading": {
            name: None if value is None else str(value)
            for name, value in asdict(data.coordinator.data).items()
        },
        "poll": {
            "last_success": data.coordinator.last_update_success,
            "last_error": data.coordinator.last_exception
            and repr(data.coordinator.last_exception),
            "duration_ms": data.coordinator.poll_duration_ms,
        },
        "session": session
        and {
            "started_at": session.started_at and session.started_at.isoformat(),
            "request": asdict(session.request),
            "particulars": asdict(session.particulars),
        },
        "meter": data.meter.diagnostics(),
    }
