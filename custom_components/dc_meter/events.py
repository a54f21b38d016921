"""What start and stop tell: the same data as response, on the bus and to the event entity."""

from collections.abc import Callable
from dataclasses import asdict
from decimal import Decimal
from typing import Any

from homeassistant.core import Context, HomeAssistant, callback
from homeassistant.helpers.dispatcher import async_dispatcher_send

from .const import DOMAIN, EVENT_DC_METER
from .metering.meter import SignedMeterValue, Snapshot
from .sessions import Outcome, Session


def outcome_signal(serial_number: str) -> str:
    """Return the dispatcher signal that carries a meter's outcomes."""
    return f"{DOMAIN}_outcome_{serial_number}"


def outcome_data(outcome: Outcome) -> dict[str, Any]:
    """Return an outcome as JSON-serializable data.

    ``status`` is OK or FAILED; ``signed_meter_value`` and ``start_signed_meter_value`` are
    there when the meter signed them, each with the four fields of EVerest's interface.
    Energies are in Wh.
    """
    session = outcome.session
    data: dict[str, Any] = {
        "status": "FAILED" if outcome.failed else "OK",
        "transaction_id": session.transaction_id,
    }
    if outcome.error is not None:
        data["error"] = {"key": outcome.error.key, "message": str(outcome.error)}
    if (value := _signed_value(session.end)) is not None:
        data["signed_meter_value"] = asdict(value)
    if (value := _signed_value(session.start)) is not None:
        data["start_signed_meter_value"] = asdict(value)
    data["session"] = _session_data(session)
    if outcome.judgement is not None:
        data["verdict"] = {
            "verdict": outcome.judgement.verdict,
            "reason": outcome.judgement.reason,
            "covers": list(outcome.judgement.covers),
        }
    if outcome.already_stopped:
        data["already_stopped"] = True
    return data


def _signed_value(snapshot: Snapshot | None) -> SignedMeterValue | None:
    return None if snapshot is None else snapshot.signed_value


def _session_data(session: Session) -> dict[str, Any]:
    request = session.request
    return {
        "transaction_id": request.transaction_id,
        "evse_id": request.evse_id,
        "identification_status": request.identification_status,
        "identification_level": request.identification_level,
        "identification_flags": list(request.identification_flags),
        "identification_type": request.identification_type,
        "identification_data": request.identification_data,
        "tariff_text": request.tariff_text,
        **asdict(session.particulars),
        "started_at": session.started_at and session.started_at.isoformat(),
        "ended_at": session.ended_at and session.ended_at.isoformat(),
        "energy_import_wh": as_number(session.energy_import_wh),
        "energy_export_wh": as_number(session.energy_export_wh),
    }


def as_number(value: Decimal | None) -> int | float | None:
    """Return a decimal as the JSON number that reads back the same."""
    if value is None:
        return None
    return int(value) if value == value.to_integral_value() else float(value)


def announcer(
    hass: HomeAssistant, device_id: str, serial_number: str
) -> Callable[[Outcome, Context | None], None]:
    """Return what tells the bus and the entities of a meter about an outcome."""

    @callback
    def announce(outcome: Outcome, context: Context | None) -> None:
        data = outcome_data(outcome)
        hass.bus.async_fire(
            EVENT_DC_METER,
            {"type": outcome.kind, "device_id": device_id, **data},
            context=context,
        )
        async_dispatcher_send(hass, outcome_signal(serial_number), outcome.kind, data)

    return announce
