"""Measures from within Home Assistant: when states are written, how late the event loop is."""

from dataclasses import dataclass, field
import time

import voluptuous as vol

from homeassistant.const import ATTR_ENTITY_ID, EVENT_STATE_CHANGED
from homeassistant.core import (
    Event,
    EventStateChangedData,
    HomeAssistant,
    ServiceCall,
    ServiceResponse,
    SupportsResponse,
    callback,
)
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers.typing import ConfigType
from homeassistant.util.json import JsonValueType

DOMAIN = "bench_probe"
CONFIG_SCHEMA = cv.empty_config_schema(DOMAIN)
LAG_INTERVAL_S = 0.02


@dataclass(kw_only=True)
class Watch:
    """What is seen of some entities and of the event loop, by this machine's monotonic clock."""

    hass: HomeAssistant
    written_at: dict[str, list[float]] = field(default_factory=dict)
    lags_s: list[float] = field(default_factory=list)
    watches_loop: bool = False
    _due_s: float = 0

    @callback
    def begin(self, entity_ids: list[str], watches_loop: bool) -> None:
        """Forget what was seen, and watch these."""
        self.written_at = {entity_id: [] for entity_id in entity_ids}
        self.lags_s = []
        if watches_loop and not self.watches_loop:
            self._plan()
        self.watches_loop = watches_loop

    @callback
    def state_changed(self, event: Event[EventStateChangedData]) -> None:
        """Note when a state was written; this runs while it is."""
        if (times := self.written_at.get(event.data["entity_id"])) is not None:
            times.append(time.monotonic())

    def _plan(self) -> None:
        self._due_s = self.hass.loop.time() + LAG_INTERVAL_S
        self.hass.loop.call_at(self._due_s, self._note_lag)

    def _note_lag(self) -> None:
        self.lags_s.append(self.hass.loop.time() - self._due_s)
        if self.watches_loop:
            self._plan()


async def async_setup(hass: HomeAssistant, config: ConfigType) -> bool:
    """Offer to watch, and to tell what was seen."""
    watch = Watch(hass=hass)
    hass.bus.async_listen(EVENT_STATE_CHANGED, watch.state_changed)

    async def begin(call: ServiceCall) -> ServiceResponse:
        watch.begin(call.data[ATTR_ENTITY_ID], call.data["loop"])
        return {}

    async def tell(call: ServiceCall) -> ServiceResponse:
        return {
            "written_at": {
                entity_id: list[JsonValueType](times)
                for entity_id, times in watch.written_at.items()
            },
            "lags_s": list[JsonValueType](watch.lags_s),
        }

    hass.services.async_register(
        DOMAIN,
        "begin",
        begin,
        vol.Schema(
            {
                vol.Required(ATTR_ENTITY_ID): [cv.entity_id],
                vol.Optional("loop", default=False): cv.boolean,
            }
        ),
        supports_response=SupportsResponse.ONLY,
    )
    hass.services.async_register(
        DOMAIN, "tell", tell, supports_response=SupportsResponse.ONLY
    )
    return True
