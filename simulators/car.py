"""The car: what current flows, by a charge curve or set by hand, and the energy it adds up to."""

from collections.abc import Callable
from dataclasses import dataclass
import time
from typing import Any, ClassVar

UJ_PER_WH = 3_600_000_000

TICK_MS = 200
"""The curve's current and every voltage hold still this long, in the car's own time."""

RAMP_MA_PER_TICK = 4_000
"""20 A/s, the pace a DC charger is commonly seen to raise its current at."""

TAPER_FROM = 500
TAPER_TO_PERMILLE = 50
"""From half full (permille) the current falls in a line to 5 % of its maximum when full."""

MAX_POWER_W = 1_000_000
MAX_TIME_SCALE = 100_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Flow:
    """What flows at one moment, and what has flowed so far; whole numbers, so nothing is rounded.

    Positive is into the car. Energy is in microjoules: one watt-hour is 3.6e9 of them.
    """

    voltage_dv: int = 0
    current_ma: int = 0
    power_mw: int = 0
    import_uj: int = 0
    export_uj: int = 0


class Car:
    """An electric car on its cable.

    It stands plugged in with no current until ``charge`` or ``set_power``. Everything is a
    function of the clock: two cars with the same settings and clock do exactly the same.
    """

    ACTIONS: ClassVar[tuple[str, ...]] = ("steer",)

    def __init__(
        self,
        *,
        plugged: bool = True,
        charging: bool | None = None,
        power_w: float | None = None,
        capacity_kwh: float = 60,
        state_of_charge: float = 0.2,
        max_current_a: float = 125,
        time_scale: float = 1,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start with this much in the battery.

        ``power_w`` set, or ``None`` for the charge curve; ``time_scale`` 60 charges an
        hour's worth in a minute. ``clock`` returns seconds.
        """
        self._clock = clock
        self._capacity_uj = int(capacity_kwh * 1000 * UJ_PER_WH)
        self._max_ma = int(max_current_a * 1000)
        self._now_ms = 0
        self._import_uj = self._export_uj = 0
        self._ramp_ticks = 0
        self._plugged = self._charging = False
        self._power_mw: int | None = None
        self._battery_uj = 0
        self._tick_uj = 0
        self._anchor(1)
        self.steer(
            plugged=plugged,
            charging=charging,
            power_w=power_w,
            state_of_charge=state_of_charge,
            time_scale=time_scale,
        )

    def charge(self) -> None:
        """Follow the charge curve from here on."""
        self.steer(curve=True)

    def set_power(self, power_w: float) -> None:
        """Let exactly this power flow; negative is out of the car."""
        self.steer(power_w=power_w)

    def stop(self) -> None:
        """Let no current flow."""
        self.steer(charging=False)

    def steer(
        self,
        *,
        power_w: float | None = None,
        curve: bool | None = None,
        charging: bool | None = None,
        plugged: bool | None = None,
        state_of_charge: float | None = None,
        time_scale: float | None = None,
    ) -> None:
        """Change what is named: power by hand in W, the charge curve, current on or off, cable, battery (0 to 1), pace of time.

        Setting a power or asking for the curve also switches the current on, unless
        ``charging`` says otherwise. Raises ``ValueError``, and then nothing is changed.
        """
        if power_w is not None and not abs(power_w) <= MAX_POWER_W:
            raise ValueError(f"power_w is at most {MAX_POWER_W} either way")
        if power_w is not None and curve:
            raise ValueError("power_w and curve exclude each other")
        if state_of_charge is not None and not 0 <= state_of_charge <= 1:
            raise ValueError("state_of_charge is from 0 to 1")
        if time_scale is not None and not 0 < time_scale <= MAX_TIME_SCALE:
            raise ValueError(f"time_scale is above 0 and at most {MAX_TIME_SCALE}")
        self._advance()
        if state_of_charge is not None:
            self._battery_uj = int(self._capacity_uj * state_of_charge)
        if time_scale is not None:
            self._anchor(time_scale)
        if power_w is not None:
            self._power_mw = round(power_w * 1000)
        elif curve is not None:
            self._power_mw = None
        if plugged is not None:
            self._plugged = plugged
        if charging is None and (power_w is not None or curve):
            charging = True
        if charging is not None and charging != self._charging:
            self._charging = charging
            self._ramp_ticks = 0
        self._tick_uj = self._battery_uj

    def flow(self) -> Flow:
        """Return what flows now and what has flowed; one coherent moment."""
        self._advance()
        voltage_dv = self._voltage_dv()
        current_ma, power_mw = self._current_and_power(voltage_dv)
        return Flow(
            voltage_dv=voltage_dv,
            current_ma=current_ma,
            power_mw=power_mw,
            import_uj=self._import_uj,
            export_uj=self._export_uj,
        )

    def describe(self) -> dict[str, Any]:
        """Return the car's state for the control interface."""
        flow = self.flow()
        return {
            "plugged": self._plugged,
            "charging": self._charging,
            "mode": "curve" if self._power_mw is None else "hand",
            "state_of_charge": round(self._battery_uj / self._capacity_uj, 4),
            "time_scale": self._time_scale,
            "voltage_v": flow.voltage_dv / 10,
            "current_a": flow.current_ma / 1000,
            "power_w": flow.power_mw / 1000,
        }

    def _anchor(self, time_scale: float) -> None:
        """Measure time anew from here, so that a change of pace never jumps."""
        self._time_scale = time_scale
        self._anchor_s = self._clock()
        self._anchor_ms = self._now_ms

    def _advance(self) -> None:
        """Bring the energy up to the present."""
        elapsed_s = self._clock() - self._anchor_s
        target_ms = self._anchor_ms + int(elapsed_s * 1000 * self._time_scale)
        while self._now_ms < target_ms:
            step_ms = target_ms - self._now_ms
            if self._on_curve():
                step_ms = min(step_ms, TICK_MS - self._now_ms % TICK_MS)
            _, power_mw = self._current_and_power(self._voltage_dv())
            self._integrate(power_mw, step_ms)

    def _integrate(self, power_mw: int, step_ms: int) -> None:
        energy_uj = power_mw * step_ms
        if energy_uj > 0:
            self._import_uj += energy_uj
        else:
            self._export_uj -= energy_uj
        self._battery_uj = min(max(self._battery_uj + energy_uj, 0), self._capacity_uj)
        self._now_ms += step_ms
        if self._on_curve() and self._now_ms % TICK_MS == 0:
            self._ramp_ticks += 1
            self._tick_uj = self._battery_uj

    def _on_curve(self) -> bool:
        return (
            self._plugged
            and self._charging
            and self._power_mw is None
            and self._tick_uj < self._capacity_uj
        )

    def _level_uj(self) -> int:
        """Return the battery's content that voltage and current follow: still within a tick."""
        return self._tick_uj if self._on_curve() else self._battery_uj

    def _voltage_dv(self) -> int:
        """About 400 V, rising as the battery fills; never the same twice in six seconds.

        31 is prime: a ripple of 3 per tick over 31 values first repeats after 31 ticks.
        """
        if not self._plugged:
            return 0
        ripple = (self._now_ms // TICK_MS * 3) % 31 - 15
        return 3_900 + 200 * self._level_uj() // self._capacity_uj + ripple

    def _current_and_power(self, voltage_dv: int) -> tuple[int, int]:
        if not (self._plugged and self._charging):
            return 0, 0
        if self._power_mw is not None:
            return round(self._power_mw * 10 / voltage_dv), self._power_mw
        current_ma = self._curve_ma()
        return current_ma, voltage_dv * current_ma // 10

    def _curve_ma(self) -> int:
        """Ramp up, constant current to half full, then a taper; nothing when full."""
        if not self._on_curve():
            return 0
        permille = self._level_uj() * 1000 // self._capacity_uj
        limit = self._max_ma
        if permille > TAPER_FROM:
            fallen = (
                (1000 - TAPER_TO_PERMILLE)
                * (permille - TAPER_FROM)
                // (1000 - TAPER_FROM)
            )
            limit = limit * (1000 - fallen) // 1000
        ripple = (self._now_ms // TICK_MS * 7) % 11 * 10
        return max(min(limit, RAMP_MA_PER_TICK * self._ramp_ticks) - ripple, 0)
