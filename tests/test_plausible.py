"""Registers: which value can follow which, and what a step costs the statistics."""

from decimal import Decimal
from typing import Any

from hypothesis import given, strategies as st
import pytest

from custom_components.dc_meter.metering.meter import MeterReading
from custom_components.dc_meter.plausible import (
    MAX_POWER_W,
    Register,
    Registers,
    most_wh,
    recall,
)


def reading(
    import_wh: int | None, export_wh: int | None = 0, **more: Any
) -> MeterReading:
    """Return a reading with these registers."""
    return MeterReading(
        energy_import_wh=None if import_wh is None else Decimal(import_wh),
        energy_export_wh=None if export_wh is None else Decimal(export_wh),
        power_w=Decimal(0),
        voltage_v=Decimal(0),
        current_a=Decimal(0),
        **more,
    )


def shown(registers: Registers, *counts: tuple[float, int | None]) -> list[int | None]:
    """Return what is shown of these imports, each at its second."""
    return [
        believed if believed is None else int(believed)
        for at_s, wh in counts
        for believed in [registers.judge(reading(wh), at_s, None)[0].energy_import_wh]
    ]


@pytest.mark.parametrize(
    ("what", "counts", "seen"),
    [
        ("the first is believed", [(0, 446_540)], [446_540]),
        ("it may stand still", [(0, 100), (1, 100)], [100, 100]),
        ("it may rise", [(0, 100), (1, 250)], [100, 250]),
        ("it never falls", [(0, 100), (1, 99)], [100, None]),
        ("it never jumps", [(0, 100), (1, 2_000)], [100, None]),
        ("a second is not enough", [(0, 0), (1, 1_001)], [0, None]),
        ("an hour away is", [(0, 0), (3_600, 600_000)], [0, 600_000]),
        ("but for no more", [(0, 0), (3_600, 602_000)], [0, None]),
        (
            "standing still all night allows no jump",
            [(0, 100), (36_000, 100), (36_001, 10_000)],
            [100, 100, None],
        ),
        (
            "a disturbed reading heals by the next",
            [(0, 100), (1, 9_999_999), (2, 101)],
            [100, None, 101],
        ),
        (
            "a lasting step is not believed because time has passed",
            [(0, 100), (1, 50_000), (2, 50_001), (3_600, 50_002), (9_999, 50_003)],
            [100, None, None, None, None],
        ),
        (
            "disturbed once before an absence is forgiven after it",
            [(0, 100), (1, 3_000), (600, 40_000)],
            [100, None, 40_000],
        ),
        (
            "a lasting step that turns out a disturbance heals",
            [(0, 100), (1, 50_000), (2, 50_001), (3, 101)],
            [100, None, None, 101],
        ),
        (
            "a disturbance within a lasting step changes nothing",
            [(0, 100), (1, 50_000), (2, 50_001), (3, 7_000_000), (9_999, 50_002)],
            [100, None, None, None, None],
        ),
        (
            "what fell is believed again when it passes what it showed",
            [(0, 100), (1, 95), (2, 96), (50, 101)],
            [100, None, None, 101],
        ),
        ("unknown is no value", [(0, 100), (1, None), (2, 101)], [100, None, 101]),
    ],
)
def test_a_register(
    what: str, counts: list[tuple[float, int | None]], seen: list[int | None]
) -> None:
    """It rises, no faster than a meter measures; else it is not shown."""
    assert shown(Registers(), *counts) == seen, what


@given(
    st.lists(st.tuples(st.floats(0, 90_000), st.floats(0, MAX_POWER_W)), max_size=30)
)
def test_what_a_meter_can_measure_is_always_believed(
    stretches: list[tuple[float, float]],
) -> None:
    """Whatever flows, for however long nobody looks, up to its greatest power."""
    register, at_s, wh = Register(), 0.0, Decimal(0)
    for elapsed_s, power_w in stretches:
        at_s += elapsed_s
        wh += Decimal(power_w * elapsed_s / 3600).to_integral_value()
        assert register.judge(wh, at_s)


def test_energies_are_judged_by_when_they_were_read() -> None:
    """A meter that is slow to give them shows ten seconds' worth at once."""
    registers = Registers()
    for second in range(10):
        registers.judge(reading(0, energy_age_s=second), second, None)
    believed, _ = registers.judge(reading(1_600), 10, None)
    assert believed.energy_import_wh == 1_600


