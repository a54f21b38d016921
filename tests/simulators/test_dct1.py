"""The DCT1: its registers as they come over the line, its signatures, its memory."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
import json
from pathlib import Path
import struct
import time
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256, SHA384
from modbus_connection import ModbusUnit
from modbus_connection.exceptions import IllegalDataAddressError, ModbusTimeoutError
import pytest

from simulators.car import Car
from simulators.dct1 import SimulatedDct1
from simulators.line import SerialLine

from .conftest import Connect, TurnedClock

VECTOR = Path(__file__).parents[1] / "vectors" / "dct1.json"
CURVES = {
    "384": (ec.BrainpoolP384R1(), SHA384()),
    "256": (ec.BrainpoolP256R1(), SHA256()),
}
BLOCK = struct.Struct(">6sIhq6sIhq6sIhi6sIhi6sIhi6sIhi16s4s14s16s")


@asynccontextmanager
async def on_line(connect: Connect, meter: SimulatedDct1) -> AsyncIterator[ModbusUnit]:
    """Put the meter on a fast line and connect to it."""
    async with (
        SerialLine([meter], baud_rate=115200) as line,
        connect(line, 0.5) as unit,
    ):
        yield unit(meter.address)


async def read_bytes(unit: ModbusUnit, address: int, count: int) -> bytes:
    """Return registers as the bytes they came as."""
    registers = await unit.read_input_registers(address, count)
    return b"".join(register.to_bytes(2) for register in registers)


async def read_live(unit: ModbusUnit) -> tuple[int, int, int]:
    """Return voltage, current and power as the live registers hold them, low word first."""
    words = await unit.read_input_registers(0, 6)
    voltage, current, power = (
        int.from_bytes(struct.pack(">HH", words[i + 1], words[i]), signed=True)
        for i in range(0, 6, 2)
    )
    return voltage, current, power


async def read_signed(unit: ModbusUnit, kind: str) -> bytes:
    """Return block and signature of one request."""
    return await read_bytes(unit, 0x0800, 77 + int(kind) // 8)


async def read_key(unit: ModbusUnit, kind: str) -> bytes:
    """Return the key without its pad byte."""
    return (await read_bytes(unit, 0x2500, int(kind) // 8 + 1))[:-1]


def verify(kind: str, key: bytes, block: bytes, signature: bytes) -> None:
    """Raise ``InvalidSignature`` unless this is the key's signature over the block."""
    curve, digest = CURVES[kind]
    width = len(signature) // 2
    r, s = int.from_bytes(signature[:width]), int.from_bytes(signature[width:])
    ec.EllipticCurvePublicKey.from_encoded_point(curve, key).verify(
        encode_dss_signature(r, s), block, ec.ECDSA(digest)
    )


def test_a_meter_at_rest_has_the_block_of_a_real_one() -> None:
    real = json.loads(VECTOR.read_text())["signed_meter_value"]["signed_meter_data"]
    meter = SimulatedDct1(serial_number="BY0520001002L", car=Car(plugged=False))
    assert meter.block() == base64.b64decode(real)[:154]


async def test_live_registers_and_block_hold_the_car_s_values(
    connect: Connect, car: Car, clock: TurnedClock
) -> None:
    meter = SimulatedDct1(car=car, import_wh=16_777_217, cable_resistance_mohm=7)
    async with on_line(connect, meter) as unit:
        car.set_power(36_000)
        clock.turn(1000)
        flow = car.flow()
        assert await read_live(unit) == (flow.voltage_dv, flow.current_ma, 360_000)
        record = BLOCK.unpack(await read_bytes(unit, 0x0800, 77))
    assert [obis.hex() for obis in record[0:24:4]] == [
        "0100010800ff",
        "0100020800ff",
        "0100010700ff",
        "01000c0700ff",
        "01000b0700ff",
        "0100000a02ff",
    ]
    assert record[1:24:4] == (30, 30, 27, 35, 33, 38)
    assert record[2:24:4] == (0, 0, -1, -1, -3, -3)
    assert record[3:24:4] == (
        16_787_217,
        0,
        360_000,
        flow.voltage_dv,
        flow.current_ma,
        7,
    )


async def test_values_inside_the_block_may_come_low_word_first(
    connect: Connect, car: Car, clock: TurnedClock
) -> None:
    car.set_power(-100_000)
    clock.turn(3600)
    little = SimulatedDct1(
        car=car, word_order="little", export_wh=0x0001_0002_0003_0004
    )
    async with on_line(connect, little) as unit:
        block = await read_bytes(unit, 0x0800, 77)
        live = await read_live(unit)
    assert block[32:40].hex(" ", 2) == "0004 0003 0002 0001"
    power = block[52:56]
    assert int.from_bytes(power[2:] + power[:2], signed=True) == -1_000_000 == live[2]


async def test_a_meter_the_other_way_round_counts_the_other_way_round(
    connect: Connect, car: Car, clock: TurnedClock
) -> None:
    meter = SimulatedDct1(car=car, low_side_sensing=False)
    async with on_line(connect, meter) as unit:
        car.set_power(36_000)
        clock.turn(1000)
        voltage, current, power = await read_live(unit)
        record = BLOCK.unpack(await read_bytes(unit, 0x0800, 77))
    assert voltage > 0 > current
    assert power == -360_000
    assert (record[3], record[7]) == (0, 10_000)


