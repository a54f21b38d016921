"""The car: its curve, its power by hand, and energy that adds up exactly."""

from itertools import pairwise
from typing import Any

from hypothesis import given, strategies as st
import pytest

from simulators.car import UJ_PER_WH, Car, Flow

from .conftest import TurnedClock


def flows(car: Car, clock: TurnedClock, seconds: int) -> list[Flow]:
    """Return what flows at every second."""
    seen = []
    for _ in range(seconds):
        clock.turn(1)
        seen.append(car.flow())
    return seen


def test_power_by_hand_gives_exactly_its_energy(car: Car, clock: TurnedClock) -> None:
    car.set_power(3_600)
    clock.turn(1000)
    assert car.flow().power_mw == 3_600_000
    assert car.flow().import_uj == 1000 * UJ_PER_WH
    assert car.flow().export_uj == 0


def test_power_out_of_the_car_is_export(car: Car, clock: TurnedClock) -> None:
    car.set_power(-7_200)
    clock.turn(500)
    assert car.flow().export_uj == 1000 * UJ_PER_WH
    assert car.flow().import_uj == 0
    assert car.flow().current_ma < 0


def test_the_curve_ramps_up_holds_tapers_and_ends_with_a_full_battery(
    clock: TurnedClock,
) -> None:
    car = Car(clock=clock, capacity_kwh=10, state_of_charge=0.4, max_current_a=100)
    car.charge()
    currents = [flow.current_ma / 1000 for flow in flows(car, clock, 3600)]
    assert currents[0] < 25
    assert all(99 < current <= 100 for current in currents[6:60])
    tapering = currents[200:1500:100]
    assert tapering == sorted(tapering, reverse=True)
    assert currents[-1] == 0
    assert car.flow().import_uj // UJ_PER_WH == 6000


@given(st.lists(st.floats(0.01, 60), min_size=1, max_size=20))
def test_energy_does_not_depend_on_how_often_it_is_looked_at(
    pauses: list[float],
) -> None:
    clock = TurnedClock()
    watched, alone = (Car(clock=clock, charging=True, capacity_kwh=1) for _ in range(2))
    for pause in pauses:
        clock.turn(pause)
        watched.flow()
    assert watched.flow() == alone.flow()


@pytest.mark.parametrize("power_w", [None, 0, 11_000, -5_000])
def test_live_values_move_every_second(
    car: Car, clock: TurnedClock, power_w: float | None
) -> None:
    car.steer(power_w=power_w, charging=True)
    seen = flows(car, clock, 60)
    for before, after in pairwise(seen):
        assert before.voltage_dv != after.voltage_dv
        assert abs(after.voltage_dv - 4000) < 150


def test_time_scale_changes_pace_without_a_jump(car: Car, clock: TurnedClock) -> None:
    car.set_power(3_600)
    clock.turn(10)
    car.steer(time_scale=3600)
    assert car.flow().import_uj == 10 * UJ_PER_WH
    clock.turn(1)
    assert car.flow().import_uj == 3610 * UJ_PER_WH


def test_nothing_flows_without_current_or_cable(car: Car, clock: TurnedClock) -> None:
    car.set_power(3_600)
    car.stop()
    clock.turn(100)
    assert car.flow().current_ma == car.flow().power_mw == car.flow().import_uj == 0
    car.steer(plugged=False, charging=True)
    clock.turn(100)
    assert car.flow() == Flow()


@pytest.mark.parametrize(
    "wrong",
    [
        {"power_w": 1_000_001},
        {"power_w": float("nan")},
        {"power_w": 1, "curve": True},
        {"state_of_charge": 1.1},
        {"time_scale": 0},
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(
    car: Car, wrong: dict[str, Any]
) -> None:
    before = car.describe()
    with pytest.raises(ValueError):
        car.steer(charging=True, **wrong)
    assert car.describe() == before
