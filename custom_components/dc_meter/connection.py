"""From the settings of an entry to the meter behind them."""

from collections.abc import AsyncIterator, Collection, Hashable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from functools import partial
from typing import Any
from weakref import WeakValueDictionary

from modbus_connection import ModbusSerialParams, ModbusTcpParams, ModbusUnit

from homeassistant.components.modbus import async_get_temporary_unit, async_get_unit
from homeassistant.components.modbus.connection import (
    DATA_MODBUS_CONNECTIONS,
    async_get_connection_info,
)
from homeassistant.config_entries import ConfigEntry
from homeassistant.const import (
    CONF_ADDRESS,
    CONF_DEVICE,
    CONF_HOST,
    CONF_PORT,
    CONF_URL,
)
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
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
from .metering.dct1_search import Dct1Search, Line, OpenLine
from .metering.iem_dcr import IemDcr
from .metering.meter import Meter
from .metering.turn import Turn
from .serial_ports import port_users

# One reading at a time on a line, whichever meter it is for: so none is timed out while it
# only waits for another's. Kept as long as a meter of the line is.
_TURNS: HassKey[WeakValueDictionary[Hashable, Turn]] = HassKey(f"{DOMAIN}_turns")

# A serial line behind a TCP socket has no baud rate of its own to be set from here. This
# value is the one the modbus integration uses, so that both spellings share a connection.
_SOCKET_BAUDRATE = 115200


class LineInUseError(Exception):
    """One line has only one set of settings, and somebody else's are in force."""

    key = "line_in_use"

    def __init__(self, holders: Sequence[str], settings: str) -> None:
        """Name the titles of the entries that hold the line, and their settings."""
        super().__init__(f"in use by {', '.join(holders)} ({settings})")
        self.holders = holders
        self.details = {"holders": ", ".join(holders) or "–", "settings": settings}


class PortInUseError(LineInUseError):
    """Somebody else has the port, for something else or under another name."""

    key = "port_in_use"


def modbus_params(data: Mapping[str, Any]) -> Line:
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


def _turn(hass: HomeAssistant, endpoint: Hashable) -> Turn:
    turns = hass.data.setdefault(_TURNS, WeakValueDictionary())
    return turns.setdefault(endpoint, Turn())


def _dct1(hass: HomeAssistant, unit: ModbusUnit, settings: Mapping[str, Any]) -> Dct1:
    params = modbus_params(settings)
    return Dct1(
        unit,
        low_side_sensing=settings[CONF_LOW_SIDE_SENSING],
        turn=_turn(hass, params.endpoint),
        behind_gateway=isinstance(params, ModbusTcpParams),
    )


def _iem_dcr(hass: HomeAssistant, settings: Mapping[str, Any]) -> IemDcr:
    return IemDcr(
        async_get_clientsession(hass),
        settings[CONF_URL],
        charge_point_type=settings[CONF_CHARGE_POINT_TYPE],
        charge_point_id=settings[CONF_CHARGE_POINT_ID],
        time_zone=dt_util.get_default_time_zone,
        tariff_text=settings.get(CONF_TARIFF_TEXT),
        clock_interval=timedelta(hours=settings[CONF_CLOCK_INTERVAL]),
        retries=settings[CONF_RETRIES],
        retry_delay_s=settings[CONF_RETRY_DELAY] / 1000,
        show_user_id=settings[CONF_SHOW_USER_ID],
    )


def line_settings(params: object) -> str:
    """Return the settings of a line as they are commonly written, such as 9600 baud 8N1."""
    if not isinstance(params, ModbusSerialParams):
        return "Modbus TCP"
    if params.device.startswith("socket://"):
        return "RTU over TCP"
    frame = f"{params.bytesize}{params.parity}{params.stopbits}"
    return f"{params.baudrate} baud {frame}"


def _in_use(hass: HomeAssistant, params: Line) -> LineInUseError:
    """Return who holds a line that could not be had with these settings."""
    # Home Assistant's error has this as a text for logs only.
    shared = hass.data[DATA_MODBUS_CONNECTIONS][params.endpoint]
    entries = map(hass.config_entries.async_get_entry, shared.units)
    return LineInUseError(
        [entry.title for entry in entries if entry], line_settings(shared.params)
    )