@pytest.mark.parametrize(
    ("kind", "code", "model"), [("384", 1, "S3"), ("256", 0, "S2")]
)
async def test_block_and_signature_of_one_request_belong_together(
    connect: Connect, kind: Any, code: int, model: str
) -> None:
    car = Car(time_scale=1000, charging=True)
    async with on_line(connect, SimulatedDct1(signature=kind, car=car)) as unit:
        assert await unit.read_input_registers(0x24FF, 1) == [code]
        key = await read_key(unit, kind)
        for _ in range(5):
            signed = await read_signed(unit, kind)
            verify(kind, key, signed[:154], signed[154:])
            assert f"DCT1A30V10L{model}EC".encode() in signed


async def test_block_and_signature_of_two_requests_miss_each_other(
    connect: Connect, car: Car, clock: TurnedClock
) -> None:
    async with on_line(connect, SimulatedDct1(car=car)) as unit:
        key = await read_key(unit, "384")
        block = await read_bytes(unit, 0x0800, 77)
        clock.turn(1)
        late_signature = await read_bytes(unit, 0x084D, 48)
        assert await read_bytes(unit, 0x0800, 77) != block
    with pytest.raises(InvalidSignature):
        verify("384", key, block, late_signature)


async def test_signing_is_randomised(connect: Connect, car: Car) -> None:
    async with on_line(connect, SimulatedDct1(car=car)) as unit:
        first, second = await read_signed(unit, "384"), await read_signed(unit, "384")
    assert first[:154] == second[:154]
    assert first[154:] != second[154:]


async def test_an_unsigned_meter_has_a_block_and_nothing_else(connect: Connect) -> None:
    async with on_line(connect, SimulatedDct1(signature="none")) as unit:
        assert await unit.read_input_registers(0x24FF, 1) == [2]
        assert len(await read_bytes(unit, 0x0800, 77)) == 154
        for address in (0x084D, 0x2500):
            with pytest.raises(IllegalDataAddressError):
                await unit.read_input_registers(address, 1)


@pytest.mark.parametrize(
    ("address", "count"),
    [
        (6, 1),
        (0, 7),
        (0x000B, 1),
        (0x0012, 2),
        (0x07FF, 2),
        (0x0801, 125),
        (0x087D, 1),
        (0x5000, 7),
    ],
)
async def test_only_confirmed_addresses_answer(
    connect: Connect, address: int, count: int
) -> None:
    async with on_line(connect, SimulatedDct1()) as unit:
        with pytest.raises(IllegalDataAddressError):
            await unit.read_input_registers(address, count)


async def test_any_part_of_the_map_can_be_read(connect: Connect, car: Car) -> None:
    meter = SimulatedDct1(car=car)
    async with on_line(connect, meter) as unit:
        assert await read_bytes(unit, 0x0830, 20) == meter.block()[0x60 : 0x60 + 40]
        assert (
            await read_bytes(unit, 0x24FF, 50)
            == b"\x00\x01" + await read_key(unit, "384") + b"\x00"
        )


async def test_live_values_and_block_have_delays_of_their_own(connect: Connect) -> None:
    meter = SimulatedDct1(block_delay_s=0.3)
    async with on_line(connect, meter) as unit:
        await read_live(unit)
        for live_s, block_s in ((0.0, 0.3), (0.3, 0.0)):
            meter.delay(live_s=live_s, block_s=block_s)
            for address, count, delay_s in ((0, 6, live_s), (0x0800, 20, block_s)):
                started = time.perf_counter()
                await unit.read_input_registers(address, count)
                assert delay_s < time.perf_counter() - started < delay_s + 0.25


async def test_without_supply_a_meter_neither_answers_nor_counts(
    connect: Connect, car: Car, clock: TurnedClock
) -> None:
    meter = SimulatedDct1(car=car)
    async with on_line(connect, meter) as unit:
        car.set_power(36_000)
        clock.turn(1000)
        meter.power_off()
        with pytest.raises(ModbusTimeoutError):
            await read_live(unit)
        clock.turn(1000)
        meter.power_on()
        clock.turn(100)
        record = BLOCK.unpack(await read_bytes(unit, 0x0800, 77))
    assert record[3] == 11_000


async def test_a_power_cycle_ends_by_itself() -> None:
    meter = SimulatedDct1()
    meter.power_cycle(off_s=0.05)
    assert not meter.powered
    await asyncio.sleep(0.1)
    assert meter.powered


def test_key_and_registers_are_kept(
    tmp_path: Path, car: Car, clock: TurnedClock
) -> None:
    first = SimulatedDct1(car=car, state_dir=tmp_path)
    car.set_power(1_234_567 / 10)
    clock.turn(12.345)
    shown = BLOCK.unpack(first.block())[3]
    assert shown > 0
    again = SimulatedDct1(car=Car(clock=clock), state_dir=tmp_path)
    assert BLOCK.unpack(again.block())[3] == shown
    assert again.key is not None
    assert first.key is not None
    assert again.key.point == first.key.point


def test_another_meter_may_take_the_address() -> None:
    meter = SimulatedDct1()
    assert meter.key is not None
    key = meter.key.point
    meter.exchange(serial_number="BY1")
    assert meter.block()[124:138] == b"BY1".ljust(14, b"\x00")
    assert meter.key.point == key
    meter.exchange(new_key=True)
    assert meter.block()[124:138] == b"BY1".ljust(14, b"\x00")
    assert meter.key.point != key


@pytest.mark.parametrize(
    "wrong",
    [
        {"address": 0},
        {"address": 248},
        {"serial_number": ""},
        {"serial_number": "BY0520001002345"},
        {"serial_number": "BY€"},
        {"model": "DCT1A30V10LS3EC00"},
    ],
)
def test_what_no_meter_can_be_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        SimulatedDct1(**wrong)
