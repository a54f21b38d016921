"""Measures from within: when states are written, how late the event loop is, memory in use."""

import ctypes
from dataclasses import dataclass, field
import gc
import sys
import time

import voluptuous as vol

from homeassistant.const import (
    ATTR_ENTITY_ID,
    EVENT_STATE_CHANGED,
    STATE_UNAVAILABLE,
    STATE_UNKNOWN,
)
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
BLOCK_BYTES = 96
"""Of Python's memory, on average, by what ``sys._debugmallocstats`` tells of a Home Assistant."""


@dataclass(kw_only=True)
class Watch:
    """What is seen of some entities and of the event loop, by this machine's monotonic clock."""

    hass: HomeAssistant
    written_at: dict[str, list[float]] = field(default_factory=dict)
    lags_s: list[float] = field(default_factory=list)
    """For each moment that was due."""

    timers_s: list[float] = field(default_factory=list)
    """For each timer, of which there is none while the loop stands still."""

    began_s: float = 0
    watches_loop: bool = False
    _due_s: float = 0

    @callback
    def begin(self, entity_ids: list[str], watches_loop: bool) -> None:
        """Forget what was seen, and watch these."""
        self.written_at = {entity_id: [] for entity_id in entity_ids}
        self.lags_s, self.timers_s = [], []
        self.began_s = time.monotonic()
        if watches_loop and not self.watches_loop:
            self._due_s = self.hass.loop.time()
            self.hass.loop.call_soon(self._note_lags)
        self.watches_loop = watches_loop

    @callback
    def state_changed(self, event: Event[EventStateChangedData]) -> None:
        """Note when a value was written; this runs while it is."""
        state = event.data["new_state"]
        if state is None or state.state in (STATE_UNAVAILABLE, STATE_UNKNOWN):
            return
        if (times := self.written_at.get(event.data["entity_id"])) is not None:
            times.append(time.monotonic())

    def _note_lags(self) -> None:
        """Note how late the loop is for each moment that was due meanwhile, and plan the next.

        Whatever would have been due while it stood still is as late as that.
        """
        now_s = self.hass.loop.time()
        self.timers_s.append(max(0, now_s - self._due_s))
        while self._due_s <= now_s:
            self.lags_s.append(now_s - self._due_s)
            self._due_s += LAG_INTERVAL_S
        if self.watches_loop:
            self.hass.loop.call_at(self._due_s, self._note_lags)


class Mallinfo(ctypes.Structure):
    """What the C library tells of its memory: mallinfo(3)."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    ]


def in_use_mb() -> float:
    """Return the megabytes that Python's objects take, and what malloc has in use.

    What either keeps for later, or cannot give back, is not among them.
    """
    gc.collect()
    mallinfo2 = ctypes.CDLL(None).mallinfo2
    mallinfo2.restype = Mallinfo
    info = mallinfo2()
    blocks = sys.getallocatedblocks() * BLOCK_BYTES
    return float(blocks + info.uordblks + info.hblkhd) / 1024**2


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
            "window": [watch.began_s, time.monotonic()],
            "lags_s": list[JsonValueType](watch.lags_s),
            "timers_s": list[JsonValueType](watch.timers_s),
        }

    async def memory(_: ServiceCall) -> ServiceResponse:
        return {"in_use_mb": in_use_mb()}

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
    for name, action in (("tell", tell), ("memory", memory)):
        hass.services.async_register(
            DOMAIN, name, action, supports_response=SupportsResponse.ONLY
        )
    return True
