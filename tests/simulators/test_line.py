"""The line: its pace, who answers on it, its faults, and the gateways in front of it."""

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Any

from modbus_connection import ModbusSerialParams, ModbusTcpParams, ModbusUnit
from modbus_connection.exceptions import (
    GatewayTargetError,
    IllegalFunctionError,
    ModbusConnectionError,
    ModbusError,
    ModbusTimeoutError,
    ServerDeviceFailureError,
)
from modbus_connection.tmodbus import ModbusConnection as TmodbusConnection
import pytest
import serialx

from simulators.car import Car
from simulators.dct1 import SimulatedDct1
from simulators.line import SerialLine, TcpGateway
from tests.stopwatch import Stopwatch

from .conftest import Connect

FAST = 115200
READ_LIVE = bytes.fromhex("0104000000067008")


@pytest.mark.parametrize(
    ("baud_rate", "parity", "stop_bits", "bits"),
    [(9600, "N", 1, 10), (19200, "E", 1, 11), (38400, "N", 2, 11), (FAST, "N", 1, 10)],
)
@pytest.mark.parametrize("count", [6, 125])
async def test_a_read_takes_as_long_as_its_bytes(
    connect: Connect, baud_rate: int, parity: Any, stop_bits: Any, bits: int, count: int
) -> None:
    meter = SimulatedDct1()
    address = 0 if count == 6 else 0x0800
    async with (
        SerialLine(
            [meter], baud_rate=baud_rate, parity=parity, stop_bits=stop_bits
        ) as line,
        connect(line) as unit,
    ):
        await unit(1).read_input_registers(address, 1)
        async with Stopwatch() as watch:
            await unit(1).read_input_registers(address, count)
    wire_s = (8 + 5 + 2 * count) * bits / baud_rate
    assert wire_s < watch.wall_s
    assert watch.took_s < wire_s + 0.15


async def test_clients_may_come_and_go(connect: Connect) -> None:
    async with SerialLine([SimulatedDct1()], baud_rate=FAST) as line:
        for _ in range(3):
            async with connect(line) as unit:
                assert len(await unit(1).read_input_registers(0, 6)) == 6


async def test_a_client_with_even_parity_may_come_again() -> None:
    async with SerialLine([SimulatedDct1()], baud_rate=FAST, parity="E") as line:
        for _ in range(3):
            connection = TmodbusConnection(
                ModbusSerialParams(device=line.path, baudrate=FAST, parity="E"),
                timeout=1,
            )
            await connection.for_unit(1).read_input_registers(0, 6)
            await connection.close()


async def test_meters_on_one_line_are_told_apart_and_nobody_answers_for_a_stranger(
    connect: Connect,
) -> None:
    kinds: dict[int, Any] = {1: "384", 2: "256", 17: "none"}
    meters = [
        SimulatedDct1(address=address, signature=kind, serial_number=f"BY{address}")
        for address, kind in kinds.items()
    ]
    async with SerialLine(meters, baud_rate=FAST) as line, connect(line, 0.2) as unit:
        for address, code in ((1, 1), (2, 0), (17, 2)):
            assert await unit(address).read_input_registers(0x24FF, 1) == [code]
        with pytest.raises(ModbusTimeoutError):
            await unit(3).read_input_registers(0, 2)
    with pytest.raises(ValueError, match="address 2 is taken"):
        line.connect(SimulatedDct1(address=2))


async def test_another_baud_rate_is_noise(connect: Connect) -> None:
    async with SerialLine([SimulatedDct1()], baud_rate=FAST) as line:
        wrong = ModbusSerialParams(device=line.path, baudrate=9600)
        async with connect(wrong, 0.2) as unit:
            with pytest.raises(ModbusTimeoutError):
                await unit(1).read_input_registers(0, 6)
        async with connect(line) as unit:
            await unit(1).read_input_registers(0, 6)


async def test_other_function_codes_are_refused(connect: Connect) -> None:
    async with (
        SerialLine([SimulatedDct1()], baud_rate=FAST) as line,
        connect(line) as unit,
    ):
        with pytest.raises(IllegalFunctionError):
            await unit(1).read_holding_registers(0, 6)
        with pytest.raises(IllegalFunctionError):
            await unit(1).write_register(0, 1)


@pytest.mark.parametrize(
    "fault", ["drop", "corrupt", "exception", "truncate", "stranger"]
)
async def test_a_fault_strikes_as_often_as_told(connect: Connect, fault: str) -> None:
    async with (
        SerialLine([SimulatedDct1()], baud_rate=FAST) as line,
        connect(line, 0.2) as unit,
    ):
        getattr(line, fault)(count=2)
        for _ in range(2):
            with pytest.raises(ModbusError):
                await unit(1).read_input_registers(0, 6)
        assert len(await unit(1).read_input_registers(0, 6)) == 6


async def test_an_exception_carries_its_code(connect: Connect) -> None:
    async with (
        SerialLine([SimulatedDct1()], baud_rate=FAST) as line,
        connect(line) as unit,
    ):
        line.exception(code=4)
        with pytest.raises(ServerDeviceFailureError):
            await unit(1).read_input_registers(0, 6)


