"""What a maintainer gets to see of a meter, whether it works or not."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
import json
import re
from typing import Any

import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
from syrupy.assertion import SnapshotAssertion

from custom_components.dc_meter.const import DOMAIN
from custom_components.dc_meter.diagnostics import async_get_config_entry_diagnostics
from homeassistant.core import HomeAssistant
from homeassistant.util import dt as dt_util
from simulators.dct1 import SimulatedDct1
from simulators.iem_dcr import SimulatedIemDcr
from simulators.line import SerialLine

from .test_actions import call
from .test_sessions import poll

type Setup = Callable[[MockConfigEntry], Awaitable[None]]

# What no two meters or runs have in common.
VOLATILE = {
    "age_s",
    "clock_offset_s",
    "count",
    "device",
    "duration_ms",
    "duration_s",
    "durations_ms",
    "endpoint",
    "energy_age_s",
    "energy_interval_s",
    "energy_timeout_s",
    "first",
    "last",
    "late",
    "libraries",
    "meter_time",
    "missed",
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
    assert told["entry"] == {
        "data": dict(exchanged_entry.data),
        "options": dict(exchanged_entry.options),
        "state": "setup_retry",
        "reason": exchanged_entry.reason,
    }
    assert "is expected" in told["entry"]["reason"]
    assert told["libraries"]["modbus-connection"]
    assert told["archive"]["records"] == 0


async def test_diagnostics_tell_what_went_wrong_and_when(
    hass: HomeAssistant,
    dct1_entry: MockConfigEntry,
    setup: Setup,
    line: SerialLine,
) -> None:
    """How long polls took, and what they failed with since the set-up."""
    await setup(dct1_entry)
    began = dt_util.utcnow().replace(microsecond=0)
    await line.cut()
    for _ in range(2):
        await poll(hass, dct1_entry)
    told = (await async_get_config_entry_diagnostics(hass, dct1_entry))["poll"]
    assert told["last_success"] is False
    assert "unreachable" in told["last_error"]
    errors = told["errors"]["unreachable"]
    assert errors["count"] >= 2
    first, last = (datetime.fromisoformat(errors[key]) for key in ("first", "last"))
    assert began <= first <= last <= dt_util.utcnow()
    took = told["duration_ms"]
    assert took["min"] <= took["median"] <= took["p99"] <= took["max"]


async def test_diagnostics_name_the_others_on_the_line(
    hass: HomeAssistant,
    dct1_entry: MockConfigEntry,
    setup: Setup,
    line: SerialLine,
) -> None:
    """What they disturb can be seen."""
    line.connect(SimulatedDct1(address=2, serial_number="OTHER"))
    other = MockConfigEntry(
        domain=DOMAIN,
        unique_id="OTHER",
        data=dct1_entry.data | {"address": 2},
        options=dct1_entry.options,
    )
    other.add_to_hass(hass)
    await setup(dct1_entry)
    told = await async_get_config_entry_diagnostics(hass, dct1_entry)
    assert told["line"]["users"] == [
        {"integration": "dc_meter", "this_meter": True, "units": [1]},
        {"integration": "dc_meter", "this_meter": False, "units": [2]},
    ]


ODD = ['"', "\\", "|", "é", "💶", "{}", "[null]", "%s", "</script>", "0"]


async def test_diagnostics_name_nobody_whatever_they_are_called(
    hass: HomeAssistant, meter_entry: MockConfigEntry, setup: Setup
) -> None:
    """During a session and after it, in the meter's own answers as in ours."""
    await setup(meter_entry)
    for odd in ODD:
        secret = f"SECRET {odd} SECRET"
        signed = secret.replace("|", "/")
        await call(
            hass,
            meter_entry,
            "start",
            transaction_id=signed,
            identification_data=signed,
            tariff_text=signed,
            client_id=secret,
            tariff_id=secret,
            cable_id=secret,
            user_data={secret: [secret]},
        )
        for _ in range(2):
            told = await async_get_config_entry_diagnostics(hass, meter_entry)
            assert "SECRET" not in json.dumps(told, default=str)
            assert told["identity"]["public_key"] == told["trust"]["public_key"]
            await call(hass, meter_entry, "stop")
