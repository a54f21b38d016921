"""Which meters a trigger or a condition is about."""

from homeassistant.components.event import DOMAIN as EVENT_DOMAIN
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.target import (
    TargetSelection,
    async_extract_referenced_entity_ids,
)

from .const import DOMAIN
from .registry import find_device


@callback
def targeted_meters(
    hass: HomeAssistant, target: TargetSelection
) -> list[er.RegistryEntry]:
    """Return the event entity of each meter in a target, as the registries are now.

    A meter is in the target when that entity or its device is: named itself, or found by area,
    floor or label. A device counts also where the entity is hidden or disabled; that of a
    replaced meter, whose entities stay with it, does not.
    """
    selected = async_extract_referenced_entity_ids(hass, target, expand_group=False)
    registry = er.async_get(hass)
    found = {
        entity_id: registry.async_get(entity_id)
        for entity_id in selected.referenced | selected.indirectly_referenced
    }
    for device_id in selected.referenced_devices:
        for entity in er.async_entries_for_device(
            registry, device_id, include_disabled_entities=True
        ):
            found[entity.entity_id] = entity
    return [
        entity
        for entity in found.values()
        if entity is not None
        and (entity.platform, entity.domain) == (DOMAIN, EVENT_DOMAIN)
        and _is_present(hass, entity)
    ]


def _is_present(hass: HomeAssistant, entity: er.RegistryEntry) -> bool:
    """Tell whether an entity is one of its entry's present meter."""
    entry = hass.config_entries.async_get_entry(entity.config_entry_id or "")
    if entry is None:
        return False
    device = find_device(hass, entry)
    return device is not None and device.id == entity.device_id