async def test_noise_precedes_the_answer_on_the_wire() -> None:
    async with SerialLine(
        [SimulatedDct1(car=Car(plugged=False))], baud_rate=FAST
    ) as line:
        clean = await ask(line)
        line.garbage()
        noisy = await ask(line)
        assert noisy.endswith(clean)
        assert len(noisy) > len(clean)
        assert await ask(line) == clean


async def test_an_echo_and_a_cut_frame_are_seen_on_the_wire() -> None:
    async with SerialLine(
        [SimulatedDct1(car=Car(plugged=False))], baud_rate=FAST
    ) as line:
        clean = await ask(line)
        line.echo()
        assert await ask(line) == READ_LIVE + clean
        line.truncate()
        assert await ask(line) == clean[: len(clean) // 2]


async def test_a_late_answer_meets_what_is_asked_next() -> None:
    async with SerialLine(
        [SimulatedDct1(car=Car(plugged=False))], baud_rate=FAST
    ) as line:
        clean = await ask(line)
        line.late(seconds=0.15)
        assert await ask(line) == b""
        assert await ask(line) == 2 * clean


async def ask(line: SerialLine) -> bytes:
    """Return the bytes that come back when the live values are asked for."""
    reader, writer = await serialx.open_serial_connection(line.path, baudrate=FAST)
    writer.write(READ_LIVE)
    await asyncio.sleep(0.1)
    answer = b""
    with suppress(TimeoutError):
        answer = await asyncio.wait_for(reader.read(300), 0.01)
    writer.close()
    await writer.wait_closed()
    return answer


async def test_a_delay_holds_answers_back_until_it_is_ended(connect: Connect) -> None:
    async with (
        SerialLine([SimulatedDct1()], baud_rate=FAST) as line,
        connect(line) as unit,
    ):
        await unit(1).read_input_registers(0, 6)
        for delay_s in (0.3, 0.0):
            line.delay(seconds=delay_s)
            async with Stopwatch() as watch:
                await unit(1).read_input_registers(0, 6)
            assert delay_s < watch.wall_s
            assert watch.took_s < delay_s + 0.25


async def test_a_silent_cut_loses_everything_until_mended(connect: Connect) -> None:
    async with (
        SerialLine([SimulatedDct1()], baud_rate=FAST) as line,
        connect(line, 0.2) as unit,
    ):
        await line.cut()
        with pytest.raises(ModbusTimeoutError):
            await unit(1).read_input_registers(0, 6)
        await line.mend()
        assert len(await unit(1).read_input_registers(0, 6)) == 6


async def test_an_unplugged_line_vanishes_and_comes_back_at_the_same_path(
    connect: Connect, tmp_path: Path
) -> None:
    link = tmp_path / "ttyUSB0"
    async with SerialLine([SimulatedDct1()], baud_rate=FAST, link=link) as line:
        assert line.path == str(link)
        async with connect(line, 0.3) as unit:
            await unit(1).read_input_registers(0, 6)
            await line.cut(mode="unplugged")
            assert not link.is_symlink()
            with pytest.raises((ModbusConnectionError, ModbusTimeoutError, OSError)):
                await unit(1).read_input_registers(0, 6)
            await line.mend()
            assert await answers_again(unit(1))
    assert not link.is_symlink()


async def answers_again(unit: ModbusUnit) -> bool:
    """Say whether the meter answers once the client has noticed that its port was lost."""
    for _ in range(10):
        with suppress(ModbusError, OSError):
            return len(await unit.read_input_registers(0, 6)) == 6
        await asyncio.sleep(0.1)
    return False


async def test_a_file_that_is_no_link_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "precious").touch()
    with pytest.raises(FileExistsError):
        async with SerialLine(link=tmp_path / "precious"):
            pass
    assert (tmp_path / "precious").is_file()


async def test_nothing_is_left_of_a_closed_line() -> None:
    async with SerialLine() as line:
        folder = line.link.parent
    assert not folder.exists()


async def test_the_same_line_is_reached_over_modbus_tcp(connect: Connect) -> None:
    async with TcpGateway([SimulatedDct1()], baud_rate=9600, timeout_s=0.4) as gateway:
        where = ModbusTcpParams(host=gateway.host, port=gateway.port)
        async with connect(where) as unit:
            async with Stopwatch() as watch:
                block = await unit(1).read_input_registers(0x0800, 125)
            assert watch.wall_s > 250 * 10 / 9600
            assert block[:3] == [0x0100, 0x0108, 0x00FF]
            with pytest.raises(GatewayTargetError):
                await unit(2).read_input_registers(0, 2)
            gateway.corrupt()
            with pytest.raises(GatewayTargetError):
                await unit(1).read_input_registers(0, 2)
            await gateway.cut(mode="unplugged")
            with pytest.raises((ModbusConnectionError, ModbusTimeoutError)):
                await unit(1).read_input_registers(0, 2)
            await gateway.mend()
            assert len(await unit(1).read_input_registers(0, 2)) == 2


async def test_the_same_line_is_reached_with_rtu_over_tcp(connect: Connect) -> None:
    async with TcpGateway([SimulatedDct1()], baud_rate=FAST, framer="rtu") as gateway:
        where = ModbusSerialParams(device=f"socket://{gateway.host}:{gateway.port}")
        async with connect(where, 0.3) as unit:
            assert len(await unit(1).read_input_registers(0x0800, 125)) == 125
            with pytest.raises(ModbusTimeoutError):
                await unit(2).read_input_registers(0, 2)
