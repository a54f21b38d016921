"""What the rules cost that every poll goes through: is it plausible, may it wait."""

from decimal import Decimal
import time

from custom_components.dc_meter.economy import Economy, may_wait
from custom_components.dc_meter.metering.meter import MeterReading
from custom_components.dc_meter.plausible import Registers

from .result import Result

POLLS = 20_000
ECONOMY = Economy()
WAITING = 7
"""Sensors of a meter whose changes may wait."""


def reading(second: int) -> MeterReading:
    """Return what a meter shows while 50 kW flow."""
    return MeterReading(
        energy_import_wh=Decimal(123_456_789 + 14 * second),
        energy_export_wh=Decimal(4_881),
        power_w=Decimal("50000.1"),
        voltage_v=Decimal("400.1"),
        current_a=Decimal("125.003"),
        transaction_import_wh=Decimal(14 * second),
        transaction_export_wh=Decimal(0),
    )


def plausibility_us() -> float:
    """Return the microseconds of CPU of one judgement."""
    registers = Registers()
    readings = [reading(second) for second in range(POLLS)]
    began = time.process_time()
    for second, one in enumerate(readings):
        registers.judge(one, float(second), "t")
    took_s = time.process_time() - began
    assert not registers.refusals
    return took_s / POLLS * 1e6


def economy_us() -> float:
    """Return the microseconds of CPU to decide for all sensors of a meter."""
    began = time.process_time()
    for second in range(POLLS):
        value = Decimal(50_000 + second % 7)
        for _ in range(WAITING):
            may_wait(Decimal(50_000), value, ECONOMY.power_w)
    return (time.process_time() - began) / POLLS * 1e6


async def ask(*, quick: bool) -> list[Result]:
    """Judge the readings of some hours."""
    runs = 3 if quick else 9
    return [
        Result.of(
            "plausibility of a reading's four registers",
            [plausibility_us() for _ in range(runs)],
            "µs a poll",
        ),
        Result.of(
            f"whether the values of {WAITING} sensors may wait",
            [economy_us() for _ in range(runs)],
            "µs a poll",
        ),
    ]
