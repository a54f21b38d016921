"""The entities of each meter, and what can be done with them."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from unittest.mock import patch

import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
from syrupy.assertion import SnapshotAssertion

from homeassistant.const import (
    ATTR_ENTITY_ID,
    SERVICE_TURN_OFF,
    SERVICE_TURN_ON,
    STATE_OFF,
    STATE_ON,
)
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import entity_registry as er
from simulators.car import Car
from simulators.dct1 import SimulatedDct1
from simulators.iem_dcr import SimulatedIemDcr
from simulators.line import SerialLine

from .conftest import entity_of, state_of
from .test_actions import call

type Setup = Callable[[MockConfigEntry], Awaitable[None]]

# What no two meters or runs have in common.
VOLATILE = {
    "transaction_start",
    "public_key",
    "poll_duration",
    "clock_offset",
    "voltage",
}


async def test_entities_are_as_designed(
    hass: HomeAssistant,
    meter_entry: MockConfigEntry,
    setup: Setup,
    entity_registry: er.EntityRegistry,
    snapshot: SnapshotAssertion,
) -> None:
    """Names, classes, units, categories and precision of everything, and its state."""
    await setup(meter_entry)
    found = {}
    for entity in er.async_entries_for_config_entry(
        entity_registry, meter_entry.entry_id
    ):
        state = hass.states.get(entity.entity_id)
        if state is None:
            assert entity.disabled_by is er.RegistryEntryDisabler.INTEGRATION
            continue
        key = entity.unique_id.removeprefix(f"{meter_entry.unique_id}_")
        found[entity.entity_id] = {
            "key": key,
            "category": entity.entity_category,
            "translation_key": entity.translation_key,
            "options": dict(entity.options),
            "attributes": dict(state.attributes),
            "state": "volatile" if key in VOLATILE else state.state,
        }
    assert dict(sorted(found.items())) == snapshot


async def test_only_what_changed_is_written_again(
    hass: HomeAssistant, meter_entry: MockConfigEntry, setup: Setup, car: Car
) -> None:
    """Each second while a car charges, most of what a meter shows stays as it is."""
    await setup(meter_entry)
    coordinator = meter_entry.runtime_data.coordinator

    async def poll_at(power_w: float) -> dict[str, float]:
        car.steer(power_w=power_w)
        await coordinator.async_refresh()
        found = {}
        for key in ("power", "public_key", "transaction_active", "energy_export"):
            state = hass.states.get(entity_of(hass, meter_entry, key))
            assert state is not None
            found[key] = state.last_reported_timestamp
        return found

    await poll_at(9_000)
    before, after = await poll_at(10_000), await poll_at(20_000)
    assert {key for key in after if after[key] != before[key]} == {"power"}


async def test_a_problem_that_becomes_another_is_told(
    hass: HomeAssistant,
    iem_dcr_entry: MockConfigEntry,
    setup: Setup,
    iem_dcr: SimulatedIemDcr,
) -> None:
    """Its words are others, and it is a problem as before."""
    await setup(iem_dcr_entry)
    for word in ("0x0001", "0x0002"):
        iem_dcr.error(words=f"{word}, 0x00000000, 0x00, 0x00")
        await iem_dcr_entry.runtime_data.coordinator.async_refresh()
        problem = hass.states.get(entity_of(hass, iem_dcr_entry, "problem"))
        assert problem is not None
        assert problem.state == STATE_ON
        assert problem.attributes["error_words"][0] == word


async def test_poll_duration_is_for_those_who_look_for_it(
    hass: HomeAssistant, meter_entry: MockConfigEntry, setup: Setup
) -> None:
    """A value that changes each second is off unless asked for."""
    await setup(meter_entry)
    entity_id = entity_of(hass, meter_entry, "poll_duration")
    entry = er.async_get(hass).async_get(entity_id)
    assert entry is not None
    assert entry.disabled_by is er.RegistryEntryDisabler.INTEGRATION


async def test_a_dct1_shows_its_public_key(
    hass: HomeAssistant, dct1_entry: MockConfigEntry, setup: Setup, dct1: SimulatedDct1
) -> None:
    """Whoever compares it with the label sees the same digits."""
    await setup(dct1_entry)
    assert dct1.key is not None
    assert state_of(hass, dct1_entry, "public_key") == dct1.key.point.hex().upper()


async def test_an_iem_dcr_shows_its_public_key(
    hass: HomeAssistant,
    iem_dcr_entry: MockConfigEntry,
    setup: Setup,
    iem_dcr: SimulatedIemDcr,
) -> None:
    """As delivered, mixed case and all."""
    await setup(iem_dcr_entry)
    assert state_of(hass, iem_dcr_entry, "public_key") == iem_dcr.get_publickey()["PK"]


async def test_an_unsigned_dct1_measures_all_the_same(
    hass: HomeAssistant, dct1_entry: MockConfigEntry, setup: Setup, line: SerialLine
) -> None:
    """It has no key to show, and its sessions have energies and no signature."""
    line.connect(SimulatedDct1(address=2, signature="none", serial_number="UNSIGNED"))
    hass.config_entries.async_update_entry(
        dct1_entry, unique_id="UNSIGNED", data=dct1_entry.data | {"address": 2}
    )
    await setup(dct1_entry)
    keys = {
        entity.unique_id.removeprefix("UNSIGNED_")
        for entity in er.async_entries_for_config_entry(
            er.async_get(hass), dct1_entry.entry_id
        )
    }
    assert "public_key" not in keys
    switch = {ATTR_ENTITY_ID: entity_of(hass, dct1_entry, "transaction")}
    await hass.services.async_call("switch", SERVICE_TURN_ON, switch, blocking=True)
    assert state_of(hass, dct1_entry, "transaction_energy_import") == "0.000"


async def test_the_switch_starts_and_stops_a_transaction(
    hass: HomeAssistant, meter_entry: MockConfigEntry, setup: Setup
) -> None:
    """On and off, and nothing happens when it is already so."""
    await setup(meter_entry)
    switch = {ATTR_ENTITY_ID: entity_of(hass, meter_entry, "transaction")}
    assert state_of(hass, meter_entry, "transaction") == STATE_OFF
    await hass.services.async_call("switch", SERVICE_TURN_ON, switch, blocking=True)
    assert state_of(hass, meter_entry, "transaction") == STATE_ON
    transaction_id = state_of(hass, meter_entry, "transaction_id")
    await hass.services.async_call("switch", SERVICE_TURN_ON, switch, blocking=True)
    assert state_of(hass, meter_entry, "transaction_id") == transaction_id
    for _ in range(2):
        await hass.services.async_call(
            "switch", SERVICE_TURN_OFF, switch, blocking=True
        )
        assert state_of(hass, meter_entry, "transaction") == STATE_OFF


async def test_the_energy_of_a_session_says_since_when_it_counts(
    hass: HomeAssistant, meter_entry: MockConfigEntry, setup: Setup
) -> None:
    """Also of a second one that has counted as much as the first: nothing."""
    await setup(meter_entry)
    for _ in range(2):
        await call(hass, meter_entry, "start")
        session = meter_entry.runtime_data.sessions.current
        energy = hass.states.get(
            entity_of(hass, meter_entry, "transaction_energy_import")
        )
        assert energy is not None
        assert energy.attributes["last_reset"] == session.asked_at.isoformat()


async def test_the_switch_stops_what_runs_whatever_it_shows(
    hass: HomeAssistant, meter_entry: MockConfigEntry, setup: Setup
) -> None:
    """What was read may be of the time before another command."""
    await setup(meter_entry)
    coordinator = meter_entry.runtime_data.coordinator
    switch = {ATTR_ENTITY_ID: entity_of(hass, meter_entry, "transaction")}
    await hass.services.async_call("switch", SERVICE_TURN_ON, switch, blocking=True)
    await hass.async_block_till_done(wait_background_tasks=True)
    stale = replace(coordinator.data, transaction_active=False)
    with patch.object(coordinator, "data", stale):
        await hass.services.async_call(
            "switch", SERVICE_TURN_OFF, switch, blocking=True
        )
    await coordinator.async_refresh()
    assert state_of(hass, meter_entry, "transaction") == STATE_OFF


async def test_the_switch_stays_when_the_meter_refuses(
    hass: HomeAssistant, iem_dcr_entry: MockConfigEntry, setup: Setup, car: Car
) -> None:
    """The user is told why, and the switch shows what is so."""
    await setup(iem_dcr_entry)
    car.set_power(11_000)
    with pytest.raises(HomeAssistantError) as refusal:
        await hass.services.async_call(
            "switch",
            SERVICE_TURN_ON,
            {ATTR_ENTITY_ID: entity_of(hass, iem_dcr_entry, "transaction")},
            blocking=True,
        )
    assert refusal.value.translation_key == "current_flowing"
    assert state_of(hass, iem_dcr_entry, "transaction") == STATE_OFF


async def test_the_tariff_text_can_be_set(
    hass: HomeAssistant,
    iem_dcr_entry: MockConfigEntry,
    setup: Setup,
    iem_dcr: SimulatedIemDcr,
) -> None:
    """The meter shows it, and so does the entity."""
    await setup(iem_dcr_entry)
    assert state_of(hass, iem_dcr_entry, "tariff_text") == "0,39 EUR/kWh"
    for text in ("0,55 EUR/kWh", "0,65 EUR/kWh"):
        await hass.services.async_call(
            "text",
            "set_value",
            {
                ATTR_ENTITY_ID: entity_of(hass, iem_dcr_entry, "tariff_text"),
                "value": text,
            },
            blocking=True,
        )
        assert state_of(hass, iem_dcr_entry, "tariff_text") == text
        assert iem_dcr.describe()["tariff_text"] == text


async def test_the_clock_can_be_set_by_hand(
    hass: HomeAssistant,
    iem_dcr_entry: MockConfigEntry,
    setup: Setup,
    iem_dcr: SimulatedIemDcr,
) -> None:
    """At once, and not during a transaction."""
    await setup(iem_dcr_entry)
    button = {ATTR_ENTITY_ID: entity_of(hass, iem_dcr_entry, "set_clock")}
    iem_dcr.clock_jump(seconds=2)
    await hass.services.async_call("button", "press", button, blocking=True)
    assert abs(float(state_of(hass, iem_dcr_entry, "clock_offset"))) <= 1
    switch = {ATTR_ENTITY_ID: entity_of(hass, iem_dcr_entry, "transaction")}
    await hass.services.async_call("switch", SERVICE_TURN_ON, switch, blocking=True)
    with pytest.raises(HomeAssistantError) as refusal:
        await hass.services.async_call("button", "press", button, blocking=True)
    assert refusal.value.translation_key == "transaction_running"


async def test_a_clock_that_is_off_shows(
    hass: HomeAssistant,
    iem_dcr_entry: MockConfigEntry,
    setup: Setup,
    iem_dcr: SimulatedIemDcr,
) -> None:
    """While a transaction keeps the clock from being set, its offset is seen."""
    await setup(iem_dcr_entry)
    assert state_of(hass, iem_dcr_entry, "clock_state") == "informative"
    switch = {ATTR_ENTITY_ID: entity_of(hass, iem_dcr_entry, "transaction")}
    await hass.services.async_call("switch", SERVICE_TURN_ON, switch, blocking=True)
    iem_dcr.clock_jump(seconds=90)
    await iem_dcr_entry.runtime_data.coordinator.async_refresh()
    assert float(state_of(hass, iem_dcr_entry, "clock_offset")) == pytest.approx(
        90, abs=1
    )
