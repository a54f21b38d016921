"""From the settings of an entry to the meter behind them."""

import asyncio
from collections.abc import AsyncIterator, Hashable, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from weakref import WeakValueDictionary

from modbus_connection import ModbusSerialParams, ModbusTcpParams, ModbusUnit

from homeassistant.components.modbus import async_get_temporary_unit, async_get_unit
from homeassistant.config_entries import ConfigEntry
from homeassistant.const import (
    CONF_ADDRESS,
    CONF_DEVICE,
    CONF_HOST,
    CONF_PORT,
    CONF_URL,
)
from homeassistant.core import HomeAssistant
from homeassistant.helpers.aiohttp_client import async_get_clientsession
from homeassistant.util import dt as dt_util
from homeassistant.util.hass_dict import HassKey

from .const import (
    CONF_BAUDRATE,
    CONF_CHARGE_POINT_ID,
    CONF_CHARGE_POINT_TYPE,
    CONF_CLOCK_INTERVAL,
    CONF_FRAMER,
    CONF_LOW_SIDE_SENSING,
    CONF_METER,
    CONF_PARITY,
    CONF_RETRIES,
    CONF_RETRY_DELAY,
    CONF_SHOW_USER_ID,
    CONF_STOPBITS,
    CONF_TARIFF_TEXT,
    DOMAIN,
    METER_DCT1,
)
from .metering.dct1 import Dct1
from .metering.iem_dcr import IemDcr
from .metering.meter import Meter

# One request at a time on a line, whichever meter it is for: so none is timed out while it
# only waits for another's. Kept as long as a meter of the line is.
_TURNS: HassKey[WeakValueDictionary[Hashable, asyncio.Lock]] = HassKey(
    f"{DOMAIN}_turns"
)

# A serial line behind a TCP socket has no baud rate of its own to be set from here. This
# value is the one the modbus integration uses, so that both spellings share a connection.
_SOCKET_BAUDRATE = 115200


def modbus_params(data: Mapping[str, Any]) -> ModbusSerialParams | ModbusTcpParams:
    """Return the Modbus link that the settings describe."""
    if CONF_DEVICE in data:
        return ModbusSerialParams(
            device=data[CONF_DEVICE],
            baudrate=data[CONF_BAUDRATE],
            parity=data[CONF_PARITY],
            stopbits=data[CONF_STOPBITS],
        )
    host, port = data[CONF_HOST], data[CONF_PORT]
    if data[CONF_FRAMER] == "rtu":
        bracketed = f"[{host}]" if ":" in host else host
        return ModbusSerialParams(
            device=f"socket://{bracketed}:{port}", baudrate=_SOCKET_BAUDRATE
        )
    return ModbusTcpParams(host=host, port=port)


def _turn(hass: HomeAssistant, endpoint: Hashable) -> asyncio.Lock:
    turns = hass.data.setdefault(_TURNS, WeakValueDictionary())
    return turns.setdefault(endpoint, asyncio.Lock())


def _dct1(hass: HomeAssistant, unit: ModbusUnit, settings: Mapping[str, Any]) -> Dct1:
    return Dct1(
        unit,
        low_side_sensing=settings[CONF_LOW_SIDE_SENSING],
        turn=_turn(hass, modbus_params(settings).endpoint),
    )


def _iem_dcr(hass: HomeAssistant, settings: Mapping[str, Any]) -> IemDcr:
    return IemDcr(
        async_get_clientsession(hass),
        settings[CONF_URL],
        charge_point_type=settings[CONF_CHARGE_POINT_TYPE],
        charge_point_id=settings[CONF_CHARGE_POINT_ID],
        time_zone=dt_util.get_default_time_zone,
        tariff_text=settings[CONF_TARIFF_TEXT],
        clock_interval=timedelta(hours=settings[CONF_CLOCK_INTERVAL]),
        retries=settings[CONF_RETRIES],
        retry_delay_s=settings[CONF_RETRY_DELAY] / 1000,
        show_user_id=settings[CONF_SHOW_USER_ID],
    )


def connect(hass: HomeAssistant, entry: ConfigEntry) -> Meter:
    """Return the meter of an entry; its link is given back when the entry unloads.

    Raises ``HomeAssistantError`` when the line is in use with other settings.
    """
    settings = entry.data | entry.options
    if settings[CONF_METER] == METER_DCT1:
        unit = async_get_unit(
            hass, entry, modbus_params(settings), settings[CONF_ADDRESS]
        )
        return _dct1(hass, unit, settings)
    return _iem_dcr(hass, settings)


@asynccontextmanager
async def temporary_meter(
    hass: HomeAssistant, settings: Mapping[str, Any]
) -> AsyncIterator[Meter]:
    """Hold the meter that settings describe, for as long as a config flow asks it.

    Raises ``HomeAssistantError`` when the line is in use with other settings.
    """
    if settings[CONF_METER] == METER_DCT1:
        async with async_get_temporary_unit(
            hass, modbus_params(settings), settings[CONF_ADDRESS]
        ) as unit:
            meter = _dct1(hass, unit, settings)
            try:
                yield meter
            finally:
                await meter.close()
    else:
        yield _iem_dcr(hass, settings)
