"""A meter's entry: set up, polled, lost, found again, unloaded."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from datetime import timedelta
from itertools import pairwise
from unittest.mock import patch

import pytest
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_fire_time_changed,
)

from custom_components.dc_meter.const import DOMAIN
from custom_components.dc_meter.metering.meter import MeterReading
from custom_components.dc_meter.moments import MOMENTS, TOGETHER, take_moment
from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import EVENT_STATE_REPORTED, STATE_UNAVAILABLE
from homeassistant.core import EventStateReportedData, HomeAssistant, callback
from homeassistant.helpers import issue_registry as ir
from homeassistant.util import dt as dt_util
from simulators.car import Car
from simulators.dct1 import SimulatedDct1
from simulators.iem_dcr import IemDcrServer, SimulatedIemDcr
from simulators.line import SerialLine

from .conftest import dct1_data, state_of

type Setup = Callable[[MockConfigEntry], Awaitable[None]]


async def poll(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """Let the coordinator poll once, now."""
    await entry.runtime_data.coordinator.async_refresh()
    await hass.async_block_till_done(wait_background_tasks=True)


async def test_a_meter_shows_its_registers_to_the_last_digit(
    hass: HomeAssistant, meter_entry: MockConfigEntry, setup: Setup
) -> None:
    """Energy is what the meter counts, as exact as it counts."""
    await setup(meter_entry)
    assert state_of(hass, meter_entry, "energy_import") == "446.540"
    assert state_of(hass, meter_entry, "energy_export") == "4.881"


async def test_a_meter_follows_the_car(
    hass: HomeAssistant, meter_entry: MockConfigEntry, setup: Setup, car: Car
) -> None:
    """Power, voltage and current are the car's, and change with it."""
    await setup(meter_entry)
    assert float(state_of(hass, meter_entry, "power")) == 0
    for asked_w in (11_000, 7_000):
        car.set_power(asked_w)
        await poll(hass, meter_entry)
        power = float(state_of(hass, meter_entry, "power"))
        voltage = float(state_of(hass, meter_entry, "voltage"))
        current = float(state_of(hass, meter_entry, "current"))
        assert power == pytest.approx(asked_w, rel=0.01)
        assert voltage * current == pytest.approx(power, rel=0.01)


async def test_a_poll_follows_a_poll_each_second(
    hass: HomeAssistant, meter_entry: MockConfigEntry, setup: Setup, car: Car
) -> None:
    """Nobody has to ask for the next reading."""
    await setup(meter_entry)
    car.set_power(5_000)
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(seconds=2))
    await hass.async_block_till_done(wait_background_tasks=True)
    assert float(state_of(hass, meter_entry, "power")) == pytest.approx(5_000, rel=0.01)


async def test_what_a_reading_says_nothing_new_of_is_not_written(
    hass: HomeAssistant, meter_entry: MockConfigEntry, setup: Setup, car: Car
) -> None:
    """Energy flows, and no entity is written that has stayed as it was."""
    await setup(meter_entry)
    car.set_power(11_000)
    for _ in range(2):
        await poll(hass, meter_entry)
    written: list[str] = []

    @callback
    def note(data: EventStateReportedData) -> bool:
        written.append(data["entity_id"])
        return False

    hass.bus.async_listen(EVENT_STATE_REPORTED, lambda _: None, event_filter=note)
    await asyncio.sleep(1)
    await poll(hass, meter_entry)
    assert not written


async def test_a_reading_that_ends_in_the_next_second_does_not_cost_it(
    hass: HomeAssistant, dct1_entry: MockConfigEntry, setup: Setup
) -> None:
    """Meters of the second moment are read at it, also when they took until the next second."""
    hass.data[MOMENTS] = defaultdict(set, {0: set(range(TOGETHER))})
    await setup(dct1_entry)
    coordinator = dct1_entry.runtime_data.coordinator
    read, began_at = coordinator.meter.read, list[float]()

    async def wait_and_read() -> MeterReading:
        began_at.append(hass.loop.time())
        await asyncio.sleep(0.7)
        reading: MeterReading = await read()
        return reading

    with patch.object(coordinator.meter, "read", wait_and_read):
        await asyncio.sleep(4)
    assert len(began_at) >= 3
    assert [at % 1 for at in began_at] == pytest.approx(
        [0.618] * len(began_at), abs=0.1
    )
    assert all(b - a == pytest.approx(1, abs=0.1) for a, b in pairwise(began_at))


async def parts_of_a_second(hass: HomeAssistant) -> dict[str, float]:
    """Return at which part of a second each meter that is loaded is read, by its title."""
    began_at: dict[str, float] = {}
    for entry in hass.config_entries.async_loaded_entries(DOMAIN):
        meter = entry.runtime_data.coordinator.meter

        async def note(
            read: Callable[[], Awaitable[MeterReading]] = meter.read,
            title: str = entry.title,
        ) -> MeterReading:
            began_at[title] = hass.loop.time() % 1
            return await read()

        meter.read = note
    await asyncio.sleep(2.2)
    return began_at


