"""What a kilowatt-hour costs at a meter: a fixed price, or that of an entity."""

from collections.abc import Callable
from decimal import Decimal, InvalidOperation

from homeassistant.config_entries import ConfigEntry
from homeassistant.const import ATTR_UNIT_OF_MEASUREMENT
from homeassistant.core import HomeAssistant

from .const import CONF_PRICE, CONF_PRICE_ENTITY
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
