"""What a meter lets its owner know, as repair issues."""

from collections.abc import Mapping

from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import issue_registry as ir

from .const import DOMAIN
from .metering.meter import Notice


@callback
def show_notices(
    hass: HomeAssistant, meter: str, notices: Mapping[Notice, Mapping[str, str]]
) -> None:
    """Show exactly these notices of a meter, known by its name and serial number."""
    for notice in Notice:
        issue_id = f"{notice}_{meter}"
        if notice in notices:
            ir.async_create_issue(
                hass,
                DOMAIN,
                issue_id,
                is_fixable=False,
                severity=ir.IssueSeverity.WARNING,
                translation_key=notice,
                translation_placeholders={"meter": meter, **notices[notice]},
            )
        else:
            ir.async_delete_issue(hass, DOMAIN, issue_id)
