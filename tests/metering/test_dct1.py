"""The DCT1 on a real serial line, through both Modbus stacks."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from decimal import Decimal
import json
from typing import Any, cast, override
from unittest.mock import patch

from modbus_connection import (
    ModbusConnection,
    ModbusSerialParams,
    ModbusTcpParams,
    ModbusUnit,
)
from modbus_connection.pymodbus import ModbusConnection as PymodbusConnection
from modbus_connection.tmodbus import ModbusConnection as TmodbusConnection
from pymodbus.constants import ExcCodes
import pytest

from custom_components.dc_meter.metering import dct1
from custom_components.dc_meter.metering.dct1 import (
    LIVE_COUNT,
    LIVE_TIMEOUT_S,
    Dct1,
    EnergyPace,
)
from custom_components.dc_meter.metering.dct1_block import ENERGY_LENGTH
from custom_components.dc_meter.metering.ecdsa import DCT1_256_BIT, DCT1_384_BIT
from custom_components.dc_meter.metering.errors import (
    AdapterEchoesError,
    LineBusyError,
    MeterUnreachableError,
    UnexpectedAnswerError,
    UnsupportedError,
    WordOrderError,
    WrongMeterError,
)
from custom_components.dc_meter.metering.meter import (
    Capability,
    KeyForm,
    Meter,
    MeterReading,
    TransactionRequest,
)
from custom_components.dc_meter.metering.turn import Turn
from custom_components.dc_meter.metering.verdict import Reason, Receipt, Verdict, judge
from simulators.car import Car
from simulators.dct1 import SignatureType, SimulatedDct1, WordOrder
from simulators.line import SerialLine, TcpGateway
from tests.stopwatch import Stopwatch

REQUEST = TransactionRequest(transaction_id="1")
FOREVER = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Bench:
    """A meter on a line, and the line."""

    meter: Dct1
    line: SerialLine
    connection: ModbusConnection


type Connect = Callable[..., Awaitable[Bench]]


@pytest.fixture(
    name="backend",
    params=[TmodbusConnection, PymodbusConnection],
    ids=["tmodbus", "pymodbus"],
)
def backend_fixture(request: pytest.FixtureRequest) -> type[ModbusConnection]:
    """Return each Modbus stack: Home Assistant's, and the one of the command line."""
    backend: type[ModbusConnection] = request.param
    return backend


@pytest.fixture(name="connect")
async def connect_fixture(backend: type[ModbusConnection]) -> AsyncIterator[Connect]:
    """Return what puts simulated meters on a line and connects to the first of them."""
    async with AsyncExitStack() as stack:

        async def connect(
            *meters: SimulatedDct1, baud_rate: int = 115200, **options: Any
        ) -> Bench:
            line = await stack.enter_async_context(
                SerialLine(meters, baud_rate=baud_rate)
            )
            connection = backend(
                ModbusSerialParams(device=line.path, baudrate=baud_rate)
            )
            stack.push_async_callback(connection.close)
            unit = connection.for_unit(meters[0].address)
            return Bench(meter=Dct1(unit, **options), line=line, connection=connection)

        yield connect


class Clock:
    """Time that stands still until it is moved, so that what a car does is known exactly."""

    def __init__(self) -> None:
        """Start at zero."""
        self.now_s = 0.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now_s


def charging_car() -> Car:
    """Return a car that stands still in the middle of charging with 20 kW."""
    clock = Clock()
    car = Car(charging=True, power_w=20_000, clock=clock)
    clock.now_s = 60
    assert car.flow().current_ma
    return car


def idle_car() -> Car:
    """Return no car: no voltage, no current."""
    return Car(plugged=False)


async def timed(reading: Awaitable[MeterReading]) -> float:
    """Return how long a reading takes."""
    async with Stopwatch() as watch:
        await reading
    return watch.took_s


@pytest.mark.parametrize(
    ("signature", "scheme", "capabilities"),
    [
        ("384", DCT1_384_BIT, Capability.SIGNS_AT_BEGIN | Capability.CABLE_RESISTANCE),
        ("256", DCT1_256_BIT, Capability.SIGNS_AT_BEGIN | Capability.CABLE_RESISTANCE),
    ],
)
async def test_a_signing_meter_says_who_it_is(
    connect: Connect, signature: SignatureType, scheme: Any, capabilities: Capability
) -> None:
    """Its key comes as 04 X Y, without the pad byte."""
    simulated = SimulatedDct1(signature=signature, serial_number="BY0520001002L")
    meter: Meter = (await connect(simulated)).meter
    identity = await meter.identify()
    assert identity == meter.identity
    assert identity.manufacturer == "Carlo Gavazzi"
    assert identity.model == simulated.model
    assert identity.serial_number == "BY0520001002L"
    assert simulated.key is not None
    assert identity.public_key == simulated.key.point.hex().upper()
    assert identity.public_key_form is KeyForm.UNCOMPRESSED_POINT
    assert identity.signing_method == scheme.name
    assert meter.capabilities == capabilities
    assert meter.diagnostics()["signature_genuine_at_identify"] is True


async def test_a_meter_that_does_not_sign_has_no_key(connect: Connect) -> None:
    """It is identified by its block all the same."""
    bench = await connect(SimulatedDct1(signature="none"))
    identity = await bench.meter.identify()
    assert identity.serial_number == "BY0000000001L"
    assert (identity.public_key, identity.public_key_form, identity.signing_method) == (
        None,
    ) * 3
    assert bench.meter.capabilities == Capability.CABLE_RESISTANCE


