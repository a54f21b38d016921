"""What the dashboard card is told, and who may know it."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.typing import (
    MockHAClientWebSocket,
    WebSocketGenerator,
)

from custom_components.dc_meter.const import DOMAIN
from custom_components.dc_meter.metering.meter import Capability, TransactionRequest
from homeassistant.auth.models import User
from homeassistant.config_entries import ConfigEntryDisabler
from homeassistant.core import Context, HomeAssistant
from homeassistant.exceptions import Unauthorized
from homeassistant.helpers import (
    device_registry as dr,
    entity_registry as er,
    issue_registry as ir,
)
from simulators.dct1 import SimulatedDct1
from simulators.iem_dcr import IemDcrServer

from .conftest import DCT1_SERIAL, device_of, entity_of
from .test_actions import call
from .test_receipts import replace_meter

type Setup = Callable[[MockConfigEntry], Awaitable[None]]

WHO = "04A2B1C4D5E680"


async def ask(client: MockHAClientWebSocket, command: str, **fields: Any) -> Any:
    """Send a command and return its result."""
    await client.send_json_auto_id({"type": f"{DOMAIN}/{command}", **fields})
    answer = await client.receive_json()
    assert answer["success"], answer
    return answer["result"]


async def refusal(client: MockHAClientWebSocket, command: str, **fields: Any) -> str:
    """Send a command that is refused and return the error's code."""
    await client.send_json_auto_id({"type": f"{DOMAIN}/{command}", **fields})
    answer = await client.receive_json()
    assert not answer["success"], answer
    code: str = answer["error"]["code"]
    return code


async def session(client: MockHAClientWebSocket) -> Any:
    """Return what the next event says of the session."""
    return (await client.receive_json())["event"]


type Connect = Callable[[], Awaitable[MockHAClientWebSocket]]
"""Connects, once everything is set up: the server takes no new addresses when it runs."""


@pytest.fixture
def admin(
    hass: HomeAssistant, hass_ws_client: WebSocketGenerator, socket_enabled: None
) -> Connect:
    """Connect an administrator."""
    return lambda: hass_ws_client(hass)


@pytest.fixture
def guest(
    hass: HomeAssistant,
    hass_ws_client: WebSocketGenerator,
    hass_read_only_access_token: str,
    socket_enabled: None,
) -> Connect:
    """Connect somebody who may look and not touch."""
    return lambda: hass_ws_client(hass, hass_read_only_access_token)


@pytest.fixture
def stranger(guest: Connect, hass_read_only_user: User) -> Connect:
    """Connect somebody who may see nothing of a meter."""
    hass_read_only_user.mock_policy({})
    return guest


async def test_a_card_finds_a_meter_and_its_entities(
    hass: HomeAssistant,
    meter_entry: MockConfigEntry,
    setup: Setup,
    guest: Connect,
) -> None:
    """Each entity stands under its key, whatever it is called; disabled ones are left out."""
    await setup(meter_entry)
    client = await guest()
    power = entity_of(hass, meter_entry, "power")
    er.async_get(hass).async_update_entity(power, new_entity_id="sensor.my_power")
    device = device_of(hass, meter_entry)
    dr.async_get(hass).async_update_device(device, name_by_user="Left charger")
    (meter,) = await ask(client, "meters")
    assert meter["device_id"] == device
    assert meter["name"] == "Left charger"
    assert meter["serial_number"] == meter_entry.unique_id
    assert meter["entities"]["power"] == "sensor.my_power"
    assert meter["entities"]["transaction"] == entity_of(
        hass, meter_entry, "transaction"
    )
    assert "poll_duration" not in meter["entities"]


async def test_a_meter_that_is_disabled_has_no_card(
    hass: HomeAssistant, meter_entry: MockConfigEntry, setup: Setup, admin: Connect
) -> None:
    """It has no values, either; enabled again it is back."""
    await setup(meter_entry)
    client = await admin()
    entries = hass.config_entries
    await entries.async_set_disabled_by(meter_entry.entry_id, ConfigEntryDisabler.USER)
    assert await ask(client, "meters") == []
    await entries.async_set_disabled_by(meter_entry.entry_id, None)
    (meter,) = await ask(client, "meters")
    assert meter["serial_number"] == meter_entry.unique_id


