"""One poll a second, one MeterReading."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from time import monotonic
from typing import Any, override

from homeassistant.config_entries import ConfigEntry, ConfigEntryState
from homeassistant.core import CoreState, HomeAssistant, callback
from homeassistant.helpers.dispatcher import async_dispatcher_connect
from homeassistant.helpers.update_coordinator import DataUpdateCoordinator, UpdateFailed
from homeassistant.util import dt as dt_util

from .archive import ArchiveError
from .clock import ClockWatch
from .const import DOMAIN, EVENT_STARTED, LOGGER, POLL_INTERVAL
from .events import outcome_signal
from .metering.errors import MeterError, WrongMeterError
from .metering.meter import Meter, MeterReading
from .metering.uptime import uptime_s
from .polls import Polls
from .presence import report_back, report_lost
from .registers import KeptRegisters
from .sessions import Sessions
from .trust import Trust

type DcMeterConfigEntry = ConfigEntry[DcMeterData]


@dataclass(frozen=True, kw_only=True)
class DcMeterData:
    """What a loaded entry holds."""

    meter: Meter
    coordinator: DcMeterCoordinator
    sessions: Sessions
    trust: Trust


class DcMeterCoordinator(DataUpdateCoordinator[MeterReading]):
    """Reads one meter each second."""

    config_entry: DcMeterConfigEntry

    def __init__(
        self,
        hass: HomeAssistant,
        entry: DcMeterConfigEntry,
        meter: Meter,
        sessions: Sessions,
        *,
        moment_s: float,
    ) -> None:
        """Prepare for a meter that is identified already, read at one moment of each second."""
        super().__init__(
            hass,
            LOGGER,
            config_entry=entry,
            name=entry.title,
            update_interval=POLL_INTERVAL,
            always_update=False,
        )
        self._moment_s = moment_s
        self.meter = meter
        self.sessions = sessions
        sessions.ending = self.show_exact
        self.polls = Polls()
        self.clock = ClockWatch()
        self.registers = KeptRegisters(hass, entry, meter.identity.serial_number)
        self.another: Mapping[str, str] | None = None
        """Which meter was last heard in this one's place; None since it was heard itself."""

        self.exact = False
        """Whether what is shown now shall be exact, whatever may wait at other times."""

        self._occasion: object = None
        self._occasion_is_new = False
        entry.async_on_unload(
            async_dispatcher_connect(
                hass,
                outcome_signal(meter.identity.serial_number),
                self._session_changed,
            )
        )
        entry.async_on_unload(self.registers.watch())

    async def take_register(self, key: str) -> None:
        """Believe what a register shows; nothing has flowed for its step."""
        self.registers.take(key)
        await self.async_refresh()
        await self.registers.save()

    @callback
    def refresh_soon(self) -> None:
        """Read again, for which nobody has to wait: what began or ended is shown already."""
        self.config_entry.async_create_background_task(
            self.hass, self.async_refresh(), f"{self.name} - refresh"
        )

    @callback
    def show_exact(self) -> None:
        """Show what still waits to be shown, before it is too late for it."""
        self.exact = True
        self.async_update_listeners()

    @callback
    def _session_changed(self, kind: str, _data: dict[str, Any]) -> None:
        """Show the session at once: the last reading is from before."""
        reading = self.data
        if reading.transaction_active is not None:
            if not reading.transaction_active:
                # What it has counted is of the transaction before.
                reading = replace(
                    reading, transaction_import_wh=None, transaction_export_wh=None
                )
            self.data = replace(reading, transaction_active=kind == EVENT_STARTED)
        self._occasion_is_new = True
        self.show_exact()

    @callback
    @override
    def _schedule_refresh(self) -> None:
        """Read again at the next slot, which is in this second after a reading that was late.

        Home Assistant takes the one in the next second, whatever it leaves out by that.
        """
        is_ahead = self._moment_s > self.hass.loop.time() % 1
        self._microsecond = self._moment_s - is_ahead
        super()._schedule_refresh()

    @override
    async def _async_setup(self) -> None:
        await self.registers.load()
        if self.registers.heard_at is not None:
            self.sessions.was_watched(until=self.registers.heard_at)

    @property
    def _has_audience(self) -> bool:
        """Whether there are entities to be told, and automations that listen."""
        return (
            self.config_entry.state is ConfigEntryState.LOADED
            and self.hass.state is CoreState.running
        )

    @override
    async def _async_refresh(self, *args: Any, **kwargs: Any) -> None:
        await super()._async_refresh(*args, **kwargs)
        # Conditions and entities say so by now: who hears the event may look at them.
        if self.last_update_success and self._has_audience:
            report_back(self.hass, self.config_entry)

    @override
    async def _async_update_data(self) -> MeterReading:
        began_s = monotonic()
        self.polls.began(began_s)
        written = self.sessions.written
        try:
            reading = await self.meter.read()
            if (
                reading.transaction_active is not None
                and written != self.sessions.written
            ):
                # A start or a stop came in between: it may be of the time before.
                written = self.sessions.written
                reading = await self.meter.read()
        except MeterError as err:
            self.polls.failed(err.key)
            self.sessions.lost()
            is_new = isinstance(err, WrongMeterError) and self.another != err.details
            if is_new:
                self.another = err.details
            if self.last_update_success:
                self.show_exact()
            elif is_new:
                self.async_update_listeners()
            report_lost(self.hass, self.config_entry, err)
            raise UpdateFailed(
                translation_domain=DOMAIN,
                translation_key=err.key,
                translation_placeholders=err.details,
            ) from err
        self.another = None
        now_s = monotonic()
        self.polls.took(now_s - began_s)
        transaction = self._transaction(reading)
        reading = self._believed(reading, transaction)
        self.clock.note(reading, now_s)
        self._note_occasion(reading, transaction)
        settle = self.sessions.heard(reading, written)
        if self._has_audience:
            if settle:
                self.config_entry.async_create_background_task(
                    self.hass, self._settle(reading), f"{self.name} - settle session"
                )
            else:
                self.registers.heard_at = dt_util.now()
        return reading

    def _believed(self, reading: MeterReading, transaction: str | None) -> MeterReading:
        """Return the reading without the registers that cannot be so."""
        before = self.registers.refusals
        # One of somebody else's cannot be told from the next, which counts from 0.
        reading = self.registers.judge(reading, uptime_s(), transaction or None)
        if self.registers.refusals.keys() - before.keys() and self.data is not None:
            self.show_exact()
        return reading

    def _transaction(self, reading: MeterReading) -> str | None:
        """Return what tells the running transaction from others; None when none runs."""
        if not self.sessions.is_running(reading.transaction_active):
            return None
        session = self.sessions.current
        return "" if session is None else session.transaction_id

    def _note_occasion(self, reading: MeterReading, transaction: str | None) -> None:
        """Be exact when something begins or ends, and with the reading after that."""
        occasion = (transaction, reading.power_w == 0)
        is_new = occasion != self._occasion
        self.exact = is_new or self._occasion_is_new
        self._occasion, self._occasion_is_new = occasion, is_new

    async def _settle(self, reading: MeterReading) -> None:
        """Settle a session whose meter went on without us, now that it answers."""
        try:
            await self.sessions.settle(reading)
        except (MeterError, ArchiveError) as err:
            LOGGER.debug("%s: session not settled yet: %s", self.name, err)
