"""Simulated meters and entries for them, for every test of the integration."""

from collections.abc import AsyncIterator, Awaitable, Callable
import logging
from pathlib import Path
from typing import Any

import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

# The plugin brings a package custom_components of its own; importing ours first lets it win.
import custom_components.dc_meter
from custom_components.dc_meter.const import DOMAIN
from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import CONF_ADDRESS, CONF_DEVICE, CONF_URL
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr, entity_registry as er
from simulators.car import Car
from simulators.dct1 import SimulatedDct1
from simulators.iem_dcr import IemDcrServer, SimulatedIemDcr
from simulators.line import SerialLine

assert custom_components.dc_meter

# The plugin has every statement of the recorder told, also where no test listens.
logging.getLogger("sqlalchemy.engine").setLevel(logging.WARNING)

DCT1_SERIAL = "BY0520001002L"
IEM_SERIAL = "1ISA0200000001"
CHARGE_POINT = ("EVSEID", "DE*DCM*E1")


@pytest.fixture(autouse=True)
def integrations(enable_custom_integrations: None) -> None:
    """Let Home Assistant find this integration."""


@pytest.fixture(autouse=True)
async def config_dir(hass: HomeAssistant, tmp_path: Path) -> Path:
    """Give every test a configuration folder, and so an archive, of its own."""
    hass.config.config_dir = str(tmp_path)
    return tmp_path


@pytest.fixture
def car() -> Car:
    """Provide a car that both meters feel; no current flows yet."""
    return Car()


@pytest.fixture
def dct1(car: Car) -> SimulatedDct1:
    """Provide a DCT1 with some energy in its registers."""
    return SimulatedDct1(
        serial_number=DCT1_SERIAL, car=car, import_wh=446_540, export_wh=4_881
    )


@pytest.fixture
async def line(dct1: SimulatedDct1) -> AsyncIterator[SerialLine]:
    """Lay the DCT1's line, fast enough not to slow the tests."""
    async with SerialLine([dct1], baud_rate=115200) as line:
        yield line


@pytest.fixture
def iem_dcr(car: Car) -> SimulatedIemDcr:
    """Provide an IEM-DCR fresh from its power-up."""
    return SimulatedIemDcr(
        serial_number=IEM_SERIAL, car=car, import_wh=446_540, export_wh=4_881
    )


@pytest.fixture
async def server(
    iem_dcr: SimulatedIemDcr, socket_enabled: None
) -> AsyncIterator[IemDcrServer]:
    """Serve the IEM-DCR's network side."""
    async with IemDcrServer(iem_dcr) as server:
        yield server


def dct1_data(line: SerialLine, **changes: Any) -> dict[str, Any]:
    """Return the entry data of the DCT1 on this line."""
    return {
        "meter": "dct1",
        CONF_DEVICE: line.path,
        "baudrate": 115200,
        "parity": "N",
        "stopbits": 1,
        CONF_ADDRESS: 1,
    } | changes


def iem_dcr_data(server: IemDcrServer, **changes: Any) -> dict[str, Any]:
    """Return the entry data of this IEM-DCR."""
    return {
        "meter": "iem_dcr",
        CONF_URL: server.url,
        "charge_point_type": CHARGE_POINT[0],
        "charge_point_id": CHARGE_POINT[1],
    } | changes


IEM_DCR_OPTIONS = {
    "tariff_text": "0,39 EUR/kWh",
    "clock_interval": 2,
    "retries": 3,
    "retry_delay": 250,
    "show_user_id": False,
}


@pytest.fixture
def dct1_entry(hass: HomeAssistant, line: SerialLine) -> MockConfigEntry:
    """Provide the DCT1's entry, not set up yet."""
    entry = MockConfigEntry(
        domain=DOMAIN,
        title="DCT1",
        unique_id=DCT1_SERIAL,
        data=dct1_data(line),
        options={"low_side_sensing": True},
    )
    entry.add_to_hass(hass)
    return entry


@pytest.fixture
def iem_dcr_entry(hass: HomeAssistant, server: IemDcrServer) -> MockConfigEntry:
    """Provide the IEM-DCR's entry, not set up yet."""
    entry = MockConfigEntry(
        domain=DOMAIN,
        title="IEM-DCR",
        unique_id=IEM_SERIAL,
        data=iem_dcr_data(server),
        options=IEM_DCR_OPTIONS,
    )
    entry.add_to_hass(hass)
    return entry


@pytest.fixture(params=["dct1", "iem_dcr"])
def meter_entry(request: pytest.FixtureRequest) -> MockConfigEntry:
    """Provide either meter's entry: what holds for both is tested with both."""
    entry: MockConfigEntry = request.getfixturevalue(f"{request.param}_entry")
    return entry


@pytest.fixture
async def setup(hass: HomeAssistant) -> Callable[[MockConfigEntry], Awaitable[None]]:
    """Set an entry up and wait for its entities."""

    async def setup_entry(entry: MockConfigEntry) -> None:
        await hass.config_entries.async_setup(entry.entry_id)
        await hass.async_block_till_done(wait_background_tasks=True)
        assert entry.state is ConfigEntryState.LOADED, entry.reason

    return setup_entry


def device_of(hass: HomeAssistant, entry: MockConfigEntry) -> str:
    """Return the device id of an entry's meter, not of one that it replaced."""
    (device,) = [
        device
        for device in dr.async_entries_for_config_entry(
            dr.async_get(hass), entry.entry_id
        )
        if (DOMAIN, entry.unique_id) in device.identifiers
    ]
    return device.id


def entity_of(hass: HomeAssistant, entry: MockConfigEntry, key: str) -> str:
    """Return the entity id behind a key."""
    return next(
        entity.entity_id
        for entity in er.async_entries_for_config_entry(
            er.async_get(hass), entry.entry_id
        )
        if entity.unique_id == f"{entry.unique_id}_{key}"
    )


def state_of(hass: HomeAssistant, entry: MockConfigEntry, key: str) -> str:
    """Return the state of the entity behind a key."""
    state = hass.states.get(entity_of(hass, entry, key))
    assert state is not None
    return state.state
