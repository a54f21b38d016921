"""What the database grows by: every change, or economically."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

import pytest
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_capture_events,
)
from pytest_homeassistant_custom_component.components.recorder.common import (
    async_wait_recording_done,
)
from pytest_homeassistant_custom_component.typing import RecorderInstanceContextManager
from sqlalchemy import text

from custom_components.dc_meter.metering.errors import MeterUnreachableError
from custom_components.dc_meter.metering.meter import MeterReading
from homeassistant.components.recorder import Recorder
from homeassistant.components.recorder.util import session_scope
from homeassistant.const import EVENT_STATE_CHANGED, STATE_UNAVAILABLE, STATE_UNKNOWN
from homeassistant.core import CALLBACK_TYPE, HomeAssistant
from homeassistant.util import dt as dt_util
from simulators.car import UJ_PER_WH, Car

from .conftest import entity_of, state_of
from .test_actions import call

type Setup = Callable[[MockConfigEntry], Awaitable[None]]

EVERY_CHANGE = {"recording": "every_change"}
ECONOMICAL = {
    "recording": "economical",
    "voltage_bound": 5,
    "current_bound": 2,
    "power_bound": 1000,
    "longest_wait": 60,
}
POWER_W = 50_000


@pytest.fixture
def mock_recorder_before_hass(
    async_test_recorder: RecorderInstanceContextManager,
) -> None:
    """Prepare the recorder's database before Home Assistant asks for it."""


