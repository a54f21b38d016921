"""The energy registers of a meter: they follow the car, count up only, and survive a power cut."""

from collections.abc import Mapping
from dataclasses import replace
import json
from pathlib import Path
from typing import Any

from .car import UJ_PER_WH, Car, Flow


def read_state(path: Path | None) -> dict[str, Any]:
    """Return what was kept at ``path``; empty where nothing was."""
    if path is None or not path.exists():
        return {}
    state: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return state


def write_state(path: Path | None, state: Mapping[str, Any]) -> None:
    """Keep ``state`` at ``path``, whole or not at all."""
    if path is None:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(state), encoding="utf-8")
    fresh.replace(path)


class EnergyRegisters:
    """Both lifetime registers of one meter, to the microjoule.

    ``reversed_sensing`` is a meter whose shunt sits the other way round: current and power
    change their sign, import and export their places.
    """

    def __init__(
        self,
        car: Car,
        path: Path | None,
        *,
        import_wh: int = 0,
        export_wh: int = 0,
        reversed_sensing: bool = False,
    ) -> None:
        """Go on from what is kept at ``path``, or start with these registers."""
        self._car = car
        self._path = path
        self._reversed = reversed_sensing
        kept = read_state(path)
        self._import_uj: int = kept.get("import_uj", import_wh * UJ_PER_WH)
        self._export_uj: int = kept.get("export_uj", export_wh * UJ_PER_WH)
        self._kept = (self._import_uj, self._export_uj)
        self._seen = self._sensed()
        self._supplied = True

    def measure(self) -> Flow:
        """Return what flows now beside the lifetime registers, which are kept before they are shown."""
        sensed = self._sensed()
        if self._supplied:
            self._import_uj += sensed.import_uj - self._seen.import_uj
            self._export_uj += sensed.export_uj - self._seen.export_uj
        self._seen = sensed
        self._keep()
        return replace(sensed, import_uj=self._import_uj, export_uj=self._export_uj)

    def count_from(self, import_wh: int, export_wh: int) -> None:
        """Go on from these registers, as a meter does that was reset."""
        if min(import_wh, export_wh) < 0:
            raise ValueError("a register is not negative")
        self.measure()
        self._import_uj = import_wh * UJ_PER_WH
        self._export_uj = export_wh * UJ_PER_WH

    def switch_off(self) -> None:
        """Count no more: the meter has lost its supply."""
        self.measure()
        self._supplied = False

    def switch_on(self) -> None:
        """Count on from where the supply was lost."""
        self.measure()
        self._supplied = True

    def _sensed(self) -> Flow:
        flow = self._car.flow()
        if not self._reversed:
            return flow
        return Flow(
            voltage_dv=flow.voltage_dv,
            current_ma=-flow.current_ma,
            power_mw=-flow.power_mw,
            import_uj=flow.export_uj,
            export_uj=flow.import_uj,
        )

    def _keep(self) -> None:
        registers = (self._import_uj, self._export_uj)
        if registers != self._kept:
            write_state(
                self._path, {"import_uj": self._import_uj, "export_uj": self._export_uj}
            )
            self._kept = registers
