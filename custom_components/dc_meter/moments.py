"""At which moment of a second each meter is read."""

from collections import defaultdict
from collections.abc import Hashable
from functools import partial
from itertools import count

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, callback
from homeassistant.util.hass_dict import HassKey

from .const import DOMAIN

TOGETHER = 4
"""So many meters, each on a line of its own, are read at one moment.

A processor that finds four readings due at once takes half the time for each (``benchmarks/cpu.py``).
More would hold up everything else at a stretch.
"""

_GOLDEN_SECTION = 0.618_034
"""Steps of it keep any number of moments apart, so that meters of one line seldom wait."""

MOMENTS: HassKey[defaultdict[int, set[Hashable]]] = HassKey(f"{DOMAIN}_moments")
"""The lines that are read at each moment, by its number."""


@callback
def take_moment(hass: HomeAssistant, entry: ConfigEntry, endpoint: Hashable) -> float:
    """Return the part of a second at which a meter is read, until its entry is unloaded."""
    moments = hass.data.setdefault(MOMENTS, defaultdict[int, set[Hashable]](set))
    number = next(
        number
        for number in count()
        if len(moments[number]) < TOGETHER and endpoint not in moments[number]
    )
    moments[number].add(endpoint)
    entry.async_on_unload(partial(moments[number].discard, endpoint))
    return number * _GOLDEN_SECTION % 1
