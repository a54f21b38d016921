"""Searching real lines for meters: what is found, in which order, and at what cost."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

from modbus_connection import ModbusSerialParams, ModbusTcpParams
from modbus_connection.tmodbus import ModbusConnection
from pymodbus.constants import ExcCodes
import pytest

from custom_components.dc_meter.metering import dct1_search
from custom_components.dc_meter.metering.dct1 import Dct1
from custom_components.dc_meter.metering.dct1_search import (
    Dct1Search,
    FoundDct1,
    Line,
    OpenLine,
    patience_s,
)
from custom_components.dc_meter.metering.errors import MeterUnreachableError
from custom_components.dc_meter.metering.turn import Turn
from simulators.dct1 import SimulatedDct1
from simulators.line import SerialLine, TcpGateway

ALL = frozenset(range(1, 248))


class OtherDevice:
    """A device whose input registers are not a DCT1's."""

    powered = True

    def __init__(self, address: int, live: list[int] | ExcCodes) -> None:
        self.address = address
        self._live = live

    async def read_input_registers(
        self, address: int, count: int
    ) -> list[int] | ExcCodes:
        """Answer where the live values of a DCT1 are, and nowhere else."""
        return self._live if address == 0 else ExcCodes.ILLEGAL_ADDRESS


def serial(line: SerialLine, *baudrates: int) -> list[Line]:
    """Return these settings of a serial line."""
    return [
        ModbusSerialParams(device=line.path, baudrate=baudrate)
        for baudrate in baudrates or (line.baud_rate,)
    ]


type Search = Callable[..., Dct1Search]


@pytest.fixture
def turn() -> Turn:
    """Return whose turn it is on the line that is searched."""
    return Turn()


@pytest.fixture(name="search")
def search_fixture(monkeypatch: pytest.MonkeyPatch, turn: Turn) -> Search:
    """Prepare a search of meters that are quick to answer."""
    monkeypatch.setattr(dct1_search, "ANSWER_S", 0.15)

    @asynccontextmanager
    async def open_line(line: Line) -> AsyncIterator[OpenLine]:
        connection = ModbusConnection(line)

        @asynccontextmanager
        async def unit(address: int) -> AsyncIterator[Any]:
            yield connection.for_unit(address)

        try:
            yield OpenLine(unit=unit, turn=turn)
        finally:
            await connection.close()

    def search(lines: Sequence[Line], **settings: Any) -> Dct1Search:
        return Dct1Search(lines=lines, open_line=open_line, **settings)

    return search


def ignore(share: float) -> None:
    """Take no interest in the progress."""


def places(search: Dct1Search) -> list[tuple[Any, int]]:
    """Return the baud rate and address of each meter found."""
    return [(found.line.baudrate, found.address) for found in search.found]  # type: ignore[union-attr] # only serial lines are asked for this


async def test_a_meter_as_it_leaves_the_factory_is_found_first(search: Search) -> None:
    """One request tells that somebody is there."""
    async with SerialLine([SimulatedDct1()]) as line:
        searching = search(serial(line, 9600, 19200))
        found = await searching.go_on(ignore)
    assert isinstance(found, FoundDct1)
    assert (found.line, found.address) == (serial(line, 9600)[0], 1)
    assert found.identity.serial_number == "BY0000000001L"


@pytest.mark.parametrize(
    ("baud_rate", "address"), [(19200, 1), (115200, 5), (9600, 247), (38400, 247)]
)
async def test_a_meter_is_found_wherever_it_is(
    search: Search, baud_rate: int, address: int
) -> None:
    """Any address, any baud rate."""
    meter = SimulatedDct1(address=address)
    async with SerialLine([meter], baud_rate=baud_rate) as line:
        searching = search(
            serial(line, 9600, 19200, 38400, 115200), taken=ALL - {1, 5, 246, 247}
        )
        while not (found := await searching.go_on(ignore)):
            assert not searching.is_over
    assert found.address == address
    assert places(searching) == [(baud_rate, address)]


async def test_the_likely_places_come_first(search: Search) -> None:
    """A low address at odd settings is in the first stretch, a high one is not."""
    meter = SimulatedDct1(address=10)
    async with SerialLine([meter], baud_rate=115200) as line:
        searching = search(serial(line, 9600, 115200), taken=ALL - {1, 10, 11})
        assert await searching.go_on(ignore)
        assert searching.found[0].address == 10
    async with SerialLine([SimulatedDct1(address=11)], baud_rate=115200) as line:
        searching = search(serial(line, 9600, 115200), taken=ALL - {1, 10, 11})
        assert await searching.go_on(ignore) is None
        assert not searching.is_over
        assert await searching.go_on(ignore)