@dataclass(kw_only=True)
class Charge:
    """A meter whose seconds pass when a test says so, for the car and for what waits."""

    hass: HomeAssistant
    entry: MockConfigEntry
    now_s: float = 0
    lost: bool = False
    waiting: list[tuple[float, Callable[[datetime], None]]] = field(
        default_factory=list
    )

    def __post_init__(self) -> None:
        """Plug the car in."""
        self.car = Car(clock=lambda: self.now_s)

    def call_later(
        self, _: HomeAssistant, delay_s: float, action: Callable[[datetime], None]
    ) -> CALLBACK_TYPE:
        """Do what ``async_call_later`` does, by this clock."""
        one = (self.now_s + delay_s, action)
        self.waiting.append(one)
        return lambda: one in self.waiting and self.waiting.remove(one)

    async def read(self) -> MeterReading:
        """Read the car, where a DCT1 would be asked over its line."""
        if self.lost:
            raise MeterUnreachableError(error="lost")
        flow = self.car.flow()
        return MeterReading(
            energy_import_wh=Decimal(446_540 + flow.import_uj // UJ_PER_WH),
            energy_export_wh=Decimal(4_881 + flow.export_uj // UJ_PER_WH),
            power_w=Decimal(flow.power_mw // 100).scaleb(-1),
            voltage_v=Decimal(flow.voltage_dv).scaleb(-1),
            current_a=Decimal(flow.current_ma).scaleb(-3),
        )

    async def seconds(self, number: int) -> None:
        """Let so many pass, each with its poll."""
        for _ in range(number):
            self.now_s += 1
            for one in [one for one in self.waiting if one[0] <= self.now_s]:
                self.waiting.remove(one)
                one[1](dt_util.utcnow())
            await self.entry.runtime_data.coordinator.async_refresh()

    async def rows(self) -> int:
        """Return how many rows the database has of the sensors."""
        await async_wait_recording_done(self.hass)

        def count() -> int:
            with session_scope(hass=self.hass, read_only=True) as session:
                return int(
                    session.execute(
                        text(
                            "SELECT COUNT(*) FROM states JOIN states_meta"
                            " USING (metadata_id) WHERE states_meta.entity_id LIKE 'sensor.%'"
                        )
                    ).scalar_one()
                )

        return await self.hass.async_add_executor_job(count)

    def shown(self) -> dict[str, str]:
        """Return what is shown of what flows."""
        keys = ("power", "voltage", "current", "energy_import")
        return {key: state_of(self.hass, self.entry, key) for key in keys}

    async def exact(self) -> dict[str, str]:
        """Return what the meter shows."""
        reading = await self.read()
        assert reading.energy_import_wh is not None
        return {
            "power": str(reading.power_w),
            "voltage": str(reading.voltage_v),
            "current": str(reading.current_a),
            "energy_import": str(reading.energy_import_wh.scaleb(-3)),
        }


@pytest.fixture
async def charge(
    recorder_mock: Recorder,
    hass: HomeAssistant,
    dct1_entry: MockConfigEntry,
    setup: Setup,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> Charge:
    """Provide a meter that records as asked, and its car."""
    options = dct1_entry.options | request.param
    hass.config_entries.async_update_entry(dct1_entry, options=options)
    charge = Charge(hass=hass, entry=dct1_entry)
    package = "custom_components.dc_meter"
    monkeypatch.setattr(f"{package}.sensor.async_call_later", charge.call_later)
    await setup(dct1_entry)
    monkeypatch.setattr(f"{package}.coordinator.monotonic", lambda: charge.now_s)
    monkeypatch.setattr(f"{package}.coordinator.uptime_s", lambda: charge.now_s)
    monkeypatch.setattr(dct1_entry.runtime_data.meter, "read", charge.read)
    # What it is polled by here is the test, and nothing else.
    dct1_entry.runtime_data.coordinator.update_interval = None
    charge.now_s = 100_000
    charge.car = Car(clock=lambda: charge.now_s)
    await charge.seconds(2)
    return charge


economical = pytest.mark.parametrize("charge", [ECONOMICAL], indirect=True)


async def _rows_of_a_charge(hass: HomeAssistant, charge: Charge) -> tuple[int, int]:
    """Charge for ten minutes; return the rows it cost, and how often a value changed."""
    before = await charge.rows()
    changes = 0
    await call(hass, charge.entry, "start")
    charge.car.charge()
    last = charge.entry.runtime_data.coordinator.data
    for _ in range(600):
        await charge.seconds(1)
        reading = charge.entry.runtime_data.coordinator.data
        changes += 2 * (reading.energy_import_wh != last.energy_import_wh)
        changes += reading.power_w != last.power_w
        changes += reading.voltage_v != last.voltage_v
        changes += reading.current_a != last.current_a
        last = reading
    charge.car.stop()
    await charge.seconds(2)
    await call(hass, charge.entry, "stop")
    return await charge.rows() - before, changes


@pytest.mark.parametrize("charge", [EVERY_CHANGE], indirect=True)
async def test_every_change_is_one_row(hass: HomeAssistant, charge: Charge) -> None:
    """No more than a row for each value that changed; start and stop are a few more."""
    rows, changes = await _rows_of_a_charge(hass, charge)
    assert changes <= rows <= changes + 20


@economical
async def test_economical_costs_less_than_a_tenth(
    hass: HomeAssistant, charge: Charge
) -> None:
    """Ramp and ripple included."""
    rows, changes = await _rows_of_a_charge(hass, charge)
    assert 0 < rows < changes / 10


@pytest.mark.parametrize("charge", [EVERY_CHANGE, ECONOMICAL], indirect=True)
async def test_a_meter_at_rest_costs_nothing(charge: Charge) -> None:
    """No row, for as long as nothing changes."""
    charge.car.steer(plugged=False)
    await charge.seconds(5)
    before = await charge.rows()
    await charge.seconds(300)
    assert await charge.rows() == before


@economical
async def test_small_changes_wait_and_great_ones_do_not(charge: Charge) -> None:
    """A change is shown when it reaches its bound, or has waited long enough."""
    charge.car.set_power(POWER_W)
    await charge.seconds(3)
    charge.car.set_power(POWER_W + 900)
    await charge.seconds(1)
    assert charge.shown()["power"] == "50000.0"
    charge.car.set_power(POWER_W + 1_000)
    await charge.seconds(1)
    assert charge.shown()["power"] == "51000.0"
    charge.car.set_power(POWER_W + 900)
    await charge.seconds(59)
    assert charge.shown()["power"] == "51000.0"
    await charge.seconds(2)
    assert charge.shown()["power"] == "50900.0"
    energy = charge.shown()["energy_import"]
    await charge.seconds(70)
    assert charge.shown()["energy_import"] > energy


@economical
async def test_what_waits_is_shown_though_nothing_changes_any_more(
    charge: Charge,
) -> None:
    """A meter whose readings are all the same tells nobody, and time passes all the same."""
    charge.car.set_power(POWER_W)
    await charge.seconds(3)
    charge.car.set_power(POWER_W + 10)
    await charge.seconds(1)
    reading = charge.entry.runtime_data.coordinator.data

    async def same() -> MeterReading:
        return reading

    charge.entry.runtime_data.meter.read = same
    await charge.seconds(61)
    assert charge.shown()["power"] == "50010.0"


@economical
@pytest.mark.parametrize("number", [1, 2])
async def test_values_are_exact_when_power_comes_and_goes(
    charge: Charge, number: int
) -> None:
    """And with the poll after that, when all that has flowed is counted."""
    await charge.seconds(7)
    for power_w in (POWER_W, 0):
        charge.car.set_power(power_w)
        await charge.seconds(number)
        assert charge.shown() == await charge.exact()
        await charge.seconds(7)


@economical
async def test_values_are_exact_at_start_and_stop(
    hass: HomeAssistant, charge: Charge
) -> None:
    """While power flows, as a DCT1 allows."""
    charge.car.set_power(POWER_W)
    await charge.seconds(7)
    for action in ("start", "stop"):
        assert charge.shown() != await charge.exact()
        await call(hass, charge.entry, action)
        assert charge.shown() == await charge.exact()
        await charge.seconds(1)
        assert charge.shown() == await charge.exact()
        await charge.seconds(7)


@economical
async def test_the_last_of_a_transaction_is_shown_before_it_is_over(
    hass: HomeAssistant, charge: Charge
) -> None:
    """Else its statistics would lack what waited."""
    await call(hass, charge.entry, "start")
    charge.car.set_power(POWER_W)
    await charge.seconds(7)
    shown = state_of(hass, charge.entry, "transaction_energy_import")
    changes = async_capture_events(hass, EVENT_STATE_CHANGED)
    await call(hass, charge.entry, "stop")
    energy = entity_of(hass, charge.entry, "transaction_energy_import")
    last, unknown = [
        event.data["new_state"].state
        for event in changes
        if event.data["entity_id"] == energy
    ]
    assert Decimal(last) > Decimal(shown)
    assert unknown == STATE_UNKNOWN


@economical
async def test_the_last_value_before_silence_is_exact(
    hass: HomeAssistant, charge: Charge
) -> None:
    """Then it is unavailable at once, and back at once."""
    charge.car.set_power(POWER_W)
    await charge.seconds(7)
    exact = await charge.exact()
    assert charge.shown() != exact
    changes = async_capture_events(hass, EVENT_STATE_CHANGED)
    charge.lost = True
    await charge.seconds(1)
    assert set(charge.shown().values()) == {STATE_UNAVAILABLE}
    energy = entity_of(hass, charge.entry, "energy_import")
    told = [event.data for event in changes if event.data["entity_id"] == energy]
    assert [data["new_state"].state for data in told] == [
        exact["energy_import"],
        STATE_UNAVAILABLE,
    ]
    charge.lost = False
    await charge.seconds(1)
    assert charge.shown() == await charge.exact()


@economical
async def test_the_last_value_before_an_unload_is_exact(
    hass: HomeAssistant, charge: Charge
) -> None:
    """What has flowed is in the database before the entry is gone."""
    charge.car.set_power(POWER_W)
    await charge.seconds(7)
    exact = (await charge.exact())["energy_import"]
    energy = entity_of(hass, charge.entry, "energy_import")
    changes = async_capture_events(hass, EVENT_STATE_CHANGED)
    await hass.config_entries.async_unload(charge.entry.entry_id)
    told = [event.data for event in changes if event.data["entity_id"] == energy]
    assert [data["new_state"].state for data in told] == [exact, STATE_UNAVAILABLE]


@economical
async def test_unknown_does_not_wait(hass: HomeAssistant, charge: Charge) -> None:
    """A transaction's energy is there when it begins, and gone when it ends."""
    assert state_of(hass, charge.entry, "transaction_energy_import") == "unknown"
    await call(hass, charge.entry, "start")
    assert state_of(hass, charge.entry, "transaction_energy_import") == "0.000"
    await call(hass, charge.entry, "stop")
    assert state_of(hass, charge.entry, "transaction_energy_import") == "unknown"
