"""Which meters a trigger or a condition is about."""

from homeassistant.components.event import DOMAIN as EVENT_DOMAIN
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.target import (
    TargetSelection,
    async_extract_referenced_entity_ids,
)

from .const import DOMAIN


@callback
def targeted_meters(
    hass: HomeAssistant, target: TargetSelection
) -> list[er.RegistryEntry]:
    """Return the event entity of each meter in a target, as the registries are now.

    A meter is in the target when that entity is: named itself, or found by device, area,
    floor or label.
    """
    selected = async_extract_referenced_entity_ids(hass, target, expand_group=False)
    registry = er.async_get(hass)
    return [
        entity
        for entity_id in selected.referenced | selected.indirectly_referenced
        if (entity := registry.async_get(entity_id)) is not None
        and (entity.platform, entity.domain) == (DOMAIN, EVENT_DOMAIN)
    ]