async def test_a_replaced_meter_has_its_receipts_and_no_card(
    hass: HomeAssistant,
    dct1_entry: MockConfigEntry,
    setup: Setup,
    dct1: SimulatedDct1,
    issue_registry: ir.IssueRegistry,
    admin: Connect,
) -> None:
    """The card of the new one has only its own entities."""
    old, new = await replace_meter(hass, dct1_entry, setup, dct1, issue_registry)
    client = await admin()
    (meter,) = await ask(client, "meters")
    assert meter["device_id"] == new
    assert meter["entities"]["power"] == entity_of(hass, dct1_entry, "power")
    assert not [key for key in meter["entities"] if key.startswith(DCT1_SERIAL)]
    for device, transaction_id in ((old, "old"), (new, "new")):
        answer = await ask(client, "receipts", device_id=device)
        (receipt,) = answer["receipts"]
        assert receipt["transaction_id"] == transaction_id
    code = await refusal(client, "subscribe_session", device_id=old)
    assert code == "home_assistant_error"


async def test_a_card_knows_where_a_tariff_text_is_shown(
    hass: HomeAssistant, meter_entry: MockConfigEntry, setup: Setup, admin: Connect
) -> None:
    """Also while the meter is away."""
    await setup(meter_entry)
    shows = Capability.TARIFF_TEXT in meter_entry.runtime_data.meter.capabilities
    client = await admin()
    await hass.config_entries.async_unload(meter_entry.entry_id)
    (meter,) = await ask(client, "meters")
    assert meter["shows_tariff_text"] is shows


async def test_a_session_is_told_from_begin_to_end(
    hass: HomeAssistant,
    iem_dcr_entry: MockConfigEntry,
    setup: Setup,
    admin: Connect,
) -> None:
    """Nothing; then who, since when, how much and at what cost; then nothing again."""
    hass.config_entries.async_update_entry(
        iem_dcr_entry, options={**iem_dcr_entry.options, "price": 0.39}
    )
    await setup(iem_dcr_entry)
    client = await admin()
    await ask(client, "subscribe_session", device_id=device_of(hass, iem_dcr_entry))
    assert await session(client) is None

    started = await call(hass, iem_dcr_entry, "start", identification_data=WHO)
    told = await session(client)
    assert told["foreign"] is False
    while told["energy_import_wh"] is None:
        # Not before the meter was read again.
        told = await session(client)
    assert told["transaction_id"] == started["transaction_id"]
    assert told["started_at"] == started["session"]["started_at"]
    assert told["user"] == WHO
    assert (told["energy_import_wh"], told["cost"]) == (0, 0)
    assert (told["price_per_kwh"], told["currency"]) == (0.39, "EUR")

    iem_dcr_entry.runtime_data.coordinator.async_set_updated_data(
        replaced(iem_dcr_entry, transaction_import_wh=12_034)
    )
    told = await session(client)
    assert (told["energy_import_wh"], told["cost"]) == (12_034, 4.69)

    await call(hass, iem_dcr_entry, "stop")
    while told is not None:
        told = await session(client)


def replaced(entry: MockConfigEntry, **changes: Any) -> Any:
    """Return the last reading with other values."""
    return replace(
        entry.runtime_data.coordinator.data,
        **{key: Decimal(value) for key, value in changes.items()},
    )


async def test_a_meter_that_is_away_has_no_energy_and_no_cost(
    hass: HomeAssistant,
    iem_dcr_entry: MockConfigEntry,
    setup: Setup,
    server: IemDcrServer,
    admin: Connect,
) -> None:
    """The session goes on; what it came to before is not told as if it were so now."""
    hass.config_entries.async_update_entry(
        iem_dcr_entry, options={**iem_dcr_entry.options, "price": 0.39}
    )
    await setup(iem_dcr_entry)
    client = await admin()
    await call(hass, iem_dcr_entry, "start")
    await ask(client, "subscribe_session", device_id=device_of(hass, iem_dcr_entry))
    assert (await session(client))["energy_import_wh"] == 0
    await server.refuse()
    await iem_dcr_entry.runtime_data.coordinator.async_refresh()
    told = await session(client)
    assert told["transaction_id"]
    assert told["energy_import_wh"] is None
    assert told["cost"] is None