def test_the_new_value_is_taken_and_its_step_told_when_it_is_shown() -> None:
    """From there on the register counts as it does."""
    registers = Registers()
    assert shown(registers, (0, 446_540), (1, 3)) == [446_540, None]
    assert registers.refusals["energy_import"].good_wh == 446_540
    assert registers.refusals["energy_import"].refused_wh == 3
    registers.take("energy_import")
    assert not registers.refusals
    registers = recall(registers.keep(1), kept_at_s=1)
    told = [
        registers.judge(reading(wh), at_s, None)[1]
        for at_s, wh in ((2, None), (9, 4), (10, 5))
    ]
    assert told == [{}, {"energy_import": -446_537}, {}]


def test_a_step_of_a_transaction_that_is_over_is_not_told_of_the_next() -> None:
    """That one counts from nothing, and statistics know."""
    registers = Registers()
    for at_s, wh in enumerate((500, 3)):
        registers.judge(reading(0, transaction_import_wh=Decimal(wh)), at_s, "A")
    registers.take("transaction_energy_import")
    assert (
        registers.judge(reading(0, transaction_import_wh=Decimal(0)), 2, "B")[1] == {}
    )


def test_there_is_nothing_to_take_of_a_register_that_is_shown() -> None:
    """It healed while its owner thought about it, or belonged to a transaction that is over."""
    registers = Registers()
    shown(registers, (0, 100), (1, 5), (2, 101))
    registers.take("energy_import")
    registers.take("transaction_energy_import")
    believed, steps = registers.judge(reading(102), 3, None)
    assert (believed.energy_import_wh, steps) == (102, {})


def test_a_meter_that_is_turned_round_trips_nothing() -> None:
    """Import and export change places, and neither difference has flowed."""
    registers = Registers()
    registers.judge(reading(446_540, 4_881), 0, None)
    believed, steps = registers.judge(reading(4_881, 446_541, reversed=True), 1, None)
    assert (believed.energy_import_wh, believed.energy_export_wh) == (4_881, 446_541)
    assert steps == {"energy_import": -441_659, "energy_export": 441_659}
    assert registers.judge(reading(4_881, 446_541, reversed=True), 2, None)[1] == {}


def test_a_step_that_was_not_shown_before_the_meter_was_turned_is_told_with_it() -> (
    None
):
    """Each sensor is told by how much it steps from what it showed last."""
    registers = Registers()
    registers.judge(reading(446_540, 4_881), 0, None)
    registers.judge(reading(3, 4_881), 1, None)
    registers.take("energy_import")
    _, steps = registers.judge(reading(4_881, 3, reversed=True), 2, None)
    assert steps == {"energy_import": 4_881 - 446_540, "energy_export": 3 - 4_881}


def test_each_transaction_counts_from_nothing() -> None:
    """Another one is another register; within one it only rises."""
    registers = Registers()

    def counted(at_s: float, transaction: str | None, wh: int) -> Decimal | None:
        return registers.judge(
            reading(0, transaction_import_wh=Decimal(wh)), at_s, transaction
        )[0].transaction_import_wh

    assert counted(0, "A", 500) == 500
    assert counted(1, "A", 400) is None
    assert counted(2, "A", 501) == 501
    assert counted(3, "B", 0) == 0
    assert counted(4, None, 999_999) == 999_999
    assert counted(5, "C", 0) == 0


@pytest.mark.parametrize("gap_s", [0, 3_600])
def test_a_restart_forgets_nothing(gap_s: float) -> None:
    """Neither what was believed, nor that a step is a lasting one."""
    registers = Registers()
    shown(registers, (0, 100), (1, 50_000), (2, 50_001))
    again = recall(registers.keep(2), kept_at_s=1_000_000)
    assert again.keep(1_000_000) == registers.keep(2)
    now_s = 1_000_000 + gap_s
    assert shown(again, (now_s, 50_002), (now_s + 1, 101)) == [None, 101]


def test_hours_away_count_as_hours() -> None:
    """What can have flowed while nobody looked is believed, and no more."""
    registers = Registers()
    shown(registers, (5, 100))
    most = int(most_wh(7_200))
    for wh, believed in ((100 + most, 100 + most), (101 + most, None), (99, None)):
        again = recall(registers.keep(5), kept_at_s=0)
        assert shown(again, (7_200, wh)) == [believed]