@pytest.mark.parametrize("word_order", ["big", "little"])
async def test_every_value_is_read_exactly(
    connect: Connect, word_order: WordOrder
) -> None:
    """Whatever the word order within the block, no digit is lost."""
    car = charging_car()
    simulated = SimulatedDct1(
        car=car, word_order=word_order, import_wh=987_654_321, export_wh=70_001,
        cable_resistance_mohm=13,
    )  # fmt: skip
    bench = await connect(simulated)
    await bench.meter.identify()
    flow = car.flow()
    assert await bench.meter.read() == MeterReading(
        energy_import_wh=Decimal(987_654_321),
        energy_export_wh=Decimal(70_001),
        voltage_v=Decimal(flow.voltage_dv) / 10,
        current_a=Decimal(flow.current_ma) / 1000,
        power_w=Decimal(flow.power_mw // 100) / 10,
        cable_resistance_ohm=Decimal("0.013"),
    )
    diagnostics = bench.meter.diagnostics()
    assert diagnostics["word_order"] == word_order
    assert diagnostics["word_order_known"] == "confirmed"


async def test_no_current_has_no_sign(connect: Connect) -> None:
    """Zero turned round is zero, not minus zero."""
    bench = await connect(SimulatedDct1(), low_side_sensing=False)
    await bench.meter.identify()
    reading = await bench.meter.read()
    assert (str(reading.current_a), str(reading.power_w)) == ("0.000", "0.0")


async def test_high_side_sensing_turns_the_signs_and_the_registers(
    connect: Connect,
) -> None:
    """A car that charges is import with positive power, however the shunt is wired."""
    simulated = SimulatedDct1(
        car=charging_car(), low_side_sensing=False, import_wh=1, export_wh=2000
    )
    bench = await connect(simulated, low_side_sensing=False)
    await bench.meter.identify()
    reading = await bench.meter.read()
    assert reading.power_w > 0
    assert reading.current_a > 0
    assert reading.voltage_v > 0
    assert reading.energy_import_wh == 2000
    assert reading.energy_export_wh == 1
    snapshot = await bench.meter.end()
    assert snapshot.energy_import_wh == 2000
    assert snapshot.energy_export_wh == 1


@pytest.mark.parametrize("word_order", ["big", "little"])
@pytest.mark.parametrize("signature", ["384", "256"])
async def test_a_transaction_leaves_two_genuine_snapshots(
    connect: Connect, signature: SignatureType, word_order: WordOrder
) -> None:
    """Begin and end are signed under the key of the meter, with the registers of the moment."""
    clock = Clock()
    car = Car(charging=True, power_w=36_000, clock=clock)
    bench = await connect(
        SimulatedDct1(
            car=car, signature=signature, word_order=word_order, import_wh=65_530
        )
    )
    identity = await bench.meter.identify()
    await bench.meter.check(REQUEST)
    begin = await bench.meter.begin(REQUEST)
    clock.now_s = 3600
    end = await bench.meter.end()
    assert begin.signed_value is not None
    assert end.signed_value is not None
    assert begin.signed_value.public_key == identity.public_key
    judgement = judge(
        Receipt(begin=begin.signed_value, end=end.signed_value),
        trusted_key=identity.public_key,
    )
    assert judgement.verdict is Verdict.VALID
    assert begin.energy_import_wh == 65_530
    assert end.energy_import_wh is not None
    assert 100_000 < end.energy_import_wh < 102_000
    assert (await bench.meter.read()).energy_import_wh == end.energy_import_wh


async def test_block_and_signature_are_read_in_one_request(connect: Connect) -> None:
    """A snapshot is one request beside the one that finds the meter there."""
    bench = await connect(SimulatedDct1())
    await bench.meter.identify()
    before = bench.line.requests
    await bench.meter.begin(REQUEST)
    assert bench.line.requests - before == 2
    assert len(bench.meter.diagnostics()["words"]["signed_block"].split()) == 125


async def test_a_meter_that_does_not_sign_gives_its_registers(connect: Connect) -> None:
    """Its transactions have energies and nothing signed."""
    bench = await connect(SimulatedDct1(signature="none", import_wh=446_540))
    await bench.meter.identify()
    for snapshot in (await bench.meter.begin(REQUEST), await bench.meter.end()):
        assert snapshot.signed_value is None
        assert snapshot.energy_import_wh == 446_540


async def test_the_meter_has_neither_clock_nor_display_nor_memory(
    connect: Connect,
) -> None:
    """What it cannot do is refused by name."""
    meter = (await connect(SimulatedDct1())).meter
    with pytest.raises(UnsupportedError):
        await meter.synchronize_clock()
    with pytest.raises(UnsupportedError):
        await meter.set_tariff_text("0,20 EUR/kWh")
    assert await meter.last_receipt() is None


@pytest.mark.parametrize("word_order", ["big", "little"])
async def test_the_word_order_is_assumed_until_there_is_a_voltage(
    connect: Connect, word_order: WordOrder
) -> None:
    """A new meter shows zeros only; the first voltage decides, before any energy counts."""
    car = idle_car()
    bench = await connect(SimulatedDct1(car=car, word_order=word_order))
    await bench.meter.identify()
    await bench.meter.read()
    assert bench.meter.diagnostics()["word_order_known"] == "assumed"
    car.steer(plugged=True)
    await bench.meter.read()
    diagnostics = bench.meter.diagnostics()
    assert diagnostics["word_order_known"] == "confirmed"
    assert diagnostics["word_order"] == word_order


async def test_a_register_shows_the_word_order_before_any_voltage_does(
    connect: Connect,
) -> None:
    """In the wrong order it would be more than any meter can have counted."""
    simulated = SimulatedDct1(car=idle_car(), word_order="little", import_wh=446_540)
    bench = await connect(simulated)
    await bench.meter.identify()
    assert (await bench.meter.read()).energy_import_wh == 446_540


async def test_a_register_that_reads_absurd_is_not_shown(connect: Connect) -> None:
    """A car came and went between two readings: nobody saw the voltage that decides."""
    clock = Clock()
    car = Car(plugged=False, clock=clock)
    bench = await connect(SimulatedDct1(car=car, word_order="little"))
    await bench.meter.identify()
    car.steer(plugged=True, power_w=36_000)
    clock.now_s = 600
    car.steer(plugged=False)
    assert (await bench.meter.read()).energy_import_wh is None
    car.steer(plugged=True)
    assert (await bench.meter.read()).energy_import_wh == 6_000


class Disagreeing(SimulatedDct1):
    """A DCT1 whose live voltage is not that of its block."""

    agrees = False

    @override
    async def read_input_registers(
        self, address: int, count: int
    ) -> list[int] | ExcCodes:
        words = await super().read_input_registers(address, count)
        if address == 0 and not self.agrees and isinstance(words, list) and words[0]:
            words[0] //= 4
        return words


async def test_a_live_voltage_that_is_not_in_the_block_is_refused(
    connect: Connect,
) -> None:
    """Rather no meter than one with wrong kilowatt-hours."""
    bench = await connect(Disagreeing(car=charging_car()))
    with pytest.raises(WordOrderError, match="agrees with the signed block neither"):
        await bench.meter.identify()


async def test_a_disagreement_found_later_holds_until_it_is_gone(
    connect: Connect,
) -> None:
    """The first voltage comes when the meter is long set up."""
    car = idle_car()
    simulated = Disagreeing(car=car)
    bench = await connect(simulated)
    await bench.meter.identify()
    await bench.meter.read()
    car.steer(plugged=True)
    for _ in range(2):
        with pytest.raises(WordOrderError):
            await bench.meter.read()
    with pytest.raises(WordOrderError):
        await bench.meter.check(REQUEST)
    snapshot = await bench.meter.end()
    assert snapshot.signed_value is not None
    assert snapshot.energy_import_wh is None
    simulated.agrees = True
    assert (await bench.meter.read()).energy_import_wh == 0
    await bench.meter.check(REQUEST)


@pytest.mark.parametrize("fault", ["drop", "corrupt", "garbage", "exception"])
async def test_one_answer_lost_is_not_noticed(connect: Connect, fault: str) -> None:
    """At 9600 baud the reading is there in well under a second all the same."""
    bench = await connect(SimulatedDct1(import_wh=446_540), baud_rate=9600)
    await bench.meter.identify()
    getattr(bench.line, fault)()
    assert await timed(bench.meter.read()) < 0.8
    assert (await bench.meter.read()).energy_import_wh == 446_540


async def test_a_lost_energy_answer_leaves_the_last_energies(connect: Connect) -> None:
    """They are read again with the next reading, beside it, and so soon shown again."""
    clock = Clock()
    simulated = SimulatedDct1(
        car=Car(charging=True, power_w=36_000, clock=clock), import_wh=446_540
    )
    bench = await connect(simulated)
    await bench.meter.identify()
    await bench.meter.read()
    clock.now_s = 60
    simulated.delay(block_s=0.7)
    assert (await bench.meter.read()).energy_import_wh == 446_540
    simulated.delay(block_s=0)
    await asyncio.sleep(1)
    await bench.meter.read()
    await asyncio.sleep(1)
    energy_import_wh = (await bench.meter.read()).energy_import_wh
    assert energy_import_wh is not None
    assert energy_import_wh > 446_540


async def test_readings_at_9600_baud_take_a_tenth_of_a_second(connect: Connect) -> None:
    """Two requests of 6 and 20 registers."""
    bench = await connect(SimulatedDct1(), baud_rate=9600)
    await bench.meter.identify()
    assert min([await timed(bench.meter.read()) for _ in range(3)]) < 0.2
    before = bench.line.requests
    await bench.meter.read()
    assert bench.line.requests - before == 2


async def test_slow_energies_do_not_slow_the_live_values(connect: Connect) -> None:
    """They are fetched beside the readings, and the less often the longer they take."""
    clock = Clock()
    car = Car(charging=True, power_w=36_000, clock=clock)
    simulated = SimulatedDct1(car=car, import_wh=446_540, block_delay_s=0.8)
    bench = await connect(simulated)
    await bench.meter.identify()
    clock.now_s = 60
    assert await timed(bench.meter.read()) < 0.4
    await asyncio.sleep(1)
    reading = await bench.meter.read()
    assert reading.energy_import_wh is not None
    assert reading.energy_import_wh > 446_540
    before = bench.line.requests
    for _ in range(3):
        assert await timed(bench.meter.read()) < 0.4
    assert bench.line.requests - before == 3
    assert bench.meter.diagnostics()["energy_interval_s"] == pytest.approx(12, abs=3)


async def test_energies_read_seldom_are_read_at_once_after_a_loss(
    connect: Connect,
) -> None:
    """Until then it is not known whether the same meter answers."""
    simulated = SimulatedDct1(import_wh=446_540, block_delay_s=0.5)
    bench = await connect(simulated)
    await bench.meter.identify()
    await bench.meter.read()
    await asyncio.sleep(0.8)
    await bench.meter.read()
    assert bench.meter.diagnostics()["energy_interval_s"] > 4
    simulated.power_off()
    with pytest.raises(MeterUnreachableError):
        await bench.meter.read()
    simulated.power_on()
    assert (await bench.meter.read()).energy_import_wh is None
    await asyncio.sleep(0.8)
    assert (await bench.meter.read()).energy_import_wh == 446_540


class Refusing(SimulatedDct1):
    """A DCT1 that does not hand out its block so many times."""

    refusals = 0
    refuses_after_s = 0.0

    @override
    async def read_input_registers(
        self, address: int, count: int
    ) -> list[int] | ExcCodes:
        if self.refusals and address == 0x0800:
            self.refusals -= 1
            await asyncio.sleep(self.refuses_after_s)
            return ExcCodes.DEVICE_FAILURE
        return await super().read_input_registers(address, count)


async def test_energies_that_are_refused_are_asked_for_with_each_reading(
    connect: Connect,
) -> None:
    """A refusal comes at once: it says nothing of how long the energies take."""
    clock = Clock()
    car = Car(charging=True, power_w=36_000, clock=clock)
    simulated = Refusing(car=car, import_wh=446_540)
    bench = await connect(simulated)
    await bench.meter.identify()
    simulated.refusals = FOREVER
    for _ in range(4):
        assert (await bench.meter.read()).energy_import_wh == 446_540
        await asyncio.sleep(0.2)
    simulated.refusals = 0
    clock.now_s = 60
    energy_import_wh = (await bench.meter.read()).energy_import_wh
    assert energy_import_wh is not None
    assert energy_import_wh > 446_540


async def test_energies_are_asked_for_once_more_when_another_answer_came(
    connect: Connect,
) -> None:
    """In the same reading: the late answer to the live values meets the question for them."""
    clock = Clock()
    car = Car(charging=True, power_w=36_000, clock=clock)
    bench = await connect(SimulatedDct1(car=car, import_wh=446_540))
    await bench.meter.identify()
    clock.now_s = 60
    bench.line.late(seconds=LIVE_TIMEOUT_S + 0.05)
    energy_import_wh = (await bench.meter.read()).energy_import_wh
    assert energy_import_wh is not None
    assert energy_import_wh > 446_540
    assert bench.meter.diagnostics()["errors"].keys() > {"timeout"}


async def test_a_snapshot_is_taken_although_an_answer_came_late(
    connect: Connect,
) -> None:
    """Asked on and on, each question would meet the answer to the one before."""
    bench = await connect(SimulatedDct1(import_wh=446_540, block_delay_s=0.1))
    await bench.meter.identify()
    bench.line.late(seconds=LIVE_TIMEOUT_S + 0.05)
    before = bench.line.requests
    snapshot = await bench.meter.begin(REQUEST)
    assert snapshot.energy_import_wh == 446_540
    assert bench.line.requests - before <= 5


async def test_no_reading_comes_in_between_the_requests_of_a_snapshot(
    connect: Connect,
) -> None:
    """Whoever starts or stops would wait for it."""
    bench = await connect(SimulatedDct1(import_wh=446_540, block_delay_s=0.1))
    await bench.meter.identify()
    snapshot = asyncio.create_task(bench.meter.begin(REQUEST))
    await asyncio.sleep(0)
    reading = asyncio.create_task(bench.meter.read())
    await snapshot
    assert not reading.done()
    await reading


async def test_energies_that_are_slow_to_be_refused_are_left_to_the_next_reading(
    connect: Connect,
) -> None:
    """There is no time for them any more; they do not count as missed."""
    simulated = Refusing(import_wh=446_540, block_delay_s=0.5)
    bench = await connect(simulated)
    await bench.meter.identify()
    simulated.refusals, simulated.refuses_after_s = 1, 0.8
    before, timeout_s = bench.line.requests, energy_timeout_s(bench)
    await bench.meter.read()
    await asyncio.sleep(1)
    assert bench.line.requests - before == 2
    assert energy_timeout_s(bench) == timeout_s


async def test_one_slow_answer_makes_energies_no_rarer() -> None:
    """It may have been the line or this machine; two are the meter."""
    pace = EnergyPace(0.1)
    pace.answered(0.7)
    assert pace.interval_s == 0
    pace.answered(0.7)
    assert pace.interval_s == pytest.approx(10)


def energy_timeout_s(bench: Bench) -> float:
    """Return how long the energies are waited for."""
    timeout_s: float = bench.meter.diagnostics()["energy_timeout_s"]
    return timeout_s


class Flapping:
    """A unit whose link is found down when it is told so."""

    def __init__(self, unit: ModbusUnit) -> None:
        """Take the real one."""
        self._unit = unit
        self.is_down = False
        self.goes_down_after = 0
        """The register count of the question after which it is found down once."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._unit, name)

    @property
    def connected(self) -> bool:
        """Say no once."""
        is_down, self.is_down = self.is_down, False
        return not is_down

    async def read_input_registers(self, address: int, count: int) -> list[int]:
        """Read, and go down."""
        try:
            return await self._unit.read_input_registers(address, count)
        finally:
            if count == self.goes_down_after:
                self.is_down, self.goes_down_after = True, 0


async def test_energies_of_a_link_that_was_down_say_nothing_of_who_answers(
    connect: Connect,
) -> None:
    """The whole block is read with the next reading, not an interval later."""
    bench = await connect(SimulatedDct1(import_wh=446_540, block_delay_s=0.3))
    unit = Flapping(bench.connection.for_unit(1))
    meter = Dct1(cast("ModbusUnit", unit))
    await meter.identify()
    unit.goes_down_after = LIVE_COUNT
    assert (await meter.read()).energy_import_wh is None
    assert (await meter.read()).energy_import_wh == 446_540


async def test_energies_stay_known_when_their_refusal_takes_the_link_down(
    connect: Connect,
) -> None:
    """The next reading finds out who is there."""
    simulated = Refusing(import_wh=446_540)
    bench = await connect(simulated)
    unit = Flapping(bench.connection.for_unit(1))
    meter = Dct1(cast("ModbusUnit", unit))
    await meter.identify()
    simulated.refusals, unit.goes_down_after = 1, ENERGY_LENGTH // 2
    for _ in range(2):
        assert (await meter.read()).energy_import_wh == 446_540


async def test_energies_that_are_refused_and_then_late_are_not_missed(
    connect: Connect,
) -> None:
    """They are as prompt as before."""
    clock = Clock()
    car = Car(charging=True, power_w=36_000, clock=clock)
    simulated = Refusing(car=car, import_wh=446_540)
    bench = await connect(simulated)
    await bench.meter.identify()
    simulated.refusals = 1
    simulated.delay(block_s=0.7)
    await bench.meter.read()
    simulated.delay(block_s=0)
    await asyncio.sleep(0.5)
    clock.now_s = 60
    energy_import_wh = (await bench.meter.read()).energy_import_wh
    assert energy_import_wh is not None
    assert energy_import_wh > 446_540


async def test_who_answers_after_much_that_was_garbled_is_looked_at_anew(
    connect: Connect,
) -> None:
    """Some gateways refuse in the name of a meter that is gone; another may have its place."""
    simulated = SimulatedDct1(import_wh=446_540)
    bench = await connect(simulated)
    await bench.meter.identify()
    bench.line.exception(count=6, code=ExcCodes.DEVICE_FAILURE)
    for _ in range(3):
        with pytest.raises(UnexpectedAnswerError):
            await bench.meter.read()
    simulated.exchange(serial_number="BY0000000099L")
    with pytest.raises(WrongMeterError):
        await bench.meter.read()


async def test_energies_missed_while_answers_were_garbled_are_expected_soon(
    connect: Connect,
) -> None:
    """A line on which answers come too late for their questions has both."""
    clock = Clock()
    car = Car(charging=True, power_w=36_000, clock=clock)
    simulated = SimulatedDct1(car=car, import_wh=446_540)
    bench = await connect(simulated)
    await bench.meter.identify()
    simulated.delay(block_s=0.7)
    await bench.meter.read()
    simulated.delay(block_s=0)
    await asyncio.sleep(0.5)
    clock.now_s = 60
    bench.line.exception(count=2, code=ExcCodes.DEVICE_FAILURE)
    with pytest.raises(UnexpectedAnswerError):
        await bench.meter.read()
    energy_import_wh = (await bench.meter.read()).energy_import_wh
    assert energy_import_wh is not None
    assert energy_import_wh > 446_540


async def test_energies_that_are_not_read_any_more_are_not_known_any_more(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The live values stay."""
    monkeypatch.setattr(dct1, "ENERGY_MAX_AGE_S", 0.5)
    simulated = Refusing(car=charging_car(), import_wh=446_540)
    bench = await connect(simulated)
    await bench.meter.identify()
    simulated.refusals = FOREVER
    assert (await bench.meter.read()).energy_import_wh == 446_540
    await asyncio.sleep(0.5)
    reading = await bench.meter.read()
    assert reading.energy_import_wh is None
    assert reading.energy_export_wh is None
    assert reading.voltage_v > 0


async def test_the_whole_block_is_read_from_time_to_time(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That is how a changed cable resistance is seen."""
    monkeypatch.setattr(dct1, "BLOCK_INTERVAL_S", 0.0)
    simulated = SimulatedDct1(cable_resistance_mohm=1)
    bench = await connect(simulated)
    await bench.meter.identify()
    simulated.cable_resistance_mohm = 25
    assert (await bench.meter.read()).cable_resistance_ohm == Decimal("0.025")


@pytest.mark.parametrize("mode", ["silent", "unplugged"])
async def test_a_cut_line_is_said_at_once_and_healed_at_once(
    connect: Connect, mode: Any
) -> None:
    """Two tries, well under a second; then one each, so as not to keep others waiting; then two."""
    bench = await connect(SimulatedDct1(import_wh=446_540), baud_rate=9600)
    await bench.meter.identify()
    await bench.line.cut(mode=mode)
    for limit_s in (1.0, 0.6):
        async with Stopwatch() as watch:
            with pytest.raises(MeterUnreachableError):
                await bench.meter.read()
        assert watch.took_s < limit_s
    await bench.line.mend()
    assert (await bench.meter.read()).energy_import_wh == 446_540
    bench.line.drop()
    assert (await bench.meter.read()).energy_import_wh == 446_540


async def test_a_link_that_is_slow_to_open_leads_to_the_meter(connect: Connect) -> None:
    """As a serial proxy in the network is; a retry of the set-up would begin with a link of its own."""
    bench = await connect(SimulatedDct1(), baud_rate=9600)
    bench.connection.for_unit(1).require_connect_delay(1.2)
    await bench.meter.identify()


async def test_meters_of_a_link_that_does_not_open_wait_for_it_together(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gateway that is off does not hold up Home Assistant's start by seconds for each."""
    monkeypatch.setattr(dct1, "OPEN_TIMEOUT_S", 0.5)
    turn = Turn()
    bench = await connect(SimulatedDct1(), turn=turn)
    bench.connection.for_unit(1).require_connect_delay(1)
    neighbour = Dct1(bench.connection.for_unit(2), turn=turn)
    async with Stopwatch() as watch:
        ends = await asyncio.gather(
            bench.meter.identify(), neighbour.identify(), return_exceptions=True
        )
    assert [isinstance(end, MeterUnreachableError) for end in ends] == [True, True]
    assert watch.took_s < 0.8


@pytest.mark.parametrize("backend", [TmodbusConnection])
async def test_an_adapter_that_echoes_is_named(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Live values come past Home Assistant's Modbus stack, and nothing tells why no more does."""
    monkeypatch.setattr(dct1, "BLOCK_TIMEOUT_S", 0.3)
    bench = await connect(SimulatedDct1())
    bench.line.echo(count=FOREVER)
    with pytest.raises(AdapterEchoesError):
        await bench.meter.identify()


async def test_a_meter_that_is_lost_while_it_says_how_it_signs_blames_no_adapter(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It gives no live values either."""
    monkeypatch.setattr(dct1, "BLOCK_TIMEOUT_S", 0.3)
    simulated = SimulatedDct1()
    bench = await connect(simulated)
    identifying = asyncio.create_task(bench.meter.identify())
    while "live" not in bench.meter.diagnostics()["words"]:
        await asyncio.sleep(0)
    simulated.power_off()
    with pytest.raises(MeterUnreachableError) as raised:
        await identifying
    assert not isinstance(raised.value, AdapterEchoesError)


async def test_nobody_at_the_address_is_found_out_in_a_second(connect: Connect) -> None:
    """Others on the line would have to wait for longer."""
    bench = await connect(SimulatedDct1(address=7))
    meter = Dct1(bench.connection.for_unit(8))
    async with Stopwatch() as watch:
        with pytest.raises(MeterUnreachableError):
            await meter.identify()
    assert watch.took_s < 1


@pytest.mark.parametrize("relink_every", [1, 30], ids=["link kept", "link made anew"])
async def test_another_meter_after_a_lost_line_is_not_taken_for_the_first(
    connect: Connect, monkeypatch: pytest.MonkeyPatch, relink_every: int
) -> None:
    """Until the first one is back, nothing is read."""
    monkeypatch.setattr(dct1, "RELINK_EVERY", relink_every)
    simulated = SimulatedDct1(serial_number="BY0000000001L", import_wh=446_540)
    bench = await connect(simulated)
    await bench.meter.identify()
    await bench.line.cut()
    with pytest.raises(MeterUnreachableError):
        await bench.meter.read()
    simulated.exchange(serial_number="BY0000000002L")
    await bench.line.mend()
    for _ in range(2):
        with pytest.raises(
            WrongMeterError, match="BY0000000002L answers where BY0000000001L"
        ):
            await bench.meter.read()
    simulated.exchange(serial_number="BY0000000001L")
    assert (await bench.meter.read()).energy_import_wh == 446_540


async def test_another_meter_behind_a_link_made_anew_is_not_taken_for_the_first(
    connect: Connect,
) -> None:
    """Also when no reading went unanswered in between."""
    simulated = SimulatedDct1(serial_number="BY0000000001L")
    bench = await connect(simulated)
    await bench.meter.identify()
    await bench.meter.read()
    await bench.connection.disconnect()
    simulated.exchange(serial_number="BY0000000002L")
    with pytest.raises(WrongMeterError):
        await bench.meter.read()


async def test_no_transaction_begins_or_ends_on_another_meter(connect: Connect) -> None:
    """The block that is signed says whose it is."""
    simulated = SimulatedDct1()
    bench = await connect(simulated)
    await bench.meter.identify()
    simulated.exchange(serial_number="BY0000000002L")
    with pytest.raises(WrongMeterError):
        await bench.meter.begin(REQUEST)
    with pytest.raises(WrongMeterError):
        await bench.meter.end()
    with pytest.raises(WrongMeterError):
        await bench.meter.read()
    simulated.exchange(serial_number=bench.meter.identity.serial_number)
    await bench.meter.read()
    await bench.meter.begin(REQUEST)


async def test_a_link_that_leads_nowhere_is_made_anew(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A peer that is gone may never say so: it is tried at once, and now and then after that."""
    monkeypatch.setattr(dct1, "RELINK_EVERY", 2)
    bench = await connect(SimulatedDct1())
    await bench.meter.identify()
    await bench.line.cut()
    with patch.object(
        bench.connection, "disconnect", wraps=bench.connection.disconnect
    ) as disconnect:
        for times in (0, 1, 1, 2):
            with pytest.raises(MeterUnreachableError):
                await bench.meter.read()
            assert disconnect.call_count == times
    await bench.line.mend()
    await bench.meter.read()


async def test_a_link_that_leads_to_others_is_left_alone(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There are gateways that take seconds until they serve the next client."""
    monkeypatch.setattr(dct1, "RELINK_EVERY", 2)
    turn = Turn()
    here = SimulatedDct1(address=1, serial_number="BY0000000001L")
    gone = SimulatedDct1(address=2, serial_number="BY0000000002L")
    bench = await connect(here, gone, turn=turn)
    neighbour = Dct1(bench.connection.for_unit(2), turn=turn)
    await bench.meter.identify()
    await neighbour.identify()
    gone.power_off()
    with patch.object(bench.connection, "disconnect") as disconnect:
        for _ in range(4):
            with pytest.raises(MeterUnreachableError):
                await neighbour.read()
            await bench.meter.read()
        disconnect.assert_not_called()
        here.power_off()
        for _ in range(4):
            with pytest.raises(MeterUnreachableError):
                await neighbour.read()
        disconnect.assert_called_once()


async def test_half_a_long_answer_does_not_swallow_the_next_ones(
    connect: Connect,
) -> None:
    """A line that was cut while a block came is there with the first reading after it."""
    bench = await connect(SimulatedDct1(import_wh=446_540), baud_rate=9600)
    await bench.meter.identify()
    begin = asyncio.create_task(bench.meter.begin(REQUEST))
    await asyncio.sleep(0.25)
    await bench.line.cut()
    with pytest.raises(MeterUnreachableError):
        await bench.meter.read()
    with pytest.raises(MeterUnreachableError):
        await begin
    await bench.line.mend()
    assert (await bench.meter.read()).energy_import_wh == 446_540


async def test_late_energies_are_not_taken_for_live_values(connect: Connect) -> None:
    """They run into the next reading, on purpose here."""
    car = charging_car()
    simulated = SimulatedDct1(car=car)
    bench = await connect(simulated)
    await bench.meter.identify()
    simulated.delay(block_s=0.8)
    await bench.meter.read()
    await asyncio.sleep(0.15)
    simulated.delay(block_s=0)
    reading = await bench.meter.read()
    assert reading.voltage_v == Decimal(car.flow().voltage_dv) / 10
    errors = bench.meter.diagnostics()["errors"]
    assert errors.get("length") or errors.get("ModbusProtocolError")


async def test_a_meter_that_always_answers_too_late_is_read(connect: Connect) -> None:
    """The answer to the first try comes in the time of the second."""
    car = charging_car()
    simulated = SimulatedDct1(car=car, import_wh=446_540)
    bench = await connect(simulated)
    await bench.meter.identify()
    simulated.delay(live_s=0.45)
    for _ in range(3):
        await asyncio.sleep(0.5)
        reading = await bench.meter.read()
        assert reading.voltage_v == Decimal(car.flow().voltage_dv) / 10
        assert reading.energy_import_wh == 446_540


async def test_a_slow_neighbour_does_not_make_a_meter_unreachable(
    connect: Connect,
) -> None:
    """Meters of one line that share their turn wait for each other."""
    turn = Turn()
    fast = SimulatedDct1(address=1, serial_number="BY0000000001L")
    slow = SimulatedDct1(address=2, serial_number="BY0000000002L", block_delay_s=1.2)
    bench = await connect(fast, slow, turn=turn)
    neighbour = Dct1(bench.connection.for_unit(2), turn=turn)
    await bench.meter.identify()
    await neighbour.identify()
    begin = asyncio.create_task(neighbour.begin(REQUEST))
    await asyncio.sleep(0.1)
    assert (await bench.meter.read()).energy_import_wh == 0
    await begin


async def test_a_neighbour_that_is_gone_is_waited_for_once(connect: Connect) -> None:
    """Whatever is wanted of it: its readings and its start do not take turns before others."""
    turn = Turn()
    here = SimulatedDct1(address=1, serial_number="BY0000000001L")
    gone = SimulatedDct1(address=2, serial_number="BY0000000002L", block_delay_s=1)
    bench = await connect(here, gone, turn=turn)
    neighbour = Dct1(bench.connection.for_unit(2), turn=turn)
    await bench.meter.identify()
    await neighbour.identify()
    gone.power_off()
    asked = [
        asyncio.create_task(ask) for ask in (neighbour.begin(REQUEST), neighbour.read())
    ]
    await asyncio.sleep(0.1)
    assert await timed(bench.meter.read()) < 1.5 * LIVE_TIMEOUT_S
    await asyncio.gather(*asked, return_exceptions=True)


async def test_a_reading_waits_for_a_slow_signature(connect: Connect) -> None:
    """Starting a transaction does not make the entities unavailable."""
    simulated = SimulatedDct1(import_wh=446_540, block_delay_s=1.2)
    bench = await connect(simulated)
    await bench.meter.identify()
    begin = asyncio.create_task(bench.meter.begin(REQUEST))
    await asyncio.sleep(0.2)
    simulated.delay(block_s=0)
    assert (await bench.meter.read()).energy_import_wh == 446_540
    await begin


async def test_a_busy_line_says_nothing_of_the_meter(connect: Connect) -> None:
    """A reading that had no turn leaves the link, and who is known to be there, as they are."""
    simulated = SimulatedDct1(import_wh=446_540, block_delay_s=2)
    bench = await connect(simulated)
    await bench.meter.identify()
    begin = asyncio.create_task(bench.meter.begin(REQUEST))
    await asyncio.sleep(0.1)
    with patch.object(dct1, "LINE_PATIENCE_S", 0.5), pytest.raises(LineBusyError):
        await bench.meter.read()
    await begin
    simulated.delay(block_s=0)
    with patch.object(bench.connection, "disconnect") as disconnect:
        assert (await bench.meter.read()).energy_import_wh == 446_540
    disconnect.assert_not_called()


async def test_a_meter_that_is_gone_is_missed_though_the_line_is_busy_then(
    connect: Connect,
) -> None:
    """The second try had no turn; the first one was asked and not answered."""
    turn = Turn()
    bench = await connect(SimulatedDct1(import_wh=446_540), turn=turn)
    await bench.meter.identify()
    await bench.line.cut()
    free = asyncio.Event()

    async def speak() -> None:
        async with turn:
            await free.wait()

    with patch.object(dct1, "LINE_PATIENCE_S", LIVE_TIMEOUT_S + 0.3):
        read = asyncio.create_task(bench.meter.read())
        await asyncio.sleep(LIVE_TIMEOUT_S / 2)
        neighbour = asyncio.create_task(speak())
        with pytest.raises(MeterUnreachableError, match="no answer within"):
            await read
    free.set()
    await neighbour
    assert not bench.meter.diagnostics()["recognized"]


async def test_the_key_of_another_meter_is_not_taken_for_a_changed_one(
    connect: Connect,
) -> None:
    """Whose block it is comes first."""
    simulated = SimulatedDct1(import_wh=446_540)
    bench = await connect(simulated)
    identity = await bench.meter.identify()
    simulated.exchange(serial_number="BY0000000002L", new_key=True)
    with pytest.raises(WrongMeterError):
        await bench.meter.end()
    assert bench.meter.identity == identity


class Altered(SimulatedDct1):
    """A DCT1 whose block comes with one bit of its signature changed so many times."""

    alterations = 0

    @override
    async def read_input_registers(
        self, address: int, count: int
    ) -> list[int] | ExcCodes:
        words = await super().read_input_registers(address, count)
        if self.alterations and address == 0x0800 and isinstance(words, list):
            self.alterations -= 1
            words[-1] ^= 1
        return words


@pytest.mark.parametrize(
    ("alterations", "verdict"), [(1, Verdict.VALID), (FOREVER, Verdict.INVALID)]
)
async def test_a_block_that_comes_altered_is_asked_for_once_more(
    connect: Connect, alterations: int, verdict: Verdict
) -> None:
    """What the meter signed it can say again; what stays altered is kept as it is."""
    simulated = Altered(import_wh=446_540)
    bench = await connect(simulated)
    await bench.meter.identify()
    simulated.alterations = alterations
    signed = (await bench.meter.begin(REQUEST)).signed_value
    simulated.alterations = 0
    end = (await bench.meter.end()).signed_value
    assert end is not None
    judgement = judge(Receipt(begin=signed, end=end), trusted_key=end.public_key)
    assert judgement.verdict is verdict


async def test_a_meter_with_another_key_says_so_in_what_it_signs(
    connect: Connect,
) -> None:
    """That its key was changed, not that its signature is false."""
    simulated = SimulatedDct1(import_wh=446_540)
    bench = await connect(simulated)
    identity = await bench.meter.identify()
    begin = (await bench.meter.begin(REQUEST)).signed_value
    simulated.exchange(new_key=True)
    end = (await bench.meter.end()).signed_value
    assert end is not None
    assert end.public_key != identity.public_key
    assert end.public_key == bench.meter.identity.public_key
    judgement = judge(
        Receipt(begin=begin, end=end), trusted_key=identity.public_key or ""
    )
    assert judgement.reason is Reason.KEY_CHANGED


async def test_a_meter_lost_while_it_signs_is_missed_at_once(connect: Connect) -> None:
    """The stop that still waits for its signature does not keep old values on the screen."""
    simulated = SimulatedDct1(block_delay_s=1.5)
    bench = await connect(simulated)
    await bench.meter.identify()
    end = asyncio.create_task(bench.meter.end())
    await asyncio.sleep(0.2)
    simulated.power_off()
    with pytest.raises(MeterUnreachableError, match="busy"):
        async with asyncio.timeout(2):
            await bench.meter.read()
    with pytest.raises(MeterUnreachableError):
        await end


async def test_a_meter_lost_while_it_signs_keeps_nobody_off_the_line(
    connect: Connect,
) -> None:
    """A neighbour misses no second."""
    turn = Turn()
    lost = SimulatedDct1(address=1, serial_number="BY0000000001L", block_delay_s=0.1)
    fine = SimulatedDct1(address=2, serial_number="BY0000000002L")
    bench = await connect(lost, fine, turn=turn)
    neighbour = Dct1(bench.connection.for_unit(2), turn=turn)
    await bench.meter.identify()
    await neighbour.identify()
    begin = asyncio.create_task(bench.meter.begin(REQUEST))
    await asyncio.sleep(0.06)
    lost.power_off()
    for _ in range(4):
        assert await timed(neighbour.read()) < 0.6
    with pytest.raises(MeterUnreachableError):
        await begin


async def test_a_signature_that_takes_longer_than_before_is_waited_for(
    connect: Connect,
) -> None:
    """What was expected sooner is asked for again."""
    simulated = SimulatedDct1(import_wh=446_540)
    bench = await connect(simulated)
    await bench.meter.identify()
    simulated.delay(block_s=1.2)
    assert (await bench.meter.begin(REQUEST)).energy_import_wh == 446_540


class Odd(SimulatedDct1):
    """A device that is not quite a DCT1."""

    def __init__(self, odd: dict[int, int]) -> None:
        """Take the words that are different, by address."""
        super().__init__(signature="384")
        self.odd = odd

    @override
    async def read_input_registers(
        self, address: int, count: int
    ) -> list[int] | ExcCodes:
        words = await super().read_input_registers(address, count)
        if isinstance(words, list):
            for place, word in self.odd.items():
                if address <= place < address + count:
                    words[place - address] = word
        return words


@pytest.mark.parametrize(
    ("odd", "message"),
    [
        pytest.param({0x24FF: 3}, "signature type 3", id="signature type"),
        pytest.param({0x2500: 0x0300}, "no public key", id="public key"),
        pytest.param({0x0800: 0}, "OBIS", id="block"),
        pytest.param({0x083E: 0, 0x083F: 0}, "serial number", id="serial number"),
    ],
)
async def test_a_device_that_is_no_dct1_is_refused(
    connect: Connect, odd: dict[int, int], message: str
) -> None:
    """The error says what was not understood."""
    bench = await connect(Odd(odd))
    with pytest.raises(UnexpectedAnswerError, match=message):
        await bench.meter.identify()


async def test_a_device_without_these_registers_is_refused(connect: Connect) -> None:
    """It answers, with an exception."""
    bench = await connect(SimulatedDct1())
    bench.line.exception(count=2, code=ExcCodes.ILLEGAL_ADDRESS)
    with pytest.raises(UnexpectedAnswerError):
        await bench.meter.identify()


@pytest.mark.usefixtures("socket_enabled")
async def test_a_meter_that_its_gateway_does_not_reach_is_unreachable(
    backend: type[ModbusConnection],
) -> None:
    """The gateway answers in its place, with an exception of its own."""
    async with TcpGateway(
        [SimulatedDct1()], baud_rate=115200, timeout_s=0.2
    ) as gateway:
        connection = backend(ModbusTcpParams(host=gateway.host, port=gateway.port))
        meter = Dct1(connection.for_unit(1))
        await meter.identify()
        await gateway.cut()
        with pytest.raises(MeterUnreachableError):
            await meter.read()
        await gateway.mend()
        await meter.read()
        await connection.close()


@pytest.mark.usefixtures("socket_enabled")
async def test_a_meter_that_is_gone_blinds_no_other_behind_its_gateway(
    backend: type[ModbusConnection],
) -> None:
    """The gateway waits a second for it, and answers nobody else meanwhile."""
    here = SimulatedDct1(address=1, serial_number="BY0000000001L", import_wh=446_540)
    gone = SimulatedDct1(address=2, serial_number="BY0000000002L")
    async with TcpGateway([here, gone], baud_rate=115200, timeout_s=1) as gateway:
        connection = backend(ModbusTcpParams(host=gateway.host, port=gateway.port))
        turn = Turn()
        meter, neighbour = (
            Dct1(connection.for_unit(address), turn=turn, behind_gateway=True)
            for address in (1, 2)
        )
        await meter.identify()
        await neighbour.identify()
        gone.power_off()
        for _ in range(3):
            asking = asyncio.create_task(neighbour.read())
            await asyncio.sleep(0.5)
            assert (await meter.read()).energy_import_wh == 446_540
            with pytest.raises(MeterUnreachableError):
                await asking
        await connection.close()


@pytest.mark.usefixtures("socket_enabled")
async def test_a_meter_that_is_gone_blinds_no_other_behind_a_gateway_that_never_says_so(
    backend: type[ModbusConnection], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once it is known to be gone, it is waited for no longer than others wait for their turn."""
    monkeypatch.setattr(dct1, "GATEWAY_PAUSE_S", 0.0)
    here = SimulatedDct1(address=1, serial_number="BY0000000001L", import_wh=446_540)
    gone = SimulatedDct1(address=2, serial_number="BY0000000002L")
    async with TcpGateway(
        [here, gone], baud_rate=115200, timeout_s=0.5, says_no=False
    ) as gateway:
        connection = backend(ModbusTcpParams(host=gateway.host, port=gateway.port))
        turn = Turn()
        meter, neighbour = (
            Dct1(connection.for_unit(address), turn=turn, behind_gateway=True)
            for address in (1, 2)
        )
        await meter.identify()
        await neighbour.identify()
        gone.power_off()
        with pytest.raises(MeterUnreachableError):
            await neighbour.read()
        for _ in range(2):
            asking = asyncio.create_task(neighbour.read())
            await asyncio.sleep(0.1)
            assert (await meter.read()).energy_import_wh == 446_540
            with pytest.raises(MeterUnreachableError):
                await asking
        await connection.close()


async def test_a_snapshot_that_is_refused_takes_the_line_from_nobody(
    connect: Connect,
) -> None:
    """A refusal is the answer: there is no other to wait for."""
    simulated = Refusing(import_wh=446_540)
    bench = await connect(simulated)
    await bench.meter.identify()
    simulated.refusals, simulated.refuses_after_s = 20, 0
    began_s = asyncio.get_running_loop().time()
    with pytest.raises(UnexpectedAnswerError):
        await bench.meter.begin(REQUEST)
    assert asyncio.get_running_loop().time() - began_s < 1


@pytest.mark.usefixtures("socket_enabled")
async def test_a_meter_that_is_gone_is_asked_now_and_then_behind_a_gateway(
    backend: type[ModbusConnection], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others would have to wait for it; it is read again with the first question it answers."""
    monkeypatch.setattr(dct1, "GATEWAY_PAUSE_S", 0.3)
    simulated = SimulatedDct1(import_wh=446_540)
    async with TcpGateway([simulated], baud_rate=115200, timeout_s=0.2) as gateway:
        connection = backend(ModbusTcpParams(host=gateway.host, port=gateway.port))
        turn = Turn()
        meter = Dct1(connection.for_unit(1), turn=turn, behind_gateway=True)
        neighbour = Dct1(connection.for_unit(2), turn=turn, behind_gateway=True)
        await meter.identify()
        simulated.power_off()
        with pytest.raises(MeterUnreachableError):
            await meter.read()
        simulated.power_on()
        asked = gateway.requests
        with pytest.raises(MeterUnreachableError, match="not asked again yet"):
            await meter.read()
        assert gateway.requests == asked
        await asyncio.sleep(0.3)
        assert (await meter.read()).energy_import_wh == 446_540

        # With nobody else to wait for the gateway, it is asked each time.
        await neighbour.close()
        simulated.power_off()
        with pytest.raises(MeterUnreachableError):
            await meter.read()
        simulated.power_on()
        assert (await meter.read()).energy_import_wh == 446_540
        await connection.close()


@pytest.mark.parametrize(
    "code", [ExcCodes.GATEWAY_PATH_UNAVIABLE, ExcCodes.GATEWAY_NO_RESPONSE]
)
async def test_a_meter_that_its_gateway_knows_no_way_to_is_unreachable(
    connect: Connect, code: ExcCodes
) -> None:
    """Whichever of the two exceptions it has for that."""
    bench = await connect(SimulatedDct1())
    await bench.meter.identify()
    bench.line.exception(count=2, code=code)
    with pytest.raises(MeterUnreachableError):
        await bench.meter.read()


async def test_a_meter_that_is_closed_waits_for_no_energies(connect: Connect) -> None:
    """It would ask again for them on a line that is others' by then."""
    bench = await connect(SimulatedDct1(block_delay_s=0.8))
    await bench.meter.identify()
    before = asyncio.all_tasks()
    await bench.meter.read()
    begun = asyncio.all_tasks() - before
    await bench.meter.close()
    assert any(task.cancelled() for task in begun)


async def test_diagnostics_can_be_written_down(connect: Connect) -> None:
    """Raw words, durations and errors, for a maintainer to see what the meter really says."""
    bench = await connect(SimulatedDct1())
    await bench.meter.identify()
    await bench.meter.read()
    bench.line.drop()
    await bench.meter.read()
    diagnostics = json.loads(json.dumps(bench.meter.diagnostics()))
    assert set(diagnostics["words"]) == {
        "live", "energy", "signed_block", "signature_type", "public_key",
    }  # fmt: skip
    assert diagnostics["words"].keys() == diagnostics["duration_s"].keys()
    assert diagnostics["errors"]["timeout"]["count"] == 1
    assert diagnostics["word_order_known"] == "confirmed"


async def test_a_reading_says_how_old_its_energies_are(connect: Connect) -> None:
    """They are judged by when they were read, where that is seldom."""
    bench = await connect(SimulatedDct1(block_delay_s=0.4), low_side_sensing=False)
    await bench.meter.identify()
    await bench.meter.read()
    await asyncio.sleep(0.6)
    first = await bench.meter.read()
    await asyncio.sleep(0.3)
    second = await bench.meter.read()
    assert 0.2 < second.energy_age_s - first.energy_age_s < 1
    assert first.reversed
    assert first == replace(second, voltage_v=first.voltage_v)


@pytest.mark.parametrize(
    ("took_s", "interval_s", "timeout_s"),
    [(0.05, 0, 0.6), (0.2, 0, 0.6), (0.3, 2, 0.6), (1, 16, 2), (2, 36, 3), (3, 56, 3)],
)
async def test_the_longer_energies_take_the_less_often_they_are_read(
    took_s: float, interval_s: float, timeout_s: float
) -> None:
    """So that others on the line, and the live values, keep almost all of it."""
    pace = EnergyPace()
    pace.answered(took_s)
    assert (pace.interval_s, pace.timeout_s) == pytest.approx((interval_s, timeout_s))


async def test_energies_that_do_not_come_are_given_more_time_less_often() -> None:
    """Three answers lost are asked for again at once; a silent meter costs ever less."""
    pace = EnergyPace()
    waits: list[float] = []
    timeouts: list[float] = []
    for _ in range(6):
        pace.missed()
        waits.append(max(0, pace.due_at - asyncio.get_running_loop().time()))
        timeouts.append(pace.timeout_s)
    assert waits == pytest.approx([0, 0, 0, 4, 12, 16], abs=0.1)
    assert timeouts == pytest.approx([0.6, 0.6, 1.2, 2.4, 3.0, 3.0])


async def test_energies_of_a_slow_meter_are_not_asked_for_again_at_once() -> None:
    """Its neighbours have waited for them long enough."""
    pace = EnergyPace(1)
    pace.missed()
    assert pace.due_at - asyncio.get_running_loop().time() == pytest.approx(
        9.3, abs=0.1
    )


async def test_only_what_was_missed_is_forgiven() -> None:
    """Who gave its energies, slowly, is not asked for them again before its time."""
    pace = EnergyPace()
    pace.answered(2)
    due_at = pace.due_at
    pace.forgive()
    assert pace.due_at == due_at
    pace.missed()
    pace.forgive()
    assert pace.due_at == 0


async def test_energies_are_asked_for_anew_when_a_line_is_back() -> None:
    """What was missed while it was lost says nothing of how long the meter takes."""
    pace = EnergyPace()
    pace.answered(0.35)
    for _ in range(3):
        pace.missed()
    assert pace.timeout_s == 3
    pace.begin_anew()
    assert pace.is_prompt
    assert (pace.due_at, pace.timeout_s) == pytest.approx((0, 0.7))
