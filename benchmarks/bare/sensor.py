"""Asks what the integration asks each second, and shows the five values as they come."""

from contextlib import AsyncExitStack
from datetime import timedelta
import json
import logging
from typing import override

import aiohttp
from modbus_connection import ModbusSerialParams, ModbusUnit

from homeassistant.components.modbus import async_get_temporary_unit
from homeassistant.components.sensor import (
    SensorDeviceClass,
    SensorEntity,
    SensorStateClass,
)
from homeassistant.core import HomeAssistant
from homeassistant.helpers.aiohttp_client import async_get_clientsession
from homeassistant.helpers.entity_platform import AddEntitiesCallback
from homeassistant.helpers.typing import ConfigType, DiscoveryInfoType
from homeassistant.helpers.update_coordinator import (
    CoordinatorEntity,
    DataUpdateCoordinator,
)
from homeassistant.util.hass_dict import HassKey

type Values = dict[str, float]

HELD: HassKey[AsyncExitStack] = HassKey("bench_bare")

MOMENT_S = 0.1
"""When in a second each is read."""

SHOWN = {
    "voltage": (SensorDeviceClass.VOLTAGE, "V"),
    "current": (SensorDeviceClass.CURRENT, "A"),
    "power": (SensorDeviceClass.POWER, "W"),
    "energy_import": (SensorDeviceClass.ENERGY, "kWh"),
    "energy_export": (SensorDeviceClass.ENERGY, "kWh"),
}


async def read_dct1(unit: ModbusUnit) -> Values:
    """Ask for the live values and for both energies."""
    live = await unit.read_input_registers(0x0000, 6)
    energy = await unit.read_input_registers(0x0800, 20)
    return {
        "voltage": (live[0] | live[1] << 16) / 10,
        "current": (live[2] | live[3] << 16) / 1000,
        "power": (live[4] | live[5] << 16) / 10,
        "energy_import": (energy[8] << 16 | energy[9]) / 1000,
        "energy_export": (energy[18] << 16 | energy[19]) / 1000,
    }


async def read_iem_dcr(session: aiohttp.ClientSession, url: str) -> Values:
    """Ask for the one node, on a connection that is kept."""
    async with session.get(url) as response:
        told = json.loads(await response.read())
    registers = {entry["RI"]: entry["RV"] for entry in told["RD"] if "RI" in entry}
    return {
        "voltage": told["U2"],
        "current": told["I"],
        "power": told["P"],
        "energy_import": registers["1-b:1.8.e"],
        "energy_export": registers["1-b:2.8.e"],
    }


async def async_setup_platform(
    hass: HomeAssistant,
    config: ConfigType,
    async_add_entities: AddEntitiesCallback,
    discovery_info: DiscoveryInfoType | None = None,
) -> None:
    """Read a meter each second, by its ``device`` and ``address`` or its ``url``."""
    if "url" in config:
        session, url = async_get_clientsession(hass), config["url"]

        async def read() -> Values:
            return await read_iem_dcr(session, url)
    else:
        # Held for as long as Home Assistant runs.
        held = hass.data.setdefault(HELD, AsyncExitStack())
        unit = await held.enter_async_context(
            async_get_temporary_unit(
                hass,
                ModbusSerialParams(
                    device=config["device"], baudrate=config["baudrate"]
                ),
                config["address"],
            )
        )

        async def read() -> Values:
            return await read_dct1(unit)

    coordinator = DataUpdateCoordinator(
        hass,
        logging.getLogger(__name__),
        config_entry=None,
        name=config["name"],
        update_interval=timedelta(seconds=1),
        update_method=read,
    )
    # All at one moment: a processor that wakes up once for several takes least.
    coordinator._microsecond = MOMENT_S  # noqa: SLF001
    await coordinator.async_refresh()
    async_add_entities(BareSensor(coordinator, key) for key in SHOWN)


class BareSensor(CoordinatorEntity[DataUpdateCoordinator[Values]], SensorEntity):
    """One of the five values."""

    def __init__(self, coordinator: DataUpdateCoordinator[Values], key: str) -> None:
        """Show the value of this key."""
        super().__init__(coordinator)
        self._key = key
        self._attr_name = f"{coordinator.name}_{key}"
        self._attr_unique_id = self._attr_name
        self._attr_device_class, self._attr_native_unit_of_measurement = SHOWN[key]
        self._attr_state_class = (
            SensorStateClass.TOTAL
            if self._attr_device_class is SensorDeviceClass.ENERGY
            else SensorStateClass.MEASUREMENT
        )

    @property
    @override
    def native_value(self) -> float:
        """The value last read."""
        return self.coordinator.data[self._key]
