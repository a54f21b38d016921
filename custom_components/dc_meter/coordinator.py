"""One poll a second, one MeterReading."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from time import monotonic, time
from typing import Any, Final, override

from homeassistant.config_entries import ConfigEntry, ConfigEntryState
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.dispatcher import async_dispatcher_connect
from homeassistant.helpers.storage import Store
from homeassistant.helpers.update_coordinator import DataUpdateCoordinator, UpdateFailed

from .archive import ArchiveError
from .const import DOMAIN, EVENT_STARTED, LOGGER, POLL_INTERVAL
from .events import outcome_signal
from .metering.errors import MeterError
from .metering.meter import ClockState, Meter, MeterReading
from .plausible import Refusal, Registers, recall
from .polls import Polls
from .presence import report_back, report_lost
from .sessions import Sessions
from .statistics import Steps
from .trust import Trust

type DcMeterConfigEntry = ConfigEntry[DcMeterData]

KEEP_INTERVAL_S: Final = 900
"""How often registers that move are kept, for after a crash; older ones only allow more."""

CLOCK_OFF_S: Final = 10
"""More than any meter's clock is off between two times it is set."""

CLOCK_PATIENCE_S: Final = 600
"""A clock that is off for so long is not set, or does not stay so."""


@dataclass(frozen=True, kw_only=True)
class DcMeterData:
    """What a loaded entry holds."""

    meter: Meter
    coordinator: DcMeterCoordinator
    sessions: Sessions
    trust: Trust


def register_store(hass: HomeAssistant, entry: ConfigEntry) -> Store[dict[str, Any]]:
    """Return where an entry keeps what its registers last showed."""
    return Store(hass, 1, f"{DOMAIN}.{entry.entry_id}")