async def test_meters_of_different_lines_are_read_at_one_moment(
    hass: HomeAssistant,
    dct1_entry: MockConfigEntry,
    iem_dcr_entry: MockConfigEntry,
    setup: Setup,
) -> None:
    """The processor wakes up once for both."""
    await setup(dct1_entry)  # and with it the other
    began_at = await parts_of_a_second(hass)
    assert began_at["DCT1"] == pytest.approx(began_at["IEM-DCR"], abs=0.1)


async def test_meters_of_one_line_are_read_at_different_moments(
    hass: HomeAssistant,
    dct1_entry: MockConfigEntry,
    line: SerialLine,
    setup: Setup,
) -> None:
    """The second of two is read most of half a second after the first."""
    line.connect(SimulatedDct1(address=2, serial_number="BY0000000000X"))
    other = MockConfigEntry(
        domain=DOMAIN,
        title="Other",
        unique_id="BY0000000000X",
        data=dct1_data(line, address=2),
        options=dct1_entry.options,
    )
    other.add_to_hass(hass)
    await setup(dct1_entry)  # and with it the other
    began_at = await parts_of_a_second(hass)
    assert 0.3 < abs(began_at["DCT1"] - began_at["Other"]) < 0.7


async def test_no_more_than_some_meters_are_read_at_one_moment(
    hass: HomeAssistant,
) -> None:
    """One more begins the next moment; what an unloaded entry leaves is taken again."""
    entries = [MockConfigEntry(domain=DOMAIN) for _ in range(TOGETHER + 2)]
    first, *others, one_more, last = entries
    moments = [
        take_moment(hass, entry, endpoint)
        for endpoint, entry in enumerate((first, *others))
    ]
    assert len(set(moments)) == 1
    assert take_moment(hass, one_more, "another") not in moments
    await first._async_process_on_unload(hass)  # noqa: SLF001
    assert take_moment(hass, last, "the last") in moments


