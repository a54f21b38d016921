"""The switch that starts and stops a transaction."""

from contextlib import suppress
from typing import Any, override
from uuid import uuid4

from homeassistant.components.switch import SwitchEntity, SwitchEntityDescription
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .actions import translated_errors
from .coordinator import DcMeterConfigEntry
from .entity import DcMeterEntity
from .metering.errors import NoTransactionError
from .metering.meter import TransactionRequest
from .session import Particulars

PARALLEL_UPDATES = 1

TRANSACTION = SwitchEntityDescription(key="transaction", translation_key="transaction")


async def async_setup_entry(
    hass: HomeAssistant,
    entry: DcMeterConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the switch."""
    async_add_entities(
        [DcMeterTransactionSwitch(entry.runtime_data.coordinator, TRANSACTION)]
    )


class DcMeterTransactionSwitch(DcMeterEntity, SwitchEntity):
    """On while a transaction runs; without a user, whoever turns it on."""

    @property
    @override
    def is_on(self) -> bool:
        """Whether a transaction runs."""
        return self.coordinator.sessions.is_running(
            self.coordinator.data.transaction_active
        )

    @override
    def _says(self) -> tuple[object, ...]:
        return *super()._says(), self.is_on

    @override
    async def async_turn_on(self, **kwargs: Any) -> None:
        """Start a transaction; nothing to do while one runs."""
        with translated_errors():
            await self.coordinator.sessions.start(
                TransactionRequest(transaction_id=str(uuid4())),
                Particulars(),
                self._context,
                unless_running=True,
            )
        self.coordinator.refresh_soon()

    @override
    async def async_turn_off(self, **kwargs: Any) -> None:
        """Stop the transaction; nothing to do while none runs."""
        # The meter is asked, for what is shown may be of before another command.
        with translated_errors(), suppress(NoTransactionError):
            await self.coordinator.sessions.stop(context=self._context)
        self.coordinator.refresh_soon()