async def test_all_meters_of_a_line_are_found_one_by_one(search: Search) -> None:
    """Whoever answers tells the settings: the rest of the line comes before others."""
    meters = [
        SimulatedDct1(address=address, serial_number=f"BY{address}")
        for address in (1, 2, 200)
    ]
    async with SerialLine(meters, baud_rate=115200) as line:
        searching = search(serial(line, 9600, 115200), taken=ALL - {1, 2, 3, 200})
        for address in (1, 2, 200):
            found = await searching.go_on(ignore)
            assert found is not None
            assert found.address == address
        # What is left are the other settings.
        assert not searching.is_over
        assert await searching.go_on(ignore) is None
        assert searching.is_over
    assert places(searching) == [(115200, 1), (115200, 2), (115200, 200)]


async def test_a_meter_that_answers_to_two_settings_is_found_once(
    search: Search,
) -> None:
    """Most do not mind a second stop bit; a pty minds neither that nor parity."""
    async with SerialLine([SimulatedDct1()], baud_rate=115200) as line:
        lines: list[Line] = [
            ModbusSerialParams(device=line.path, baudrate=115200, stopbits=stopbits)
            for stopbits in (1, 2)
        ]
        searching = search(lines, taken=ALL - {1})
        assert await searching.go_on(ignore)
        assert await searching.go_on(ignore) is None
    assert len(searching.found) == 1


async def test_a_known_meter_is_no_news(search: Search) -> None:
    """It is noted, and the search does not stop for it."""
    meters = [
        SimulatedDct1(address=1, serial_number="KNOWN"),
        SimulatedDct1(address=2, serial_number="NEW"),
    ]
    async with SerialLine(meters, baud_rate=115200) as line:
        searching = search(serial(line), known={"KNOWN"})
        found = await searching.go_on(ignore)
    assert found is not None
    assert found.identity.serial_number == "NEW"
    assert [found.identity.serial_number for found in searching.found] == [
        "KNOWN",
        "NEW",
    ]


@pytest.mark.parametrize(
    "live", [ExcCodes.ILLEGAL_ADDRESS, ExcCodes.DEVICE_FAILURE, [0] * 6, [0] * 5]
)
async def test_another_device_is_counted_and_passed_by(
    search: Search, live: list[int] | ExcCodes
) -> None:
    """It is no DCT1, but it tells that the settings are right."""
    devices = [OtherDevice(1, live), SimulatedDct1(address=2)]
    async with SerialLine(devices, baud_rate=115200) as line:
        searching = search(serial(line, 9600, 115200), taken=ALL - {1, 2})
        found = await searching.go_on(ignore)
    assert found is not None
    assert found.address == 2
    assert searching.others == {1}


async def test_a_garbled_answer_is_asked_for_again(search: Search) -> None:
    """Noise hides no meter."""
    async with SerialLine([SimulatedDct1()], baud_rate=115200) as line:
        line.corrupt()
        searching = search(serial(line), taken=ALL - {1})
        assert await searching.go_on(ignore)
    assert not searching.others


async def test_two_meters_at_one_address_are_not_hidden(search: Search) -> None:
    """Their answers collide, time and again."""
    async with SerialLine([SimulatedDct1()], baud_rate=115200) as line:
        line.corrupt(count=2)
        searching = search(serial(line), taken=ALL - {1})
        assert await searching.go_on(ignore) is None
    assert searching.others == {1}


@pytest.mark.parametrize("framer", ["rtu", "socket"])
@pytest.mark.parametrize("address", [1, 7])
async def test_a_gateway_is_searched_either_way(
    search: Search,
    socket_enabled: None,
    framer: Literal["rtu", "socket"],
    address: int,
) -> None:
    """A gateway that says nobody is there has told its protocol."""
    meter = SimulatedDct1(address=address)
    async with TcpGateway(
        [meter], baud_rate=115200, framer=framer, timeout_s=0.3
    ) as gateway:
        lines: list[Line] = [
            ModbusSerialParams(
                device=f"socket://127.0.0.1:{gateway.port}", baudrate=115200
            ),
            ModbusTcpParams(host="127.0.0.1", port=gateway.port),
        ]
        searching = search(lines, taken=ALL - {1, 7})
        found = await searching.go_on(ignore)
    assert found is not None
    assert (found.address, found.line) == (address, lines[framer == "socket"])


async def test_a_port_that_is_not_there_is_said_so(
    search: Search, tmp_path: Path
) -> None:
    """With no settings does it open."""
    lines: list[Line] = [
        ModbusSerialParams(device=str(tmp_path / "port"), baudrate=baudrate)
        for baudrate in (9600, 19200)
    ]
    with pytest.raises(MeterUnreachableError):
        await search(lines).go_on(ignore)


