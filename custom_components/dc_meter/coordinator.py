"""One poll a second, one MeterReading."""

from dataclasses import dataclass
from time import perf_counter
from typing import Any, override

from homeassistant.config_entries import ConfigEntry, ConfigEntryState
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.dispatcher import async_dispatcher_connect
from homeassistant.helpers.update_coordinator import DataUpdateCoordinator, UpdateFailed

from .archive import ArchiveError
from .const import DOMAIN, LOGGER, POLL_INTERVAL
from .events import outcome_signal
from .metering.errors import MeterError
from .metering.meter import Meter, MeterReading
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
        entry.async_on_unload(
            async_dispatcher_connect(
                hass,
                outcome_signal(meter.identity.serial_number),
                self._session_changed,
            )
        )
        self.poll_duration_ms: float | None = None
        """How long the last good poll took, waiting for the bus included."""

    @callback
    def _session_changed(self, _kind: str, _data: dict[str, Any]) -> None:
        """Show the session at once; the reading itself may not have changed."""
        self.async_update_listeners()

    @override
    async def _async_update_data(self) -> MeterReading:
        began = perf_counter()
        try:
            reading = await self.meter.read()
        except MeterError as err:
            self.sessions.lost()
            raise UpdateFailed(
                translation_domain=DOMAIN,
                translation_key=err.key,
                translation_placeholders=err.details,
            ) from err
        self.poll_duration_ms = (perf_counter() - began) * 1000
        # Only once there are entities to be told.
        if (
            self.sessions.heard(reading)
            and self.config_entry.state is ConfigEntryState.LOADED
        ):
            self.config_entry.async_create_background_task(
                self.hass, self._settle(reading), f"{self.name} - settle session"
            )
        return reading

    async def _settle(self, reading: MeterReading) -> None:
        """Settle a session whose meter went on without us, now that it answers."""
        try:
            await self.sessions.settle(reading)
        except (MeterError, ArchiveError) as err:
            LOGGER.debug("%s: session not settled yet: %s", self.name, err)
