"""The event entity of a meter: every start and stop, whoever caused it."""

from typing import Any, override

from homeassistant.components.event import EventEntity, EventEntityDescription
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.dispatcher import async_dispatcher_connect
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .const import EVENT_FAILED, EVENT_STARTED, EVENT_STOPPED
from .coordinator import DcMeterConfigEntry
from .entity import DcMeterEntity
from .events import outcome_signal

PARALLEL_UPDATES = 0

TRANSACTION = EventEntityDescription(
    key="transaction_event",
    translation_key="transaction_event",
    event_types=[EVENT_STARTED, EVENT_STOPPED, EVENT_FAILED],
)

# The signed values go out with the bus event; a state is too small for them.
_ATTRIBUTES = ("status", "transaction_id", "verdict", "error")
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
        """Listen for outcomes."""
        await super().async_added_to_hass()
        self.async_on_remove(
            async_dispatcher_connect(
                self.hass,
                outcome_signal(self.coordinator.meter.identity.serial_number),
                self._report,
            )
        )

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