async def test_a_lost_meter_is_unavailable_and_logged_once_each_way(
    hass: HomeAssistant,
    dct1_entry: MockConfigEntry,
    setup: Setup,
    line: SerialLine,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Silence blanks the entities; the first answer brings them back."""
    await setup(dct1_entry)
    await line.cut()
    for _ in range(3):
        await poll(hass, dct1_entry)
        assert state_of(hass, dct1_entry, "energy_import") == STATE_UNAVAILABLE
    await line.mend()
    await poll(hass, dct1_entry)
    assert state_of(hass, dct1_entry, "energy_import") == "446.540"
    ours = [record for record in caplog.records if "dc_meter" in record.name]
    assert len([record for record in ours if record.levelname == "ERROR"]) == 1
    assert len([record for record in ours if "recovered" in record.message]) == 1


async def test_one_lost_answer_blanks_nothing(
    hass: HomeAssistant, dct1_entry: MockConfigEntry, setup: Setup, line: SerialLine
) -> None:
    """A single disturbance on the line is asked over within the same poll."""
    await setup(dct1_entry)
    line.drop()
    await poll(hass, dct1_entry)
    assert state_of(hass, dct1_entry, "voltage") != STATE_UNAVAILABLE


async def test_setup_waits_for_a_meter_that_is_off(
    hass: HomeAssistant, dct1_entry: MockConfigEntry, line: SerialLine
) -> None:
    """A meter that does not answer at start is tried again later."""
    await line.cut()
    await hass.config_entries.async_setup(dct1_entry.entry_id)
    assert dct1_entry.state is ConfigEntryState.SETUP_RETRY
    assert dct1_entry.error_reason_translation_key == "unreachable"


async def test_setup_refuses_another_meter(
    hass: HomeAssistant, dct1_entry: MockConfigEntry, dct1: SimulatedDct1
) -> None:
    """A meter exchanged while Home Assistant was off does not continue the old one's history."""
    dct1.exchange(serial_number="BY0000000000X")
    await hass.config_entries.async_setup(dct1_entry.entry_id)
    assert dct1_entry.state is ConfigEntryState.SETUP_RETRY
    assert dct1_entry.error_reason_translation_key == "wrong_meter"


async def test_setup_tells_another_meter_nothing(
    hass: HomeAssistant, iem_dcr_entry: MockConfigEntry, iem_dcr: SimulatedIemDcr
) -> None:
    """What it is told would stay in its receipts until it is switched off."""
    iem_dcr.exchange(serial_number="1ISA0299999999")
    await hass.config_entries.async_setup(iem_dcr_entry.entry_id)
    assert iem_dcr_entry.state is ConfigEntryState.SETUP_RETRY
    assert iem_dcr_entry.error_reason_translation_key == "wrong_meter"
    told = iem_dcr.describe()
    assert (told["CT"], told["CI"], told["tariff_text"]) == ("", "", "")
    assert told["clock"].endswith("U")


async def test_setup_does_not_try_again_what_the_meter_can_never_take(
    hass: HomeAssistant, iem_dcr_entry: MockConfigEntry, iem_dcr: SimulatedIemDcr
) -> None:
    """A text that no receipt can carry is for the user to change."""
    hass.config_entries.async_update_entry(
        iem_dcr_entry, options=iem_dcr_entry.options | {"tariff_text": "a|b"}
    )
    await hass.config_entries.async_setup(iem_dcr_entry.entry_id)
    assert iem_dcr_entry.state is ConfigEntryState.SETUP_ERROR
    assert iem_dcr_entry.error_reason_translation_key == "text_uncarriable"
    assert iem_dcr.get_gw()["CI"] == ""


async def test_the_meter_follows_a_changed_time_zone(
    hass: HomeAssistant,
    iem_dcr_entry: MockConfigEntry,
    setup: Setup,
    iem_dcr: SimulatedIemDcr,
) -> None:
    """Its receipts carry Home Assistant's local time from the next poll on."""
    await setup(iem_dcr_entry)
    await hass.config.async_set_time_zone("Asia/Tokyo")
    await poll(hass, iem_dcr_entry)
    assert "+0900" in iem_dcr.get_datetime()["TM"]


@pytest.mark.parametrize("was_off", [False, True])
async def test_another_meter_at_the_address_blanks_the_entities(
    hass: HomeAssistant,
    iem_dcr_entry: MockConfigEntry,
    setup: Setup,
    iem_dcr: SimulatedIemDcr,
    server: IemDcrServer,
    issue_registry: ir.IssueRegistry,
    was_off: bool,
) -> None:
    """An address reused by another meter never shows that one's values; its owner is asked."""
    await setup(iem_dcr_entry)
    if was_off:
        await server.refuse()
        await poll(hass, iem_dcr_entry)
        await server.accept()
    own = iem_dcr.serial_number
    iem_dcr.exchange(serial_number="1ISA0299999999", new_key=False)
    for _ in range(2):
        await poll(hass, iem_dcr_entry)
        assert state_of(hass, iem_dcr_entry, "energy_import") == STATE_UNAVAILABLE
        (issue,) = issue_registry.issues.values()
        assert issue.translation_key == "meter_exchanged"
        assert issue.translation_placeholders is not None
        assert issue.translation_placeholders["found"] == "1ISA0299999999"
    iem_dcr.exchange(serial_number=own, new_key=False)
    await poll(hass, iem_dcr_entry)
    assert not issue_registry.issues


async def test_a_frozen_charge_point_is_a_repair_until_the_power_cycle(
    hass: HomeAssistant,
    iem_dcr_entry: MockConfigEntry,
    setup: Setup,
    server: IemDcrServer,
    issue_registry: ir.IssueRegistry,
) -> None:
    """The user learns which charge point receipts carry and how to change it."""
    server.meter.post_gw(
        {"CT": "CBIDC", "CI": "OLD", "TM": "2026-07-01T14:00:00,000+0200"}
    )
    await setup(iem_dcr_entry)
    (issue,) = issue_registry.issues.values()
    assert issue.translation_key == "charge_point_frozen"
    assert issue.translation_placeholders == {
        "meter": "IEM-DCR",
        "frozen": "CBIDC OLD",
        "configured": "EVSEID DE*DCM*E1",
    }
    await server.power_cycle(off_s=0.1)
    await poll(hass, iem_dcr_entry)
    await asyncio.sleep(0.2)
    await poll(hass, iem_dcr_entry)
    assert not issue_registry.issues
    await hass.config_entries.async_unload(iem_dcr_entry.entry_id)


async def test_both_meters_start_together(
    hass: HomeAssistant, dct1_entry: MockConfigEntry, iem_dcr_entry: MockConfigEntry
) -> None:
    """At a start of Home Assistant all entries are set up at once, on one archive."""
    await hass.config_entries.async_setup(dct1_entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert dct1_entry.state is ConfigEntryState.LOADED
    assert iem_dcr_entry.state is ConfigEntryState.LOADED


async def test_two_settings_on_one_line_are_refused(
    hass: HomeAssistant,
    dct1_entry: MockConfigEntry,
    setup: Setup,
    line: SerialLine,
) -> None:
    """The second entry says that the line is in use, and the first goes on."""
    await setup(dct1_entry)
    other = MockConfigEntry(
        domain="dc_meter",
        unique_id="other",
        data=dct1_entry.data | {"baudrate": 9600},
        options=dct1_entry.options,
    )
    other.add_to_hass(hass)
    await hass.config_entries.async_setup(other.entry_id)
    assert other.state is ConfigEntryState.SETUP_RETRY
    assert other.error_reason_translation_key == "line_in_use"
    await poll(hass, dct1_entry)
    assert state_of(hass, dct1_entry, "energy_import") == "446.540"


async def test_unloading_gives_the_line_back(
    hass: HomeAssistant, meter_entry: MockConfigEntry, setup: Setup
) -> None:
    """An unloaded meter is not asked any more, and can be set up again."""
    await setup(meter_entry)
    assert await hass.config_entries.async_unload(meter_entry.entry_id)
    assert meter_entry.state is ConfigEntryState.NOT_LOADED
    await setup(meter_entry)
