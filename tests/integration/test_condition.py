"""The condition that a transaction runs: at which meter, and whose."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.dc_meter.const import DOMAIN, EVENT_BACK, EVENT_DC_METER
from custom_components.dc_meter.metering.meter import TransactionRequest
from homeassistant.const import STATE_ON
from homeassistant.core import Event, HomeAssistant, callback
from homeassistant.helpers import (
    area_registry as ar,
    device_registry as dr,
    entity_registry as er,
    issue_registry as ir,
)
from homeassistant.helpers.condition import (
    async_from_config,
    async_validate_condition_config,
)
from homeassistant.setup import async_setup_component
from simulators.dct1 import SimulatedDct1
from simulators.line import SerialLine

from .conftest import DCT1_SERIAL, device_of, state_of
from .test_actions import call
from .test_init import poll
from .test_receipts import replace_meter

type Setup = Callable[[MockConfigEntry], Awaitable[None]]


async def runs(hass: HomeAssistant, target: dict[str, str], **options: Any) -> bool:
    """Ask the condition."""
    config = await async_validate_condition_config(
        hass,
        {
            "condition": "dc_meter.transaction_is_running",
            "target": target,
            "options": options,
        },
    )
    checker = await async_from_config(hass, config)
    try:
        return bool(checker.async_check())
    finally:
        checker.async_unload()


@pytest.fixture(autouse=True)
async def conditions(hass: HomeAssistant) -> None:
    """Bring in what looks for conditions."""
    assert await async_setup_component(hass, "automation", {})


async def test_it_holds_from_start_to_stop(
    hass: HomeAssistant, meter_entry: MockConfigEntry, setup: Setup
) -> None:
    """Of the meter in the target, however that is named."""
    await setup(meter_entry)
    device_id = device_of(hass, meter_entry)
    area = ar.async_get(hass).async_create("Carport")
    dr.async_get(hass).async_update_device(device_id, area_id=area.id)
    assert not await runs(hass, {"device_id": device_id})
    await call(hass, meter_entry, "start")
    assert await runs(hass, {"device_id": device_id})
    assert await runs(hass, {"area_id": area.id})
    assert not await runs(hass, {"device_id": "nothing"})
    await call(hass, meter_entry, "stop")
    assert not await runs(hass, {"device_id": device_id})


async def test_it_knows_when_the_event_comes(
    hass: HomeAssistant, meter_entry: MockConfigEntry, setup: Setup
) -> None:
    """An automation that is run by a start or a stop is not told the state before."""
    await setup(meter_entry)
    target = {"device_id": device_of(hass, meter_entry)}
    seen: dict[str, bool] = {}
    config = await async_validate_condition_config(
        hass, {"condition": "dc_meter.transaction_is_running", "target": target}
    )
    checker = await async_from_config(hass, config)

    @callback
    def look(event: Event) -> None:
        seen[event.data["type"]] = bool(checker.async_check())

    hass.bus.async_listen(EVENT_DC_METER, look)
    await call(hass, meter_entry, "start")
    await call(hass, meter_entry, "stop")
    checker.async_unload()
    assert seen == {"transaction_started": True, "transaction_stopped": False}


async def test_what_runs_is_known_when_the_meter_is_told_to_be_back(
    hass: HomeAssistant, dct1_entry: MockConfigEntry, setup: Setup, line: SerialLine
) -> None:
    """An automation that is run by it sees the session, and entities that are there again."""
    await setup(dct1_entry)
    target = {"device_id": device_of(hass, dct1_entry)}
    seen: list[tuple[bool, str]] = []
    config = await async_validate_condition_config(
        hass, {"condition": "dc_meter.transaction_is_running", "target": target}
    )
    checker = await async_from_config(hass, config)

    @callback
    def look(event: Event) -> None:
        if event.data["type"] == EVENT_BACK:
            seen.append(
                (
                    bool(checker.async_check()),
                    state_of(hass, dct1_entry, "transaction_active"),
                )
            )

    hass.bus.async_listen(EVENT_DC_METER, look)
    await call(hass, dct1_entry, "start")
    await line.cut()
    await poll(hass, dct1_entry)
    await line.mend()
    await poll(hass, dct1_entry)
    checker.async_unload()
    assert seen == [(True, STATE_ON)]


@pytest.mark.parametrize(
    ("users", "holds"),
    [
        (["04A2B1C4"], True),
        (["fleet-7"], True),
        (["somebody", "fleet-7"], True),
        (["somebody"], False),
        ([], True),
    ],
)
async def test_it_holds_for_the_user_who_charges(
    hass: HomeAssistant,
    meter_entry: MockConfigEntry,
    setup: Setup,
    users: list[str],
    holds: bool,
) -> None:
    """By identification or client id; without users, for anybody."""
    await setup(meter_entry)
    await call(
        hass,
        meter_entry,
        "start",
        identification_data="04A2B1C4",
        client_id="fleet-7",
    )
    target = {"device_id": device_of(hass, meter_entry)}
    assert await runs(hass, target, user=users) is holds


async def test_a_transaction_of_nobody_here_is_nobodys(
    hass: HomeAssistant, iem_dcr_entry: MockConfigEntry, setup: Setup
) -> None:
    """One that began at the meter runs, and is no user's."""
    await setup(iem_dcr_entry)
    meter = iem_dcr_entry.runtime_data.meter
    await meter.begin(TransactionRequest(transaction_id="of somebody else"))
    await poll(hass, iem_dcr_entry)
    target = {"device_id": device_of(hass, iem_dcr_entry)}
    assert await runs(hass, target)
    assert not await runs(hass, target, user=["of somebody else"])


async def test_a_meter_that_does_not_answer_is_not_known_to_charge(
    hass: HomeAssistant, dct1_entry: MockConfigEntry, setup: Setup, line: SerialLine
) -> None:
    """An old value is no answer, and an unloaded entry is none."""
    await setup(dct1_entry)
    target = {"device_id": device_of(hass, dct1_entry)}
    await call(hass, dct1_entry, "start")
    await line.cut()
    await poll(hass, dct1_entry)
    assert not await runs(hass, target)
    await line.mend()
    await poll(hass, dct1_entry)
    assert await runs(hass, target)
    await hass.config_entries.async_unload(dct1_entry.entry_id)
    assert not await runs(hass, target)


async def test_it_never_holds_for_a_replaced_meter(
    hass: HomeAssistant,
    dct1_entry: MockConfigEntry,
    setup: Setup,
    dct1: SimulatedDct1,
    issue_registry: ir.IssueRegistry,
) -> None:
    """Neither by its device nor by the entities that stay with it; what runs is the new one's."""
    old, new = await replace_meter(hass, dct1_entry, setup, dct1, issue_registry)
    left = er.async_get(hass).async_get_entity_id(
        "event", DOMAIN, f"{DCT1_SERIAL}_transaction_event"
    )
    assert left is not None
    await call(hass, dct1_entry, "start")
    assert await runs(hass, {"device_id": new})
    assert not await runs(hass, {"device_id": old})
    assert not await runs(hass, {"entity_id": left})
