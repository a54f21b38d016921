"""What a kilowatt-hour costs at a meter: a fixed price, or that of an entity."""

from collections.abc import Callable
from decimal import Decimal, InvalidOperation

from homeassistant.config_entries import ConfigEntry
from homeassistant.const import ATTR_UNIT_OF_MEASUREMENT
from homeassistant.core import Event, HomeAssistant, callback
from homeassistant.helpers.entity_registry import (
    EVENT_ENTITY_REGISTRY_UPDATED,
    EventEntityRegistryUpdatedData,
)

from .const import CONF_PRICE, CONF_PRICE_ENTITY, DOMAIN
from .session import Price

MAX_PRICE = 1_000_000_000
"""More than a kilowatt-hour costs in any currency; beyond it no cost is exact to hundredths."""

_PER_KWH = {
    "": Decimal(1),
    "kWh": Decimal(1),
    "Wh": Decimal(1000),
    "MWh": Decimal("0.001"),
}
"""What makes a price per unit of energy one per kilowatt-hour; without a unit it is one."""


@callback
def async_follow_price_entities(hass: HomeAssistant) -> None:
    """Follow the entities that prices come from when they are renamed.

    Also those of entries that are not loaded. Prices are looked up as they are needed: nothing
    is loaded anew.
    """

    @callback
    def renamed(event: Event[EventEntityRegistryUpdatedData]) -> None:
        if event.data["action"] != "update" or "old_entity_id" not in event.data:
            return
        for entry in hass.config_entries.async_entries(DOMAIN):
            if entry.options.get(CONF_PRICE_ENTITY) == event.data["old_entity_id"]:
                followed = {CONF_PRICE_ENTITY: event.data["entity_id"]}
                hass.config_entries.async_update_entry(
                    entry, options={**entry.options, **followed}
                )

    hass.bus.async_listen(EVENT_ENTITY_REGISTRY_UPDATED, renamed)


def is_priced(entry: ConfigEntry) -> bool:
    """Tell whether a session is to have a price."""
    return not entry.options.keys().isdisjoint((CONF_PRICE, CONF_PRICE_ENTITY))


def price_at(
    hass: HomeAssistant, entry: ConfigEntry, *, at_any_time: bool = False
) -> Callable[[], Price | None]:
    """Return what tells the price now; None where none is known.

    ``at_any_time`` leaves an entity's out: what it was before is not known.
    """

    def price() -> Price | None:
        currency = hass.config.currency
        text = entry.options.get(CONF_PRICE)
        per: Decimal | None = Decimal(1)
        if entity_id := entry.options.get(CONF_PRICE_ENTITY):
            if at_any_time or (state := hass.states.get(entity_id)) is None:
                return None
            text = state.state
            # "EUR/kWh": the entity knows its currency.
            unit = state.attributes.get(ATTR_UNIT_OF_MEASUREMENT) or ""
            unit, _, energy = unit.partition("/")
            currency = unit or currency
            per = _PER_KWH.get(energy.strip())
        if text is None or per is None:
            return None
        try:
            per_kwh = Decimal(str(text)) * per
        except InvalidOperation:
            return None
        if not per_kwh.is_finite() or abs(per_kwh) > MAX_PRICE:
            return None
        return Price(per_kwh=per_kwh, currency=currency)

    return price