async def test_a_session_is_told_on_when_the_entry_is_loaded_again(
    hass: HomeAssistant,
    meter_entry: MockConfigEntry,
    setup: Setup,
    admin: Connect,
) -> None:
    """A card does not notice that options were changed."""
    await setup(meter_entry)
    client = await admin()
    started = await call(hass, meter_entry, "start")
    await ask(client, "subscribe_session", device_id=device_of(hass, meter_entry))
    assert (await session(client))["transaction_id"] == started["transaction_id"]
    await hass.config_entries.async_reload(meter_entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert await session(client) is None
    told = await session(client)
    assert told["transaction_id"] == started["transaction_id"]
    await call(hass, meter_entry, "stop")
    while told is not None:
        told = await session(client)


async def test_a_transaction_that_nobody_here_started_is_told_as_such(
    hass: HomeAssistant,
    iem_dcr_entry: MockConfigEntry,
    setup: Setup,
    admin: Connect,
) -> None:
    """Of it nothing more is known."""
    await setup(iem_dcr_entry)
    client = await admin()
    await ask(client, "subscribe_session", device_id=device_of(hass, iem_dcr_entry))
    assert await session(client) is None
    await iem_dcr_entry.runtime_data.meter.begin(
        TransactionRequest(transaction_id="of somebody else")
    )
    await iem_dcr_entry.runtime_data.coordinator.async_refresh()
    assert await session(client) == {"foreign": True}


async def test_who_charges_is_for_administrators(
    hass: HomeAssistant,
    iem_dcr_entry: MockConfigEntry,
    setup: Setup,
    guest: Connect,
) -> None:
    """Others see the session without its user, and no receipts."""
    await setup(iem_dcr_entry)
    client = await guest()
    await call(hass, iem_dcr_entry, "start", identification_data=WHO)
    device = device_of(hass, iem_dcr_entry)
    await ask(client, "subscribe_session", device_id=device)
    told = await session(client)
    assert told["transaction_id"]
    assert WHO not in str(told)
    await call(hass, iem_dcr_entry, "stop")
    assert await refusal_of_receipts(client, device) == "unauthorized"


async def refusal_of_receipts(client: MockHAClientWebSocket, device: str) -> str:
    """Ask for receipts past the events that still come; return why there are none."""
    await client.send_json_auto_id({"type": f"{DOMAIN}/receipts", "device_id": device})
    while (answer := await client.receive_json())["type"] == "event":
        pass
    code: str = answer["error"]["code"]
    return code


async def test_who_may_not_see_a_meter_is_told_nothing_of_it(
    hass: HomeAssistant,
    meter_entry: MockConfigEntry,
    setup: Setup,
    stranger: Connect,
) -> None:
    """Rights go by the meter's switch."""
    await setup(meter_entry)
    client = await stranger()
    device = device_of(hass, meter_entry)
    assert await ask(client, "meters") == []
    assert (
        await refusal(client, "subscribe_session", device_id=device) == "unauthorized"
    )


@pytest.mark.parametrize("command", ["subscribe_session", "receipts"])
async def test_a_device_that_is_no_meter_is_refused(
    hass: HomeAssistant,
    meter_entry: MockConfigEntry,
    setup: Setup,
    admin: Connect,
    command: str,
) -> None:
    await setup(meter_entry)
    client = await admin()
    assert await refusal(client, command, device_id="nothing") == "not_found"


async def test_receipts_come_in_pages_newest_first(
    hass: HomeAssistant,
    meter_entry: MockConfigEntry,
    setup: Setup,
    admin: Connect,
) -> None:
    """Each is what stop has answered; the last page says that it is the last."""
    await setup(meter_entry)
    client = await admin()
    stopped = []
    for _ in range(3):
        await call(hass, meter_entry, "start")
        answer = await call(hass, meter_entry, "stop")
        del answer["status"]
        stopped.append(answer)
    device = device_of(hass, meter_entry)
    first = await ask(client, "receipts", device_id=device, limit=2)
    assert list(map(as_stopped, first["receipts"])) == [stopped[2], stopped[1]]
    last = await ask(
        client, "receipts", device_id=device, limit=2, cursor=first["cursor"]
    )
    assert list(map(as_stopped, last["receipts"])) == [stopped[0]]
    assert last["cursor"] is None


def as_stopped(receipt: dict[str, Any]) -> dict[str, Any]:
    """Return a receipt without what the card is told on top."""
    return {k: v for k, v in receipt.items() if k not in ("user", "tariff_text")}


async def test_a_receipt_names_whom_its_signature_names(
    hass: HomeAssistant,
    iem_dcr_entry: MockConfigEntry,
    setup: Setup,
    admin: Connect,
) -> None:
    """Somebody else began the transaction, so nobody here was told who charges."""
    await setup(iem_dcr_entry)
    client = await admin()
    await iem_dcr_entry.runtime_data.meter.begin(
        TransactionRequest(
            transaction_id="of somebody else",
            identification_data=WHO,
            tariff_text="0,39 EUR/kWh",
        )
    )
    await iem_dcr_entry.runtime_data.coordinator.async_refresh()
    await call(hass, iem_dcr_entry, "stop")
    answer = await ask(client, "receipts", device_id=device_of(hass, iem_dcr_entry))
    (receipt,) = answer["receipts"]
    assert receipt["session"]["identification_data"] == ""
    assert receipt["user"] == WHO
    assert receipt["tariff_text"] == "0,39 EUR/kWh"


@pytest.mark.parametrize("cursor", [2**63, 0, -1, 1.5, "1"])
async def test_a_cursor_that_is_none_is_refused(
    hass: HomeAssistant,
    dct1_entry: MockConfigEntry,
    setup: Setup,
    admin: Connect,
    cursor: Any,
) -> None:
    """Also one that the archive could not count to."""
    await setup(dct1_entry)
    client = await admin()
    device = device_of(hass, dct1_entry)
    assert (
        await refusal(client, "receipts", device_id=device, cursor=cursor)
        == "invalid_format"
    )


async def test_one_receipt_is_exported_by_its_transaction(
    hass: HomeAssistant, meter_entry: MockConfigEntry, setup: Setup
) -> None:
    """The others are not in the file."""
    await setup(meter_entry)
    for name in ("first", "second"):
        await call(hass, meter_entry, "start", transaction_id=name)
        await call(hass, meter_entry, "stop")
    found = await hass.services.async_call(
        DOMAIN,
        "get_receipts",
        {"transaction_id": "first"},
        blocking=True,
        return_response=True,
    )
    assert found is not None
    assert found["total"] == 1
    made = await hass.services.async_call(
        DOMAIN,
        "export_receipts",
        {"transaction_id": "first", "format": "csv"},
        blocking=True,
        return_response=True,
    )
    assert made is not None
    assert made["receipts"] == 1


@pytest.mark.parametrize("action", ["start_transaction", "stop_transaction"])
async def test_who_may_not_turn_the_switch_neither_starts_nor_stops(
    hass: HomeAssistant,
    meter_entry: MockConfigEntry,
    setup: Setup,
    hass_read_only_user: User,
    action: str,
) -> None:
    """An action that takes a device is no way around the rights to its entities."""
    await setup(meter_entry)
    with pytest.raises(Unauthorized):
        await hass.services.async_call(
            DOMAIN,
            action,
            {"device_id": device_of(hass, meter_entry)},
            blocking=True,
            context=Context(user_id=hass_read_only_user.id),
        )
    assert meter_entry.runtime_data.sessions.current is None
