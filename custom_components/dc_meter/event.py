"""The event entity of a meter: every start and stop, whoever caused it."""

from collections.abc import Mapping
from typing import Any, override

from homeassistant.components.event import EventEntity, EventEntityDescription
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.dispatcher import async_dispatcher_connect
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .archive import ArchiveError, Link
from .archive_file import async_archive
from .const import EVENT_FAILED, EVENT_STARTED, EVENT_STOPPED, LOGGER
from .coordinator import DcMeterConfigEntry
from .entity import DcMeterEntity
from .events import outcome_signal
from .repairs import lost_record, show_loss

PARALLEL_UPDATES = 0

TRANSACTION = EventEntityDescription(
    key="transaction_event",
    translation_key="transaction_event",
    event_types=[EVENT_STARTED, EVENT_STOPPED, EVENT_FAILED],
)

# The signed values go out with the bus event; a state is too small for them.
_ATTRIBUTES = ("status", "transaction_id", "verdict", "error", "record")
_OF_SESSION = (
    "started_at",
    "ended_at",
    "energy_import_wh",
    "energy_export_wh",
    "cost",
    "currency",
)


async def async_setup_entry(
    hass: HomeAssistant,
    entry: DcMeterConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the event entity."""
    async_add_entities(
        [DcMeterTransactionEvent(entry.runtime_data.coordinator, TRANSACTION)]
    )


class DcMeterTransactionEvent(DcMeterEntity, EventEntity):
    """Reports what became of transactions; stays available when the meter is not."""

    @property
    @override
    def available(self) -> bool:
        """An event has happened, whether or not the meter answers now."""
        return True

    @override
    async def async_added_to_hass(self) -> None:
        """Listen for outcomes, and see that the last one is still in the archive.

        What was told is kept elsewhere: it shows when the archive has lost its end, by
        accident or not, which the archive itself cannot.
        """
        await super().async_added_to_hass()
        if (told := self.state_attributes).get("record"):
            try:
                await self._look_for(told)
            except (ArchiveError, KeyError, OverflowError, TypeError) as err:
                # What Home Assistant restored is damaged, or the archive is busy.
                LOGGER.warning(
                    "%s: cannot tell whether the archive has what was told last: %r",
                    self.coordinator.name,
                    err,
                )
        self.async_on_remove(
            async_dispatcher_connect(
                self.hass,
                outcome_signal(self.coordinator.meter.identity.serial_number),
                self._report,
            )
        )

    async def _look_for(self, told: Mapping[str, Any]) -> None:
        """Show whether the archive has lost the record that was told of, or still lacks another."""
        has = (await async_archive(self.hass)).has
        entry = self.coordinator.config_entry
        lost = lost_record(self.hass, entry)
        if lost is not None and await self.hass.async_add_executor_job(has, lost):
            show_loss(self.hass, entry, None)
        link = Link(**told["record"])
        details = {
            "transaction_id": told["transaction_id"],
            "number": str(link.number),
            "hash": link.hash,
        }
        if not await self.hass.async_add_executor_job(has, link):
            show_loss(self.hass, entry, details)

    @callback
    @override
    def _handle_coordinator_update(self) -> None:
        """Do nothing: a reading is no event."""

    @callback
    def _report(self, kind: str, data: dict[str, Any]) -> None:
        self._trigger_event(
            kind,
            {key: data[key] for key in _ATTRIBUTES if key in data}
            | {key: data["session"][key] for key in _OF_SESSION},
        )
        self.async_write_ha_state()