class DcMeterCoordinator(DataUpdateCoordinator[MeterReading]):
    """Reads one meter each second."""

    config_entry: DcMeterConfigEntry

    def __init__(
        self,
        hass: HomeAssistant,
        entry: DcMeterConfigEntry,
        meter: Meter,
        sessions: Sessions,
    ) -> None:
        """Prepare for a meter that is identified already."""
        super().__init__(
            hass,
            LOGGER,
            config_entry=entry,
            name=entry.title,
            update_interval=POLL_INTERVAL,
            always_update=False,
        )
        self.meter = meter
        self.sessions = sessions
        self.polls = Polls()
        self.exact = False
        """Whether what is shown now shall be exact, whatever may wait at other times."""

        self._occasion: object = None
        self._occasion_is_new = False
        self._registers = Registers()
        self._store = register_store(hass, entry)
        self._steps = Steps(hass, left_out=self._keep_soon)
        self._keep_due_s = 0.0
        self._clock_off_since_s: float | None = None
        entry.async_on_unload(
            async_dispatcher_connect(
                hass,
                outcome_signal(meter.identity.serial_number),
                self._session_changed,
            )
        )
        entry.async_on_unload(self._steps.watch())

    @property
    def refusals(self) -> Mapping[str, Refusal]:
        """The registers that are not shown because they cannot be so, by sensor."""
        return self._registers.refusals

    @property
    def clock_is_off(self) -> bool:
        """Whether the meter's clock has been off for longer than setting it takes."""
        since_s = self._clock_off_since_s
        return since_s is not None and monotonic() - since_s >= CLOCK_PATIENCE_S

    def kept_registers(self) -> dict[str, Any]:
        """Return what is believed of the registers, and what is not."""
        return self._registers.keep(monotonic())

    async def take_register(self, key: str) -> None:
        """Believe what a register shows; nothing has flowed for its step."""
        self._stepped(self._registers.take(key))
        await self.async_refresh()
        await self.keep()

    async def keep(self) -> None:
        """Keep what the registers last showed."""
        await self._store.async_save(self._kept())

    @callback
    def show_exact(self) -> None:
        """Show what still waits to be shown, before it is too late for it."""
        self.exact = True
        self.async_update_listeners()

    @callback
    def _session_changed(self, kind: str, _data: dict[str, Any]) -> None:
        """Show the session at once: the last reading is from before."""
        if self.data.transaction_active is not None:
            self.data = replace(self.data, transaction_active=kind == EVENT_STARTED)
        self._occasion_is_new = True
        self.show_exact()

    @override
    async def _async_setup(self) -> None:
        if (kept := await self._store.async_load()) is None:
            return
        try:
            self._recall(kept)
        except ArithmeticError, AttributeError, LookupError, TypeError, ValueError:
            # Believed is then what the registers show now, as at the very first time.
            LOGGER.warning(
                "%s: what its registers showed last is damaged and left aside",
                self.name,
            )

    def _recall(self, kept: Mapping[str, Any]) -> None:
        """Take up what was kept; raises whatever damage leads to."""
        self._steps.recall(kept["steps"])
        if kept["meter"] == self.meter.identity.serial_number:
            # A clock that was set back in between proves nothing.
            gap_s = max(0.0, time() - kept["kept_at"])
            self._registers = recall(kept["registers"], monotonic() - gap_s)

    @override
    async def _async_update_data(self) -> MeterReading:
        began_s = monotonic()
        self.polls.began(began_s)
        try:
            reading = await self.meter.read()
        except MeterError as err:
            self.polls.failed(err.key)
            self.sessions.lost()
            if self.last_update_success:
                self.show_exact()
            report_lost(self.hass, self.config_entry, err)
            raise UpdateFailed(
                translation_domain=DOMAIN,
                translation_key=err.key,
                translation_placeholders=err.details,
            ) from err
        now_s = monotonic()
        self.polls.took(now_s - began_s)
        reading = self._believed(reading, now_s)
        self._watch_clock(reading, now_s)
        self._note_occasion(reading)
        settle = self.sessions.heard(reading)
        # Only once there are entities to be told.
        if self.config_entry.state is not ConfigEntryState.LOADED:
            return reading
        report_back(self.hass, self.config_entry)
        if settle:
            self.config_entry.async_create_background_task(
                self.hass, self._settle(reading), f"{self.name} - settle session"
            )
        return reading

    def _believed(self, reading: MeterReading, now_s: float) -> MeterReading:
        """Return the reading without the registers that cannot be so; say it once."""
        before = self._registers.refusals
        believed, steps = self._registers.judge(
            reading, now_s, self._transaction(reading)
        )
        self._stepped(steps)
        refusals = self._registers.refusals
        if refusals.keys() != before.keys():
            self._tell(before, refusals)
        if now_s >= self._keep_due_s and believed != self.data:
            self._keep_due_s = now_s + KEEP_INTERVAL_S
            self._keep_soon(KEEP_INTERVAL_S)
        return believed

    def _tell(self, before: Mapping[str, Refusal], now: Mapping[str, Refusal]) -> None:
        for key in now.keys() - before.keys():
            LOGGER.warning(
                "%s: %s is not shown: %s Wh cannot follow %s Wh",
                self.name,
                key,
                now[key].refused_wh,
                now[key].good_wh,
            )
        for key in before.keys() - now.keys():
            LOGGER.info("%s: %s is shown again", self.name, key)
        if now.keys() - before.keys() and self.data is not None:
            self.show_exact()

    def _transaction(self, reading: MeterReading) -> str | None:
        """Return what tells the running transaction from others; None when none runs."""
        if not self.sessions.is_running(reading.transaction_active):
            return None
        session = self.sessions.current
        return "" if session is None else session.transaction_id

    def _note_occasion(self, reading: MeterReading) -> None:
        """Be exact when something begins or ends, and with the reading after that."""
        occasion = (self._transaction(reading), reading.power_w == 0)
        is_new = occasion != self._occasion
        self.exact = is_new or self._occasion_is_new
        self._occasion, self._occasion_is_new = occasion, is_new

    def _watch_clock(self, reading: MeterReading, now_s: float) -> None:
        is_off = (
            reading.clock_state is ClockState.UNSYNCHRONIZED
            or abs(reading.clock_offset_s or 0) > CLOCK_OFF_S
        )
        if not is_off:
            self._clock_off_since_s = None
        elif self._clock_off_since_s is None:
            self._clock_off_since_s = now_s

    def _stepped(self, steps: Mapping[str, Any]) -> None:
        for key, wh in steps.items():
            self._steps.add(f"{self.meter.identity.serial_number}_{key}", wh)
        if steps:
            self._keep_soon()

    @callback
    def _keep_soon(self, within_s: float = 0) -> None:
        self._store.async_delay_save(self._kept, within_s)

    def _kept(self) -> dict[str, Any]:
        return {
            "meter": self.meter.identity.serial_number,
            "kept_at": time(),
            "registers": self.kept_registers(),
            "steps": self._steps.keep(),
        }

    async def _settle(self, reading: MeterReading) -> None:
        """Settle a session whose meter went on without us, now that it answers."""
        try:
            await self.sessions.settle(reading)
        except (MeterError, ArchiveError) as err:
            LOGGER.debug("%s: session not settled yet: %s", self.name, err)
