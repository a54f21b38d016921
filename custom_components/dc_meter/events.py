"""What start and stop tell: the same data as response, on the bus and to the event entity."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import datetime
from decimal import Decimal
from typing import Any

from homeassistant.core import Context, HomeAssistant, callback
from homeassistant.helpers.dispatcher import async_dispatcher_send
from homeassistant.helpers.json import json_bytes

from .const import DOMAIN, EVENT_DC_METER
from .metering.errors import InvalidRequestError
from .metering.meter import SignedMeterValue, Snapshot
from .metering.verdict import Covered, Judgement
from .outcome import Outcome
from .session import Account


def outcome_signal(serial_number: str) -> str:
    """Return the dispatcher signal that carries a meter's outcomes."""
    return f"{DOMAIN}_outcome_{serial_number}"


MAX_EVENT_DATA = 32_768
"""Bytes of JSON; the recorder drops the data of an event that has more."""


def outcome_data(outcome: Outcome) -> dict[str, Any]:
    """Return an outcome as JSON-serializable data.

    ``status`` is EVerest's TransactionRequestStatus. ``signed_meter_value`` and
    ``start_signed_meter_value`` are there when the meter signed them, each with the four
    fields of EVerest's interface; ``record`` proves that the archive must have it. Energies
    are in Wh.
    """
    data: dict[str, Any] = {
        "status": _status(outcome),
        **account_data(outcome.account),
    }
    if outcome.error is not None:
        data["error"] = {"key": outcome.error.key, "message": str(outcome.error)}
    if outcome.already_stopped:
        data["already_stopped"] = True
    return data


def _status(outcome: Outcome) -> str:
    if not outcome.failed:
        return "OK"
    if isinstance(outcome.error, InvalidRequestError):
        return "NOT_SUPPORTED"
    return "UNEXPECTED_ERROR"


def account_data(account: Account) -> dict[str, Any]:
    """Return a session with its signed values and verdict as JSON-serializable data."""
    session = account.session
    data: dict[str, Any] = {"transaction_id": session.transaction_id}
    if (value := _signed_value(session.end)) is not None:
        data["signed_meter_value"] = asdict(value)
    if (value := _signed_value(session.start)) is not None:
        data["start_signed_meter_value"] = asdict(value)
    data["session"] = _session_data(account)
    if account.record is not None:
        data["record"] = asdict(account.record)
    if account.judgement is not None:
        data["verdict"] = _judgement_data(account.judgement, account.covers)
    return data


def _signed_value(snapshot: Snapshot | None) -> SignedMeterValue | None:
    return None if snapshot is None else snapshot.signed_value


def _session_data(account: Account) -> dict[str, Any]:
    session, request = account.session, account.session.request
    judged = account.judgement
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
        "meter": session.meter.serial_number,
        "started_at": _time(session.started_at),
        "ended_at": _time(session.ended_at),
        "meter_started_at": _time(session.meter_started_at),
        "meter_ended_at": _time(session.meter_ended_at),
        "energy_import_wh": as_number(
            session.energy_import_wh
            if session.energy_import_wh is not None or judged is None
            else judged.energy_import_wh
        ),
        "energy_export_wh": as_number(
            session.energy_export_wh
            if session.energy_export_wh is not None or judged is None
            else judged.energy_export_wh
        ),
        "price_per_kwh": session.price and as_number(session.price.per_kwh),
        "currency": session.price and session.price.currency,
        "cost": as_number(account.cost),
        "gaps": [gap.as_dict() for gap in session.gaps],
        "warnings": list(session.warnings),
    }


def _judgement_data(
    judgement: Judgement, covers: tuple[Covered, ...]
) -> dict[str, Any]:
    return {
        "verdict": judgement.verdict,
        "reason": judgement.reason,
        "billable": judgement.billable,
        "objections": list(judgement.objections),
        "caveats": list(judgement.caveats),
        "covers": list(covers),
        "begins_at": _time(judgement.begins_at),
        "ends_at": _time(judgement.ends_at),
        "energy_import_wh": as_number(judgement.energy_import_wh),
        "energy_export_wh": as_number(judgement.energy_export_wh),
        "key": judgement.key,
        "key_fingerprint": judgement.key_fingerprint,
    }


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def as_number(value: Decimal | None) -> int | float | None:
    """Return a decimal as a JSON number: exact for what the meters' registers can hold."""
    if value is None:
        return None
    return int(value) if value == value.to_integral_value() else float(value)


_SAYS_WHO = {"identification_data", "client_id", "user_data"}
_SIGNED = {"signed_meter_value", "start_signed_meter_value"}
"""What meters sign names the user as well."""


def without_user(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the data of an outcome without what tells who charged."""
    session = {k: v for k, v in data["session"].items() if k not in _SAYS_WHO}
    return {k: v for k, v in data.items() if k not in _SIGNED} | {"session": session}


def event_data(data: dict[str, Any]) -> dict[str, Any]:
    """Return the data of an outcome as an event has it: all, or as much as can be recorded.

    ``left_out`` names what is missing; the response and the archive's ``record`` have it.
    """
    data = {**data, "session": dict(data["session"])}
    left_out = []
    for part, key in (
        (data, "signed_meter_value"),
        (data, "start_signed_meter_value"),
        (data["session"], "gaps"),
    ):
        if len(json_bytes(data)) <= MAX_EVENT_DATA:
            break
        if part.pop(key, None):
            left_out.append(key)
            data["left_out"] = left_out
    return data


def announcer(
    hass: HomeAssistant, device_id: str, serial_number: str
) -> Callable[[Outcome, Context | None], None]:
    """Return what tells the bus and the entities of a meter about an outcome."""

    @callback
    def announce(outcome: Outcome, context: Context | None) -> None:
        data = outcome_data(outcome)
        # Entities first: who hears the event may look at them.
        async_dispatcher_send(hass, outcome_signal(serial_number), outcome.kind, data)
        hass.bus.async_fire(
            EVENT_DC_METER,
            event_data({"type": outcome.kind, "device_id": device_id, **data}),
            context=context,
        )

    return announce
