"""The condition that a transaction runs, perhaps of a certain user."""

from typing import Unpack, cast, override

import voluptuous as vol

from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import CONF_OPTIONS, CONF_TARGET
from homeassistant.core import HomeAssistant
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers.condition import (
    Condition,
    ConditionCheckParams,
    ConditionConfig,
)
from homeassistant.helpers.target import TargetSelection
from homeassistant.helpers.typing import ConfigType

from .coordinator import DcMeterConfigEntry
from .target import targeted_meters

CONF_USER = "user"

_SCHEMA = vol.Schema(
    {
        vol.Required(CONF_TARGET): cv.TARGET_FIELDS,
        vol.Required(CONF_OPTIONS, default={}): {
            vol.Optional(CONF_USER): vol.All(cv.ensure_list, [cv.string]),
        },
    }
)


class TransactionIsRunningCondition(Condition):
    """Holds while a transaction runs at one of the targeted meters.

    A meter that does not answer is not known to run one.
    """

    @override
    @classmethod
    async def async_validate_config(
        cls, hass: HomeAssistant, config: ConfigType
    ) -> ConfigType:
        """Validate the config."""
        return cast(ConfigType, _SCHEMA(config))

    def __init__(self, hass: HomeAssistant, config: ConditionConfig) -> None:
        """Take a validated config."""
        super().__init__(hass, config)
        self._target = TargetSelection(config.target or {})
        self._users: list[str] = (config.options or {}).get(CONF_USER, [])

    @override
    def _async_check(self, **kwargs: Unpack[ConditionCheckParams]) -> bool:
        return any(
            self._runs_at(entry)
            for entity in targeted_meters(self._hass, self._target)
            if entity.config_entry_id is not None
            and (
                entry := self._hass.config_entries.async_get_entry(
                    entity.config_entry_id
                )
            )
        )

    def _runs_at(self, entry: DcMeterConfigEntry) -> bool:
        if (
            entry.state is not ConfigEntryState.LOADED
            or not (coordinator := entry.runtime_data.coordinator).last_update_success
        ):
            return False
        sessions = entry.runtime_data.sessions
        if not sessions.is_running(coordinator.data.transaction_active):
            return False
        return not self._users or (
            sessions.current is not None and sessions.current.is_of(self._users)
        )


CONDITIONS: dict[str, type[Condition]] = {
    "transaction_is_running": TransactionIsRunningCondition
}


async def async_get_conditions(hass: HomeAssistant) -> dict[str, type[Condition]]:
    """Return the conditions."""
    return CONDITIONS
