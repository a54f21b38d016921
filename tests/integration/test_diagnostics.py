"""What a maintainer gets to see of a meter, whether it works or not."""

from collections.abc import Awaitable, Callable, Mapping
import re
from typing import Any

import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
from syrupy.assertion import SnapshotAssertion

from custom_components.dc_meter.diagnostics import async_get_config_entry_diagnostics
from homeassistant.core import HomeAssistant
from simulators.dct1 import SimulatedDct1
from simulators.iem_dcr import SimulatedIemDcr

type Setup = Callable[[MockConfigEntry], Awaitable[None]]

# What no two meters or runs have in common.
VOLATILE = {
    "clock_offset_s",
    "device",
    "duration_ms",
    "duration_s",
    "durations_ms",
    "energy_interval_s",
    "energy_timeout_s",
    "meter_time",
    "public_key",
    "url",
    "voltage_v",
    "words",
}


def steadied(told: Any) -> Any:
    """Put a mark in the place of what differs from run to run."""
    if isinstance(told, Mapping):
        return {
            key: "volatile" if key in VOLATILE else steadied(value)
            for key, value in told.items()
        }
    if isinstance(told, list):
        return [steadied(value) for value in told]
    if isinstance(told, str):
        # In the IEM-DCR's answers as they came.
        return re.sub(r'"(TM|PK|U1|U2)": ?("[^"]*"|[^,}]*)', r'"\1":"volatile"', told)
    return told


async def test_diagnostics_tell_all_that_is_known_of_a_meter(
    hass: HomeAssistant,
    meter_entry: MockConfigEntry,
    setup: Setup,
    snapshot: SnapshotAssertion,
) -> None:
    """Settings, identity, the reading, the polls and the meter's own answers."""
    await setup(meter_entry)
    told = await async_get_config_entry_diagnostics(hass, meter_entry)
    assert steadied(told) == snapshot


@pytest.fixture(params=["dct1", "iem_dcr"])
def exchanged_entry(
    request: pytest.FixtureRequest, dct1: SimulatedDct1, iem_dcr: SimulatedIemDcr
) -> MockConfigEntry:
    """Provide the entry of a meter in whose place another one answers."""
    dct1.exchange(serial_number="BY0000000000X")
    iem_dcr.exchange(serial_number="1ISA0299999999")
    entry: MockConfigEntry = request.getfixturevalue(f"{request.param}_entry")
    return entry


async def test_diagnostics_of_a_meter_that_cannot_be_set_up_tell_why(
    hass: HomeAssistant, exchanged_entry: MockConfigEntry
) -> None:
    """It is then that they are needed."""
    await hass.config_entries.async_setup(exchanged_entry.entry_id)
    told = await async_get_config_entry_diagnostics(hass, exchanged_entry)
    assert told == {
        "entry": {
            "data": dict(exchanged_entry.data),
            "options": dict(exchanged_entry.options),
            "state": "setup_retry",
            "reason": exchanged_entry.reason,
        }
    }
    assert "is expected" in told["entry"]["reason"]
