"""Triggers: what became of transactions, and whether a meter answers."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, ClassVar, cast, override

import voluptuous as vol

from homeassistant.const import ATTR_DEVICE_ID, CONF_FOR, CONF_OPTIONS
from homeassistant.core import CALLBACK_TYPE, Context, Event, HomeAssistant, callback
from homeassistant.helpers import config_validation as cv, device_registry as dr
from homeassistant.helpers.automation import get_relative_description_key
from homeassistant.helpers.event import async_call_later
from homeassistant.helpers.target import TargetSelection
from homeassistant.helpers.trigger import (
    ENTITY_STATE_TRIGGER_SCHEMA,
    Trigger,
    TriggerActionRunner,
    TriggerConfig,
    TriggerNotTriggeredReporter,
)
from homeassistant.helpers.typing import ConfigType

from .const import (
    DOMAIN,
    EVENT_BACK,
    EVENT_DC_METER,
    EVENT_FAILED,
    EVENT_LOST,
    EVENT_STARTED,
    EVENT_STOPPED,
)
from .presence import lost_meters
from .target import targeted_meters


class MeterTrigger(Trigger):
    """Triggers on an event of a targeted meter; what the event carries is in the trigger.

    Who is targeted is found out at each event: meters, areas and labels come and go.
    """

    _schema: ClassVar[vol.Schema] = ENTITY_STATE_TRIGGER_SCHEMA

    @override
    @classmethod
    async def async_validate_config(
        cls, hass: HomeAssistant, config: ConfigType
    ) -> ConfigType:
        """Validate the config."""
        return cast(ConfigType, cls._schema(config))

    def __init__(self, hass: HomeAssistant, config: TriggerConfig) -> None:
        """Take a validated config."""
        super().__init__(hass, config)
        self._type = get_relative_description_key(DOMAIN, config.key)
        self._target = TargetSelection(config.target or {})
        self._duration: timedelta | None = (config.options or {}).get(CONF_FOR)

    def _concerns(self, told: Mapping[str, Any]) -> bool:
        """Tell whether an event is one to trigger on, whoever it is about."""
        return bool(told["type"] == self._type)

    def _is_targeted(self, told: Mapping[str, Any]) -> bool:
        return any(
            entity.device_id == told[ATTR_DEVICE_ID]
            for entity in targeted_meters(self._hass, self._target)
        )

    def _run(
        self,
        run_action: TriggerActionRunner,
        told: Mapping[str, Any],
        context: Context | None,
    ) -> None:
        if self._is_targeted(told):
            device = dr.async_get(self._hass).async_get(told[ATTR_DEVICE_ID])
            name = device and (device.name_by_user or device.name)
            run_action(dict(told), f"{self._type.replace('_', ' ')} of {name}", context)

    @override
    async def async_attach_runner(
        self,
        run_action: TriggerActionRunner,
        did_not_trigger: TriggerNotTriggeredReporter | None = None,
    ) -> CALLBACK_TYPE:
        """Listen to the meters."""

        @callback
        def heard(event: Event) -> None:
            if self._concerns(event.data):
                self._run(run_action, event.data, event.context)

        return self._hass.bus.async_listen(EVENT_DC_METER, heard)


class ReceiptNotBillableTrigger(MeterTrigger):
    """Triggers when a transaction ends without a receipt that can be billed."""

    @override
    def _concerns(self, told: Mapping[str, Any]) -> bool:
        if told["type"] == EVENT_FAILED:
            # It left no receipt; one that never began had none to leave.
            return told["session"]["started_at"] is not None
        return told["type"] == EVENT_STOPPED and not told.get("verdict", {}).get(
            "billable"
        )


class MeterLostTrigger(MeterTrigger):
    """Triggers when a meter does not answer, or has not answered for a time."""

    _schema = ENTITY_STATE_TRIGGER_SCHEMA.extend(
        {
            vol.Required(CONF_OPTIONS, default={}): {
                vol.Optional(CONF_FOR): cv.positive_time_period
            }
        }
    )

    @override
    async def async_attach_runner(
        self,
        run_action: TriggerActionRunner,
        did_not_trigger: TriggerNotTriggeredReporter | None = None,
    ) -> CALLBACK_TYPE:
        """Listen to the meters, and wait."""
        if not (duration := self._duration):
            return await super().async_attach_runner(run_action, did_not_trigger)
        waiting: dict[str, CALLBACK_TYPE] = {}

        @callback
        def end_wait(told: Mapping[str, Any]) -> None:
            if cancel := waiting.pop(told[ATTR_DEVICE_ID], None):
                cancel()

        @callback
        def wait(told: Mapping[str, Any], context: Context | None = None) -> None:
            @callback
            def passed(_: datetime) -> None:
                del waiting[told[ATTR_DEVICE_ID]]
                # One that was removed or disabled meanwhile is not missed.
                if told in lost_meters(self._hass):
                    self._run(run_action, told, context)

            # Removed, added again and lost again, it was never told to be back.
            end_wait(told)
            waiting[told[ATTR_DEVICE_ID]] = async_call_later(
                self._hass, duration, passed
            )

        @callback
        def heard(event: Event) -> None:
            if event.data["type"] == EVENT_LOST:
                wait(event.data, event.context)
            elif event.data["type"] == EVENT_BACK:
                end_wait(event.data)

        # A meter that was lost when Home Assistant was restarted is still to be missed.
        for told in lost_meters(self._hass):
            wait(told)
        stop_listening = self._hass.bus.async_listen(EVENT_DC_METER, heard)

        @callback
        def detach() -> None:
            stop_listening()
            for cancel in waiting.values():
                cancel()

        return detach


TRIGGERS: dict[str, type[Trigger]] = {
    EVENT_STARTED: MeterTrigger,
    EVENT_STOPPED: MeterTrigger,
    EVENT_FAILED: MeterTrigger,
    "receipt_not_billable": ReceiptNotBillableTrigger,
    EVENT_LOST: MeterLostTrigger,
    EVENT_BACK: MeterTrigger,
}


async def async_get_triggers(hass: HomeAssistant) -> dict[str, type[Trigger]]:
    """Return the triggers."""
    return TRIGGERS
