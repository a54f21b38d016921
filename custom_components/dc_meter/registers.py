"""The registers of a meter: believed or refused, kept over restarts, their steps left out."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from time import time
from typing import Any, Final

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.helpers.storage import Store
from homeassistant.util import dt as dt_util

from .const import DOMAIN, LOGGER
from .metering.meter import MeterReading
from .metering.uptime import uptime_s
from .plausible import Refusal, Registers, recall
from .registry import unique_id
from .statistics import Steps

KEEP_INTERVAL_S: Final = 900
"""How often registers are kept for after a crash, while they move or a transaction runs. Older
ones only allow more, and a session was then watched for longer than is known."""

LONG_AGO_S: Final = 10 * 365 * 86_400
"""Longer than a register takes to whatever it shows."""


def register_store(hass: HomeAssistant, entry: ConfigEntry) -> Store[dict[str, Any]]:
    """Return where an entry keeps what its registers last showed."""
    return Store(hass, 1, f"{DOMAIN}.{entry.entry_id}")


class KeptRegisters:
    """What is believed of one meter's registers, for longer than the entry is loaded."""

    def __init__(
        self, hass: HomeAssistant, entry: ConfigEntry, serial_number: str
    ) -> None:
        """Start with nothing believed; ``load`` takes up what was."""
        self._name = entry.title
        self._serial_number = serial_number
        self._registers = Registers()
        self._store = register_store(hass, entry)
        self._steps = Steps(hass, left_out=self._save_soon)
        self._last: MeterReading | None = None
        self.heard_at: datetime | None = None
        """When the meter was last read and nothing was left to note of a session, also before a
        crash; then as far as that was kept."""

        self.refusals: Mapping[str, Refusal] = {}
        """The registers that are not shown because they cannot be so, by sensor."""

        self._save_due_s = 0.0

    @callback
    def watch(self) -> CALLBACK_TYPE:
        """Leave steps out of the statistics as these are compiled; returns what ends it."""
        return self._steps.watch()

    async def load(self) -> None:
        """Take up what the registers last showed."""
        if (kept := await self._store.async_load()) is None:
            return
        try:
            self._recall(kept)
        except ArithmeticError, AttributeError, LookupError, TypeError, ValueError:
            # Believed is then what the registers show now, as at the very first time.
            LOGGER.warning(
                "%s: what its registers showed last is damaged and left aside",
                self._name,
            )

    def _recall(self, kept: Mapping[str, Any]) -> None:
        """Take up what was kept; raises whatever damage leads to."""
        self._steps.recall(kept["steps"])
        if kept["meter"] == self._serial_number:
            gap_s = time() - kept["kept_at"]
            if not 0 <= gap_s <= uptime_s():
                # A clock that was set back in between does not tell how long energy has flowed, nor
                # does one that stood still while the machine was off.
                gap_s = LONG_AGO_S
            self._registers = recall(kept["registers"], uptime_s() - gap_s)
            self.refusals = self._registers.refusals
            if (heard_at := kept["heard_at"]) is not None:
                self.heard_at = dt_util.as_local(datetime.fromisoformat(heard_at))

    async def save(self) -> None:
        """Keep what the registers last showed."""
        await self._store.async_save(self._kept())

    def judge(
        self, reading: MeterReading, now_s: float, transaction: str | None
    ) -> MeterReading:
        """Return the reading without the registers that cannot be so; say it once.

        ``now_s`` is the machine's uptime; ``transaction`` names the one that runs.
        """
        believed, steps = self._registers.judge(reading, now_s, transaction)
        self._leave_out(steps)
        before, self.refusals = self.refusals, self._registers.refusals
        if before or self.refusals:
            self._tell(before, self.refusals)
        changes = believed != self._last or transaction is not None
        if changes and now_s >= self._save_due_s:
            self._save_due_s = now_s + KEEP_INTERVAL_S
            self._save_soon()
        self._last = believed
        return believed

    def take(self, key: str) -> None:
        """Believe what a sensor's register shows; nothing has flowed for its step."""
        self._registers.take(key)
        self.refusals = self._registers.refusals

    def as_dict(self) -> dict[str, Any]:
        """Return what is believed and what is not, as JSON-serializable data."""
        return self._registers.keep(uptime_s())

    def _tell(self, before: Mapping[str, Refusal], now: Mapping[str, Refusal]) -> None:
        for key in now.keys() - before.keys():
            LOGGER.warning(
                "%s: %s is not shown: %s Wh cannot follow %s Wh",
                self._name,
                key,
                now[key].refused_wh,
                now[key].good_wh,
            )
        for key in before.keys() - now.keys():
            LOGGER.info("%s: %s is shown again", self._name, key)

    def _leave_out(self, steps: Mapping[str, Decimal]) -> None:
        for key, wh in steps.items():
            self._steps.add(unique_id(self._serial_number, key), wh)
        if steps:
            self._save_soon()

    @callback
    def _save_soon(self) -> None:
        self._store.async_delay_save(self._kept)

    def _kept(self) -> dict[str, Any]:
        return {
            "meter": self._serial_number,
            "kept_at": time(),
            "heard_at": None if self.heard_at is None else self.heard_at.isoformat(),
            "registers": self.as_dict(),
            "steps": self._steps.keep(),
        }
