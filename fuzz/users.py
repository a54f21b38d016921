"""What a user, an automation or a dashboard hands to an action or a command."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import voluptuous as vol

from custom_components.dc_meter.actions import (
    EXPORT_SCHEMA,
    GET_SCHEMA,
    RUNNING_SCHEMA,
    START_SCHEMA,
    STOP_SCHEMA,
    transaction_request,
)
from custom_components.dc_meter.archive import RecordKind
from custom_components.dc_meter.events import MAX_EVENT_DATA, account_data, event_data
from custom_components.dc_meter.export.parties import Language
from custom_components.dc_meter.exports import ExportFormat
from custom_components.dc_meter.metering.meter import (
    IdentificationFlag,
    IdentificationLevel,
    IdentificationStatus,
    IdentificationType,
    MeterIdentity,
    is_line,
)
from custom_components.dc_meter.metering.verdict import Verdict
from custom_components.dc_meter.receipts import Query, Receipts
from custom_components.dc_meter.session import (
    Account,
    Particulars,
    Session,
    decode,
    encode,
)
from custom_components.dc_meter.websocket_api import receipts, subscribe_session
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers.json import json_bytes

from .loose_archive import loose_archive
from .target import Target
from .values import Source

_FIELDS = (
    IdentificationStatus,
    IdentificationLevel,
    IdentificationFlag,
    IdentificationType,
    Verdict,
)
_NOW = datetime(2026, 7, 1, tzinfo=UTC)
_METER = MeterIdentity(manufacturer="M", model="M", serial_number="M")


def _start(data: dict[str, Any]) -> None:
    """Keep what is asked for, as it is asked for."""
    request = transaction_request(data)
    account = Account(
        session=Session(
            request=request,
            particulars=Particulars(
                client_id=data["client_id"],
                tariff_id=data["tariff_id"],
                cable_id=data["cable_id"],
                user_data=data["user_data"],
            ),
            meter=_METER,
            asked_at=_NOW,
        )
    )
    assert is_line(request.transaction_id)
    assert len(json_bytes(event_data(account_data(account)))) <= MAX_EVENT_DATA
    loose_archive().fill(())
    archive = loose_archive().archive
    link = archive.append(
        meter="M",
        transaction_id=request.transaction_id,
        kind=RecordKind.STARTED,
        written_at=_NOW,
        body=encode(account),
    )
    kept = archive.latest("M", (RecordKind.STARTED,))
    assert kept is not None
    assert decode(kept) == replace(account, record=link)


def _get(data: dict[str, Any]) -> None:
    """Ask an archive without records, which has none."""

    def local(moment: datetime | None) -> datetime | None:
        if moment is None or moment.tzinfo is not None:
            return moment
        return moment.replace(tzinfo=UTC)

    query = Query(
        since=local(data.get("from")),
        until=local(data.get("to")),
        verdict=data.get("verdict"),
        user=data.get("user"),
        transaction_id=data.get("transaction_id"),
    )
    loose_archive().fill(())
    assert len(Receipts(loose_archive().archive, query)) == 0


def _nothing(_: dict[str, Any]) -> None:
    pass


def _schema_of(command: Callable[..., Any]) -> vol.Schema:
    schema: vol.Schema = vars(command)["_ws_schema"]
    return schema


_CALLS = (
    (START_SCHEMA, _start),
    (GET_SCHEMA, _get),
    (EXPORT_SCHEMA, _get),
    (STOP_SCHEMA, _nothing),
    (RUNNING_SCHEMA, _nothing),
    (_schema_of(subscribe_session), _nothing),
    (_schema_of(receipts), _nothing),
)
_WORDS = tuple(
    dict.fromkeys(
        (
            *(str(name) for schema, _ in _CALLS for name in schema.schema),
            *(word for words in (*_FIELDS, ExportFormat, Language) for word in words),
            *("dc_meter/receipts", "dc_meter/subscribe_session"),
            *("2026-07-01 00:00", "0001-01-01T00:00:00+14:00", "9999-12-31 23:59:59"),
        )
    )
)


def _action(data: bytes) -> None:
    """One byte says which, the others with what."""
    source = Source(data, _WORDS)
    schema, use = _CALLS[source.below(len(_CALLS))]
    given = {
        str(name): source.value()
        for name in schema.schema
        if isinstance(name, vol.Required) or source.below(2)
    }
    if source.below(8) == 1:
        given |= source.mapping()
    use(schema(given))


USERS = {"action": Target(take=_action, refusals=(vol.Invalid, ServiceValidationError))}