def connect(hass: HomeAssistant, entry: ConfigEntry) -> Meter:
    """Return the meter of an entry; its link is given back when the entry unloads.

    Raises ``LineInUseError``.
    """
    settings = entry.data | entry.options
    if settings[CONF_METER] == METER_DCT1:
        params = modbus_params(settings)
        try:
            unit = async_get_unit(hass, entry, params, settings[CONF_ADDRESS])
        except HomeAssistantError as err:
            raise _in_use(hass, params) from err
        return _dct1(hass, unit, settings)
    return _iem_dcr(hass, settings)


def endpoint_of(entry: ConfigEntry) -> Hashable:
    """Return what meters that cannot be read at the same time have in common."""
    settings = entry.data | entry.options
    if settings[CONF_METER] == METER_DCT1:
        return modbus_params(settings).endpoint
    url: str = settings[CONF_URL]
    return url


def line_of(hass: HomeAssistant, entry: ConfigEntry) -> dict[str, Any] | None:
    """Return who else is on a meter's line, for diagnostics; None where it shares none."""
    for line in async_get_connection_info(hass):
        if entry.entry_id in line.units:
            return {
                "endpoint": str(line.endpoint),
                "connected": line.connected,
                "users": [
                    {
                        "integration": user.domain,
                        "this_meter": user is entry,
                        "units": units,
                    }
                    for entry_id, units in line.units.items()
                    if (user := hass.config_entries.async_get_entry(entry_id))
                ],
            }
    return None


@asynccontextmanager
async def _temporary_unit(
    hass: HomeAssistant, params: Line, address: int
) -> AsyncIterator[ModbusUnit]:
    """Hold a unit without an entry. Raises ``LineInUseError``."""
    async with AsyncExitStack() as stack:
        try:
            unit = await stack.enter_async_context(
                async_get_temporary_unit(hass, params, address)
            )
        except HomeAssistantError as err:
            raise _in_use(hass, params) from err
        yield unit


@asynccontextmanager
async def temporary_meter(
    hass: HomeAssistant, settings: Mapping[str, Any]
) -> AsyncIterator[Meter]:
    """Hold the meter that settings describe, for as long as a config flow asks it.

    Raises ``LineInUseError``.
    """
    if settings[CONF_METER] == METER_DCT1:
        params = modbus_params(settings)
        async with _temporary_unit(hass, params, settings[CONF_ADDRESS]) as unit:
            meter = _dct1(hass, unit, settings)
            try:
                yield meter
            finally:
                await meter.close()
    else:
        yield _iem_dcr(hass, settings)


@asynccontextmanager
async def _open_line(hass: HomeAssistant, params: Line) -> AsyncIterator[OpenLine]:
    """Hold a line for as long as one set of its settings is searched."""
    async with _temporary_unit(hass, params, 0):
        yield OpenLine(
            unit=partial(_temporary_unit, hass, params),
            turn=_turn(hass, params.endpoint),
        )


async def dct1_search(
    hass: HomeAssistant,
    lines: Sequence[Line],
    known: Collection[str],
    leaving: ConfigEntry | None = None,
) -> Dct1Search:
    """Prepare a search of a line for meters that are not known yet.

    A line that is in use is searched with the settings in force, and only at addresses that
    nobody uses; an entry that leaves it for the search does not count. Raises
    ``LineInUseError`` when those are none of ``lines``, and while somebody else searches it.
    """
    connections = hass.data.get(DATA_MODBUS_CONNECTIONS, {})
    for line in lines:
        if (shared := connections.get(line.endpoint)) is None:
            continue
        units = {
            entry_id: addresses
            for entry_id, addresses in shared.units.items()
            if leaving is None or entry_id != leaving.entry_id
        }
        if shared.units and not units:
            continue
        # Who has it without a meter is another search, whose settings change all the time.
        if not units or shared.params not in lines:
            raise _in_use(hass, line)
        return Dct1Search(
            lines=[line for line in lines if line == shared.params],
            open_line=partial(_open_line, hass),
            known=known,
            taken=set().union(*units.values()),
            shared=True,
        )
    if isinstance(lines[0], ModbusSerialParams):
        if users := await port_users(hass, lines[0].device):
            raise PortInUseError(users, "–")
    return Dct1Search(lines=lines, open_line=partial(_open_line, hass), known=known)