async def test_a_port_that_takes_too_long_to_open_is_given_up(
    search: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one behind a gateway that is switched off."""
    monkeypatch.setattr(dct1_search, "OPEN_TIMEOUT_S", 0)
    async with SerialLine([SimulatedDct1()]) as line:
        with pytest.raises(MeterUnreachableError):
            await search(serial(line)).go_on(ignore)


async def test_a_port_unplugged_during_the_search_ends_it(search: Search) -> None:
    """What was found is kept; who is left is not asked in vain."""
    meters = [SimulatedDct1(), SimulatedDct1(address=2, serial_number="B")]
    async with SerialLine(meters, baud_rate=115200) as line:
        searching = search(serial(line))
        assert await searching.go_on(ignore)
        await line.cut(mode="unplugged")
        assert await searching.go_on(ignore) is None
    assert searching.is_over
    assert len(searching.found) == 1


async def test_progress_goes_from_nothing_to_all(search: Search) -> None:
    """Each address is one step."""
    shares: list[float] = []
    async with SerialLine([], baud_rate=115200) as line:
        searching = search(serial(line), taken=ALL - {1, 2, 3, 4})
        expected_s = searching.expected_s
        assert await searching.go_on(shares.append) is None
    assert shares == pytest.approx([0.25, 0.5, 0.75, 1.0])
    assert searching.is_over
    assert expected_s == pytest.approx(4 * patience_s(serial(line)[0]))


async def test_taken_addresses_are_not_asked(search: Search) -> None:
    """Somebody else is asking there."""
    async with SerialLine([SimulatedDct1()], baud_rate=115200) as line:
        searching = search(serial(line), taken=ALL - {2, 3})
        assert await searching.go_on(ignore) is None
        assert line.requests == 2


async def test_a_shared_line_is_left_half_the_time(search: Search) -> None:
    """Searching in company takes twice as long."""
    loop = asyncio.get_running_loop()
    async with SerialLine([], baud_rate=115200) as line:
        searching = search(serial(line), taken=ALL - {1, 2, 3}, shared=True)
        began = loop.time()
        assert searching.expected_s == pytest.approx(6 * patience_s(serial(line)[0]))
        expected_s = searching.expected_s
        await searching.go_on(ignore)
        assert loop.time() - began >= expected_s


@pytest.mark.usefixtures("socket_enabled")
async def test_a_search_behind_a_silent_gateway_costs_nobody_a_reading(
    search: Search, turn: Turn
) -> None:
    """One that does not say that nobody answers is waited for in vain, again and again."""
    async with TcpGateway(
        [SimulatedDct1()], baud_rate=115200, timeout_s=1.8, says_no=False
    ) as gateway:
        line = ModbusTcpParams(host=gateway.host, port=gateway.port)
        connection = ModbusConnection(line)
        meter = Dct1(connection.for_unit(1), turn=turn, behind_gateway=True)
        await meter.identify()
        searching = asyncio.create_task(
            search([line], taken={1}, shared=True).go_on(ignore)
        )
        for _ in range(6):
            await asyncio.sleep(0.8)
            await meter.read()
        searching.cancel()
        await connection.close()


async def test_a_cancelled_search_leaves_the_port(search: Search) -> None:
    """Nothing of it stays open."""
    async with SerialLine([], baud_rate=9600) as line:
        terminal = line.link.readlink()

        def opened() -> int:
            return sum(
                file.is_symlink() and file.readlink() == terminal
                for file in Path("/proc/self/fd").iterdir()
            )

        before = opened()
        task = asyncio.create_task(search(serial(line)).go_on(ignore))
        while line.requests < 3:
            await asyncio.sleep(0.01)
        assert opened() == before + 1
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.sleep(0.1)
        assert opened() == before


@pytest.mark.parametrize(
    ("line", "least_s", "most_s"),
    [
        (ModbusSerialParams(device="/dev/ttyUSB0", baudrate=9600), 0.30, 0.31),
        (ModbusSerialParams(device="/dev/ttyUSB0", baudrate=115200), 0.27, 0.28),
        (
            ModbusSerialParams(
                device="/dev/ttyUSB0", baudrate=9600, parity="E", stopbits=2
            ),
            0.31,
            0.32,
        ),
        (ModbusSerialParams(device="socket://h:502", baudrate=115200), 0.38, 0.39),
        (ModbusTcpParams(host="h", port=502), 3.0, 3.0),
    ],
)
def test_a_silent_address_costs_what_the_line_needs(
    line: Line, least_s: float, most_s: float
) -> None:
    """A quarter of a second for the meter, the bytes on the wire, the way to it."""
    assert least_s <= patience_s(line) <= most_s
